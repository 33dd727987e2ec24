"""Draw docs/shapes/<key>.svg: each loss of a head and its gradient, as its first output moves.

    python site/shapes.py docs/shapes

The other outputs of a head stay at 0. Regression: the target is that of the card's example. Classes
and labels: the target is class 0, or label 1.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor

from lossmith.catalogue import find
from lossmith.catalogue.pages import has_shape
from lossmith.core import Loss
from lossmith.testing.cases import Case, example

POINTS = 121
plt.rcParams.update(
    {"svg.fonttype": "none", "svg.hashsalt": "lossmith", "font.size": 9, "axes.grid": True}
)


def course(loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
    """Return the moving output, the values and the gradients."""
    case = Case(loss)
    if loss.card.target in ("classes", "labels"):
        grid = torch.linspace(-6, 6, POINTS, dtype=torch.float64)
        target = torch.full((POINTS,), 0 if loss.card.target == "classes" else 1)
        target = target if loss.card.target == "classes" else target.double()
    else:
        shown = torch.as_tensor(loss.card.example.target, dtype=torch.float64).flatten()[0]
        moved = loss.card.input == "values"
        grid = torch.linspace(-4, 4, POINTS, dtype=torch.float64) + (shown if moved else 0.0)
        target = shown.expand(POINTS)
    head = torch.zeros(case.head(POINTS), dtype=torch.float64)
    head = grid.clone() if head.ndim == 1 else head.index_copy(1, torch.tensor([0]), grid[:, None])
    head.requires_grad_()
    found = loss.values(head, target)  # type: ignore[operator]
    values = torch.stack(list(found.values())).sum(0) if isinstance(found, dict) else found
    values = values.reshape(POINTS, -1).sum(1)
    (slope,) = torch.autograd.grad(values.sum(), head)
    return grid, values.detach(), slope if slope.ndim == 1 else slope[:, 0]


def draw(key: str, loss: Loss, folder: Path) -> None:
    """Write the drawing of one loss."""
    grid, values, slopes = course(loss)
    figure, axes = plt.subplots(figsize=(4.2, 2.4), layout="constrained")
    axes.plot(grid, values, color="#1f5fa8", label="loss")
    axes.plot(grid, slopes, color="#c2571a", linestyle="--", label="gradient")
    axes.set_xlabel("first output")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(folder / f"{key}.svg", metadata={"Date": None})
    plt.close(figure)


def main(out: str) -> None:
    """Draw all, and remove the drawings of losses that are no more."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {key: kind for key, kind in find().items() if has_shape(kind)}
    for key, kind in wanted.items():
        draw(key, example(kind), folder)
    for path in folder.glob("*.svg"):
        if path.stem not in wanted:
            path.unlink()


if __name__ == "__main__":
    main(sys.argv[1])
