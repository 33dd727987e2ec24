"""Softmax losses that forgive wrong labels, unreduced: one value a sample.

They compose with `cross_entropy`. The class dimension is 1 in a batch and 0 in one sample; an
ignored target gives the value of class 0.
"""

import torch
from torch import Tensor

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    class_logits,
    head_dim,
    promote,
    tensor_like,
    widest,
)
from lossmith.functional.classification.multiclass import (
    gather_target,
    log_probabilities,
    nll,
    one_minus_exp,
)

__all__ = [
    "bootstrapped_probabilities",
    "generalized_cross_entropy",
    "hard_bootstrapping",
    "jensen_shannon",
    "normalized_cross_entropy",
    "reverse_cross_entropy",
    "soft_bootstrapping",
]


def generalized_cross_entropy(
    input: Tensor,
    target: Tensor,
    *,
    q: Tensor | float,
    k: Tensor | float = 0.0,
    ignore_index: int = -100,
) -> Tensor:
    """Return (1 − max(p_t, k)^q) / q of the softmax (Zhang & Sabuncu, 2018)."""
    log_p = -nll(*class_logits(input, target, ignore_index))
    q, k = as_scalar_or_tensor(q, log_p), tensor_like(k, log_p)
    least = torch.where(k > 0, torch.where(k > 0, k, 1).log(), torch.finfo(k.dtype).min)
    log_p = torch.maximum(log_p, least)
    return one_minus_exp(q * log_p) / q


def reverse_cross_entropy(
    input: Tensor,
    target: Tensor,
    *,
    A: Tensor | float,  # noqa: N803 - the paper's symbol
    ignore_index: int = -100,
) -> Tensor:
    """Return −A·(1 − p_t) of the softmax, where A stands for log 0 (Wang et al., 2019)."""
    log_p = -nll(*class_logits(input, target, ignore_index))
    return -as_scalar_or_tensor(A, log_p) * one_minus_exp(log_p)


def normalized_cross_entropy(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return log p_t / Σ_c log p_c of the softmax, from 0 to 1 (Ma et al., 2020)."""
    input, target = class_logits(input, target, ignore_index)
    each = -log_probabilities(input)
    # In units of the largest, at least log C, so that the sum is within the dtype.
    each = each / each.detach().amax(head_dim(input), keepdim=True)
    return gather_target(each, target) / each.sum(head_dim(input))


def soft_bootstrapping(
    input: Tensor, target: Tensor, *, beta: Tensor | float, ignore_index: int = -100
) -> Tensor:
    """Return −Σ (beta·1[c = t] + (1 − beta)·p_c)·log p_c of the softmax (Reed et al., 2015)."""
    input, target = class_logits(input, target, ignore_index)
    log_p, beta = log_probabilities(input), as_scalar_or_tensor(beta, input)
    entropy = -(log_p.exp() * log_p).sum(head_dim(log_p))
    return (1 - beta) * entropy - beta * gather_target(log_p, target)


def hard_bootstrapping(
    input: Tensor, target: Tensor, *, beta: Tensor | float, ignore_index: int = -100
) -> Tensor:
    """Return −beta·log p_t − (1 − beta)·log max_c p_c of the softmax (Reed et al., 2015)."""
    input, target = class_logits(input, target, ignore_index)
    log_p, beta = log_probabilities(input), as_scalar_or_tensor(beta, input)
    return (beta - 1) * log_p.amax(head_dim(log_p)) - beta * gather_target(log_p, target)


def jensen_shannon(
    input: Tensor, target: Tensor, *, pi: Tensor | float, ignore_index: int = -100
) -> Tensor:
    """Return JS_pi(one-hot, softmax) / −(1 − pi)·log(1 − pi) (Englesson & Azizpour, 2021).

    The divergence of a one-hot label depends on p_t alone; it is written in 1 − p_t, so that
    nothing cancels where the prediction is right.
    """
    log_p = -nll(*class_logits(input, target, ignore_index))
    dtype, share = log_p.dtype, as_scalar_or_tensor(pi, log_p)
    if not isinstance(share, Tensor) and not 0.01 < share < 0.99:  # parts cancel at either end
        log_p, pi = log_p.to(widest(log_p.device)), max(share, 1e-6)
    pi = tensor_like(pi, log_p)
    rest = one_minus_exp(log_p)
    log_mixture = torch.log1p((pi - 1) * rest)
    scale = -torch.log1p(-pi)
    own = log_p.exp() * (log_p - log_mixture)
    return ((own - pi / (1 - pi) * log_mixture) / scale + rest).to(dtype)


def bootstrapped_probabilities(output: Tensor, *, beta: Tensor | float) -> Tensor:
    """Return p ∝ v·(1 − (1 − beta)/beta·(H + log v))₊ of v = softmax with the entropy H.

    It is the inverse of soft bootstrapping: where v is its minimiser, p is the distribution.
    """
    log_p, dim = log_probabilities(promote(output)), head_dim(output)
    beta, p = as_scalar_or_tensor(beta, log_p), log_p.exp()
    entropy = -(p * log_p).sum(dim, keepdim=True)
    share = (p - (1 - beta) / beta * (p * entropy + p * log_p)).relu()
    return share / share.sum(dim, keepdim=True)
