"""Means of standard losses in torch's one operation; None where that would be another number.

Torch's operations fail under vmap within vmap (torch 2.13), know no learned numbers, give NaN for
the mean of nothing, and hold nothing that overflows.
"""

from typing import Any

import torch
from torch import Tensor

from lossmith.functional.checks import at_hand, check_head, head_dim, in_dtype, promote, same_shape
from lossmith.functional.fused import MEAN, losses
from lossmith.kernels.choice import transformed

_LARGE = torch.finfo(torch.float32).max / 100  # from here values are held


def mean_mse(input: Tensor, target: Tensor) -> Tensor | None:
    """Return the mean of r²."""
    return _of_residuals(losses.mse_loss, input, target)


def mean_mae(input: Tensor, target: Tensor) -> Tensor | None:
    """Return the mean of |r|."""
    return _of_residuals(losses.l1_loss, input, target)


def mean_huber(input: Tensor, target: Tensor, *, delta: Tensor | float) -> Tensor | None:
    """Return the mean of Huber's values."""
    return _of_residuals(losses.huber_loss, input, target, in_dtype(delta, input))


def mean_smooth_l1(input: Tensor, target: Tensor, *, beta: Tensor | float) -> Tensor | None:
    """Return the mean of the values of smooth L1."""
    return _of_residuals(losses.smooth_l1_loss, input, target, in_dtype(beta, input))


def mean_cross_entropy(
    input: Tensor,
    target: Tensor,
    *,
    label_smoothing: Tensor | float = 0.0,
    ignore_index: int = -100,
) -> Tensor | None:
    """Return the mean of −log p, where targets are neither smoothed nor soft."""
    whole = not (target.is_floating_point() or target.dtype == torch.bool)
    if not (whole and input.ndim and target.numel() and at_hand(input) and at_hand(target)):
        return None
    smoothing = in_dtype(label_smoothing, input)
    if isinstance(smoothing, Tensor) or smoothing:
        return None
    check_head(input, target, input.shape[head_dim(input)])
    if ignore_index >= 0 or target.min().item() < 0:  # some may be ignored, whatever they hold
        input = torch.where((target != ignore_index).unsqueeze(head_dim(input)), input, 0)
    try:
        mean: Tensor = losses.cross_entropy_loss(
            promote(input), target.long(), None, MEAN, ignore_index, 0.0
        )
    except IndexError:  # a class outside the head, of which `cross_entropy` has more to say
        return None
    return mean if mean.item() * target.numel() < _LARGE else None  # NaN where all are ignored


def _of_residuals(operation: Any, input: Tensor, target: Tensor, *numbers: Any) -> Tensor | None:
    if not input.numel() or transformed() or any(isinstance(one, Tensor) for one in numbers):
        return None
    mean: Tensor = operation(*same_shape(input, target), MEAN, *numbers)
    return mean
