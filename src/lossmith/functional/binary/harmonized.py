"""Losses whose rows count by how many have a gradient of like size: one number of a batch."""

import torch
from torch import Tensor

from lossmith.functional.binary.elementwise import binary_cross_entropy
from lossmith.functional.checks import check_range, same_shape, tensor_like

__all__ = ["ghm_c", "ghm_r", "harmonized_mean"]


def ghm_c(input: Tensor, target: Tensor, *, weight: Tensor, bins: int = 10) -> Tensor:
    """Return the harmonized mean of binary cross-entropies, by |σ(x) − y| (Li et al., 2019)."""
    logits, true = same_shape(input, target)
    check_range(true, 0, 1, "target holds a label outside 0 … 1")
    sizes = (logits.sigmoid() - true).abs()
    return harmonized_mean(binary_cross_entropy(logits, true), sizes, weight, bins=bins)


def ghm_r(
    input: Tensor, target: Tensor, *, weight: Tensor, mu: Tensor | float = 0.02, bins: int = 10
) -> Tensor:
    """Return the harmonized mean of √(r² + mu²) − mu, r = x − y, by |r|/√(r² + mu²) (ibid.)."""
    input, target = same_shape(input, target)
    size, mu = (input - target).abs(), tensor_like(mu, input)
    root = torch.hypot(size, mu)
    share = size / root
    return harmonized_mean(size * (size / (root + mu)), share, weight, bins=bins)


def harmonized_mean(values: Tensor, sizes: Tensor, weight: Tensor, *, bins: int) -> Tensor:
    """Return the mean over bins of sizes from 0 to 1, of those that hold any, of their means.

    >>> harmonized_mean(torch.tensor([1.0, 3.0, 8.0]), torch.tensor([0.1, 0.2, 0.9]),
    ...     torch.ones(3), bins=2)  # (2 + 8)/2
    tensor(5.)
    """
    place = (sizes.detach() * bins).clamp(0, bins - 1).nan_to_num(0).long()
    # Bin by bin: each element's share of all of them would take as many times the memory.
    many = torch.stack([torch.where(place == bin, weight, 0).sum() for bin in range(bins)])
    some = many > 0
    share = weight / torch.where(some, many, 1)[place]
    return (share * values).sum() / some.sum().clamp(min=1)
