"""Ranking metrics made smooth, unreduced: one value a list."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, clamp_if_outside, divisor
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
    real = relevance >= 0
    log_p = _soft_order(scores, real, temperature, iterations)
    gain = gains(relevance)
    place = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
    found = (log_p.exp() * gain.unsqueeze(1)).sum(2) * discount(place)
    return torch.where(has_relevant(target), 1 - found.sum(1), 0)


def _soft_order(
    scores: Tensor, real: Tensor, temperature: Tensor | float, iterations: int
) -> Tensor:
    """Return log P (N, L, L), how much item j is at place i; as good as none beyond the items."""
    count = real.sum(1, keepdim=True)
    most = torch.finfo(scores.dtype).max / (16 * max(scores.shape[1], 1) ** 2)
    sharp = clamp_if_outside(scores / divisor(temperature, scores), -most, most)
    middle = sharp.detach().sum(1, keepdim=True) / count.clamp(min=1)
    sharp = torch.where(real, sharp - middle, 0)  # which changes no order, and cancels fewer digits
    place = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
    apart = torch.where(real.unsqueeze(1), sharp.unsqueeze(2) - sharp.unsqueeze(1), 0).abs().sum(2)
    rise = (count + 1 - 2 * place).unsqueeze(2) * sharp.unsqueeze(1) - apart.unsqueeze(1)
    inside = (place <= count).unsqueeze(2) & real.unsqueeze(1)
    log_p = _shares(rise, inside, 2)
    for _ in range(iterations):
        log_p = _shares(_shares(log_p, inside, 1), inside, 2)
    return log_p


def _shares(values: Tensor, inside: Tensor, dim: int) -> Tensor:
    """Return the log-softmax along a dimension over what is inside, the lowest number elsewhere."""
    lowest = torch.finfo(values.dtype).min / 4
    kept = torch.where(inside, values, lowest)
    return torch.where(inside, kept - kept.logsumexp(dim, keepdim=True), lowest)


def _soft_above(scores: Tensor, kept: Tensor, alpha: Tensor | float) -> Tensor:
    """Return Σ_j sigmoid(alpha·(s_j − s_i)) over the pairs kept: softly, how many are above i."""
    gap = torch.where(kept, scores.unsqueeze(1) - scores.unsqueeze(2), 0)
    return torch.where(kept, (as_scalar_or_tensor(alpha, gap) * gap).sigmoid(), 0).sum(2)
