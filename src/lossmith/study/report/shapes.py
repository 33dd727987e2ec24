"""Each loss as it acted on its own validation rows: value and gradient over the errors it left."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lossmith.core.bases import Pointwise
from lossmith.core.loss import Loss
from lossmith.study.base.result import Outputs
from lossmith.study.report.svg import COLOURS, inline, label_ticks
from lossmith.study.tasks import predicts_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROWS = 4000
_ROWS_ONE_BY_ONE = 300  # a loss that is not pointwise is called once a row
_BINS = 40
_DOUBLINGS = 40  # of the sweep, until it reaches the range of errors
_FRAME = 10  # times the middle half of the errors on each side: beyond it nothing more is seen


@dataclass(frozen=True)
class Shape:
    """A loss along its errors: `errors` of the rows, and the curve of value and gradient at `x`.

    An error is prediction minus target, or for classes the probability of the true class.
    """

    name: str
    errors: np.ndarray
    x: np.ndarray
    value: np.ndarray
    gradient: np.ndarray


def errors(outputs: Outputs) -> np.ndarray:
    """Return prediction − target of every row, or for classes the true class's probability."""
    with torch.no_grad():
        decoded = outputs.loss.decode(outputs.output)
    return _errors(decoded, outputs.target, _of_classes(outputs.loss)).double().cpu().numpy()


