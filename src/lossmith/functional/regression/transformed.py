"""Losses of the ratio of prediction and target, unreduced."""

import torch
from torch import Tensor

from lossmith.functional.checks import check, same_shape

__all__ = ["mape", "msle", "smape"]


def msle(input: Tensor, target: Tensor) -> Tensor:
    """Return (log(1 + input) − log(1 + target))²; below 0 input stands for log(1 + input)."""
    input, target = same_shape(input, target)
    check((target >= 0).all(), "target holds negative numbers; msle needs y >= 0")
    above = torch.log1p(input.clamp(min=0))  # whose slope at 0 is 1, where relu's would be 0
    return (above - (-input).relu() - torch.log1p(target)).square()


def mape(input: Tensor, target: Tensor) -> Tensor:
    """Return |input − target|/|target|, a share and not a percentage; ValueError at target 0."""
    input, target = same_shape(input, target)
    check(
        (target != 0).all(),
        "target holds 0, of which no error is a share; use smape or mae instead",
    )
    return (input - target).abs() / target.abs()


def smape(input: Tensor, target: Tensor) -> Tensor:
    """Return 2·|input − target|/(|input| + |target|), from 0 to 2; 0 where both are 0."""
    input, target = same_shape(input, target)
    most = torch.finfo(input.dtype).max / 8
    far = torch.maximum(input.detach().abs(), target.abs()) > most
    size = torch.where(far, 8.0, 1.0)  # a share depends on no scale
    input, target = input / size, target / size
    total = input.abs() + target.abs()
    return 2 * ((input - target).abs() / torch.where(total == 0, torch.ones_like(total), total))
