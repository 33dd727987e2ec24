"""Means of standard losses in torch's one operation; None where that would be another number.

Torch's operations know no learned numbers, give NaN for the mean of nothing, and hold nothing that
overflows. They fail under vmap within vmap (torch 2.13), and what is looked at here ends a graph:
who calls has made sure that neither torch.func nor a compiler is at work.
"""

import functools
import math

import torch
from torch import Tensor
from torch.compiler import is_compiling as compiling

from lossmith.functional.binary.elementwise import check_labels
from lossmith.functional.checks import check, check_head, head_dim, promote, same_shape
from lossmith.functional.classification.multiclass import per_class
from lossmith.functional.divergence import check_rows
from lossmith.functional.fused import MEAN, losses
from lossmith.functional.regression.counts import MANY, NEGATIVE, poisson_of_few

__all__ = [
    "mean_binary_cross_entropy",
    "mean_cross_entropy",
    "mean_huber",
    "mean_kl",
    "mean_mae",
    "mean_mse",
    "mean_poisson",
    "mean_smooth_l1",
]

_AT_HAND = (float, int)  # what Python can read; a tensor is learned, or on a schedule
_SHORT = 1 << 12  # numbers of which calls cost more than passes over memory
_NARROW = (torch.int32, torch.int16, torch.int8, torch.uint8)
_HALF = torch.full((), 0.5, device="cpu")
_APART = 1e-4  # a divergence from which its first-order terms need not cancel by parts


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
    if not (isinstance(delta, _AT_HAND) and input.numel()):
        return None
    return losses.huber_loss(input, target, MEAN, delta)


def mean_smooth_l1(input: Tensor, target: Tensor, *, beta: Tensor | float) -> Tensor | None:
    """Return the mean of the values of smooth L1."""
    input, target = same_shape(input, target)
    if not (isinstance(beta, _AT_HAND) and input.numel()):
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
    classes: int | None = None,
) -> Tensor | None:
    """Return the mean of −log p, smoothed or by the classes' weights, where targets are not soft.

    Smoothing and weights at once are not torch's, which weighs each smoothed term.
    """
    if z_loss is not None or softcap is not None or isinstance(label_smoothing, Tensor):
        return None
    if label_smoothing and class_weight is not None:
        return None
    if classes is not None and input.shape[head_dim(input)] != classes:
        return None
    if target.dtype != torch.int64:
        if target.dtype not in _NARROW:
            return None
        target = target.long()
    if not input.is_cpu:
        if label_smoothing or not _on_cuda(input, target) or input.ndim != target.ndim + 1:
            return None
        check_head(input, target, input.shape[head_dim(input)])
        if class_weight is not None:
            per_class("class_weight", class_weight, input)
        return _on_device(promote(input), target, class_weight, ignore_index)
    if input.dtype != torch.float32:
        input = promote(input)
    some_left_out = ignore_index >= 0 or target.min().item() < 0
    if some_left_out and not math.isfinite(input.detach().sum().item()):
        return None  # of a row that is left out nothing may be seen
    weight = None if class_weight is None else class_weight.to(input)
    mean: Tensor = losses.cross_entropy_loss(
        input, target, weight, MEAN, ignore_index, label_smoothing
    )
    return mean


def _on_device(
    input: Tensor, target: Tensor, class_weight: Tensor | None, ignore_index: int
) -> Tensor:
    """Return the mean in torch's few kernels; its own asserts that classes are in range."""
    weight, dim = class_weight, head_dim(input)
    if weight is not None:
        weight = weight.to(input)
        known = target.masked_fill(target == ignore_index, 0)
        target = target.masked_fill((weight == 0)[known], ignore_index)
    if input.requires_grad and torch.is_grad_enabled():
        input = input.view_as(input)  # for a hook of this call alone

        def leave_out(slope: Tensor) -> Tensor:
            fill = slope.masked_fill if slope.requires_grad else slope.masked_fill_
            return fill((target == ignore_index).unsqueeze(dim), 0)

        input.register_hook(leave_out)
    log_p, classes, operation = input.log_softmax(dim), target, torch.ops.aten.nll_loss_forward
    if input.ndim > 2:  # (N, C, …) as (N, C, H, W)
        log_p, classes = log_p.flatten(2).unsqueeze(2), target.flatten(1).unsqueeze(1)
        operation = torch.ops.aten.nll_loss2d_forward
    mean, mass = operation(log_p, classes, weight, MEAN, ignore_index)
    with torch.no_grad():  # the gradient is 0 as it is, and needs no kernel
        mean.masked_fill_(mass == 0, 0)
    found: Tensor = mean
    return found


