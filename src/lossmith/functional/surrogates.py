"""Metrics of labels made differentiable: one number a label, of a weighted batch.

Input (N,) for one label or (N, L) for L; `weight` is one number an element.
"""

import torch
from torch import Tensor

from lossmith.functional.binary import labels
from lossmith.functional.checks import in_dtype


def soft_f1(
    input: Tensor, target: Tensor, weight: Tensor, *, beta: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Return 1 − F_beta of the probabilities of each label, and whether it has a positive."""
    input, target = labels(input, target)
    tp, fp, fn, _ = _counts(input.sigmoid(), (-input).sigmoid(), target, weight)
    return _f_miss(tp, fp, fn, in_dtype(beta, input) ** 2)


def any_loss(
    input: Tensor, target: Tensor, weight: Tensor, *, metric: str, amplification: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Return 1 − metric of sigmoid(amplification·(p − ½)) of each label, and whether it counts."""
    input, target = labels(input, target)
    lifted = in_dtype(amplification, input) * (input / 2).tanh() / 2  # p − ½ is tanh(x/2)/2
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
    short = (in_dtype(margin, input) - mean[0, 0] + mean[1, 0]).relu()
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
