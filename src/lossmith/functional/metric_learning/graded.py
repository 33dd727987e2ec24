"""Losses of pairs whose similarity is graded: the order of grades, over all pairs of a batch."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, check, same_rows
from lossmith.functional.embeddings import unit_rows

__all__ = ["angle", "cosent"]


def cosent(
    first: Tensor, second: Tensor, target: Tensor, *, scale: Tensor | float = 20.0
) -> Tensor:
    """Return log(1 + Σ exp(scale·(c_j − c_i))) over y_i > y_j, cosines c (Huang et al., 2024)."""
    left, right, grade = _pairs(first, second, target)
    return _ordered((left * right).sum(1), grade, scale)


def angle(first: Tensor, second: Tensor, target: Tensor, *, scale: Tensor | float = 20.0) -> Tensor:
    """Return the same of the size of the sum of u·v̄, halves of rows as complex (Li & Li, 2024).

    The first half of a unit row holds real parts, the second imaginary ones, the last of them 0
    where the row's length is odd. Real and imaginary parts of all products are added.
    """
    left, right, grade = _pairs(first, second, target)
    if left.shape[1] % 2:
        left, right = (torch.nn.functional.pad(rows, (0, 1)) for rows in (left, right))
    real, imaginary = left.chunk(2, 1)
    other_real, other_imaginary = right.chunk(2, 1)
    turned = (imaginary * other_real - real * other_imaginary).sum(1)
    return _ordered(((left * right).sum(1) + turned).abs(), grade, scale)


def _pairs(first: Tensor, second: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Check two batches of rows and one grade a row; return unit rows and grades."""
    both = same_rows({"first": first, "second": second}, shapes=True)
    if first.ndim != 2 or target.shape != first.shape[:1]:
        raise ValueError(
            f"first has shape {tuple(first.shape)} and target has shape {tuple(target.shape)}; "
            "they must be rows of embeddings (N, D) and one similarity a row (N,)"
        )
    check(~target.isnan().any(), "target holds NaN; leave out the pairs of unknown similarity")
    return unit_rows(both["first"]), unit_rows(both["second"]), target


def _ordered(alike: Tensor, grade: Tensor, scale: Tensor | float) -> Tensor:
    """Return log(1 + Σ exp(scale·(alike_j − alike_i))) over pairs with grade_i > grade_j."""
    above = grade.unsqueeze(1) > grade
    gaps = as_scalar_or_tensor(scale, alike) * (alike - alike.unsqueeze(1))
    gaps = gaps.masked_fill(~above, torch.finfo(gaps.dtype).min).flatten()
    return torch.cat([gaps.new_zeros(1), gaps]).logsumexp(0)
