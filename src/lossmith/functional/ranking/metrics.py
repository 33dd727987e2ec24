"""Ranking metrics made smooth, unreduced: one value a list."""

import torch
from torch import Tensor

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    clamp_if_outside,
    divisor,
    matmul_full_precision,
)
from lossmith.functional.ranking.items import check_lists, discount, gains, has_relevant, others_of

__all__ = ["approx_ndcg", "neural_ndcg", "smooth_ap"]


def approx_ndcg(input: Tensor, target: Tensor, *, alpha: Tensor | float = 10.0) -> Tensor:
    """Return 1 − Σ_i G_i / log2(1 + r_i) with r_i = 1 + Σ_{j≠i} sigmoid(alpha·(s_j − s_i))."""
    scores, relevance = check_lists(input, target)
    others = others_of(relevance >= 0)
    rank = 1 + _soft_above(scores, others, alpha)
    gain = gains(relevance)
    return torch.where(has_relevant(target), 1 - (gain * discount(rank)).sum(1), 0)


def smooth_ap(input: Tensor, target: Tensor, *, temperature: Tensor | float = 0.01) -> Tensor:
    """Return 1 − the mean over relevant i of soft rank among the relevant / soft rank among all."""
    scores, relevance = check_lists(input, target)
    relevant, others = relevance > 0, others_of(relevance >= 0)
    alpha = 1 / as_scalar_or_tensor(temperature, scores)
    above_all = _soft_above(scores, others, alpha)
    above = _soft_above(scores, others & relevant.unsqueeze(1), alpha)
    precision = torch.where(relevant, (1 + above) / (1 + above_all), 0).sum(1)
    return torch.where(has_relevant(target), 1 - precision / relevant.sum(1).clamp(min=1), 0)


def neural_ndcg(
    input: Tensor, target: Tensor, *, temperature: Tensor | float = 1.0, iterations: int = 50
) -> Tensor:
    """Return 1 − Σ_i Σ_j P_ij G_j / log2(1 + i), P the soft order of the scores.

    P is NeuralSort's, made doubly stochastic by Sinkhorn (Pobrotyn & Białobrzeski, 2021).
    """
    scores, relevance = check_lists(input, target)
    order = _neural_sort(scores, relevance >= 0, temperature)
    place, item = _sinkhorn(order, iterations)
    rank = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
    found = place * _times(order, item * gains(relevance)) * discount(rank)
    return torch.where(has_relevant(target), 1 - found.sum(1), 0)


def _neural_sort(scores: Tensor, real: Tensor, temperature: Tensor | float) -> Tensor:
    """Return how much item j is at place i, (N, L, L): rows that sum to 1, or 0 beyond the items.

    The largest of each row is the item that is there, so that no column is of zeros.
    """
    count = real.sum(1, keepdim=True)
    lowest = torch.finfo(scores.dtype).min / 4
    most = -lowest / (4 * max(scores.shape[1], 1) ** 2)
    sharp = clamp_if_outside(scores / divisor(temperature, scores), -most, most)
    middle = sharp.detach().sum(1, keepdim=True) / count.clamp(min=1)
    sharp = torch.where(real, sharp - middle, 0)  # which changes no order, and cancels fewer digits
    place = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
    apart = torch.where(real.unsqueeze(1), sharp.unsqueeze(2) - sharp.unsqueeze(1), 0).abs().sum(2)
    rise = (count + 1 - 2 * place).unsqueeze(2) * sharp.unsqueeze(1) - apart.unsqueeze(1)
    share = torch.where(real.unsqueeze(1), rise, lowest).softmax(2)
    return torch.where((place <= count).unsqueeze(2) & real.unsqueeze(1), share, 0)


def _sinkhorn(order: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Return the factors of places and of items by which rows and columns come to sum to 1."""
    place = item = torch.ones_like(order[:, 0])
    for _ in range(iterations):
        item = _inverse(_times(order.transpose(1, 2), place))
        place = _inverse(_times(order, item))
    return place, item


def _times(order: Tensor, vector: Tensor) -> Tensor:
    return matmul_full_precision(order, vector.unsqueeze(2)).squeeze(2)


def _inverse(sums: Tensor) -> Tensor:
    return 1 / torch.where(sums == 0, 1, sums)


def _soft_above(scores: Tensor, kept: Tensor, alpha: Tensor | float) -> Tensor:
    """Return Σ_j sigmoid(alpha·(s_j − s_i)) over the pairs kept: softly, how many are above i."""
    gap = torch.where(kept, scores.unsqueeze(1) - scores.unsqueeze(2), 0)
    return torch.where(kept, (as_scalar_or_tensor(alpha, gap) * gap).sigmoid(), 0).sum(2)
