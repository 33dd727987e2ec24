"""Losses of whole ranked lists as draws of items, unreduced: one value a list."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lossmith.functional.checks import as_scalar_or_tensor
from lossmith.functional.ranking.items import check_lists, mean_of

__all__ = ["gbce", "listmle", "listnet", "p_listmle"]


def listnet(input: Tensor, target: Tensor) -> Tensor:
    """Return −Σ softmax(y)_i log softmax(s)_i over the items of each list."""
    scores, relevance = check_lists(input, target)
    real = relevance >= 0
    log_p = _log_share(scores, real)
    return -(torch.where(real, _log_share(relevance, real).exp(), 0) * log_p).sum(1)


def listmle(input: Tensor, target: Tensor) -> Tensor:
    """Return Σ_i (log Σ_{j: y_j ≤ y_i} exp(s_j) − s_i) over the items of each list."""
    scores, relevance = check_lists(input, target)
    return _draws(scores, relevance).sum(1)


def p_listmle(input: Tensor, target: Tensor) -> Tensor:
    """Return Σ_i w_i (log Σ_{j: y_j ≤ y_i} exp(s_j) − s_i), w_i ∝ 2^(n − place) − 1 (Lan, 2014).

    The weights of a list of n items sum to 1; equal relevance has the mean of its places' weights.
    """
    scores, relevance = check_lists(input, target)
    real = (relevance >= 0).unsqueeze(1)
    above = ((relevance.unsqueeze(1) > relevance.unsqueeze(2)) & real).sum(2).to(scores.dtype)
    equal = ((relevance.unsqueeze(1) == relevance.unsqueeze(2)) & real).sum(2).to(scores.dtype)
    last = torch.exp2(-real.sum(2).to(scores.dtype))  # 2^-n: α / 2^n, which no length overflows
    alpha = (torch.exp2(-above) - torch.exp2(-above - equal)) / equal.clamp(min=1) - last
    alpha = torch.where(relevance >= 0, alpha, 0)
    total = alpha.sum(1, keepdim=True)
    return (alpha * _draws(scores, relevance)).sum(1) / torch.where(total > 0, total, 1).squeeze(1)


def _draws(scores: Tensor, relevance: Tensor) -> Tensor:
    """Return log Σ_{j: y_j ≤ y_i} exp(s_j) − s_i of each item, 0 for padding."""
    real = relevance >= 0
    after = (relevance.unsqueeze(1) <= relevance.unsqueeze(2)) & real.unsqueeze(1)
    lowest = torch.finfo(scores.dtype).min
    rest = torch.where(after, scores.unsqueeze(1), lowest)
    # logsumexp of differences: exact where one score is far above all others
    gap = torch.where(after, (rest - scores.unsqueeze(2)).clamp(max=-lowest / 8), lowest)
    return torch.where(real, gap.logsumexp(2), 0)


def gbce(
    input: Tensor,
    target: Tensor,
    *,
    sampling_rate: Tensor | float,
    calibration: Tensor | float = 0.75,
) -> Tensor:
    """Return the mean of −beta·log σ(s) of relevant items and −log(1 − σ(s)) of the others.

    beta = 1 − calibration·(1 − sampling_rate) (Petrov & Macdonald, 2023).
    """
    scores, relevance = check_lists(input, target)
    rate, share = (as_scalar_or_tensor(one, scores) for one in (sampling_rate, calibration))
    relevant = relevance > 0
    each = -logsigmoid(torch.where(relevant, scores, -scores))
    beta = 1 - share * (1 - rate)
    return mean_of(torch.where(relevant, beta * each, each), relevance >= 0)


def _log_share(values: Tensor, real: Tensor) -> Tensor:
    """Return the log-softmax over the items of each list, 0 for padding."""
    lowest = torch.finfo(values.dtype).min
    log_p = values.masked_fill(~real, lowest).log_softmax(1)
    return torch.where(real, log_p.clamp(min=lowest / 100), 0)
