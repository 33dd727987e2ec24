"""Regression losses of a residual r = input − target, unreduced."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    check_head,
    clamp_if_outside,
    clamped_ratio,
    head_dim,
    promote,
    same_shape,
    tensor_like,
)
from lossmith.functional.fused import NONE, losses
from lossmith.functional.regression.counts import MOST
from lossmith.kernels.choice import transformed

__all__ = [
    "expectile",
    "huber",
    "linex",
    "log_cosh",
    "mae",
    "mse",
    "non_crossing",
    "quantile",
    "smooth_l1",
    "wing",
]


_SMALL, _TERMS = 0.5, 17  # below which a series of so many terms is exact in float64


def residual(input: Tensor, target: Tensor) -> Tensor:
    """Return input − target in the dtype of computation; ValueError where the shapes differ."""
    input, target = same_shape(input, target)
    return input - target


def mse(input: Tensor, target: Tensor) -> Tensor:
    """Return r²."""
    input, target = same_shape(input, target)
    if transformed():
        return (input - target).square()
    values: Tensor = losses.mse_loss(input, target, NONE)
    return values


def mae(input: Tensor, target: Tensor) -> Tensor:
    """Return |r|; the gradient at r = 0 is 0."""
    return residual(input, target).abs()


def huber(input: Tensor, target: Tensor, *, delta: Tensor | float) -> Tensor:
    """Return r²/2 where |r| ≤ delta, delta·(|r| − delta/2) beyond (Huber, 1964)."""
    input, target = same_shape(input, target)
    if isinstance(delta, float) and not transformed():
        values: Tensor = losses.huber_loss(input, target, NONE, delta)
        return values
    r = input - target
    bound = tensor_like(delta, r)
    near = r.clamp(-bound, bound)
    return near * (r - near / 2)


def wing(
    input: Tensor, target: Tensor, *, width: Tensor | float = 10.0, epsilon: Tensor | float = 2.0
) -> Tensor:
    """Return width·log(1 + |r|/epsilon) within ±width, |r| less a constant beyond (Feng, 2018)."""
    size = residual(input, target).abs()
    width, epsilon = tensor_like(width, size), as_scalar_or_tensor(epsilon, size)
    near = size.clamp(max=width)
    return width * (near / epsilon).log1p() + (size - near)


def smooth_l1(input: Tensor, target: Tensor, *, beta: Tensor | float) -> Tensor:
    """Return r²/(2·beta) where |r| ≤ beta, |r| − beta/2 beyond (Girshick, 2015)."""
    input, target = same_shape(input, target)
    if isinstance(beta, float) and not transformed():
        values: Tensor = losses.smooth_l1_loss(input, target, NONE, beta)
        return values
    r, beta = input - target, as_scalar_or_tensor(beta, input)
    ratio = clamped_ratio(r, beta, 1)
    return ratio * (r - beta * ratio / 2)


def log_cosh(input: Tensor, target: Tensor) -> Tensor:
    """Return log cosh r (Green, 1990), exact near 0 and without overflow."""
    r = residual(input, target)
    near = clamp_if_outside(r, -20, 20)  # beyond, log cosh r is linear to the last bit of float64
    value = torch.log1p(2 * torch.sinh(near / 2).square())
    return value if near is r else value + (r - near).abs()


def linex(input: Tensor, target: Tensor, *, asymmetry: Tensor | float) -> Tensor:
    """Return e^z − z − 1 of z = asymmetry·r (Varian, 1975), by its tangent beyond z = 50."""
    r = residual(input, target)
    most = torch.finfo(r.dtype).max / 8
    z = clamp_if_outside(as_scalar_or_tensor(asymmetry, r) * r, -most, most)
    small = z.detach().abs() < _SMALL
    near, far = torch.where(small, z, 0), torch.where(small, 1, z)
    one = series = torch.ones_like(near)
    for divisor in range(_TERMS, 2, -1):
        series = torch.addcmul(one, near, series, value=1 / divisor)
    held = clamp_if_outside(far, high=MOST)
    slope = held.exp() - 1
    beyond = torch.where(held < far, slope * (far - held), 0)
    return torch.where(small, near.square() / 2 * series, slope - held + beyond)


def quantile(input: Tensor, target: Tensor, *, level: Tensor | float) -> Tensor:
    """Return the pinball value of e = target − input: level·e above 0, (level − 1)·e below.

    With a 1-d tensor of levels, input holds a quantile a level in its head's dimension and the
    value of a target is the mean over the levels (Koenker & Bassett, 1978).
    """
    if not isinstance(level, Tensor) or level.ndim == 0:
        r = residual(input, target)
        return _pinball(r, as_scalar_or_tensor(level, r))
    check_head(input, target, level.numel())
    dim, input = head_dim(input), promote(input)
    levels = level.to(input).reshape(-1, *(1,) * (target.ndim - dim))
    return _pinball(input - target.to(input.dtype).unsqueeze(dim), levels).mean(dim)


def non_crossing(output: Tensor) -> Tensor:
    """Return a head of several outputs as values that never decrease along the head.

    Output 0 is the value of the middle level; each further output is a raw gap between two
    neighbours, first those below the middle, nearest first, then those above. A gap is
    softplus(raw) ≥ 0, so that quantiles cannot cross.

    >>> non_crossing(torch.tensor([1.0, -200.0, 200.0]))
    tensor([  1.,   1., 201.])
    """
    output = promote(output)
    dim = head_dim(output)
    middle = output.shape[dim] // 2
    anchor, below, above = output.split([1, middle, output.shape[dim] - 1 - middle], dim)
    lower = anchor - nnf.softplus(below).cumsum(dim)
    upper = anchor + nnf.softplus(above).cumsum(dim)
    return torch.cat([lower.flip(dim), anchor, upper], dim)


def expectile(input: Tensor, target: Tensor, *, level: Tensor | float) -> Tensor:
    """Return |level − 1[e < 0]|·e² of e = target − input (Newey & Powell, 1987)."""
    r = residual(input, target)
    above = (r.detach() > 0).to(r.dtype)
    return (as_scalar_or_tensor(level, r) - above).abs() * r.square()


def _pinball(r: Tensor, level: Any) -> Tensor:
    slope = r.detach().sign().clamp(-level, 1 - level)  # 1 − level, 0 or −level
    return slope * r
