"""Losses of ranked lists, unreduced: scores (N, L) against relevance (N, L), one value a list.

A relevance below 0 marks padding, whose score counts for nothing. Each value is a function of
the sets of items, never of the order in which items of equal relevance happen to stand.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lossmith.functional.checks import as_scalar_or_tensor, check, same_shape

__all__ = [
    "approx_ndcg",
    "gbce",
    "has_item",
    "has_pair",
    "has_relevant",
    "has_two",
    "lambda_loss",
    "listmle",
    "listnet",
    "margin_ranking",
    "ranknet",
    "smooth_ap",
]


def ranknet(input: Tensor, target: Tensor, *, sigma: Tensor | float = 1.0) -> Tensor:
    """Return the mean of log(1 + exp(−sigma·(s_i − s_j))) over pairs with y_i > y_j."""
    scores, relevance = check_lists(input, target)
    ordered = _first_above_second(relevance)
    gap = _differences(scores, ordered)
    return _mean(-logsigmoid(as_scalar_or_tensor(sigma, gap) * gap), ordered)


def margin_ranking(input: Tensor, target: Tensor, *, margin: Tensor | float = 1.0) -> Tensor:
    """Return the mean of max(0, margin − (s_i − s_j)) over pairs with y_i > y_j."""
    scores, relevance = check_lists(input, target)
    ordered = _first_above_second(relevance)
    gap = _differences(scores, ordered)
    return _mean((as_scalar_or_tensor(margin, gap) - gap).relu(), ordered)


def listnet(input: Tensor, target: Tensor) -> Tensor:
    """Return −Σ softmax(y)_i log softmax(s)_i over the items of each list."""
    scores, relevance = check_lists(input, target)
    real = relevance >= 0
    log_p = _log_share(scores, real)
    return -(torch.where(real, _log_share(relevance, real).exp(), 0) * log_p).sum(1)


def listmle(input: Tensor, target: Tensor) -> Tensor:
    """Return Σ_i (log Σ_{j: y_j ≤ y_i} exp(s_j) − s_i) over the items of each list."""
    scores, relevance = check_lists(input, target)
    real = relevance >= 0
    after = (relevance.unsqueeze(1) <= relevance.unsqueeze(2)) & real.unsqueeze(1)
    lowest = torch.finfo(scores.dtype).min
    rest = torch.where(after, scores.unsqueeze(1), lowest)
    # logsumexp of differences: exact where one score is far above all others
    gap = torch.where(after, (rest - scores.unsqueeze(2)).clamp(max=-lowest / 8), lowest)
    return torch.where(real, gap.logsumexp(2), 0).sum(1)


def lambda_loss(
    input: Tensor,
    target: Tensor,
    *,
    scheme: str = "ndcg2",
    sigma: Tensor | float = 1.0,
    mu: Tensor | float = 10.0,
) -> Tensor:
    """Return Σ w_ij |G_i − G_j| log2(1 + exp(−sigma·(s_i − s_j))) over pairs with y_i > y_j.

    w_ij is δ_ij = |1/D(|r_i − r_j|) − 1/D(|r_i − r_j| + 1)| for "ndcg2", ρ_ij = |1/D(r_i) −
    1/D(r_j)| for "lambdarank", ρ_ij + mu·δ_ij for "ndcg2++"; D(r) = log2(1 + r), r are the ranks
    by score, the mean rank where scores tie.
    """
    scores, relevance = check_lists(input, target)
    real, ordered = relevance >= 0, _first_above_second(relevance)
    gap = _differences(scores, ordered)
    rank = _ranks(scores.detach(), real)
    apart = (rank.unsqueeze(2) - rank.unsqueeze(1)).abs().clamp(min=1)
    delta = _discount(apart) - _discount(apart + 1)
    share = _discount(rank)
    rho = (share.unsqueeze(2) - share.unsqueeze(1)).abs()
    mixed = rho + as_scalar_or_tensor(mu, rho) * delta
    weight = {"ndcg2": delta, "lambdarank": rho, "ndcg2++": mixed}[scheme]
    gain = _gains(relevance)
    weight = weight * (gain.unsqueeze(2) - gain.unsqueeze(1)).abs()
    cost = -logsigmoid(as_scalar_or_tensor(sigma, gap) * gap) / math.log(2)
    return torch.where(ordered & (weight != 0), weight * cost, 0).sum((1, 2))


def approx_ndcg(input: Tensor, target: Tensor, *, alpha: Tensor | float = 10.0) -> Tensor:
    """Return 1 − Σ_i G_i / log2(1 + r_i) with r_i = 1 + Σ_{j≠i} sigmoid(alpha·(s_j − s_i))."""
    scores, relevance = check_lists(input, target)
    others = _others(relevance >= 0)
    rank = 1 + _soft_above(scores, others, alpha)
    gain = _gains(relevance)
    return torch.where(has_relevant(target), 1 - (gain * _discount(rank)).sum(1), 0)


def smooth_ap(input: Tensor, target: Tensor, *, temperature: Tensor | float = 0.01) -> Tensor:
    """Return 1 − the mean over relevant i of soft rank among the relevant / soft rank among all."""
    scores, relevance = check_lists(input, target)
    relevant, others = relevance > 0, _others(relevance >= 0)
    alpha = 1 / as_scalar_or_tensor(temperature, scores)
    above_all = _soft_above(scores, others, alpha)
    above = _soft_above(scores, others & relevant.unsqueeze(1), alpha)
    precision = torch.where(relevant, (1 + above) / (1 + above_all), 0).sum(1)
    return torch.where(has_relevant(target), 1 - precision / relevant.sum(1).clamp(min=1), 0)


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
    return _mean(torch.where(relevant, beta * each, each), relevance >= 0)


def has_item(target: Tensor) -> Tensor:
    """Return for each list whether it has an item that is no padding."""
    return (target >= 0).any(-1)


def has_pair(target: Tensor) -> Tensor:
    """Return for each list whether two of its items differ in relevance."""
    return _first_above_second(target).any(-1).any(-1)


def has_two(target: Tensor) -> Tensor:
    """Return for each list whether it holds two items that are no padding."""
    return (target >= 0).sum(-1) >= 2


def has_relevant(target: Tensor) -> Tensor:
    """Return for each list whether one of its items has a relevance above 0."""
    return (target > 0).any(-1)


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


def _first_above_second(relevance: Tensor) -> Tensor:
    """Return where item i is more relevant than item j, (N, L, L), padding left out."""
    if relevance.ndim == 0:
        raise ValueError("target must hold lists (N, L), got a scalar")
    above = relevance.unsqueeze(-1) > relevance.unsqueeze(-2)
    return above & (relevance >= 0).unsqueeze(-2)


def _others(real: Tensor) -> Tensor:
    """Return where item j is an item other than i, (N, L, L)."""
    same = torch.eye(real.shape[1], dtype=torch.bool, device=real.device)
    return real.unsqueeze(1) & ~same


def _differences(scores: Tensor, kept: Tensor) -> Tensor:
    """Return s_i − s_j, 0 where a pair does not count."""
    return torch.where(kept, scores.unsqueeze(2) - scores.unsqueeze(1), 0)


def _mean(values: Tensor, kept: Tensor) -> Tensor:
    total = torch.where(kept, values, 0).flatten(1).sum(1)
    return total / kept.flatten(1).sum(1).clamp(min=1)


def _log_share(values: Tensor, real: Tensor) -> Tensor:
    """Return the log-softmax over the items of each list, 0 for padding."""
    lowest = torch.finfo(values.dtype).min
    log_p = values.masked_fill(~real, lowest).log_softmax(1)
    return torch.where(real, log_p.clamp(min=lowest / 100), 0)


def _soft_above(scores: Tensor, kept: Tensor, alpha: Tensor | float) -> Tensor:
    """Return Σ_j sigmoid(alpha·(s_j − s_i)) over the pairs kept: softly, how many are above i."""
    gap = torch.where(kept, scores.unsqueeze(1) - scores.unsqueeze(2), 0)
    return torch.where(kept, (as_scalar_or_tensor(alpha, gap) * gap).sigmoid(), 0).sum(2)


def _ranks(scores: Tensor, real: Tensor) -> Tensor:
    """Return each item's rank by score from 1 on; equal scores share the mean of theirs."""
    above = (scores.unsqueeze(1) > scores.unsqueeze(2)) & real.unsqueeze(1)
    equal = (scores.unsqueeze(1) == scores.unsqueeze(2)) & real.unsqueeze(1)
    rank = 0.5 + above.sum(2) + 0.5 * equal.sum(2)
    rank = torch.where(scores.isnan(), scores, rank)
    return torch.where(real, rank, 1.0).to(scores.dtype)


def _discount(rank: Tensor) -> Tensor:
    return 1 / (1 + rank).log2()


def _gains(relevance: Tensor) -> Tensor:
    """Return (2^y − 1) / the list's ideal DCG, 0 for padding and lists without a relevant item."""
    relevance = relevance.clamp(min=0)
    most = relevance.detach().amax(1, keepdim=True) if relevance.shape[1] else 0.0
    gain = torch.exp2(relevance - most) - torch.exp2(-torch.as_tensor(most))  # 2^-most of 2^y - 1
    place = torch.arange(1, gain.shape[1] + 1, device=gain.device, dtype=gain.dtype)
    ideal = (gain.sort(1, descending=True).values * _discount(place)).sum(1, keepdim=True)
    return gain / torch.where(ideal > 0, ideal, 1)
