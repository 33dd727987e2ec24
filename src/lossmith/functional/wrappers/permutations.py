"""What is made of pairwise values where the order of the parts is not known."""

import itertools

import torch
from torch import Tensor

__all__ = ["best_permutation"]

_MOST = 7  # parts, of 5040 orders


def best_permutation(pairs: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the least weighted mean of one value a target, over all orders (Kolbæk et al., 2017).

    Args:
        pairs: values (N, S, S) of each input, dimension 1, for each target, dimension 2.
        weight: (N, S), how much each target counts; alike unless given.

    Raises:
        ValueError: if there are more than 7 parts, whose orders are too many.

    >>> best_permutation(torch.tensor([[[5.0, 1.0], [2.0, 9.0]]]))  # 1 and 2
    tensor([1.5000])
    """
    parts = pairs.shape[1]
    if parts > _MOST:
        raise ValueError(
            f"input has {parts} parts a row; their orders are tried, of {_MOST} at most"
        )
    orders = torch.tensor(list(itertools.permutations(range(parts))))
    orders = orders.to(pairs.device, non_blocking=True)
    chosen = pairs[:, orders, torch.arange(parts, device=pairs.device)]  # (N, orders, S)
    if weight is None:
        return chosen.mean(2).min(1).values
    total = weight.sum(1)
    least = (chosen * weight.unsqueeze(1)).sum(2).min(1).values
    return torch.where(total > 0, least / torch.where(total > 0, total, 1), 0)
