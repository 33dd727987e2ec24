"""The training loops of the atlas: what each task's gives a loss in a step."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from atlas_models import STUDENT, TEACHER, Encoding, Stack, Tuned, make, mlp
from atlas_parts import Part, at
from lossmith import Cox, CrossEntropy
from lossmith.core.driver import parameter_groups
from lossmith.core.loss import Loss
from lossmith.functional import flat_parameters
from lossmith.study.data.encoder import Encoder
from lossmith.study.training.averaging import WeightAverage
from lossmith.study.training.budget import Budget, batches
from lossmith.study.training.stacked import WEIGHT_DECAY

SHARES = (0.25, 0.5, 1.0)  # of the epochs, after which the inner rows are scored
STEPS = 300  # of a training
OTHER_STEPS = {"segmentation": 150, "tokens": 100, "self_supervised": 200, "distillation": 600}
BATCHES = {"segmentation": 16, "tokens": 32}  # 32 or 64 of the others
FIRST_RATE = 0.003  # of what is trained before the candidates: a pretrained body, a teacher
PREDICTED = ("negative_cosine", "latent_prediction")  # a predictor's output, of the other view
CORRUPTED = 0.4  # of a row's features in a view


class Loop:
    """A loop that gives outputs and targets.

    alike: whether models are of one shape whatever the loss, and train side by side.
    """

    alike = False

    def __init__(self, kind: str, task: Any, inputs: Tensor, target: Any, seed: int) -> None:
        self.kind, self.task, self.seed = kind, task, seed
        self.inputs, self.array, self.target = inputs, target, tensors(target)

    def model(self, loss: Any) -> nn.Module:
        """Return the model with the head that a loss needs."""
        torch.manual_seed(self.seed)
        return make(self.kind, self.task, loss, self.inputs, self.array)

    def given(self, rows: Tensor) -> Any:
        """Return what models are given of some rows."""
        return self.inputs[rows]

    def seen(self, model: Any, given: Any) -> Any:
        """Return what a model makes of it."""
        return model(given)

    def value(self, loss: Any, seen: Any, rows: Tensor) -> Tensor:
        """Return a loss's value on some rows."""
        return loss(seen, at(self.target, rows))

    def reader(self, loss: Any, models: Any) -> Any:
        """Return the loss that reads what models say."""
        return loss


class Censored(Loop):
    """A loop of times to an event."""

    def reader(self, loss: Any, models: Any) -> Any:
        """Return the loss; Cox's with the hazard that the rows that train share."""
        if not isinstance(loss, Cox):
            return loss
        return loss.with_baseline(answers(models, self.inputs)[0].nan_to_num(), self.target)


class Boxes(Loop):
    """A loop that gives boxes."""

    alike = True


class Views(Loop):
    """A loop that gives projections of two views of each row, and never its class."""

    alike = True

    def model(self, loss: Any) -> nn.Module:
        """Return the encoder with its projector."""
        torch.manual_seed(self.seed)
        return Encoding(self.inputs)

    def given(self, rows: Tensor) -> Any:
        """Return two views."""
        return self._view(rows), self._view(rows)

    def seen(self, model: Any, given: Any) -> Any:
        """Return each view's projection, and what a predictor makes of it."""
        projected = [model.projector(model(view)) for view in given]
        return projected, [model.predictor(one) for one in projected]

    def value(self, loss: Any, seen: Any, rows: Tensor) -> Tensor:
        """Return a loss's value; of a predictor and the other view's projection, both ways."""
        (first, second), (after_first, after_second) = seen
        if loss.card.key not in PREDICTED:
            return loss(first, second)
        return (loss(after_first, second) + loss(after_second, first)) / 2

    def _view(self, rows: Tensor) -> Tensor:
        inputs = self.inputs[rows]
        if inputs.ndim == 4:
            return _moved(inputs)
        others = torch.randint(len(self.inputs), inputs.shape)
        hit = torch.rand(inputs.shape) < CORRUPTED
        return torch.where(hit, self.inputs.gather(0, others), inputs)


def _moved(images: Tensor) -> Tensor:
    """Return pictures turned, scaled and shifted, with a patch erased and noise."""
    count, _, side, _ = images.shape
    angle, scale = 0.6 * torch.rand(count) - 0.3, 0.8 + 0.4 * torch.rand(count)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1)
    shift = 0.3 * torch.rand(count, 2, 1) - 0.15
    maps = torch.cat([turn.view(count, 2, 2) * scale[:, None, None], shift], dim=2)
    grid = nnf.affine_grid(maps, list(images.shape), align_corners=False)
    moved = nnf.grid_sample(images, grid, align_corners=False)
    patch = 2 * side // 7
    place = torch.arange(side) - torch.randint(side - patch + 1, (2, count, 1))
    y, x = (place >= 0) & (place < patch)
    hidden = y[:, None, :, None] & x[:, None, None, :]
    return moved.masked_fill(hidden, 0.0) + 0.05 * torch.randn(moved.shape)


