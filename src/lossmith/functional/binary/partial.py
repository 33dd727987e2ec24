"""Surrogates of a part of the area under the ROC curve, a value a label."""

import torch
from torch import Tensor

from lossmith.functional.binary.multilabel import labels
from lossmith.functional.checks import as_scalar_or_tensor, divisor

__all__ = ["partial_auc"]


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
    input, target = labels(input, target)
    score, sides = input.sigmoid(), torch.stack([target, 1 - target]) * weight
    gap = score.unsqueeze(1) - score.unsqueeze(0)
    cost = (as_scalar_or_tensor(margin, input) - gap).relu().square()
    hardest = _soft_maximum(cost, sides[1].unsqueeze(0), temperature, 1)
    if positive_temperature is None:
        mass = sides[0].sum(0)
        value = (sides[0] * hardest).sum(0) / torch.where(mass > 0, mass, 1)
    else:
        value = _soft_maximum(hardest, sides[0], positive_temperature, 0)
    both = (sides > 0).any(1).all(0)
    return torch.where(both, value, 0 * value.detach()), both


def _soft_maximum(values: Tensor, weight: Tensor, temperature: Tensor | float, dim: int) -> Tensor:
    """Return temperature·log of the weighted mean of exp(values / temperature)."""
    sharp, lowest = divisor(temperature, values), torch.finfo(values.dtype).min / 4
    counts = weight > 0
    share = torch.where(counts, torch.where(counts, weight, 1).log(), lowest)
    total = torch.where(counts.any(dim), share.logsumexp(dim), 0)
    return sharp * ((values / sharp + share).logsumexp(dim) - total)
