"""Transfer between tasks and domains: weights near their start, features alike in distribution."""

import torch
from torch import Tensor, nn

from lossmith.functional.checks import in_dtype, product, promote, same_shape
from lossmith.functional.divergence import check_rows
from lossmith.functional.embeddings import magnitude, scaled


def l2_sp(input: Tensor, target: Tensor) -> Tensor:
    """Return (w − w₀)²/2 of each parameter w and its start w₀."""
    weights, start = same_shape(input, target)
    return (weights - start).square() / 2


def flat_parameters(module: nn.Module) -> Tensor:
    """Return all parameters of a module as one vector, through which gradients flow.

    >>> flat_parameters(nn.Linear(3, 2)).shape
    torch.Size([8])
    """
    return torch.cat([promote(one).flatten() for one in module.parameters()])


def mmd(
    input: Tensor,
    target: Tensor,
    *,
    kernels: int = 5,
    spread: Tensor | float = 2.0,
    unbiased: bool = False,
) -> Tensor:
    """Return the squared maximum mean discrepancy of two samples (N, D) under a sum of Gaussians.

    The kernels are exp(−d²/(b·spread^k)) with k around 0 and b the mean of d² over all pairs of
    the two samples together, a constant of the gradient.
    """
    check_rows(input, target, "samples (N, D)")
    first, second = same_shape(input, target)
    count, rows = len(first), torch.cat([first, second])
    if count == 0:
        return rows.sum()
    squares = _squared_distances(scaled(rows))
    same = torch.eye(2 * count, dtype=torch.bool, device=rows.device)
    squares = torch.where(same, 0, squares)
    width = squares.detach().sum() / (2 * count * (2 * count - 1))
    width = torch.where(width > 0, width, 1)
    total = torch.zeros_like(squares)
    for place in range(kernels):
        total = (
            total + (-squares / (width * in_dtype(spread, rows) ** (place - kernels // 2))).exp()
        )
    within, pairs = total, count * count
    if unbiased:
        within, pairs = torch.where(same, 0, total), max(count * (count - 1), 1)
    own = within[:count, :count].sum() + within[count:, count:].sum()
    return own / pairs - 2 * total[:count, count:].sum() / (count * count)


def deep_coral(input: Tensor, target: Tensor) -> Tensor:
    """Return ‖cov(input) − cov(target)‖²_F/(4 D²) of two samples (N, D)."""
    check_rows(input, target, "samples (N, D)")
    first, second = same_shape(input, target)
    size = torch.maximum(magnitude(first), magnitude(second))
    gap = (_covariance(first / size) - _covariance(second / size)) * size * size
    return gap.square().sum() / (4 * max(first.shape[1], 1) ** 2)


def _covariance(rows: Tensor) -> Tensor:
    count = len(rows)
    away = rows - rows.sum(0) / max(count, 1)
    return product(away.T, away) / max(count - 1, 1)


def _squared_distances(rows: Tensor) -> Tensor:
    rows = rows - rows.detach().mean(0)
    lengths = rows.square().sum(1)
    squares = lengths.unsqueeze(1) + lengths.unsqueeze(0) - 2 * product(rows, rows.T)
    return squares.clamp(min=0)
