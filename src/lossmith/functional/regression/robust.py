"""Robust regression losses of a residual, Barron's general shape among them, unreduced."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    clamp_if_outside,
    clamped_ratio,
    is_concrete,
    limited,
    tensor_like,
)
from lossmith.functional.regression.point import residual

__all__ = [
    "adaptive_barron",
    "barron",
    "cauchy",
    "geman_mcclure",
    "pseudo_huber",
    "tukey",
    "welsch",
]

_FAR = 1e9  # 1 + q² is q² beyond this ratio, to the last bit of float64
_NEAR_ZERO, _NEAR_TWO = 1e-3, 1e-3
_LEAST, _MOST = 1e-16, 1e16  # of |alpha − 2|; beyond, the limits are reached to the last bit
# Nodes and weights of the integral over 0 … ∞: x = exp(π/2·sinh t), t in steps of 1/16.
_STEP = 1 / 16
_T = _STEP * torch.arange(-66, 67, dtype=torch.float64)
_NODES = (math.pi / 2 * _T.sinh()).exp()
_WEIGHTS = _STEP * math.pi / 2 * _T.cosh() * _NODES


def pseudo_huber(input: Tensor, target: Tensor, *, delta: Tensor | float) -> Tensor:
    """Return delta²·(√(1 + (r/delta)²) − 1), written so that nothing cancels or overflows."""
    r = residual(input, target)
    delta = tensor_like(delta, r)
    return delta * (r * (r / (torch.hypot(r, delta) + delta)))


def cauchy(input: Tensor, target: Tensor, *, scale: Tensor | float) -> Tensor:
    """Return log(1 + (r/scale)²/2) (Black & Anandan, 1996)."""
    r = residual(input, target)
    return log1p_square(r, 1 / (as_scalar_or_tensor(scale, r) * math.sqrt(2)))


def welsch(input: Tensor, target: Tensor, *, scale: Tensor | float) -> Tensor:
    """Return 1 − exp(−(r/scale)²/2) (Dennis & Welsch, 1978)."""
    r = residual(input, target)
    ratio = clamped_ratio(
        r, as_scalar_or_tensor(scale, r), 40
    )  # beyond, the exponential is 0 in float64
    return -torch.expm1(ratio.square() * -0.5)


def geman_mcclure(input: Tensor, target: Tensor, *, scale: Tensor | float) -> Tensor:
    """Return 2·(r/scale)² / ((r/scale)² + 4) (Geman & McClure, 1985, scaled as by Barron)."""
    r = residual(input, target)
    square = clamped_ratio(r, as_scalar_or_tensor(scale, r), _FAR).square()
    return 2 * (square / (square + 4))


def tukey(input: Tensor, target: Tensor, *, cutoff: Tensor | float) -> Tensor:
    """Return c²/6·(1 − (1 − (r/c)²)³), c = cutoff, and c²/6 beyond (Beaton & Tukey, 1974)."""
    r = residual(input, target)
    cutoff = limited(cutoff, r, high=torch.finfo(r.dtype).max ** 0.5 / 4)  # c² is a number
    ratio = clamped_ratio(r, cutoff, 1)
    near, square = cutoff * ratio, ratio.square()
    return near * (near * ((3 - 3 * square + square.square()) / 6))


def log1p_square(r: Tensor, inverse: Tensor | float) -> Tensor:
    """Return log(1 + (r·inverse)²) without overflow of the square or of the product."""
    ratio = r * inverse
    near = clamp_if_outside(ratio, -_FAR, _FAR)
    value = torch.log1p(near.square())
    if near is ratio:
        return value
    far = (r * (inverse / _FAR)).abs().clamp(min=1)
    return value + 2 * far.log()


def barron(
    input: Tensor, target: Tensor, *, alpha: Tensor | float, scale: Tensor | float
) -> Tensor:
    """Return b/alpha·(((r/scale)²/b + 1)^(alpha/2) − 1), b = |alpha − 2| (Barron, 2019)."""
    r = residual(input, target)
    shape = as_scalar_or_tensor(alpha, r)
    if not isinstance(shape, Tensor):  # where Python chooses the formula by it, whatever r is on
        shape = torch.tensor(shape, dtype=r.dtype, device="cpu")
    return general(r, shape, as_scalar_or_tensor(scale, r))


def adaptive_barron(
    input: Tensor, target: Tensor, *, alpha: Tensor | float, scale: Tensor | float
) -> Tensor:
    """Return the negative log-likelihood: Barron's loss + log scale + log Z(alpha)."""
    r = residual(input, target)
    alpha, scale = tensor_like(alpha, r), tensor_like(scale, r)
    return general(r, alpha, scale) + scale.log() + log_partition(alpha)


def log_partition(alpha: Tensor) -> Tensor:
    """Return log Z(alpha), Z the integral of exp(−loss) at scale 1, for alpha from 0 to 2.

    By double-exponential quadrature, within 1e-12 in float64 and differentiable.

    >>> log_partition(torch.tensor(2.0, dtype=torch.float64)).exp()  # √(2π)
    tensor(2.5066, dtype=torch.float64)
    """
    nodes, weights = _NODES.to(alpha), _WEIGHTS.to(alpha)
    one = torch.ones((), dtype=alpha.dtype, device=alpha.device)
    return (2 * (weights * (-general(nodes, alpha, one)).exp()).sum()).log()


def general(r: Tensor, alpha: Tensor, scale: Tensor | float) -> Tensor:
    """Return the loss of residuals for a 0-dim alpha of their dtype."""
    alpha = alpha.clamp(-_MOST, _MOST)
    above = alpha - 2
    b = above.abs().clamp(min=_LEAST)
    log = clamp_if_outside(
        log1p_square(r, 1 / (scale * b.sqrt())), high=_MOST
    )  # not inf: 0·inf is NaN
    near_zero, near_two = alpha.abs() < _NEAR_ZERO, above.abs() < _NEAR_TWO
    near = near_zero | near_two
    shape = torch.where(near, torch.ones_like(alpha), alpha)
    exponent = torch.where(near, torch.zeros_like(alpha), shape) / 2

    return _either(
        near_two,
        lambda: _parabola(r / scale, above.clamp(-_NEAR_TWO, _NEAR_TWO), log),
        lambda: _either(
            near_zero,
            lambda: _series(alpha.clamp(-_NEAR_ZERO, _NEAR_ZERO), b, log),
            lambda: b / shape * torch.expm1(exponent * log),
        ),
    )


def _either(first: Tensor, one: Callable[[], Tensor], other: Callable[[], Tensor]) -> Tensor:
    """Return one or the other, computing it alone where the choice is at hand."""
    if is_concrete(first):
        return one() if first else other()
    return torch.where(first, one(), other())


def _series(alpha: Tensor, b: Tensor, log: Tensor) -> Tensor:
    z = alpha / 2 * log
    one = terms = torch.ones_like(z)
    for order in range(9, 1, -1):  # (exp(z) − 1)/z
        terms = torch.addcmul(one, z, terms, value=1 / order)
    return b / 2 * log * terms


def _parabola(ratio: Tensor, above: Tensor, log: Tensor) -> Tensor:
    most = torch.finfo(ratio.dtype).max ** 0.499  # beyond, the square is no number
    ratio, change = clamp_if_outside(ratio, -most, most), torch.expm1(above / 2 * log)
    return (ratio * (ratio * (1 + change)) + above.abs() * change) / (2 + above)
