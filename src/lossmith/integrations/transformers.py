"""A callback for the Trainer of Transformers: drives, logs and checkpoints a loss."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lossmith.core.driver import LossScheduler
from lossmith.integrations.logs import scalars

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
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
            self.signals |= {name: known[name] for name in self.clock.watches if name in known}

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
