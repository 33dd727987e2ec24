"""Lists of items: scores (N, L) against relevance (N, L), and what of them counts.

A relevance below 0 marks padding, whose score counts for nothing. What losses of lists make of
them is a function of the sets of items, never of the order in which items of equal relevance
happen to stand.
"""

import torch
from torch import Tensor

from lossmith.functional.checks import check, same_shape

__all__ = ["has_item", "has_pair", "has_relevant", "has_relevant_and_other", "has_two"]


def has_item(target: Tensor) -> Tensor:
    """Return for each list whether it has an item that is no padding."""
    return (target >= 0).any(-1)


def has_pair(target: Tensor) -> Tensor:
    """Return for each list whether two of its items differ in relevance."""
    return first_above_second(target).any(-1).any(-1)


def has_two(target: Tensor) -> Tensor:
    """Return for each list whether it holds two items that are no padding."""
    return (target >= 0).sum(-1) >= 2


def has_relevant(target: Tensor) -> Tensor:
    """Return for each list whether one of its items has a relevance above 0."""
    return (target > 0).any(-1)


def has_relevant_and_other(target: Tensor) -> Tensor:
    """Return for each list whether it has items of a relevance above 0 and of 0."""
    return (target > 0).any(-1) & (target == 0).any(-1)


def check_lists(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check lists (N, L) and return scores, 0 where padded, and relevance to compute with."""
    if input.ndim != 2:
        raise ValueError(
            f"input has shape {tuple(input.shape)} and target {tuple(target.shape)}; lists need "
            "(N, L): one row a list, one column an item"
        )
    scores, relevance = same_shape(input, target)
    known = (relevance == relevance).all()
    check(known, "target holds NaN; an item without a relevance is padding, below 0")
    return torch.where(relevance >= 0, scores, 0), relevance


def first_above_second(relevance: Tensor) -> Tensor:
    """Return where item i is more relevant than item j, (N, L, L), padding left out."""
    if relevance.ndim == 0:
        raise ValueError("target must hold lists (N, L), got a scalar")
    above = relevance.unsqueeze(-1) > relevance.unsqueeze(-2)
    return above & (relevance >= 0).unsqueeze(-2)


def others_of(real: Tensor) -> Tensor:
    """Return where item j is an item other than i, (N, L, L)."""
    same = torch.eye(real.shape[1], dtype=torch.bool, device=real.device)
    return real.unsqueeze(1) & ~same


def differences(scores: Tensor, kept: Tensor) -> Tensor:
    """Return s_i − s_j, 0 where a pair does not count."""
    return torch.where(kept, scores.unsqueeze(2) - scores.unsqueeze(1), 0)


def mean_of(values: Tensor, kept: Tensor) -> Tensor:
    total = torch.where(kept, values, 0).flatten(1).sum(1)
    return total / kept.flatten(1).sum(1).clamp(min=1)


def discount(rank: Tensor) -> Tensor:
    return 1 / (1 + rank).log2()


def gains(relevance: Tensor) -> Tensor:
    """Return (2^y − 1) / the list's ideal DCG, 0 for padding and lists without a relevant item."""
    relevance = relevance.clamp(min=0)
    most = relevance.detach().amax(1, keepdim=True) if relevance.shape[1] else 0.0
    gain = torch.exp2(relevance - most) - torch.exp2(-torch.as_tensor(most))  # 2^-most of 2^y - 1
    place = torch.arange(1, gain.shape[1] + 1, device=gain.device, dtype=gain.dtype)
    ideal = (gain.sort(1, descending=True).values * discount(place)).sum(1, keepdim=True)
    return gain / torch.where(ideal > 0, ideal, 1)
