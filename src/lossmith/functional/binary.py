"""Losses of one logit against labels from 0 to 1, unreduced: one value an element.

A label between 0 and 1 gives the mean of the values at 1 and at 0, in that proportion.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lossmith.functional.checks import in_dtype, require, same_shape


def binary_cross_entropy(
    input: Tensor, target: Tensor, *, positive_weight: Tensor | float = 1.0
) -> Tensor:
    """Return −positive_weight·y·log σ(x) − (1 − y)·log σ(−x)."""
    input, target = labels(input, target)
    positive = in_dtype(positive_weight, input) * target
    return -positive * logsigmoid(input) - (1 - target) * logsigmoid(-input)


def binary_focal(
    input: Tensor, target: Tensor, *, gamma: Tensor | float, alpha: Tensor | float
) -> Tensor:
    """Return −alpha_t·(1 − p_t)^gamma·log p_t of the sigmoid (Lin et al., 2017).

    alpha_t is alpha for positives and 1 − alpha for negatives.
    """
    input, target = labels(input, target)
    gamma, alpha = in_dtype(gamma, input), in_dtype(alpha, input)
    positive, negative = _log_sigmoid(input), _log_sigmoid(-input)
    # (1 − p_t)^gamma as exp(gamma·log(1 − p_t)): a power of 0 has no finite gradient below 1.
    hit = alpha * target * (gamma * negative).exp() * positive
    miss = (1 - alpha) * (1 - target) * (gamma * positive).exp() * negative
    return -hit - miss


def hinge(input: Tensor, target: Tensor) -> Tensor:
    """Return max(0, 1 − s·x) with s = 1 for positives and −1 for negatives."""
    input, target = labels(input, target)
    return target * (1 - input).relu() + (1 - target) * (1 + input).relu()


def labels(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check labels from 0 to 1 of input's shape; return both in the dtype of computation."""
    input, target = same_shape(input, target)
    require(
        ((target >= 0) & (target <= 1)).all(),
        "target holds a label outside 0 … 1; labels of −1 and 1 need (target + 1) / 2",
    )
    return input, target


def _log_sigmoid(input: Tensor) -> Tensor:
    # Held at a hundredth of the lowest number, so that products with gamma stay finite.
    return logsigmoid(input).clamp(min=torch.finfo(input.dtype).min / 100)
