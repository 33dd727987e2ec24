"""Surrogates of metrics of ranks by pairs of rows, a value a label."""

import torch
from torch import Tensor

from lossmith.functional.binary.multilabel import labels
from lossmith.functional.checks import as_scalar_or_tensor, divisor

__all__ = ["ap_loss", "partial_auc"]


def ap_loss(
    input: Tensor, target: Tensor, weight: Tensor, *, margin: Tensor | float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return 1 − the mean over positives of Σ_P (margin − gap)₊² / Σ (margin − gap)₊², by label.

    The sums are over positives and over all rows, itself among them (Qi et al., 2021). And whether
    a label has both classes.
    """
    cost, sides = _pairs(input, target, weight, margin)
    above = cost * sides.sum(0)
    own = (cost * sides[0]).sum(1) / torch.where(sides[0] > 0, above.sum(1), 1)
    mass = sides[0].sum(0)
    both = (sides > 0).any(1).all(0)
    value = 1 - (sides[0] * own).sum(0) / torch.where(mass > 0, mass, 1)
    return torch.where(both, value, 0 * value.detach()), both


def partial_auc(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    *,
    margin: Tensor | float = 1.0,
    temperature: Tensor | float = 1.0,
    positive_temperature: Tensor | float | None = None,
) -> tuple[Tensor, Tensor]:
    """Return soft maxima over negatives of (margin − gap)₊², their mean over positives, by label.

    A soft maximum is temperature·log of the mean of exp(· / temperature) (Zhu et al., 2022); with
    a temperature for the positives it is one over them too. And whether a label has both classes.
    """
    cost, sides = _pairs(input, target, weight, margin)
    hardest = _soft_maximum(cost, sides[1].unsqueeze(0), temperature, 1)
    if positive_temperature is None:
        mass = sides[0].sum(0)
        value = (sides[0] * hardest).sum(0) / torch.where(mass > 0, mass, 1)
    else:
        value = _soft_maximum(hardest, sides[0], positive_temperature, 0)
    both = (sides > 0).any(1).all(0)
    return torch.where(both, value, 0 * value.detach()), both


def _pairs(
    input: Tensor, target: Tensor, weight: Tensor, margin: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Return (margin − p_i + p_j)₊², (N, N, …), and the weights of positives and of negatives."""
    input, target = labels(input, target)
    score = input.sigmoid()
    short = as_scalar_or_tensor(margin, input) - (score.unsqueeze(1) - score.unsqueeze(0))
    return short.relu().square(), torch.stack([target, 1 - target]) * weight


def _soft_maximum(values: Tensor, weight: Tensor, temperature: Tensor | float, dim: int) -> Tensor:
    """Return temperature·log of the weighted mean of exp(values / temperature)."""
    sharp, lowest = divisor(temperature, values), torch.finfo(values.dtype).min / 4
    counts = weight > 0
    share = torch.where(counts, torch.where(counts, weight, 1).log(), lowest)
    total = torch.where(counts.any(dim), share.logsumexp(dim), 0)
    return sharp * ((values / sharp + share).logsumexp(dim) - total)
