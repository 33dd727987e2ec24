"""Geometry of embeddings: unit rows, cosines and distances that no size of a row breaks."""

from torch import Tensor

from lossmith.functional.checks import product


def unit_rows(rows: Tensor, dim: int = -1) -> Tensor:
    """Return each row divided by its length; rows shorter than 1e-12 by 1e-12.

    Each row is first divided by its largest entry, so that no square overflows or vanishes. A row
    of zeros stays zero and has a finite gradient.

    >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    if rows.shape[dim] == 0:
        return rows
    size = rows.detach().abs().amax(dim, keepdim=True).clamp(min=1e-12)
    rows = rows / size  # a unit row does not depend on its size: its gradient needs no term of it
    return rows / rows.square().sum(dim, keepdim=True).clamp(min=1.0).sqrt()


def cosines(left: Tensor, right: Tensor) -> Tensor:
    """Return the cosine of each row of left with each row of right, (N, M)."""
    return product(unit_rows(left), unit_rows(right).transpose(-1, -2))
