"""A callback for Lightning: drives the losses of a module, logs and checkpoints them."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from lossmith.core.driver import LossScheduler
from lossmith.integrations.logs import scalars

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
        given |= {name: metrics[name] for name in self.clock.watches if name in metrics}
        self.clock.step(**given)
        pl_module.log_dict(scalars(self.loss))

    def state_dict(self) -> dict[str, Any]:
        """Return the position; the module's checkpoint holds the state of its losses."""
        return dict(self.clock.place()) if self.clock is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep a checkpoint's position for the start of training."""
        self._position = state_dict or None
