"""Losses of ordered classes 0 … K − 1, unreduced, and how their heads are read."""

import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith.functional.checks import check_head, class_logits, head_dim, promote, within

__all__ = [
    "coral",
    "coral_probabilities",
    "corn",
    "corn_probabilities",
    "corn_weights",
    "squared_emd",
]


def coral(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return the sum over k of binary cross-entropies of target > k (Cao et al., 2020)."""
    logits, above = _above(input, target, ignore_index)
    return nnf.softplus(torch.where(above, -logits, logits)).sum(head_dim(logits))


def corn(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return the binary cross-entropy of target > k for each k (Shi et al., 2021).

    The loss is their mean over those with target ≥ k, which `corn_weights` tells.
    """
    logits, above = _above(input, target, ignore_index)
    return nnf.softplus(torch.where(above, -logits, logits))


def corn_weights(target: Tensor, *, classes: int, ignore_index: int = -100) -> Tensor:
    """Return 1 where target ≥ k, for k from 0 to classes − 2 along the head's dimension."""
    dim = min(1, target.ndim)
    target = target.long().unsqueeze(dim)
    asked = (target >= _steps(classes - 1, target)) & (target != ignore_index)
    return asked.float()


def squared_emd(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return the squared distance of the cumulated softmax from the target's (Hou et al., 2016)."""
    logits, target = class_logits(input, target, ignore_index)
    dim = head_dim(logits)
    target = target.unsqueeze(dim)
    reached = target <= _steps(logits.shape[dim], target)
    return (logits.softmax(dim).cumsum(dim) - reached.to(logits.dtype)).square().sum(dim)


def coral_probabilities(output: Tensor) -> Tensor:
    """Return class probabilities of K − 1 logits of target > k, lowered to never increase."""
    output = promote(output)
    return _between(output.sigmoid().cummin(head_dim(output)).values)


def corn_probabilities(output: Tensor) -> Tensor:
    """Return class probabilities of K − 1 logits of target > k given target ≥ k."""
    output = promote(output)
    return _between(output.sigmoid().cumprod(head_dim(output)))


def _between(above: Tensor) -> Tensor:
    """Return the probability of each class from those of exceeding each but the last."""
    dim = head_dim(above)
    first = above.narrow(dim, 0, 1)
    ends = torch.cat([torch.ones_like(first), above, torch.zeros_like(first)], dim)
    classes = ends.shape[dim] - 1
    return ends.narrow(dim, 0, classes) - ends.narrow(dim, 1, classes)


def _above(input: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Check K − 1 logits against classes; return them, and whether each class exceeds each k."""
    if target.is_floating_point() or target.dtype == torch.bool:
        raise TypeError(f"target must hold integer classes, got {target.dtype}; use target.long()")
    if input.ndim == 0:
        raise ValueError("input must have a dimension of thresholds, got a scalar")
    dim = head_dim(input)
    outputs = input.shape[dim]
    check_head(input, target, outputs)
    target = target.long()
    within(
        target.masked_fill(target == ignore_index, 0),
        0,
        outputs,
        f"target holds a class outside 0 … {outputs}, which {outputs} thresholds tell apart",
    )
    target = target.unsqueeze(dim)
    return promote(input), target > _steps(outputs, target)


def _steps(count: int, target: Tensor) -> Tensor:
    """Return 0 … count − 1 along the head's dimension, beside a target that has it."""
    trailing = target.ndim - 1 - head_dim(target)
    return torch.arange(count, device=target.device).reshape(-1, *(1,) * trailing)
