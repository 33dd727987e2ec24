"""What is made of another loss's values by groups of rows."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, check_range

__all__ = ["group_means", "group_shares"]


def group_means(values: Tensor, weight: Tensor, groups: Tensor, *, count: int) -> Tensor:
    """Return the weighted mean of each group's values, 0 of one that is not there.

    >>> group_means(torch.tensor([1.0, 3.0, 5.0]), torch.ones(3), torch.tensor([0, 0, 2]), count=3)
    tensor([2., 0., 5.])
    """
    if groups.is_floating_point() or groups.dtype == torch.bool:
        raise TypeError(f"groups must hold integers, got {groups.dtype}; use groups.long()")
    message = f"groups holds one outside 0 … {count - 1}, the {count} groups"
    check_range(groups, 0, count - 1, message)
    within = (groups.unsqueeze(1) == torch.arange(count, device=groups.device)).to(values.dtype)
    within = within * weight.unsqueeze(1)
    total = within.sum(0)
    some = total > 0
    means = (within * values.unsqueeze(1)).sum(0) / torch.where(some, total, 1)
    return torch.where(some, means, 0)


def group_shares(means: Tensor, shares: Tensor, *, step: Tensor | float) -> Tensor:
    """Return shares·exp(step·means), over their sum (Sagawa et al., 2020)."""
    log = shares.to(means).clamp(min=torch.finfo(means.dtype).tiny).log()
    return (log + as_scalar_or_tensor(step, means) * means.detach()).softmax(0)