class Pulled(Loop):
    """A loop that tunes a pretrained body with a new head, and gives its weights and their start.

    source: inputs and classes of which the body was trained.
    """

    alike = True

    def __init__(self, *args: Any, source: tuple[np.ndarray, np.ndarray]) -> None:
        super().__init__(*args)
        inputs, target = source
        torch.manual_seed(self.seed)
        model = Tuned(inputs.shape[1], int(target.max()) + 1)
        first = Loop("", None, torch.from_numpy(inputs), target, self.seed)
        for _ in trained(first, Stack(model, 1), [CrossEntropy()], FIRST_RATE):
            self.state = {name: one.clone() for name, one in model.body.state_dict().items()}
            self.start = flat_parameters(model.body).detach()

    def model(self, loss: Any) -> nn.Module:
        """Return the pretrained body with a new head."""
        torch.manual_seed(self.seed)
        model = Tuned(self.inputs.shape[1], self.task.width(loss, self.array))
        model.body.load_state_dict(self.state)
        return model

    def seen(self, model: Any, given: Any) -> Any:
        """Return outputs and the body's weights."""
        return {"output": model(given), "parameters": flat_parameters(model.body)}

    def value(self, loss: Any, seen: Any, rows: Tensor) -> Tensor:
        """Return a loss's value."""
        return loss(seen, {"target": self.target[rows], "start": self.start})


class Taught(Loop):
    """A loop that gives a teacher's logits too; it was trained on the same rows."""

    alike = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        torch.manual_seed(self.seed)
        teacher = Stack(mlp(self.inputs.shape[1], self.task.classes, TEACHER), 1)
        plain = Loop("", None, self.inputs, self.array, self.seed)
        for _ in trained(plain, teacher, [CrossEntropy()], FIRST_RATE):
            self.teacher = answers(teacher, self.inputs)[0]

    def model(self, loss: Any) -> nn.Module:
        """Return a student."""
        torch.manual_seed(self.seed)
        return mlp(self.inputs.shape[1], self.task.classes, STUDENT)

    def value(self, loss: Any, seen: Any, rows: Tensor) -> Tensor:
        """Return a loss's value."""
        return loss(seen, {"classes": self.target[rows], "teacher": self.teacher[rows]})


LOOPS: Mapping[str, type[Loop]] = {
    "survival": Censored,
    "detection": Boxes,
    "self_supervised": Views,
    "distillation": Taught,
}


def loop_of(
    kind: str, task: Any, inputs: Tensor, target: Any, seed: int, source: Any = None
) -> Loop:
    """Return a task's loop over some rows."""
    if source is not None:
        return Pulled(kind, task, inputs, target, seed, source=source)
    return LOOPS.get(kind, Loop)(kind, task, inputs, target, seed)


def trained(loop: Loop, models: Stack, losses: Sequence[Any], rate: float) -> Iterator[int]:
    """Train a model for each loss, and yield after each share of the epochs.

    The models have their averaged weights on while one looks.
    """
    rows = len(loop.inputs)
    size = min(rows, BATCHES.get(loop.kind, 32 if rows < 1000 else 64))
    epochs = max(4, round(OTHER_STEPS.get(loop.kind, STEPS) / (rows // size)))
    budget = Budget(epochs=epochs, batch=size)
    groups = parameter_groups(models, nn.ModuleList(losses), weight_decay=WEIGHT_DECAY)
    optimizer = torch.optim.AdamW(groups, lr=rate, fused=True)
    average, order = WeightAverage(models), torch.Generator().manual_seed(loop.seed)
    for epoch in range(epochs):
        for loss in losses:
            if isinstance(loss, Loss) and loss.moves:
                loss.observe(budget.progress(epoch))
        for chosen in batches(rows, size, order):
            seen = models.each(loop.seen, loop.given(chosen))
            pairs = zip(losses, seen, strict=True)
            optimizer.zero_grad()
            sum(loop.value(loss, own, chosen) for loss, own in pairs).backward()
            optimizer.step()
            average.update(models)
        if epoch + 1 in marks(epochs):
            with average.applied(models):
                yield epoch + 1


def marks(epochs: int) -> list[int]:
    """Return the epochs after which the inner rows are scored."""
    return sorted({max(1, round(share * epochs)) for share in SHARES})


@torch.no_grad()
def answers(models: Stack, inputs: Tensor) -> list[Tensor]:
    """Return what each model says of rows."""
    parts = [models.each(lambda model, given: model(given), some) for some in inputs.split(256)]
    return [torch.cat(own) for own in zip(*parts, strict=True)]


def encoded(parts: Sequence[Part]) -> list[Tensor]:
    """Return inputs as tensors; frames by what the first part tells of their columns."""
    if isinstance(parts[0].inputs, pd.DataFrame):
        encoder = Encoder().fit(parts[0].inputs)
        return [torch.from_numpy(encoder.transform(part.inputs)) for part in parts]
    return [torch.from_numpy(np.ascontiguousarray(part.inputs)) for part in parts]


def tensors(target: Any) -> Any:
    """Return targets as tensors."""
    if isinstance(target, Mapping):
        return {name: torch.from_numpy(one) for name, one in target.items()}
    return torch.from_numpy(target)