def mean_binary_cross_entropy(
    input: Tensor, target: Tensor, *, positive_weight: Tensor | float = 1.0
) -> Tensor | None:
    """Return the mean of −log σ(±x) of few labels that are 0 or 1, positives weighed.

    On a device, where nothing is looked at, it is torch's operation, of any labels from 0 to 1.
    """
    if not isinstance(positive_weight, _AT_HAND) or target.requires_grad:
        return None
    input, target = same_shape(input, target)
    if not input.is_cpu:
        if not _on_cuda(input, target):
            return None
        check_labels(target)
        weight = None if positive_weight == 1 else input.new_full((), positive_weight)
        found: Tensor = torch.binary_cross_entropy_with_logits(input, target, None, weight, MEAN)
        return found
    count = input.numel()
    if count > _SHORT:
        return None
    square = target.mul(target)  # methods, as operators take longer
    if not square.equal(target):
        return None
    # −log(1 + e^∓x) / 2, as exact as without the halves; the squares, of no more use, become sides.
    halves = losses.softplus(square.sub_(_HALF).mul(input), -2, 40)
    share = shares(count, input.dtype, -2.0)
    if positive_weight != 1:
        share = share.lerp(input.new_full((), -2 * positive_weight / count), target.flatten())
    mean: Tensor = (halves if halves.ndim == 1 else halves.flatten()).dot(share)
    return mean


def mean_kl(input: Tensor, target: Tensor) -> Tensor | None:
    """Return the mean of few rows' KL(p‖q) where it is seen that p and q are apart in all."""
    check_rows(input, target, "logits (N, C)")
    if not input.is_cpu or target.requires_grad or input.numel() > _SHORT:
        return None
    input, target = same_shape(input, target)
    log_p = target.log_softmax(1)
    rows = (log_p.exp() * (log_p - input.log_softmax(1))).sum(1)
    apart = rows.detach().min().item() > _APART
    return torch.dot(rows, shares(rows.numel(), rows.dtype)) if apart else None


def mean_poisson(input: Tensor, target: Tensor, *, offset: Tensor | float) -> Tensor | None:
    """Return the mean of the Poisson likelihood's values where no count is large.

    On a device, where nothing is looked at, it is formed in float64.
    """
    if not isinstance(offset, _AT_HAND) or target.requires_grad:
        return None
    input, target = same_shape(input, target)
    eta = input + offset if offset else input
    if not input.is_cpu:
        if not _on_cuda(input, target):
            return None
        check((target >= 0).all(), NEGATIVE)
        wide = poisson_of_few(eta.double(), target.double())
        return wide.mean().to(input.dtype)  # whose digits do for large counts too
    if input.numel() > _SHORT:
        return None
    least, most = target.aminmax()
    if not (least.item() >= 0 and most.item() <= MANY):
        return None
    return poisson_of_few(eta, target).mean()


def _on_cuda(input: Tensor, target: Tensor) -> bool:
    """Return whether there are numbers on CUDA, for eager work."""
    return input.is_cuda and target.is_cuda and not compiling() and bool(input.numel())


@functools.lru_cache(maxsize=64)
def shares(count: int, dtype: torch.dtype, of: float = 1.0) -> Tensor:
    """Return each number's share of a mean; a product with them takes fewer steps than the mean."""
    with torch.inference_mode(False):
        return torch.full((count,), of / count, dtype=dtype, device="cpu")
