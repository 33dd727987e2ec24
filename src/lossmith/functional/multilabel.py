"""Losses of samples with any number of labels, which compare labels with each other.

Input (N, L) and target (N, L) of labels from 0 to 1.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lossmith.functional.binary import labels
from lossmith.functional.checks import in_dtype


def zlpr(input: Tensor, target: Tensor) -> Tensor:
    """Return log(1 + Σ(1 − y)·exp x) + log(1 + Σy·exp(−x)) of each sample (Su et al., 2022)."""
    input, target = label_rows(input, target)
    return _log_one_plus(input, 1 - target) + _log_one_plus(-input, target)


def two_way(
    input: Tensor,
    target: Tensor,
    *,
    positive_temperature: Tensor | float,
    negative_temperature: Tensor | float,
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return values and weights of the samples, then of the labels (Kobayashi, 2023).

    A value is softplus(soft maximum of the negatives − soft minimum of the positives) along a
    row or a column; without a positive its weight is 0.
    """
    input, target = label_rows(input, target)
    hot, cold = in_dtype(positive_temperature, input), in_dtype(negative_temperature, input)
    positive = target > 0.5

    def along(dim: int) -> tuple[Tensor, Tensor]:
        low = _log_sum(-input / hot, positive, dim)
        high = _log_sum(input / cold, ~positive, dim)
        return softplus(hot * low + cold * high), positive.any(dim)

    return along(1), along(0)


def label_rows(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check logits against labels, of rows of labels."""
    if input.ndim != 2:
        raise ValueError(f"input has shape {tuple(input.shape)}; it must be (N, L), L labels a row")
    return labels(input, target)


def _log_one_plus(exponent: Tensor, factor: Tensor) -> Tensor:
    """Return log(1 + Σ factor·exp(exponent)) along the last dimension."""
    terms = exponent + factor.log()
    zero = torch.zeros_like(terms[..., :1])
    return torch.cat([zero, terms], -1).logsumexp(-1)


def _log_sum(exponent: Tensor, held: Tensor, dim: int) -> Tensor:
    """Return the log-sum-exp of what is held, far below all where nothing is."""
    lowest = torch.finfo(exponent.dtype).min / 1000
    return torch.where(held, exponent.clamp(min=lowest), lowest).logsumexp(dim)
