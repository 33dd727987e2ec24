"""Callbacks for Lightning: one drives the losses of a module, one reports to a trial of a study."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from lossmith.core.driver import LossScheduler
from lossmith.integrations.logs import scalars
from lossmith.integrations.reports import joined

try:
    from pytorch_lightning import Callback, LightningModule, Trainer
except ModuleNotFoundError as error:
    raise ImportError(
        "lossmith.integrations.lightning needs pytorch_lightning; install it with: "
        "pip install 'lossmith[lightning]'"
    ) from error


class LossCallback(Callback):
    """Drives every lossmith loss of a LightningModule, one step for each optimizer step.

    Signals that losses need at each step come from what `training_step` returns under
    "signals": `return {"loss": value, "signals": {"terms": terms}}`; metrics that triggers wait
    for are those that the module logs. Weights and moving numbers are logged under "loss/…".

    Args:
        attribute: the name of the loss in the module; None drives all that the module holds.

    >>> trainer = Trainer(callbacks=[LossCallback("loss")], logger=False, max_epochs=1)
    """

    def __init__(self, attribute: str | None = None) -> None:
        self.attribute = attribute
        self.clock: LossScheduler | None = None
        self._position: Mapping[str, Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Build the driver, or go on where a checkpoint was written."""
        loss: nn.Module = getattr(pl_module, self.attribute) if self.attribute else pl_module
        total = trainer.estimated_stepping_batches
        batches = trainer.num_training_batches / max(trainer.accumulate_grad_batches, 1)
        self.loss = loss
        self.clock = LossScheduler(
            loss,
            total_steps=int(total) if 0 < total < float("inf") else None,
            steps_per_epoch=max(int(batches), 1) if batches < float("inf") else None,
            optimizer=trainer.optimizers[0] if trainer.optimizers else None,
        )
        if self._position is not None:
            self.clock.go_to(self._position)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the optimizer's step, if the batch ended one, and hand over its signals."""
        assert self.clock is not None
        if trainer.global_step <= self.clock.position:
            return
        given = dict(outputs.get("signals", {})) if isinstance(outputs, Mapping) else {}
        metrics = trainer.callback_metrics
        given |= {name: metrics[name] for name in self.clock.optional_signals if name in metrics}
        self.clock.step(**given)
        pl_module.log_dict(scalars(self.loss))

    def state_dict(self) -> dict[str, Any]:
        """Return the position; the module's checkpoint holds the state of its losses."""
        return dict(self.clock.place()) if self.clock is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep a checkpoint's position for the start of training."""
        self._position = state_dict or None


class TrialCallback(Callback):
    """Reports each epoch's validation to a trial of a study, and stops the trainer when told to.

    `validation_step` returns its outputs, a tensor, or a dict of "outputs" or "rows" (and
    "target"), as `trial.report` takes them; the validation loader keeps the order of `trial.valid`.
    A loss on a schedule is told each epoch; put a `LossCallback` beside it for one that moves with
    each step.
    Lightning's checkpoint and the trial's are written to `trial.folder` before each report, so that
    the trial can pause, and goes on where a process died. For one process on one device.

    Args:
        trial: of a `lossmith.Study`.
        checkpoints: whether to write them.

    Raises:
        ValueError: where a trial that goes on is trained from the start.

    In a study's loop::

        callback = TrialCallback(trial)
        trainer = Trainer(max_epochs=trial.total_epochs, callbacks=[callback])
        trainer.fit(module, train_loader, valid_loader, ckpt_path=callback.checkpoint)
    """

    def __init__(self, trial: Any, *, checkpoints: bool = True) -> None:
        self.trial, self.checkpoints = trial, checkpoints
        self._batches: list[Any] = []
        self._epochs = iter(trial.epochs)

    @property
    def checkpoint(self) -> Path | None:
        """Where the trainer goes on from: None at a trial's start."""
        return self._place(self.trial.start) if self.trial.start else None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the loss and the generators their state, before the first batch is drawn."""
        if self.trial.start and trainer.ckpt_path is None:
            raise ValueError(
                f"{self.trial.id} goes on after epoch {self.trial.start}: "
                "trainer.fit(…, ckpt_path=callback.checkpoint)"
            )
        self.trial.restore()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell a loss on a schedule."""
        next(self._epochs, None)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier evaluation."""
        self._batches = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep what a batch says."""
        if not trainer.sanity_checking:
            self._batches.append(outputs)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the epoch's last evaluation, if it had one."""
        if not self._batches:
            return
        said, self._batches = joined(self._batches), []
        epoch = trainer.current_epoch + 1  # Lightning counts from 0
        if self.checkpoints:
            trainer.save_checkpoint(self._place(epoch))
            self.trial.save(epoch)
            for place in self.trial.folder.glob("epoch-*.ckpt"):
                if not place.with_suffix(".pt").exists():
                    place.unlink()
        if self.trial.report(epoch, **said):
            trainer.should_stop = True

    def _place(self, epoch: int) -> Path:
        """Return where Lightning's part of a checkpoint lies, beside the trial's."""
        return self.trial.folder / f"epoch-{epoch}.ckpt"
