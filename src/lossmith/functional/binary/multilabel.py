"""Ranks among labels, and metrics of a batch of labels as losses."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lossmith.functional.binary.elementwise import labels
from lossmith.functional.checks import as_scalar_or_tensor

__all__ = ["any_loss", "auc_margin", "label_rows", "soft_f1", "two_way", "zlpr"]


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
    hot, cold = (
        as_scalar_or_tensor(positive_temperature, input),
        as_scalar_or_tensor(negative_temperature, input),
    )
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


def soft_f1(
    input: Tensor, target: Tensor, weight: Tensor, *, beta: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Return 1 − F_beta of the probabilities of each label, and whether it has a positive."""
    input, target = labels(input, target)
    tp, fp, fn, _ = _counts(input.sigmoid(), (-input).sigmoid(), target, weight)
    return _f_miss(tp, fp, fn, as_scalar_or_tensor(beta, input) ** 2)


def any_loss(
    input: Tensor, target: Tensor, weight: Tensor, *, metric: str, amplification: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Return 1 − metric of sigmoid(amplification·(p − ½)) of each label, and whether it counts."""
    input, target = labels(input, target)
    lifted = (
        as_scalar_or_tensor(amplification, input) * (input / 2).tanh() / 2
    )  # p − ½ is tanh(x/2)/2
    tp, fp, fn, tn = _counts(lifted.sigmoid(), (-lifted).sigmoid(), target, weight)
    if metric == "accuracy":
        return _share(fp + fn, tp + fp + fn + tn), tp + fp + fn + tn != 0
    if metric == "f1":
        return _f_miss(tp, fp, fn, 1.0)
    sides = torch.stack([tp + fn, tn + fp])
    held = sides != 0  # NaN counts, so that it shows
    both = held.sum(0).clamp(min=1)
    if metric == "balanced_accuracy":
        return _share(torch.stack([fn, fp]), sides).sum(0) / both, held.any(0)
    rates = torch.where(held, _share(torch.stack([tp, tn]), sides), 1.0)
    return 1 - (rates.log().sum(0) / both).exp(), held.any(0)


def auc_margin(
    input: Tensor, target: Tensor, weight: Tensor, *, margin: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Return the variances of both sides + (margin − gap)₊² of each label, and if it has both."""
    input, target = labels(input, target)
    p = input.sigmoid()
    sides = torch.stack([target, 1 - target]) * weight
    mass = sides.sum(1, keepdim=True)
    mean = _share((sides * p).sum(1, keepdim=True), mass)
    spread = _share((sides * (p - mean).square()).sum(1), mass[:, 0])
    short = (as_scalar_or_tensor(margin, input) - mean[0, 0] + mean[1, 0]).relu()
    return spread.sum(0) + short.square(), (mass[:, 0] > 0).all(0)


def _counts(p: Tensor, rest: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    """Return true and false positives, false and true negatives of each label."""
    positive, negative = weight * target, weight * (1 - target)
    return tuple(part.sum(0) for part in (positive * p, negative * p, positive * rest,
                                          negative * rest))  # fmt: skip


def _f_miss(tp: Tensor, fp: Tensor, fn: Tensor, square: Tensor | float) -> tuple[Tensor, Tensor]:
    miss = square * fn + fp
    return _share(miss, (1 + square) * tp + miss), tp + fn != 0  # NaN counts, so that it shows


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """Return part/whole, 0 where the whole is 0."""
    return part / torch.where(whole == 0, 1.0, whole)
