"""Losses of embeddings in which each pair of a class meets all negatives at once."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lossmith.functional.checks import as_scalar_or_tensor, tensor_like
from lossmith.functional.embeddings import cosines, distances
from lossmith.functional.metric_learning.margins import turned_by
from lossmith.functional.metric_learning.pairs import check_embeddings, pair_masks

__all__ = ["lifted_structured", "positives_of", "tuplet_margin"]


def lifted_structured(input: Tensor, target: Tensor, *, margin: Tensor | float = 1.0) -> Tensor:
    """Return the mean over an anchor's positives of max(0, J)²/2 (Song et al., 2016).

    J = log(Σ_k exp(margin − d_ik) + Σ_l exp(margin − d_jl)) + d_ij of anchor i and positive j, k
    and l the rows of other classes than theirs.
    """
    rows, classes = check_embeddings(input, target)
    alike, unlike = pair_masks(classes)
    gap = distances(rows, rows)
    near = torch.where(
        unlike, as_scalar_or_tensor(margin, gap) - gap, torch.finfo(gap.dtype).min / 8
    ).logsumexp(1)
    cost = (torch.logaddexp(near.unsqueeze(1), near) + gap).relu()
    return torch.where(alike, cost, 0).square().sum(1) / (2 * alike.sum(1).clamp(min=1))


def tuplet_margin(
    input: Tensor,
    target: Tensor,
    *,
    scale: Tensor | float = 64.0,
    margin: Tensor | float = 0.1,
) -> Tensor:
    """Return the mean over an anchor's positives p of log(1 + Σ_n exp(scale·(cos_n − held_p))).

    held = cos(θ − margin) of the positive's angle θ (Yu & Tao, 2019).
    """
    rows, classes = check_embeddings(input, target)
    alike, unlike = pair_masks(classes)
    cos = cosines(rows, rows)
    scale, margin = as_scalar_or_tensor(scale, cos), tensor_like(margin, cos)
    lowest = torch.finfo(cos.dtype).min / 8
    near = torch.where(unlike, scale * cos, lowest).logsumexp(1, keepdim=True)
    cost = softplus(near - scale * turned_by(cos, -margin))
    return torch.where(alike, cost, 0).sum(1) / alike.sum(1).clamp(min=1)


def positives_of(target: Tensor) -> Tensor:
    """Return how many others of its class each row has, 0 where there is no other class."""
    alike, unlike = pair_masks(target)
    return alike.sum(1) * unlike.any(1)
