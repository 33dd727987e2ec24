"""Losses of tokens, unreduced."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, class_logits
from lossmith.functional.classification.multiclass import gather_target, log_probabilities, nll

__all__ = ["sequence_log_probability", "unlikelihood"]


def sequence_log_probability(
    input: Tensor, target: Tensor, *, ignore_index: int = -100, mean: bool = False
) -> Tensor:
    """Return the log-probability of each row's tokens, added up or averaged over those not ignored.

    >>> logits = torch.zeros(1, 4, 3)
    >>> sequence_log_probability(logits, torch.tensor([[0, 1, -100]])).exp()
    tensor([0.0625])
    """
    logits, token = class_logits(input, target, ignore_index)
    kept = target != ignore_index
    logits = torch.where(kept.unsqueeze(1), logits, 0)  # whatever they hold where ignored
    each = torch.where(kept, -nll(logits, token), 0.0)
    total = each.sum(1)
    return total / kept.sum(1).clamp(min=1) if mean else total


def unlikelihood(
    input: Tensor, target: Tensor, *, alpha: Tensor | float = 1.0, ignore_index: int = -100
) -> Tensor:
    """Return −log p_y − alpha·Σ log(1 − p_c) over tokens c seen before (Welleck et al., 2020)."""
    if target.ndim != 2:
        raise ValueError(
            f"target has shape {tuple(target.shape)} and input {tuple(input.shape)}; "
            "they must be (N, T) and (N, C, T)"
        )
    logits, token = class_logits(input, target, ignore_index)
    log_p = log_probabilities(logits)
    classes = torch.arange(logits.shape[1], device=logits.device).reshape(1, -1, 1)
    here = (classes == token.unsqueeze(1)) & (target != ignore_index).unsqueeze(1)
    count = here.to(torch.int32)
    before = (count.cumsum(2) - count > 0) & ~here
    others = torch.where(before, _log_one_minus(log_p), 0.0).sum(1)
    return -gather_target(log_p, token) - as_scalar_or_tensor(alpha, others) * others


def _log_one_minus(log_p: Tensor) -> Tensor:
    """Return log(1 − p) of each class; from the others where 1 − p itself may round to 0."""
    top = log_p.argmax(1, keepdim=True)
    classes = torch.arange(log_p.shape[1], device=log_p.device).reshape(1, -1, 1)
    likeliest = classes == top
    rest = log_p.masked_fill(likeliest, torch.finfo(log_p.dtype).min).logsumexp(1, keepdim=True)
    return torch.where(likeliest, rest, torch.log1p(-log_p.masked_fill(likeliest, -1.0).exp()))
