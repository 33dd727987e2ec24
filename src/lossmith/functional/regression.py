"""Regression losses of a residual r = input − target, unreduced."""

import torch
from torch import Tensor

from lossmith.functional.checks import same_shape


def mse(input: Tensor, target: Tensor) -> Tensor:
    """Return r²."""
    input, target = same_shape(input, target)
    return (input - target).square()


def huber(input: Tensor, target: Tensor, *, delta: Tensor | float) -> Tensor:
    """Return r²/2 where |r| ≤ delta, delta·(|r| − delta/2) beyond (Huber, 1964)."""
    input, target = same_shape(input, target)
    size = (input - target).abs()
    near = size.clamp(max=delta)
    return near * (size - near / 2)
