"""Callbacks for the Trainer of Transformers: one drives a loss, one reports to a study."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lossmith.core.driver import LossScheduler
from lossmith.integrations.logs import scalars

try:
    from transformers import (
        EvalPrediction,
        TrainerCallback,
        TrainerControl,
        TrainerState,
        TrainingArguments,
    )
except ModuleNotFoundError as error:
    raise ImportError(
        "lossmith.integrations.transformers needs transformers; install it with: "
        "pip install 'lossmith[transformers]'"
    ) from error

FILE = "loss_state.pt"


class LossCallback(TrainerCallback):
    """Drives a loss, one step for each optimizer step; metrics of an evaluation are its signals.

    Pass the loss itself by `compute_loss_func`, for example `lambda outputs, labels,
    num_items_in_batch=None: loss(outputs.logits, labels)`. Signals that a loss needs at each step
    are put into `callback.signals` there. The loss's state is written beside each checkpoint and
    read when training resumes. A loss with parameters must be part of the model
    (`lossmith.ModelWithLoss`), where the Trainer's optimizer finds it.

    Args:
        loss: the loss that is driven.
    """

    def __init__(self, loss: nn.Module) -> None:
        self.loss = loss
        self.signals: dict[str, Any] = {}
        self.clock: LossScheduler | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Build the driver, or go on where a checkpoint was written."""
        epochs = max(float(args.num_train_epochs), 1e-9)
        self.clock = LossScheduler(
            self.loss,
            total_steps=state.max_steps or None,
            steps_per_epoch=max(round(state.max_steps / epochs), 1),
            optimizer=given.get("optimizer"),
        )
        written = Path(args.output_dir or ".") / f"checkpoint-{state.global_step}" / FILE
        if state.global_step and written.exists():
            self.clock.load_state_dict(torch.load(written, weights_only=True))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Count the optimizer's step and hand over the signals."""
        assert self.clock is not None
        self.clock.step(**self.signals)
        self.signals = {}

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **given: Any,
    ) -> None:
        """Keep an evaluation's metrics as signals of the next step."""
        if self.clock is not None:
            known = metrics or {}
            self.signals |= {
                name: known[name] for name in self.clock.optional_signals if name in known
            }

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **given: Any,
    ) -> None:
        """Add the present weights and moving numbers to what is logged, and to the history."""
        if logs is not None:
            logs.update(scalars(self.loss))
            state.log_history[-1].update(scalars(self.loss))

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Write the loss's state beside the checkpoint."""
        assert self.clock is not None
        if state.is_world_process_zero:
            folder = Path(args.output_dir or ".") / f"checkpoint-{state.global_step}"
            folder.mkdir(parents=True, exist_ok=True)
            torch.save(self.clock.state_dict(), folder / FILE)


class TrialCallback(TrainerCallback):
    """Reports evaluations at the ends of epochs to a trial of a study, and stops when told to.

    Callbacks of the Trainer never see predictions, so `compute_metrics` is this callback's: give it
    to the Trainer, or call it in your own. The evaluation set holds the rows of `trial.valid` in
    their order. A loss on a schedule is told each epoch; put a `LossCallback` beside it for one
    that moves with each step. With `output_dir=trial.folder, save_strategy="epoch"` the trial can
    pause, and goes on where a process died.

    Args:
        trial: of a `lossmith.Study`.

    Raises:
        ValueError: where the Trainer's seed is not the trial's, or a trial that goes on is trained
            from the start.

    In a study's loop::

        callback = TrialCallback(trial)
        args = TrainingArguments(trial.folder, seed=trial.seed, eval_strategy="epoch", …)
        more = {"compute_metrics": callback.compute_metrics, "callbacks": [callback]}
        Trainer(model, args, compute_loss_func=…, **more).train(callback.checkpoint)
    """

    def __init__(self, trial: Any) -> None:
        self.trial = trial
        self._outputs: torch.Tensor | None = None
        self._epochs = iter(trial.epochs)
        kept = trial.restore(checkpoint=None)
        self.checkpoint = str(trial.folder / kept["checkpoint"]) if kept else None

    def compute_metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        """Keep the predictions of an evaluation."""
        outputs: Any = prediction.predictions
        outputs = outputs[0] if isinstance(outputs, tuple) else outputs  # logits come first
        self._outputs = torch.as_tensor(outputs)
        return {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Check that the training is the trial's."""
        if args.seed != self.trial.seed:
            raise ValueError(
                f"the Trainer sets all generators to its own seed, {args.seed}; give "
                f"TrainingArguments(seed=trial.seed), {self.trial.seed} for this trial"
            )
        if self.trial.start and not state.global_step:
            raise ValueError(
                f"{self.trial.id} goes on after epoch {self.trial.start}: "
                "trainer.train(callback.checkpoint)"
            )

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Tell a loss on a schedule."""
        next(self._epochs, None)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Report, unless a checkpoint is to be written first.

        Raises:
            ValueError: where the Trainer was not given `compute_metrics`.
        """
        if self._outputs is None:
            raise ValueError("give the Trainer compute_metrics=callback.compute_metrics")
        if not control.should_save:
            self._report(state, control)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Keep the loss beside the Trainer's checkpoint, and report what is still to be told."""
        if self._outputs is not None and _ends_epoch(state):
            self.trial.save(round(state.epoch or 0), checkpoint=f"checkpoint-{state.global_step}")
            self._report(state, control)

    def _report(self, state: TrainerState, control: TrainerControl) -> None:
        outputs, self._outputs = self._outputs, None
        if _ends_epoch(state) and self.trial.report(round(state.epoch or 0), outputs=outputs):
            control.should_training_stop = True


def _ends_epoch(state: TrainerState) -> bool:
    """Return whether an epoch has just been trained."""
    epoch = state.epoch or 0.0
    return round(epoch) > 0 and abs(epoch - round(epoch)) < 1e-6
