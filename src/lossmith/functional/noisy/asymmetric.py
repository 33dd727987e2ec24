"""Softmax losses that favour the commonest label of an input, unreduced.

Those of p_t alone are written in 1 − p_t, so that nothing cancels where the prediction is right.
"""

import torch
from torch import Tensor

from lossmith.functional.checks import class_logits, head_dim, tensor_like
from lossmith.functional.classification.multiclass import (
    gather_target,
    log_probabilities,
    nll,
    one_minus_exp,
)

__all__ = ["agce", "aul", "normalized_negative_cross_entropy"]


def agce(
    input: Tensor,
    target: Tensor,
    *,
    a: Tensor | float = 0.6,
    q: Tensor | float = 0.6,
    ignore_index: int = -100,
) -> Tensor:
    """Return ((a + 1)^q − (a + p_t)^q) / q of the softmax (Zhou et al., 2021)."""
    rest = one_minus_exp(-nll(*class_logits(input, target, ignore_index)))
    a, q = tensor_like(a, rest), tensor_like(q, rest)
    return -((a + 1) ** q) / q * torch.expm1(q * torch.log1p(-rest / (a + 1)))


def aul(
    input: Tensor,
    target: Tensor,
    *,
    a: Tensor | float = 5.5,
    q: Tensor | float = 3.0,
    ignore_index: int = -100,
) -> Tensor:
    """Return ((a − p_t)^q − (a − 1)^q) / q of the softmax (Zhou et al., 2021)."""
    rest = one_minus_exp(-nll(*class_logits(input, target, ignore_index)))
    a, q = tensor_like(a, rest), tensor_like(q, rest)
    return (a - 1) ** q / q * torch.expm1(q * torch.log1p(rest / (a - 1)))


def normalized_negative_cross_entropy(
    input: Tensor,
    target: Tensor,
    *,
    min_prob: Tensor | float = 1e-7,
    ignore_index: int = -100,
) -> Tensor:
    """Return 1 − (A + log p_t) / Σ_c (A + log p_c), A = −log min_prob, p held at it (Ye, 2023)."""
    input, target = class_logits(input, target, ignore_index)
    log_p = log_probabilities(input)
    above = (log_p - tensor_like(min_prob, log_p).log()).clamp(min=0)  # A + log p
    total = above.sum(head_dim(log_p))
    return (total - gather_target(above, target)) / total
