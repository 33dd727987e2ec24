"""Losses of ranked lists by pairs of their items, unreduced: one value a list."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lossmith.functional.checks import as_scalar_or_tensor
from lossmith.functional.ranking.items import (
    check_lists,
    differences,
    discount,
    first_above_second,
    gains,
    mean_of,
)

__all__ = ["lambda_loss", "margin_ranking", "ranknet", "warp"]


def ranknet(input: Tensor, target: Tensor, *, sigma: Tensor | float = 1.0) -> Tensor:
    """Return the mean of log(1 + exp(−sigma·(s_i − s_j))) over pairs with y_i > y_j."""
    scores, relevance = check_lists(input, target)
    ordered = first_above_second(relevance)
    gap = differences(scores, ordered)
    return mean_of(-logsigmoid(as_scalar_or_tensor(sigma, gap) * gap), ordered)


def margin_ranking(input: Tensor, target: Tensor, *, margin: Tensor | float = 1.0) -> Tensor:
    """Return the mean of max(0, margin − (s_i − s_j)) over pairs with y_i > y_j."""
    scores, relevance = check_lists(input, target)
    ordered = first_above_second(relevance)
    gap = differences(scores, ordered)
    return mean_of((as_scalar_or_tensor(margin, gap) - gap).relu(), ordered)


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
    real, ordered = relevance >= 0, first_above_second(relevance)
    gap = differences(scores, ordered)
    rank = _ranks(scores.detach(), real)
    apart = (rank.unsqueeze(2) - rank.unsqueeze(1)).abs().clamp(min=1)
    delta = discount(apart) - discount(apart + 1)
    share = discount(rank)
    rho = (share.unsqueeze(2) - share.unsqueeze(1)).abs()
    mixed = rho + as_scalar_or_tensor(mu, rho) * delta
    weight = {"ndcg2": delta, "lambdarank": rho, "ndcg2++": mixed}[scheme]
    gain = gains(relevance)
    weight = weight * (gain.unsqueeze(2) - gain.unsqueeze(1)).abs()
    cost = -logsigmoid(as_scalar_or_tensor(sigma, gap) * gap) / math.log(2)
    return torch.where(ordered & (weight != 0), weight * cost, 0).sum((1, 2))


def warp(input: Tensor, target: Tensor, *, margin: Tensor | float = 1.0) -> Tensor:
    """Return the mean over relevant i of L(r_i)/r_i Σ_j max(0, margin − (s_i − s_j)), j not so.

    r_i counts the j within the margin, L(r) = 1 + 1/2 + … + 1/r (Weston, Bengio & Usunier, 2011).
    """
    scores, relevance = check_lists(input, target)
    pairs = (relevance > 0).unsqueeze(2) & (relevance == 0).unsqueeze(1)
    excess = as_scalar_or_tensor(margin, scores) - differences(scores, pairs)
    rank = (pairs & ~(excess < 0)).sum(2)
    place = torch.arange(scores.shape[1] + 1, device=scores.device, dtype=scores.dtype).clamp(min=1)
    share = ((1 / place).cumsum(0) - 1) / place  # L(r) / r, from 0 on
    cost = share[rank] * torch.where(pairs, excess.relu(), 0).sum(2)
    return mean_of(cost, relevance > 0)


def _ranks(scores: Tensor, real: Tensor) -> Tensor:
    """Return each item's rank by score from 1 on; equal scores share the mean of theirs."""
    above = (scores.unsqueeze(1) > scores.unsqueeze(2)) & real.unsqueeze(1)
    equal = (scores.unsqueeze(1) == scores.unsqueeze(2)) & real.unsqueeze(1)
    rank = 0.5 + above.sum(2) + 0.5 * equal.sum(2)
    rank = torch.where(scores.isnan(), scores, rank)
    return torch.where(real, rank, 1.0).to(scores.dtype)
