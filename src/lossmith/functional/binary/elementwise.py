"""Losses of one logit against labels from 0 to 1, unreduced: one value an element.

A label between 0 and 1 gives the mean of the values at 1 and at 0, in that proportion.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    check_range,
    clamp_if_outside,
    is_concrete,
    same_shape,
    tensor_like,
)

__all__ = [
    "asymmetric",
    "binary_cross_entropy",
    "binary_focal",
    "clipped_negative",
    "gaussian_focal",
    "hinge",
    "quality_focal",
    "varifocal",
]

_ONE = torch.ones((), device="cpu")


def binary_cross_entropy(
    input: Tensor, target: Tensor, *, positive_weight: Tensor | float = 1.0
) -> Tensor:
    """Return −positive_weight·y·log σ(x) − (1 − y)·log σ(−x)."""
    input, target = same_shape(input, target)
    positive = as_scalar_or_tensor(positive_weight, input)
    return _by_label(lambda x: softplus(x, threshold=40), input, target, positive, 1.0)


def binary_focal(
    input: Tensor, target: Tensor, *, gamma: Tensor | float, alpha: Tensor | float
) -> Tensor:
    """Return −alpha_t·(1 − p_t)^gamma·log p_t of the sigmoid (Lin et al., 2017).

    alpha_t is alpha for positives and 1 − alpha for negatives.
    """
    input, target = same_shape(input, target)
    gamma, alpha = as_scalar_or_tensor(gamma, input), as_scalar_or_tensor(alpha, input)

    def value(x: Tensor) -> Tensor:
        if isinstance(gamma, float) and gamma >= 2:
            fading = x.sigmoid().pow(gamma)
        else:  # as a logarithm: a power of 0 has no finite gradients below 2
            fading = (gamma * _log_sigmoid(x)).exp()
        return fading * softplus(x, threshold=40)

    return _by_label(value, input, target, alpha, 1 - alpha)


def hinge(input: Tensor, target: Tensor) -> Tensor:
    """Return max(0, 1 − s·x) with s = 1 for positives and −1 for negatives."""
    input, target = same_shape(input, target)
    return _by_label(lambda x: (1 + x).relu(), input, target, 1.0, 1.0)


def _by_label(
    value: Callable[[Tensor], Tensor],
    input: Tensor,
    target: Tensor,
    positive: Tensor | float,
    negative: Tensor | float,
) -> Tensor:
    """Return positive·y·value(−x) + negative·(1 − y)·value(x) of logits x and labels y.

    Where it is at hand that all labels are 0 or 1, one of the two values is enough.
    """
    if not _hard(target):
        check_labels(target)
        below, above = negative * value(input), positive * value(-input)
        return torch.lerp(below, above, target)
    values = value(sides(target) * input)
    if isinstance(positive, float) and positive == negative:
        return positive * values if positive != 1 else values
    return (negative * (1 - target) + positive * target) * values


def _hard(target: Tensor) -> bool:
    """Return whether it is at hand that all labels are 0 or 1."""
    if target.requires_grad or not is_concrete(target) or not target.numel():
        return False
    return torch.equal(target * target, target)


def sides(target: Tensor) -> Tensor:
    """Return 1 for labels of 0 and −1 for labels of 1, in one operation."""
    return torch.add(_ONE, target, alpha=-2)  # by a tensor, which costs less than by a number


def check_labels(target: Tensor) -> None:
    """Raise ValueError unless all labels lie from 0 to 1."""
    message = "target holds a label outside 0 … 1; labels of −1 and 1 need (target + 1) / 2"
    check_range(target, 0, 1, message)


def labels(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check labels from 0 to 1 of input's shape; return both in the dtype of computation."""
    input, target = same_shape(input, target)
    check_labels(target)
    return input, target


def asymmetric(
    input: Tensor,
    target: Tensor,
    *,
    gamma_neg: Tensor | float,
    gamma_pos: Tensor | float,
    clip: Tensor | float,
) -> Tensor:
    """Return focal values with a gamma for each side and easy negatives cut (Ridnik et al., 2021).

    Positives: −(1 − p)^gamma_pos·log p; negatives: −q^gamma_neg·log(1 − q) of q = (p − clip)₊.
    """
    input, target = labels(input, target)
    gamma_pos, gamma_neg = (
        as_scalar_or_tensor(gamma_pos, input),
        as_scalar_or_tensor(gamma_neg, input),
    )
    hit = (gamma_pos * _log_sigmoid(-input)).exp() * _log_sigmoid(input)
    log_q, log_rest = clipped_negative(input, clip)
    miss = (gamma_neg * log_q).exp() * log_rest
    return -target * hit - (1 - target) * miss


def quality_focal(input: Tensor, target: Tensor, *, beta: Tensor | float = 2.0) -> Tensor:
    """Return |y − σ|^beta times the cross-entropy of σ = sigmoid(x) and y (Li et al., 2020)."""
    input, target = labels(input, target)
    far = (target - input.sigmoid()).abs().pow(as_scalar_or_tensor(beta, input))
    return far * _soft(input, target)


def varifocal(
    input: Tensor, target: Tensor, *, alpha: Tensor | float = 0.75, gamma: Tensor | float = 2.0
) -> Tensor:
    """Return the cross-entropy of σ and y times y, or alpha·σ^gamma where y is 0 (Zhang, 2021)."""
    input, target = labels(input, target)
    alpha, gamma = as_scalar_or_tensor(alpha, input), as_scalar_or_tensor(gamma, input)
    fading = alpha * (gamma * _log_sigmoid(input)).exp()
    return torch.where(target > 0, target, fading) * _soft(input, target)


def gaussian_focal(
    input: Tensor, target: Tensor, *, alpha: Tensor | float = 2.0, gamma: Tensor | float = 4.0
) -> Tensor:
    """Return −(1 − p)^alpha·log p where y is 1, else −(1 − y)^gamma·p^alpha·log(1 − p) (Law, 2018).

    p is the sigmoid.
    """
    input, target = labels(input, target)
    alpha, gamma = as_scalar_or_tensor(alpha, input), as_scalar_or_tensor(gamma, input)
    peak = target == 1
    signed = torch.where(peak, -input, input)
    fading = (alpha * _log_sigmoid(signed)).exp()
    far = torch.where(peak, 1, 1 - target).pow(gamma)
    return far * fading * softplus(signed, threshold=40)


def _soft(input: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of the sigmoid against labels from 0 to 1."""
    return torch.lerp(softplus(input, threshold=40), softplus(-input, threshold=40), target)


def clipped_negative(input: Tensor, clip: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return log q and log(1 − q) of q = (sigmoid − clip)₊; 0 and 0 where q is 0."""
    clip = tensor_like(clip, input)
    log_p, log_clip = _log_sigmoid(input), clip.log()
    log_rest = torch.logaddexp(_log_sigmoid(-input), log_clip)
    above = (log_p > log_clip) & (log_rest < 0)
    share = (log_clip - torch.where(above, log_p, 0.0)).exp()  # clip/p, below 1
    log_q = log_p + torch.log1p(-share.clamp(max=1 - torch.finfo(input.dtype).eps))
    return torch.where(above, log_q, 0.0), torch.where(above, log_rest, 0.0)


def _log_sigmoid(input: Tensor) -> Tensor:
    # Held at a hundredth of the lowest number, so that products with gamma stay finite.
    return clamp_if_outside(logsigmoid(input), torch.finfo(input.dtype).min / 100)
