"""Geometry of embeddings: unit rows, cosines and distances that no size of a row breaks."""

import torch
from torch import Tensor

from lossmith.functional.checks import clamp_if_outside, matmul_full_precision, promote, widest

__all__ = ["cosines", "distances", "dots", "unit_rows"]

# The length below which the gradient of a direction grows no more. 64·√2, what ArcFace makes of a
# cosine, over it is a number in float16.
SHORT = 2e-3


def unit_rows(rows: Tensor, dim: int = -1) -> Tensor:
    """Return each row divided by its length; rows shorter than 1e-12, torch's floor, by 1e-12.

    The gradient divides by a length of 2e-3 at least: a row of zeros stays zero, has no direction
    to keep, and its gradient is bounded. Where squares might overflow or vanish, each row is first
    divided by its largest entry.

    >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    rows = promote(rows)
    if rows.shape[dim] == 0:
        return rows
    if rows.is_cpu:  # elsewhere nobody looks
        length = torch.linalg.vector_norm(rows, dim=dim, keepdim=True)
        if clamp_if_outside(length, SHORT, 1e18) is length:
            return rows / length
    size = rows.detach().abs().amax(dim, keepdim=True).clamp(min=1e-12)
    rows = rows / size  # a unit row does not depend on its size: its gradient needs no term of it
    length = rows.square().sum(dim, keepdim=True).clamp(min=1.0).sqrt()
    unit = rows / length
    pace = (size * length.detach() / SHORT).clamp(max=1.0)
    return unit.detach() + pace * (unit - unit.detach())


def row_lengths(rows: Tensor) -> Tensor:
    """Return the length of each row, 0 with a gradient of zero where all is 0, below infinity."""
    rows = promote(rows)
    if rows.numel() == 0:
        return rows.sum(-1)
    size = rows.detach().abs().amax(-1, keepdim=True).clamp(min=1e-30)
    most = torch.finfo(rows.dtype).max / 8
    return (root((rows / size).square().sum(-1)) * size.squeeze(-1)).clamp(max=most)


def cosines(left: Tensor, right: Tensor) -> Tensor:
    """Return the cosine of each row of left with each row of right, (N, M)."""
    return matmul_full_precision(unit_rows(left), unit_rows(right).transpose(-1, -2))


def dots(left: Tensor, right: Tensor) -> Tensor:
    """Return the inner product of each row of left with each row of right, held below infinity."""
    if left.numel() == 0 or right.numel() == 0:
        return matmul_full_precision(left, right.transpose(-1, -2))
    most = torch.finfo(left.dtype).max / 8
    sizes = [_size(left), _size(right)]
    found = matmul_full_precision(left / sizes[0], (right / sizes[1]).transpose(-1, -2))
    for size in sizes:
        found = (found * size).clamp(-most, most)
    return found


def distances(left: Tensor, right: Tensor) -> Tensor:
    """Return the Euclidean distance of each row of left to each row of right, below infinity.

    Rows are centred and scaled first, so that few digits cancel and no square overflows, and
    squares are formed in float64, so that near pairs of a spread-out batch keep theirs. Where two
    rows coincide the distance is 0, up to rounding, with a finite gradient.
    """
    if left.numel() == 0 or right.numel() == 0:
        return matmul_full_precision(left, right.transpose(-1, -2))
    size = _power(torch.maximum(_size(left), _size(right)))
    wide = widest(left.device)
    first, second = left.to(wide) / size, right.to(wide) / size
    centre = second.detach().mean(-2, keepdim=True)
    gap = (root(_squares(first - centre, second - centre)) * size).to(left.dtype)
    return gap.clamp(max=torch.finfo(gap.dtype).max / 8)


def _squares(left: Tensor, right: Tensor) -> Tensor:
    """Return |l|² + |r|² − 2 l·r of each row l with each row r, in one product."""
    lengths, others = (rows.square().sum(-1, keepdim=True) for rows in (left, right))
    longer = torch.cat([-2 * left, lengths, torch.ones_like(lengths)], -1)
    return matmul_full_precision(
        longer, torch.cat([right, torch.ones_like(others), others], -1).transpose(-1, -2)
    )


def scaled(rows: Tensor) -> Tensor:
    """Return rows divided by one constant, so that the largest entry is from 1 to 2."""
    if rows.numel() == 0:
        return rows
    return rows / magnitude(rows)


def magnitude(rows: Tensor) -> Tensor:
    """Return the power of two below the largest entry, a constant by which division is exact."""
    return _power(_size(rows)) if rows.numel() else rows.new_ones(())


def root(values: Tensor) -> Tensor:
    """Return the square root, 0 with a gradient of zero where values are 0 or below."""
    none = values <= 0  # not "above", for NaN is to stay
    return torch.where(none, 0, torch.where(none, 1, values).sqrt())


def _size(rows: Tensor) -> Tensor:
    return rows.detach().abs().amax().clamp(min=1e-30)


def _power(size: Tensor) -> Tensor:
    """Return the power of two below a size, by which division is exact."""
    return size.clamp(max=torch.finfo(size.dtype).max / 8).log2().floor().exp2()
