"""What keeps embeddings from collapsing: correlations, variances, neighbours, normality."""

import torch
from torch import Tensor
from torch.nn import functional

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    matmul_full_precision,
    promote,
    same_shape,
)
from lossmith.functional.contrastive import ALL
from lossmith.functional.embeddings import magnitude, root, unit_rows

__all__ = [
    "barlow_twins",
    "epps_pulley",
    "koleo",
    "mmcr",
    "rows_of",
    "second_moment",
    "tico",
    "vicreg",
]

_BATCH_NORM = 1e-5  # what batch normalisation adds to a variance


def rows_of(input: Tensor) -> Tensor:
    """Check rows of embeddings (N, D), and bring them to the dtype of computation."""
    input = promote(input)
    if input.ndim != 2:
        raise ValueError(f"embeddings must be rows (N, D), got {tuple(input.shape)}")
    return input


def barlow_twins(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, off_diagonal: Tensor | float
) -> Tensor:
    """Return how far the cross-correlation of two views is from the identity.

    Shapes: input and target (N, D), weight (N,) -> ().
    """
    first, second = same_shape(rows_of(input), target)
    weight = first.new_ones(first.shape[0]) if weight is None else weight.to(first.dtype)
    mass = weight.sum()
    share = (weight / torch.where(mass == 0, torch.ones_like(mass), mass)).unsqueeze(1)

    def standard(rows: Tensor) -> Tensor:
        size = magnitude(rows).clamp(min=1.0)  # of rows, so that their squares are numbers
        rows = rows / size
        centred = rows - (share * rows).sum(0)
        return centred / ((share * centred.square()).sum(0) + _BATCH_NORM / size / size).sqrt()

    correlation = matmul_full_precision((share * standard(first)).T, standard(second))
    diagonal = correlation.diagonal()
    others = correlation.masked_fill(_diagonal(correlation), 0)
    scale = as_scalar_or_tensor(off_diagonal, first)
    value = (diagonal - 1).square().sum() + scale * others.square().sum()
    return value * (mass > 0)


def vicreg(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the invariance, the lack of variance, and the covariance of two views, unweighted.

    Shapes: input and target (N, D) -> three of ().
    """
    first, second = same_shape(rows_of(input), target)
    if first.numel() == 0:
        none = first.sum() + second.sum()
        return none, none, none
    invariance = (first - second).square().mean()
    one, other = _spreads(first), _spreads(second)
    return invariance, (one[0] + other[0]) / 2, one[1] + other[1]


def _spreads(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far standard deviations are below 1, and the squared covariances over D."""
    centred = rows - rows.mean(0)
    free = max(rows.shape[0] - 1, 1)
    deviation = (centred.square().sum(0) / free + 1e-4).sqrt()
    covariance = matmul_full_precision(centred.T, centred) / free
    others = covariance.masked_fill(_diagonal(covariance), 0)
    return functional.relu(1 - deviation).mean(), others.square().sum() / rows.shape[1]


def _diagonal(square: Tensor) -> Tensor:
    return torch.eye(square.shape[0], dtype=torch.bool, device=square.device)


def koleo(input: Tensor, *, own: slice = ALL, eps: float = 1e-8) -> Tensor:
    """Return −log of each unit row's distance to its nearest other; a row alone has the value 0.

    Shapes: input (N, D) -> (N,), or as many as `own` picks.
    """
    rows = unit_rows(rows_of(input))
    if rows.shape[0] < 2:
        return rows[own].sum(1) * 0
    places = torch.arange(rows.shape[0], device=rows.device)
    cosines = matmul_full_precision(rows[own], rows.T).detach()
    cosines = cosines.masked_fill(places[own].unsqueeze(1) == places, -2.0)
    square = (rows[own] - rows[cosines.argmax(1)]).square().sum(1)
    return -(root(square) + eps).log()


def epps_pulley(input: Tensor, directions: Tensor, *, knots: int, bound: Tensor | float) -> Tensor:
    """Return the Epps-Pulley statistic of normality along each direction.

    Shapes: input (N, D), directions (D, S) of length 1 -> (S,).
    """
    rows = rows_of(input)
    grid = torch.linspace(0, 1, knots, dtype=rows.dtype, device=rows.device)
    grid = grid * as_scalar_or_tensor(bound, rows)
    normal = (-grid.square() / 2).exp()
    angles = matmul_full_precision(rows, directions.to(rows)).unsqueeze(-1) * grid
    count = max(rows.shape[0], 1)
    real, imaginary = angles.cos().sum(0) / count, angles.sin().sum(0) / count
    gap = (real - normal).square() + imaginary.square()
    return (
        2 * rows.shape[0] * torch.trapezoid(gap * normal, grid)
    )  # from −bound to bound: it is even


def tico(
    input: Tensor,
    target: Tensor,
    *,
    covariance: Tensor,
    beta: Tensor | float = 0.9,
    rho: Tensor | float = 8.0,
    own: slice = ALL,
) -> dict[str, Tensor]:
    """Return 1 − x·y and rho·x·C·x of unit rows (Zhu et al., 2022).

    C is beta times the covariance before and 1 − beta times the batch's, constant in the gradient.
    """
    first, second = same_shape(rows_of(input), target)
    first, second = unit_rows(first), unit_rows(second)
    keep = as_scalar_or_tensor(beta, first)
    matrix = keep * covariance.to(first) + (1 - keep) * second_moment(first)
    mine = first[own]
    spread = (matmul_full_precision(mine, matrix) * mine).sum(1)
    return {
        "invariance": 1 - (mine * second[own]).sum(1),
        "covariance": as_scalar_or_tensor(rho, spread) * spread,
    }


def second_moment(rows: Tensor) -> Tensor:
    """Return the mean of r rᵀ over rows r, without a gradient."""
    rows = rows.detach()
    return matmul_full_precision(rows.T, rows) / max(rows.shape[0], 1)


def mmcr(input: Tensor, *, lambda_: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    """Return lambda·mean ‖Z_i‖ of samples' views and −‖C‖ of their centroids (Yerxa et al., 2023).

    Norms are nuclear; views (N, V, D) are put on the unit sphere first.
    """
    views = promote(input)
    if views.ndim != 3 or 0 in views.shape[1:]:
        raise ValueError(f"input must be views of samples (N, V, D), got {tuple(views.shape)}")
    views = unit_rows(views)
    centroids, share = views.mean(1), as_scalar_or_tensor(lambda_, views)
    if isinstance(share, float) and share == 0:
        local = centroids.new_zeros(())
    else:
        local = share * _nuclear(views) / max(views.shape[0], 1)
    return local, -_nuclear(centroids)


def _nuclear(matrices: Tensor) -> Tensor:
    """Return the sum of singular values; NaN for NaN, of which the decomposition is an error."""
    sound = matrices.isfinite()
    values: Tensor = torch.linalg.svdvals(torch.where(sound, matrices, 0)).sum()
    return values + 0 * torch.where(sound, 0, matrices.detach()).sum()
