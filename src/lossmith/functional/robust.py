"""Robust regression losses of a residual r = input − target, unreduced.

All but Tukey's are members of Barron's general family (A General and Adaptive Robust Loss
Function, 2019), in its normalisation: near zero each is (r/scale)²/2; the pseudo-Huber is
multiplied by delta², so that near zero it is r²/2 as Tukey's is.
"""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import held, held_ratio, in_dtype, limited, tensor_like
from lossmith.functional.regression import residual

_FAR = 1e9  # 1 + q² is q² beyond this ratio, to the last bit of float64


def pseudo_huber(input: Tensor, target: Tensor, *, delta: Tensor | float) -> Tensor:
    """Return delta²·(√(1 + (r/delta)²) − 1), written so that nothing cancels or overflows."""
    r = residual(input, target)
    delta = tensor_like(delta, r)
    return delta * (r * (r / (torch.hypot(r, delta) + delta)))


def cauchy(input: Tensor, target: Tensor, *, scale: Tensor | float) -> Tensor:
    """Return log(1 + (r/scale)²/2) (Black & Anandan, 1996)."""
    r = residual(input, target)
    return log1p_square(r, 1 / (in_dtype(scale, r) * math.sqrt(2)))


def welsch(input: Tensor, target: Tensor, *, scale: Tensor | float) -> Tensor:
    """Return 1 − exp(−(r/scale)²/2) (Dennis & Welsch, 1978)."""
    r = residual(input, target)
    ratio = held_ratio(r, in_dtype(scale, r), 40)  # beyond, the exponential is 0 in float64
    return -torch.expm1(ratio.square() * -0.5)


def geman_mcclure(input: Tensor, target: Tensor, *, scale: Tensor | float) -> Tensor:
    """Return 2·(r/scale)² / ((r/scale)² + 4) (Geman & McClure, 1985, scaled as by Barron)."""
    r = residual(input, target)
    square = held_ratio(r, in_dtype(scale, r), _FAR).square()
    return 2 * (square / (square + 4))


def tukey(input: Tensor, target: Tensor, *, cutoff: Tensor | float) -> Tensor:
    """Return c²/6·(1 − (1 − (r/c)²)³), c = cutoff, and c²/6 beyond (Beaton & Tukey, 1974)."""
    r = residual(input, target)
    cutoff = limited(cutoff, r, high=torch.finfo(r.dtype).max ** 0.5 / 4)  # c² is a number
    ratio = held_ratio(r, cutoff, 1)
    near, square = cutoff * ratio, ratio.square()
    return near * (near * ((3 - 3 * square + square.square()) / 6))


def log1p_square(r: Tensor, inverse: Tensor | float) -> Tensor:
    """Return log(1 + (r·inverse)²) without overflow of the square or of the product."""
    ratio = r * inverse
    near = held(ratio, -_FAR, _FAR)
    value = torch.log1p(near.square())
    if near is ratio:
        return value
    far = (r * (inverse / _FAR)).abs().clamp(min=1)
    return value + 2 * far.log()
