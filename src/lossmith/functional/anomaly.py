"""Losses of one class alone: what is far from it is an anomaly. Unreduced, one value a row."""

import torch
from torch import Tensor

from lossmith.functional.checks import flat_rows, promote, tensor_like

__all__ = ["deep_svdd", "soft_boundary_svdd", "svdd_center"]


def deep_svdd(input: Tensor, *, center: Tensor) -> Tensor:
    """Return each row's squared distance to the centre (Ruff et al., 2018)."""
    rows = promote(input)
    if rows.ndim != 2 or rows.shape[1] != len(center):
        raise ValueError(
            f"input must be (N, {len(center)}), as long as the center, got {tuple(rows.shape)}"
        )
    return (rows - center.to(rows)).square().sum(1)


def soft_boundary_svdd(
    input: Tensor, *, center: Tensor, radius: Tensor | float, nu: Tensor | float
) -> Tensor:
    """Return R² + max(0, d² − R²)/nu of each row's distance d to the centre (Ruff et al., 2018)."""
    distance = deep_svdd(input, center=center)
    squared = tensor_like(radius, distance).square()
    return squared + (distance - squared).relu() / tensor_like(nu, distance)


def svdd_center(output: Tensor, *, least: float = 0.1) -> Tensor:
    """Return the mean of embeddings (N, D), of which no entry is nearer to 0 than `least`.

    An entry of 0 could be met by weights of 0, for all rows alike.

    >>> svdd_center(torch.tensor([[1.0, 0.02], [3.0, -0.06]]))
    tensor([ 2.0000, -0.1000])
    """
    mean = flat_rows(promote(output), dims=2).mean(0)
    return torch.where(mean < 0, mean.clamp(max=-least), mean.clamp(min=least))
