"""One training of a user's own module, and a trial of a study as such a training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossmith.core.driver import parameter_groups
from lossmith.study.base.errors import InputError
from lossmith.study.data.dataset import SupervisedDataset
from lossmith.study.training.averaging import WeightAverage
from lossmith.study.training.budget import Budget, batches
from lossmith.study.training.heads import called, moved, one_column, without_head

MakeModel = Callable[[int], nn.Module]
MakeOptimizer = Callable[..., torch.optim.Optimizer]
MakeSchedule = Callable[[torch.optim.Optimizer, int], Any]
JUDGED = 512  # rows that are predicted at a time


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a user's module is trained, the same for every loss.

    schedule: from the optimizer and the number of steps, something whose `step` follows each step.
    amp: the type that the module computes in, or None.
    """

    make_model: MakeModel
    budget: Budget
    device: torch.device
    make_optimizer: MakeOptimizer = torch.optim.AdamW
    schedule: MakeSchedule | None = None
    amp: torch.dtype | None = None


class ModuleTraining:
    """A fresh module of the user's in training on some rows.

    It sets torch's generators by its seed, so it lives within `checkpoint.seeded`.
    """

    def __init__(
        self,
        recipe: Recipe,
        examples: SupervisedDataset,
        rows: np.ndarray,
        *,
        seed: int,
        loss: nn.Module,
        learning_rate: float,
    ) -> None:
        self.recipe, self.examples, self.rows = recipe, examples, rows
        self.loss = loss.to(recipe.device)
        self.width = examples.width_of(loss)
        torch.manual_seed(seed)
        model = recipe.make_model(self._wanted_width())
        torch.manual_seed(seed)  # dropout is the same for all, however much a head has drawn
        _check_module(model)
        self.model = model.to(recipe.device)
        learned = any(True for _ in loss.parameters())
        trained = parameter_groups(self.model, loss) if learned else self.model.parameters()
        self.optimizer = recipe.make_optimizer(trained, lr=learning_rate)
        self.average = WeightAverage(self.model)
        self.order = torch.Generator().manual_seed(seed)
        half = recipe.amp == torch.float16
        self.scaler = torch.amp.GradScaler(recipe.device.type, enabled=half)
        steps = len(rows) // min(len(rows), recipe.budget.batch) * recipe.budget.epochs
        self.schedule = recipe.schedule(self.optimizer, steps) if recipe.schedule else None

    def epoch(self) -> None:
        """Train for one epoch."""
        self.model.train()
        size = self.recipe.budget.batch
        chosen = self.rows[torch.cat(batches(len(self.rows), size, self.order)).numpy()]
        for inputs, target in self.examples.batches(chosen, size, training=True):
            output = self._output(inputs)
            self.optimizer.zero_grad()
            loss = self.loss(output, one_column(moved(target, self.recipe.device)))
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            if self.schedule is not None:
                self.schedule.step()
            self.average.update(self.model)

    @torch.no_grad()
    def outputs(self, rows: np.ndarray) -> Tensor:
        """Return the raw outputs on some rows, averaged weights."""
        with self.average.applied(self.model):
            self.model.eval()
            parts = [
                self._output(inputs)
                for inputs, _ in self.examples.batches(rows, JUDGED, training=False)
            ]
        return torch.cat(parts)

    def state_dict(self) -> dict[str, Any]:
        """Return all that another training needs to go on as this one would."""
        schedule = None if self.schedule is None else self.schedule.state_dict()
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.weights,
            "steps": self.average.steps,
            "order": self.order.get_state(),
            "scaler": self.scaler.state_dict(),
            "schedule": schedule,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from another training's state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.weights = [moved(part, self.recipe.device) for part in state["average"]]
        self.average.steps = state["steps"]
        self.order.set_state(state["order"])
        self.scaler.load_state_dict(state["scaler"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])

    def _wanted_width(self) -> int:
        if self.width is not None:
            return self.width
        classes = 2 if isinstance(self.loss, nn.CrossEntropyLoss) else 1
        return max(classes, self.examples.width)

    def _output(self, inputs: Any) -> Tensor:
        place = self.recipe.device
        with torch.autocast(place.type, self.recipe.amp, enabled=self.recipe.amp is not None):
            output = called(self.model, moved(inputs, place))
        output = _in_float32(output) if self.recipe.amp is not None else output
        if self.examples.task is None:
            return without_head(output) if self.width == 1 else one_column(output)
        width = self._wanted_width()
        if not isinstance(output, Tensor) or output.ndim != 2 or output.shape[1] != width:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise InputError(
                f"model({width}) must give outputs of shape (rows, {width}), got {got}"
            )
        return one_column(output)


def _in_float32(output: Any) -> Any:
    half = isinstance(output, Tensor) and output.dtype in (torch.bfloat16, torch.float16)
    return output.float() if half else output


def _check_module(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise InputError(f"model(out_features) must return an nn.Module, got {model!r}")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError("model(out_features) has no parameter to train")


def shares_parameters(one: nn.Module, other: nn.Module) -> bool:
    """Tell whether two modules train the same parameters, by where these lie in memory."""
    places = [
        {p.untyped_storage().data_ptr() for p in model.parameters() if p.requires_grad}
        for model in (one, other)
    ]
    return bool(places[0] & places[1])
