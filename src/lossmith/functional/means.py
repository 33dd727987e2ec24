"""Means of standard losses in torch's one operation; None where that would be another number.

Torch's operations know no learned numbers, give NaN for the mean of nothing, and hold nothing that
overflows. They fail under vmap within vmap (torch 2.13), and what is looked at here ends a graph:
who calls has made sure that neither torch.func nor a compiler is at work.
"""

import math

import torch
from torch import Tensor

from lossmith.functional.binary.elementwise import check_labels, sides
from lossmith.functional.checks import check_head, head_dim, promote, require, same_shape
from lossmith.functional.divergence import check_rows
from lossmith.functional.fused import MEAN, NONE, losses
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

_SHORT = 1 << 12  # numbers of which calls cost more than passes over memory
_LARGE = torch.finfo(torch.float32).max / 100  # from here values are held
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
    """Return the mean of −log p, smoothed or by the classes' weights, where targets are not soft.

    Smoothing and weights at once are not torch's, which weighs each smoothed term.
    """
    if z_loss is not None or softcap is not None or isinstance(label_smoothing, Tensor):
        return None
    if label_smoothing and class_weight is not None:
        return None
    if target.dtype != torch.int64:
        if target.is_floating_point() or target.dtype == torch.bool:
            return None
        target = target.long()
    if input.ndim != target.ndim + 1:
        return None
    if input.is_cuda and target.is_cuda:
        if label_smoothing or torch.compiler.is_compiling() or not target.numel():
            return None
        check_head(input, target, input.shape[head_dim(input)])
        return _on_device(promote(input), target, class_weight, ignore_index)
    at_hand = type(input) is type(target) is Tensor and input.is_cpu and target.is_cpu
    if not at_hand or not target.numel():
        return None
    if input.dtype != torch.float32:
        input = promote(input)
    some_left_out = ignore_index >= 0 or target.min().item() < 0
    if some_left_out and not math.isfinite(input.detach().sum().item()):
        return None  # of a row that is left out nothing may be seen
    weight = None if class_weight is None else class_weight.to(input)
    try:
        mean: Tensor = losses.cross_entropy_loss(
            input, target, weight, MEAN, ignore_index, label_smoothing
        )
    except (IndexError, RuntimeError, ValueError):  # of which `cross_entropy` has more to say
        return None
    return mean if mean.item() * target.numel() < _LARGE else None  # NaN where none counts


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
        input.register_hook(
            lambda slope: slope.masked_fill((target == ignore_index).unsqueeze(dim), 0)
        )
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
    if isinstance(positive_weight, Tensor) or not _plain(input, target):
        return None
    input, target = same_shape(input, target)
    if not input.is_cpu:
        check_labels(target)
        weight = None if positive_weight == 1 else input.new_full((), positive_weight)
        given = (input, target, None, weight, MEAN)
        found: Tensor = torch.binary_cross_entropy_with_logits(*given)
        return found
    if not torch.equal(target * target, target):
        return None
    values = losses.softplus(sides(target) * input, 1, 40)
    # As a product with each value's share of the mean, which takes fewer steps than the mean.
    share = input.new_full((values.numel(),), 1 / values.numel())
    if positive_weight != 1:
        share.lerp_(input.new_full((), positive_weight / values.numel()), target.flatten())
    return torch.dot(values if values.ndim == 1 else values.flatten(), share)


def mean_kl(input: Tensor, target: Tensor) -> Tensor | None:
    """Return the mean of few rows' KL(p‖q) where it is seen that p and q are apart in all."""
    check_rows(input, target, "logits (N, C)")
    if not (input.is_cpu and _plain(input, target)):
        return None
    input, target = same_shape(input, target)
    log_q, log_p = input.log_softmax(1), target.log_softmax(1)
    values = torch.kl_div(log_q, log_p, NONE, log_target=True)
    mean = values.sum() / len(values)
    fine = values.detach().sum(1).min().item() > _APART and mean.item() < _LARGE
    return mean if fine else None


def mean_poisson(input: Tensor, target: Tensor, *, offset: Tensor | float) -> Tensor | None:
    """Return the mean of the Poisson likelihood's values where no count is large.

    On a device, where nothing is looked at, it is formed in float64.
    """
    if isinstance(offset, Tensor) or not _plain(input, target):
        return None
    input, target = same_shape(input, target)
    eta = input + offset if offset else input
    if not input.is_cpu:
        require((target >= 0).all(), NEGATIVE)
        wide = poisson_of_few(eta.double(), target.double())
        return wide.mean().to(input.dtype)  # whose digits do for large counts too
    least, most = target.aminmax()
    if not (least.item() >= 0 and most.item() <= MANY):
        return None
    return poisson_of_few(eta, target).mean()


def _plain(input: Tensor, target: Tensor) -> bool:
    """Return whether there are few numbers at hand, or eager ones on CUDA, with no other slope."""
    if target.requires_grad:
        return False
    if input.is_cuda and target.is_cuda:
        return not torch.compiler.is_compiling() and bool(input.numel())
    # The size last: of what is traced it would tie the graph to few numbers.
    at_hand = type(input) is type(target) is Tensor and input.is_cpu and target.is_cpu
    return at_hand and 0 < input.numel() <= _SHORT
