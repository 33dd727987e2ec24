"""Ranks among labels, and metrics of a batch of labels as losses."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lossmith.functional.binary.elementwise import binary_focal, labels
from lossmith.functional.checks import as_scalar_or_tensor, clamp_if_outside, tensor_like

__all__ = [
    "any_loss",
    "auc_margin",
    "distribution_balanced",
    "label_rows",
    "rebalanced_weights",
    "soft_f1",
    "two_way",
    "zlpr",
]


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


def distribution_balanced(
    input: Tensor,
    target: Tensor,
    *,
    counts: Tensor,
    rows: Tensor | float,
    alpha: Tensor | float = 0.1,
    beta: Tensor | float = 10.0,
    mu: Tensor | float = 0.2,
    kappa: Tensor | float = 0.05,
    lambda_: Tensor | float = 2.0,
    gamma: Tensor | float = 2.0,
) -> Tensor:
    """Return a rebalanced, negative-tolerant focal value of each label (Wu et al., 2020).

    2·w·(1 − p_t)^gamma·(−log p_t) of p = σ(x − ν), ν = kappa/lambda·log(rows/n − 1), where the
    logits of negatives are multiplied by lambda, and their values divided by it.
    """
    input, target = label_rows(input, target)
    weight = rebalanced_weights(target, counts=counts, alpha=alpha, beta=beta, mu=mu)
    total, scale = tensor_like(rows, input), as_scalar_or_tensor(lambda_, input)
    share = (counts.to(input) / total).clamp(0.5 / total, 1 - 0.5 / total)
    shift = as_scalar_or_tensor(kappa, input) / scale * (1 / share - 1).log()
    most = torch.finfo(input.dtype).max / 8
    logits = (input - shift) * (target + (1 - target) * scale)
    # of focal weights of a half each
    value = 4 * binary_focal(clamp_if_outside(logits, -most, most), target, gamma=gamma, alpha=0.5)
    return weight * value * (target + (1 - target) / scale)


def rebalanced_weights(
    target: Tensor,
    *,
    counts: Tensor,
    alpha: Tensor | float = 0.1,
    beta: Tensor | float = 10.0,
    mu: Tensor | float = 0.2,
) -> Tensor:
    """Return alpha + σ(beta·(r − mu)), r a label's 1/n over the sum of those that its row has.

    A row without labels has r = ∞.

    >>> rebalanced_weights(torch.tensor([[1.0, 1.0]]), counts=torch.tensor([1.0, 3.0]), alpha=0.0,
    ...     beta=1.0, mu=0.75)
    tensor([[0.5000, 0.3775]])
    """
    if counts.shape != target.shape[1:]:
        raise ValueError(
            f"counts has shape {tuple(counts.shape)} but there are {target.shape[1]} labels; give "
            "one count a label"
        )
    alpha, beta, mu = (as_scalar_or_tensor(one, target) for one in (alpha, beta, mu))
    rarity = 1 / counts.to(target).clamp(min=0.5)
    drawn = (target * rarity).sum(1, keepdim=True)
    ratio = rarity / torch.where(drawn == 0, 1, drawn)
    return alpha + torch.where(drawn == 0, 1, (beta * (ratio - mu)).sigmoid())


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
