"""A scene: one number moves, a batch follows it, and a loss's value is drawn against it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossmith.core import Loss, Progress
from lossmith.core.arguments import demanded
from lossmith.core.tree import tree_map
from lossmith.testing.cases import brought
from lossmith.testing.draws import generator

# What a scene is as large as, where a loss must be told.
SIZES: Mapping[str, Any] = {
    "classes": 3,
    "counts": [60.0, 30.0, 10.0],
    "features": 8,
    "in_features": 3,
    "members": 3,
    "components": 2,
    "samples": 2,
    "times": [1.0, 2.0, 3.0, 4.0],
    "size": 16,
    "blank": 2,
}

HALF_TURN = math.pi  # in radians

Path = Callable[[Tensor], tuple[Any, Any]]


@dataclass(frozen=True)
class Scene:
    """What moves, in words and from where to where, and the curves: a loss and its batches each.

    One curve is drawn with its gradient, the derivative along the axis; several without.
    """

    moves: str
    caption: str
    span: tuple[float, float]
    curves: Mapping[str, tuple[Loss, Path]]
    points: int = 81


@dataclass(frozen=True)
class Drawn:
    """A scene with its numbers: the axis, and the value and gradient of each curve along it."""

    scene: Scene
    x: Tensor
    values: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]

    @property
    def tells(self) -> bool:
        """Whether all numbers are finite and some curve is no constant."""
        numbers = torch.stack([*self.values.values(), *self.gradients.values()])
        moved = [curve.max() - curve.min() > 1e-6 for curve in self.values.values()]
        return bool(numbers.isfinite().all()) and any(moved)


def drawn(scene: Scene) -> Drawn:
    """Return the scene with its numbers."""
    x = torch.linspace(*scene.span, scene.points, dtype=torch.float64)
    found = {name: _course(x, *curve) for name, curve in scene.curves.items()}
    values, gradients = ({name: two[side] for name, two in found.items()} for side in (0, 1))
    return Drawn(scene, x, values, gradients)


def _course(x: Tensor, loss: Loss, path: Path) -> tuple[Tensor, Tensor]:
    if loss.card.required_signals:
        input, target = (tree_map(Tensor.detach, part) for part in path(x[3 * len(x) // 4]))
        signals = brought(loss.card, input, target)
        loss.observe(Progress(step=1, epoch=1, signals=signals))
    pairs = [_point(at, loss, path) for at in x]
    return torch.stack([value for value, _ in pairs]), torch.stack([slope for _, slope in pairs])


def _point(at: Tensor, loss: Loss, path: Path) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)  # what draws a sample draws the same one at each point
    at = at.clone().requires_grad_()
    value = loss(*path(at))
    (slope,) = torch.autograd.grad(value, at, allow_unused=True, materialize_grads=True)
    return value.detach().double(), slope


def made(kind: type[Loss], **sizes: Any) -> Loss:
    """Return the loss that a scene shows.

    One of a head is its card's example, any other has its defaults; but as large as scenes are.
    """
    known = {**kind.card.example.arguments, **SIZES, **sizes}
    names = {*_told(kind), *demanded(kind), *(sizes.keys() & kind.hyperparameters.keys())}
    return kind(**{name: known[name] for name in names})


def settings(kind: type[Loss]) -> str:
    """Return what the loss of a scene was told beyond sizes and defaults, for its caption."""
    example = kind.card.example.arguments
    told = {name: example[name] for name in _told(kind) if name not in SIZES}
    chosen = [
        f"{name} = {value:.3g}" if isinstance(value, float) else f"{name} = {value}"
        for name, value in told.items()
        if not isinstance(value, Loss) and value != kind.hyperparameters[name].default
    ]
    parts = [", ".join(chosen)] if chosen else []
    parts += ["after one step at three quarters of the curve"] if kind.card.required_signals else []
    return f" ({'; '.join(parts)})" if parts else ""


def _told(kind: type[Loss]) -> list[str]:
    example = kind.card.example.arguments
    return [name for name in example if kind.card.trains_head or name in SIZES]


def alone(kind: type[Loss], path: Path, **sizes: Any) -> dict[str, tuple[Loss, Path]]:
    """Return the one curve of a scene that is drawn with its gradient."""
    return {"loss": (made(kind, **sizes), path)}


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Return fixed random numbers."""
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def zeros(*shape: int) -> Tensor:
    """Return zeros in float64."""
    return torch.zeros(shape, dtype=torch.float64)


def ones(*shape: int) -> Tensor:
    """Return ones in float64."""
    return torch.ones(shape, dtype=torch.float64)


def shape_of(data: Any) -> tuple[int, ...]:
    """Return the shape of an example's plain numbers."""
    return tuple(torch.as_tensor(data).shape)


def turned(start: Tensor, towards: Tensor, angle: Tensor) -> Tensor:
    """Return a unit vector that is turned by an angle towards another."""
    start = start / start.norm()
    across = towards - (towards @ start) * start
    return angle.cos() * start + angle.sin() * across / across.norm()
