"""How large the gradient of each row is, and on how few rows it rests."""

import torch
from torch import Tensor

from lossmith.functional.checks import promote


def row_sizes(gradient: Tensor) -> Tensor:
    """Return the norm of each row of a gradient (N, …), in float32 at least.

    >>> row_sizes(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([5., 0.])
    """
    rows = gradient.detach() if gradient.ndim else gradient.detach().reshape(1)
    rows = promote(rows)
    return rows.abs() if rows.ndim == 1 else torch.linalg.vector_norm(rows.flatten(1), dim=1)


def of_half(sizes: Tensor) -> tuple[float, Tensor]:
    """Return the share of rows that carry half of the sum of sizes, and all from the largest on.

    >>> of_half(torch.tensor([1.0, 9.0, 0.0, 1.0]))[0]
    0.25
    """
    ordered, places = sizes.sort(descending=True, stable=True)
    carried = ordered.cumsum(0)
    whole = carried[-1].item()
    if not whole > 0:
        return 0.0, places
    return (int(torch.searchsorted(carried, whole / 2)) + 1) / len(sizes), places
