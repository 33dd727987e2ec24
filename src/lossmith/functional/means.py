"""Means of standard losses in torch's one operation; None where that would be another number.

Torch's operations know no learned numbers, give NaN for the mean of nothing, and hold nothing that
overflows. They fail under vmap within vmap (torch 2.13): who calls looks for that.
"""

from typing import Any

import torch
from torch import Tensor

from lossmith.functional.checks import at_hand, check_head, head_dim, in_dtype, promote, same_shape
from lossmith.functional.fused import MEAN, SUM, losses
from lossmith.kernels.choice import transformed

_LARGE = torch.finfo(torch.float32).max / 100  # from here values are held


def mean_mse(input: Tensor, target: Tensor) -> Tensor | None:
    """Return the mean of r²."""
    input, target = same_shape(input, target)
    return losses.mse_loss(input, target, MEAN) if input.numel() else None


def mean_mae(input: Tensor, target: Tensor) -> Tensor | None:
    """Return the mean of |r|."""
    input, target = same_shape(input, target)
    return losses.l1_loss(input, target, MEAN) if input.numel() else None


def mean_huber(input: Tensor, target: Tensor, *, delta: Tensor | float) -> Tensor | None:
    """Return the mean of Huber's values."""
    input, target = same_shape(input, target)
    if isinstance(delta, Tensor) or not input.numel():
        return None
    return losses.huber_loss(input, target, MEAN, delta)


def mean_smooth_l1(input: Tensor, target: Tensor, *, beta: Tensor | float) -> Tensor | None:
    """Return the mean of the values of smooth L1."""
    input, target = same_shape(input, target)
    if isinstance(beta, Tensor) or not input.numel():
        return None
    return losses.smooth_l1_loss(input, target, MEAN, beta)


def mean_cross_entropy(
    input: Tensor,
    target: Tensor,
    *,
    label_smoothing: Tensor | float = 0.0,
    class_weight: Tensor | None = None,
    z_loss: Tensor | float | None = None,
    softcap: Tensor | float | None = None,
    ignore_index: int = -100,
) -> Tensor | None:
    """Return the mean of −log p, where targets are neither smoothed, soft nor weighed."""
    if class_weight is not None or z_loss is not None or softcap is not None:
        return None
    whole = not (target.is_floating_point() or target.dtype == torch.bool)
    smoothing = in_dtype(label_smoothing, input)
    if not (whole and input.ndim and target.numel()) or isinstance(smoothing, Tensor) or smoothing:
        return None
    if input.is_cuda and target.is_cuda and not (torch.compiler.is_compiling() or transformed()):
        return _on_device(input, target, ignore_index)
    if not (at_hand(input) and at_hand(target)):
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


def _on_device(input: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Return the mean in torch's few kernels; its own asserts that classes are in range."""
    dim = head_dim(input)
    check_head(input, target, input.shape[dim])
    target = target.long()
    log_p = promote(input).masked_fill((target == ignore_index).unsqueeze(dim), 0).log_softmax(dim)
    operation: Any = torch.ops.aten
    operation = operation.nll_loss_forward if input.ndim < 3 else operation.nll_loss2d_forward
    if input.ndim > 2:  # (N, C, …) as (N, C, H, W)
        log_p, target = log_p.flatten(2).unsqueeze(2), target.flatten(1).unsqueeze(1)
    total, count = operation(log_p, target, None, SUM, ignore_index)
    mean: Tensor = total / count.clamp(min=1)
    return mean
