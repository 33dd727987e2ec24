"""Softmax losses that know how many training rows each class has, unreduced.

A class without rows is treated as if it had as many as the rarest class that has some, so that
nothing is infinite.
"""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, class_logits, head_dim, tensor_like
from lossmith.functional.classification.multiclass import is_target, nll, per_class

__all__ = [
    "balanced_softmax",
    "class_balanced_weights",
    "class_margins",
    "ldam",
    "logit_adjusted",
    "vs",
]


def logit_adjusted(
    input: Tensor,
    target: Tensor,
    *,
    counts: Tensor,
    tau: Tensor | float = 1.0,
    ignore_index: int = -100,
) -> Tensor:
    """Return the cross-entropy of x + tau·log prior (Menon et al., 2021)."""
    input, target = class_logits(input, target, ignore_index)
    prior = per_class("counts", log_prior(counts), input).to(input)
    return nll(input + as_scalar_or_tensor(tau, input) * prior, target)


def balanced_softmax(
    input: Tensor, target: Tensor, *, counts: Tensor, ignore_index: int = -100
) -> Tensor:
    """Return −log(n_t·exp x_t / Σ n_c·exp x_c) (Ren et al., 2020)."""
    return logit_adjusted(input, target, counts=counts, ignore_index=ignore_index)


def ldam(
    input: Tensor,
    target: Tensor,
    *,
    counts: Tensor,
    max_m: Tensor | float = 0.5,
    s: Tensor | float = 30.0,
    ignore_index: int = -100,
) -> Tensor:
    """Return the cross-entropy of s·(x − margin at the target) (Cao et al., 2019)."""
    input, target = class_logits(input, target, ignore_index)
    margin = per_class("counts", class_margins(counts, max_m=max_m), input).to(input)
    # From the largest down, so that the scale cannot overflow upwards.
    below = input - input.detach().amax(head_dim(input), keepdim=True)
    scaled = as_scalar_or_tensor(s, input) * (below - margin * is_target(below, target))
    return nll(scaled, target)


def vs(
    input: Tensor,
    target: Tensor,
    *,
    counts: Tensor,
    gamma: Tensor | float = 0.3,
    tau: Tensor | float = 1.0,
    ignore_index: int = -100,
) -> Tensor:
    """Return the cross-entropy of (n/max n)^gamma·x + tau·log prior (Kini et al., 2021)."""
    input, target = class_logits(input, target, ignore_index)
    numbers = _seen(per_class("counts", counts, input))
    share = (numbers / numbers.max()).to(input) ** as_scalar_or_tensor(gamma, input)
    prior = log_prior(numbers).to(input)
    return nll(share * input + as_scalar_or_tensor(tau, input) * prior, target)


def class_margins(counts: Tensor, *, max_m: Tensor | float) -> Tensor:
    """Return the margin of each class, in proportion to n^(−1/4), max_m for the rarest.

    >>> class_margins(torch.tensor([16.0, 1.0]), max_m=0.5)
    tensor([0.2500, 0.5000])
    """
    margin = _seen(counts) ** -0.25
    return margin * (as_scalar_or_tensor(max_m, margin) / margin.max())


def log_prior(counts: Tensor) -> Tensor:
    """Return the log of each class's share of the rows."""
    counts = _seen(counts)
    return (counts / counts.sum()).log()


def class_balanced_weights(counts: Tensor, *, beta: Tensor | float) -> Tensor:
    """Return (1 − beta)/(1 − beta^n) of each class, scaled to sum to C (Cui et al., 2019).

    >>> class_balanced_weights(torch.tensor([1.0, 2.0]), beta=0.5)
    tensor([1.2000, 0.8000])
    """
    seen = _seen(counts)
    weight = -1 / torch.expm1(seen * tensor_like(beta, seen).log())  # 1 − beta is common to all
    return weight * (counts.numel() / weight.sum())


def _seen(counts: Tensor) -> Tensor:
    counts = counts if counts.is_floating_point() else counts.float()
    rarest = counts.masked_fill(counts == 0, torch.inf).min()
    return torch.where(counts == 0, rarest, counts)
