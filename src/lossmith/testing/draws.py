"""Random and extreme tensors of each kind that a card may name, in the shape of its example."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

FAR = 3e38  # within float32


def generator(seed: int) -> torch.Generator:
    """Return a generator of random numbers under a seed."""
    return torch.Generator().manual_seed(seed)


def draw(kinds: Any, example: Any, rows: int, *, scale: float = 1.0, seed: int = 0) -> Any:
    """Draw so many rows of each kind, in the shapes of the example, float64 or integers."""
    if kinds is None:
        return None
    if isinstance(kinds, Mapping):
        return {
            name: draw(kinds[name], part, rows, scale=scale, seed=7 * seed + place)
            for place, (name, part) in enumerate(example.items())
        }
    shown = torch.as_tensor(example, dtype=torch.float64)
    return _DRAWS[kinds]((rows, *shown.shape[1:]), shown, scale, generator(seed))


def extreme(kinds: Any, data: Any, size: float, dtype: torch.dtype) -> Iterator[Any]:
    """Yield data of the same shapes at its kind's extremes: far, mixed, equal, zero and tiny."""
    for pattern in (_alternating, _apart, _high, _low, _zero, _tiny):
        if isinstance(kinds, Mapping):
            yield {
                name: _at(kinds[name], part, pattern, size, dtype) for name, part in data.items()
            }
        else:
            yield _at(kinds, data, pattern, size, dtype)


def sized(kinds: Any, data: Any, size: float) -> Any:
    """Return data of other sizes, as its kinds allow, each within float32."""
    if isinstance(kinds, Mapping):
        return {name: sized(kinds[name], part, size) for name, part in data.items()}
    if data is None or kinds in ("labels", "probabilities", "classes", "indices"):
        return data
    grown = (data * size).clamp(-FAR, FAR)
    if kinds == "counts":
        return grown.round()
    return grown.clamp(min=1 / FAR) if kinds == "positive" else grown


def degenerate(kinds: Any, data: Any) -> Iterator[Any]:
    """Yield data whose second row has no length, or is the first again, and data without any."""
    for spoil in (_zero_row, _twin_row, _zero):
        if isinstance(kinds, Mapping):
            yield {name: _spoilt(kinds[name], part, spoil) for name, part in data.items()}
        else:
            yield _spoilt(kinds, data, spoil)


def as_tensors(kinds: Any, example: Any) -> Any:
    """Return an example's plain numbers as tensors: float64, or integers for integer kinds."""
    if isinstance(kinds, Mapping):
        return {name: as_tensors(kinds[name], part) for name, part in example.items()}
    if kinds is None:
        return None
    value = torch.as_tensor(example)
    # Anew, not cast: a list of numbers is float32 by default, and rounded already.
    return torch.as_tensor(example, dtype=torch.float64) if value.is_floating_point() else value


def _at(
    kind: str, data: Tensor, pattern: Callable[[Tensor], Tensor], size: float, dtype: torch.dtype
) -> Tensor:
    if not data.is_floating_point():
        return data
    sign = pattern(data) if pattern is not _tiny else torch.full_like(data, torch.finfo(dtype).tiny)
    up = (sign + 1) / 2 if pattern is not _tiny else sign
    if kind in ("labels", "counts"):
        return up.round() if (data == data.round()).all() else up
    if kind == "positive":
        return (1 + size * up) if pattern is not _tiny else sign.clamp(min=1e-30)
    if kind == "probabilities":
        one = torch.zeros_like(data)
        one.select(1, 0).fill_(1.0)
        return one
    if kind == "log_probabilities":
        return -size * up if pattern is not _tiny else -sign
    if kind == "boxes":  # without area, far from each other or in one place
        corner = data.clone()
        corner[:, 2:] = corner[:, :2]
        return corner * min(size, 1e4) * (sign[:, :1] if pattern is not _tiny else 1.0)
    return size * sign if pattern is not _tiny else sign


def _alternating(data: Tensor) -> Tensor:
    places = torch.arange(data.numel(), dtype=data.dtype, device=data.device)
    return (1 - 2 * (places % 2)).reshape(data.shape)


def _apart(data: Tensor) -> Tensor:
    """The first row against the others."""
    sign = torch.ones_like(data)
    sign[:1] = -1
    return sign


def _high(data: Tensor) -> Tensor:
    return torch.ones_like(data)


def _low(data: Tensor) -> Tensor:
    return -torch.ones_like(data)


def _zero(data: Tensor) -> Tensor:
    return torch.zeros_like(data)


def _spoilt(kind: str, data: Tensor, spoil: Callable[[Tensor], Tensor]) -> Tensor:
    return spoil(data) if kind in ("values", "logits", "scores", "embeddings") else data


def _zero_row(data: Tensor) -> Tensor:
    return data.index_fill(0, torch.tensor([1]), 0.0)


def _twin_row(data: Tensor) -> Tensor:
    return torch.cat([data[:1], data[:1], data[2:]])


def _tiny(data: Tensor) -> Tensor:
    return torch.ones_like(data)


Draw = Callable[[tuple[int, ...], Tensor, float, torch.Generator], Tensor]


def _normal(shape: tuple[int, ...], shown: Tensor, scale: float, g: torch.Generator) -> Tensor:
    return scale * torch.randn(shape, generator=g, dtype=torch.float64)


def _uniform(shape: tuple[int, ...], shown: Tensor, scale: float, g: torch.Generator) -> Tensor:
    drawn = torch.rand(shape, generator=g, dtype=torch.float64)
    return drawn.round() if (shown == shown.round()).all() else drawn


def _counts(shape: tuple[int, ...], shown: Tensor, scale: float, g: torch.Generator) -> Tensor:
    most = max(shown.max().item(), 1.0) if shown.numel() else 1.0
    return (torch.rand(shape, generator=g, dtype=torch.float64) * (most + 1)).floor()


def _boxes(shape: tuple[int, ...], shown: Tensor, scale: float, g: torch.Generator) -> Tensor:
    near, size = torch.rand((2, *shape), generator=g, dtype=torch.float64)
    corner, extent = near[:, :2], size[:, :2] + 0.1
    return torch.cat([corner, corner + extent], 1)


_DRAWS: Mapping[str, Draw] = {
    **dict.fromkeys(("values", "logits", "parameters", "scores", "embeddings"), _normal),
    "log_probabilities": lambda *a: -_normal(*a).abs() - 0.01,
    "probabilities": lambda *a: _normal(*a).softmax(1),
    "labels": _uniform,
    "positive": lambda *a: _normal(*a).exp(),
    "counts": _counts,
    "boxes": _boxes,
    "classes": lambda *a: _counts(*a).long(),
    "indices": lambda shape, shown, scale, g: torch.randperm(shape[0], generator=g).reshape(shape),
}

KINDS = frozenset(_DRAWS)