def values_and_gradients(loss: Loss, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row's loss and the length of its gradient with respect to the head, (n,) both."""
    with torch.enable_grad():
        output = output.detach().double().requires_grad_()
        target = target.long() if loss.card.target == "classes" else target.to(output)
        values = _row_values(loss, output, target)
        (gradient,) = torch.autograd.grad(values.sum(), output)
    return values.detach(), gradient.reshape(len(output), -1).norm(dim=1)


def shape(outputs: Outputs, low: float, high: float) -> Shape:
    """Return the curve of a loss between two errors.

    With one output for a number it is exact: the loss at the median target, the output swept.
    Otherwise a row's value depends on more than its error, and the curve joins the medians of
    bins of rows.
    """
    thinned = _thin(outputs, _ROWS if isinstance(outputs.loss, Pointwise) else _ROWS_ONE_BY_ONE)
    curve = _swept(thinned, low, high) if _is_exact(outputs.loss) else None
    x, value, gradient = _binned(thinned, low, high) if curve is None else curve
    return Shape(outputs.name, errors(outputs), x, value, gradient)


def limits(outputs: tuple[Outputs, ...]) -> tuple[float, float]:
    """Return the range of errors that all the drawings share, or 0 to 1.

    It is the central 98 %, where gross errors in the target do not squeeze the rest to a line.
    """
    if _of_classes(outputs[0].loss):
        return 0.0, 1.0
    pooled = np.concatenate([errors(entry) for entry in outputs])
    pooled = pooled[np.isfinite(pooled)]
    low, first, third, high = (
        np.quantile(pooled, [0.01, 0.25, 0.75, 0.99]) if len(pooled) else np.zeros(4)
    )
    if third > first:
        frame = _FRAME * (third - first)
        low, high = max(low, first - frame), min(high, third + frame)
    low, high = min(low, 0.0), max(high, 0.0)
    return (-1.0, 1.0) if low == high else (float(low), float(high))


def drawing(key: str, curve: Shape, low: float, high: float) -> str:
    """Return one small figure: histogram of errors, the loss's value and its gradient over it."""
    label = (
        f"{curve.name}: the loss's value and the size of its gradient, "
        f"over the histogram of {len(curve.errors):,} validation rows"
    )

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        counts, edges = np.histogram(curve.errors, bins=_BINS, range=(low, high))
        axes.stairs(counts / max(counts.max(), 1), edges, fill=True, color=COLOURS["bars"])
        axes.plot(curve.x, _scaled(curve.gradient, 0.0), color=COLOURS["default"], ls=(0, (4, 1.5)))
        axes.plot(curve.x, _scaled(curve.value, curve.value.min(initial=np.inf)), COLOURS["chosen"])
        axes.set(xlim=(low, high), ylim=(-0.03, 1.05), yticks=[])
        axes.spines.left.set_visible(False)
        axes.locator_params(axis="x", nbins=3)
        label_ticks(axes.xaxis, short=True)

    return inline(key, label, (1.9, 1.35), draw)


def _is_exact(loss: Loss) -> bool:
    return loss.out_features == 1 and not _of_classes(loss) and isinstance(loss, Pointwise)


def _of_classes(loss: Loss) -> bool:
    return not predicts_numbers(loss)


def _errors(decoded: Tensor, target: Tensor, of_classes: bool) -> Tensor:
    decoded = decoded.squeeze(-1) if decoded.ndim > 1 and decoded.shape[-1] == 1 else decoded
    if not of_classes:
        point = decoded if decoded.ndim == 1 else decoded[:, decoded.shape[1] // 2]
        return point - target.to(point)
    if decoded.ndim == 1:
        return torch.where(target.bool(), decoded, 1 - decoded)
    return decoded.gather(1, target.long()[:, None])[:, 0]


def _row_values(loss: Loss, output: Tensor, target: Tensor) -> Tensor:
    if not isinstance(loss, Pointwise):
        rows = [loss(output[i : i + 1], target[i : i + 1]) for i in range(len(output))]
        return torch.stack(rows)
    values, weight = loss.values_and_weights(output, target, None)
    values = values * weight / weight.double().mean()
    return values.reshape(len(output), -1).mean(dim=1)


def _swept(outputs: Outputs, low: float, high: float) -> tuple[np.ndarray, ...] | None:
    """Return the curve of the median target, or None if its head reaches no error in the range."""
    head, middle = outputs.output.double(), outputs.target.double().median()
    span = (head.max() - head.min()).item() or 1.0

    def reach(grid: Tensor) -> Tensor:
        with torch.no_grad():
            decoded = outputs.loss.decode(grid.reshape(-1, *head.shape[1:]))
        return _errors(decoded, middle.expand(len(grid)), of_classes=False)

    first, last = head.min() - span, head.max() + span
    for _ in range(_DOUBLINGS):  # until the head's outputs reach the whole range, or no further
        ends = reach(torch.stack([first, last]))
        short = torch.stack([ends.min() > low, ends.max() < high])
        if not short.any():
            break
        first, last = first - span, last + span
        span *= 2
    for points in (4001, 201):  # find the outputs that reach the range, then draw between them
        grid = torch.linspace(float(first), float(last), points, dtype=torch.float64)
        reached = reach(grid)
        inside = reached.isfinite() & (reached >= low) & (reached <= high)
        if inside.sum() < 2:
            return None
        first, last = grid[inside].min(), grid[inside].max()
    grid = grid[inside].reshape(-1, *head.shape[1:])
    value, gradient = values_and_gradients(outputs.loss, grid, middle.expand(grid.shape))
    return tuple(part.numpy() for part in (reached[inside], value, gradient))


def _binned(outputs: Outputs, low: float, high: float) -> tuple[np.ndarray, ...]:
    value, gradient = (
        part.numpy() for part in values_and_gradients(outputs.loss, outputs.output, outputs.target)
    )
    along = errors(outputs)
    usable = (along >= low) & (along <= high) & np.isfinite(value) & np.isfinite(gradient)
    bins = np.digitize(along, np.linspace(low, high, _BINS + 1)[1:-1])
    groups = _merged([np.flatnonzero(usable & (bins == index)) for index in range(_BINS)])
    medians = [[np.median(part[rows]) for rows in groups] for part in (along, value, gradient)]
    return tuple(np.array(part, dtype=float) for part in medians)


def _merged(groups: list[np.ndarray]) -> list[np.ndarray]:
    """Join neighbouring groups until each has enough rows for a median that is not noise."""
    enough = max(3, sum(map(len, groups)) // 80)
    merged: list[np.ndarray] = []
    waiting = np.empty(0, dtype=int)
    for rows in groups:
        waiting = np.concatenate([waiting, rows])
        if len(waiting) >= enough:
            merged.append(waiting)
            waiting = np.empty(0, dtype=int)
    if len(waiting) and merged:
        merged[-1] = np.concatenate([merged[-1], waiting])
    return merged or [waiting] * bool(len(waiting))


def _thin(outputs: Outputs, rows: int) -> Outputs:
    kept = torch.arange(0, len(outputs.output), -(-len(outputs.output) // rows) or 1)
    return Outputs(
        name=outputs.name,
        loss=outputs.loss,
        output=outputs.output.detach().cpu()[kept],
        target=outputs.target.detach().cpu()[kept],
    )


def _scaled(values: np.ndarray, floor: float) -> np.ndarray:
    if not len(values):
        return values
    top = values.max() - floor
    return (values - floor) / top if top > 0 else np.zeros_like(values)
