"""Losses of embeddings whose likeness is graded: pairs of grades, rows of targets."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, check, divisor, promote, same_rows
from lossmith.functional.embeddings import distances, unit_rows

__all__ = ["angle", "cosent", "rank_n_contrast"]


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


def rank_n_contrast(input: Tensor, target: Tensor, *, temperature: Tensor | float = 2.0) -> Tensor:
    """Return −the mean over j of log(exp(s_ij) / Σ_k exp(s_ik)), k those no nearer in target.

    s_ij = −|x_i − x_j| / temperature; k are all others whose target is as far from i's as j's, or
    farther (Zha et al., 2023). Distances of targets (N, K) are sums over K.
    """
    rows = promote(input)
    if rows.ndim != 2 or target.shape[:1] != rows.shape[:1] or target.ndim not in (1, 2):
        raise ValueError(
            f"input has shape {tuple(input.shape)} and target {tuple(target.shape)}; embeddings "
            "must be (N, D) and targets (N,) or (N, K)"
        )
    if rows.shape[0] < 2:
        return rows.sum(1) * 0
    check(~target.isnan().any(), "target holds NaN; leave out the rows of unknown target")
    grade = target.to(rows.dtype).reshape(rows.shape[0], -1)
    apart = (grade.unsqueeze(1) - grade).abs().sum(2)
    itself = torch.eye(rows.shape[0], dtype=torch.bool, device=rows.device)
    # Farthest targets first, each row itself last: the sums that are asked for grow along a row.
    apart, order = apart.masked_fill(itself, -1).sort(1, descending=True)
    alike = (-distances(rows, rows) / divisor(temperature, rows)).gather(1, order)[:, :-1]
    sums, apart = alike.logcumsumexp(1), apart[:, :-1].contiguous()
    last = torch.searchsorted(-apart, -apart, right=True) - 1  # of those as far
    return (sums.gather(1, last) - alike).mean(1)


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
