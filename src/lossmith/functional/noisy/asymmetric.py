"""Softmax losses of the true class's probability alone that favour the commonest label, unreduced.

Written in 1 − p, so that nothing cancels where the prediction is right.
"""

import torch
from torch import Tensor

from lossmith.functional.checks import class_logits, tensor_like
from lossmith.functional.classification.multiclass import nll, one_minus_exp

__all__ = ["agce", "aul"]


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
