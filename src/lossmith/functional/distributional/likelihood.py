"""Negative log-likelihoods of distributions that a head gives, unreduced."""

import math

import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    clamp_if_outside,
    head_dim,
    promote,
    several_outputs,
)
from lossmith.functional.regression.robust import log1p_square

__all__ = [
    "beta_nll",
    "evidential_regression",
    "gaussian_nll",
    "laplace_nll",
    "location",
    "mixture_mean",
    "mixture_nll",
    "student_t_nll",
    "von_mises_mean",
    "von_mises_nll",
]

_MOST = 50.0  # the exponent beyond which a weight grows no more
_SMALL, _TERMS = 1.0, 14  # below which so many terms of I0's series are exact in float64


def gaussian_nll(input: Tensor, target: Tensor, *, floor: Tensor | float) -> Tensor:
    """Return z²/2 + log scale + log(2π)/2, z = (location − target)/scale (Nix & Weigend, 1994)."""
    r, log_scale = location_scale(input, target, floor)
    return (r * (-log_scale).exp()).square() / 2 + log_scale + math.log(2 * math.pi) / 2


def laplace_nll(input: Tensor, target: Tensor, *, floor: Tensor | float) -> Tensor:
    """Return |z| + log scale + log 2, z = (location − target)/scale (Laplace, 1774)."""
    r, log_scale = location_scale(input, target, floor)
    return r.abs() * (-log_scale).exp() + log_scale + math.log(2)


def student_t_nll(
    input: Tensor, target: Tensor, *, degrees_of_freedom: Tensor | float, floor: Tensor | float
) -> Tensor:
    """Return (ν + 1)/2·log(1 + z²/ν) + log scale + log normaliser (Lange et al., 1989)."""
    r, log_scale = location_scale(input, target, floor)
    normaliser = _student_t_normaliser(degrees_of_freedom).to(r.dtype)
    nu = as_scalar_or_tensor(degrees_of_freedom, r)
    tail = log1p_square(r, (-log_scale).exp() / nu**0.5)
    return (nu + 1) / 2 * tail + log_scale + normaliser


def von_mises_nll(input: Tensor, target: Tensor) -> Tensor:
    """Return log 2π I0(κ) − κ·cos(μ − y) of the head κ·(cos μ, sin μ) (von Mises, 1918)."""
    input, target = several_outputs(input, target, 2)
    most = torch.finfo(input.dtype).max / 8
    first, second = clamp_if_outside(input, -most, most).unbind(head_dim(input))
    along = first * target.cos() + second * target.sin()
    aside = second * target.cos() - first * target.sin()
    length = torch.hypot(along.detach(), aside.detach())
    small = length < _SMALL
    towards, across = torch.where(small, 1, along), torch.where(small, 0, aside)
    far = torch.hypot(towards, across)
    beside = towards.detach() > 0
    short = torch.where(beside, far + towards, 1)
    gap = torch.where(beside, across * (across / short), far - towards)  # κ − κ·cos(μ − y)
    few = (torch.where(small, along, 0).square() + torch.where(small, aside, 0).square()) / 4
    one = series = torch.ones_like(few)
    for k in range(_TERMS, 1, -1):
        series = torch.addcmul(one, few, series, value=1 / k**2)
    near = (few * series).log1p() - along
    value = torch.where(small, near, torch.special.i0e(far).log() + gap)
    return value + math.log(2 * math.pi)


def von_mises_mean(output: Tensor) -> Tensor:
    """Return the angle that a head κ·(cos μ, sin μ) points at, from −π to π."""
    first, second = promote(output).unbind(head_dim(output))
    return torch.atan2(second, first)


def location(output: Tensor, *, outputs: int) -> Tensor:
    """Return the first output of a head: the location of the distribution."""
    dim = head_dim(output)
    if output.ndim == 0 or output.shape[dim] != outputs:
        raise ValueError(
            f"output has shape {tuple(output.shape)}, but a head of {outputs} has them in "
            f"dimension {dim}"
        )
    return output.select(dim, 0)


def _student_t_normaliser(nu: Tensor | float) -> Tensor:
    exact = nu if isinstance(nu, Tensor) else torch.tensor(nu, dtype=torch.float64)
    return torch.lgamma(exact / 2) - torch.lgamma((exact + 1) / 2) + (exact * math.pi).log() / 2


def location_scale(input: Tensor, target: Tensor, floor: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return location − target and the logarithm of the scale floor + exp(u) of a head of two."""
    input, target = several_outputs(input, target, 2)
    place, raw = input.unbind(head_dim(input))
    return place - target, log_scale_of(raw, floor)


def log_scale_of(raw: Tensor, floor: Tensor | float) -> Tensor:
    """Return log(floor + exp(raw)), finite for every raw output."""
    floor = as_scalar_or_tensor(floor, raw)
    low = floor.log() if isinstance(floor, Tensor) else math.log(floor)
    raw = clamp_if_outside(
        raw, low - 40
    )  # below, the scale is the floor to the last bit of float64
    return low - nnf.logsigmoid(low - raw)


def beta_nll(
    input: Tensor, target: Tensor, *, beta: Tensor | float, floor: Tensor | float
) -> Tensor:
    """Return (z²/2 + log scale)·scale^(2·beta), the last factor held constant (Seitzer, 2022)."""
    r, log_scale = location_scale(input, target, floor)
    weight = (2 * as_scalar_or_tensor(beta, r) * log_scale.detach()).clamp(max=_MOST).exp()
    return ((r * (-log_scale).exp()).square() / 2 + log_scale) * weight


def mixture_nll(input: Tensor, target: Tensor, *, components: int, floor: Tensor | float) -> Tensor:
    """Return −log Σ_k π_k N(target; μ_k, scale_k) of a head of 3 K outputs (Bishop, 1994)."""
    input, target = several_outputs(input, target, 3 * components)
    dim = head_dim(input)
    logits, means, raw = input.chunk(3, dim)
    log_scale = log_scale_of(raw, floor)
    most = torch.finfo(input.dtype).max
    z = clamp_if_outside(
        (means - target.unsqueeze(dim)) * (-log_scale).exp(), -(most**0.499), most**0.499
    )
    parts = logits.log_softmax(dim) - z.square() / 2 - log_scale
    return math.log(2 * math.pi) / 2 - clamp_if_outside(parts, -most / 4).logsumexp(dim)


def mixture_mean(output: Tensor, *, components: int) -> Tensor:
    """Return Σ_k π_k μ_k of a head of logits, means and raw log-scales."""
    dim = head_dim(output)
    logits, means, _ = promote(output).chunk(3, dim)
    return (logits.softmax(dim) * means).sum(dim)


def evidential_regression(input: Tensor, target: Tensor, *, coefficient: Tensor | float) -> Tensor:
    """Return the Student-t likelihood of the evidence + coefficient·|r|·(2v + a) (Amini, 2020)."""
    input, target = several_outputs(input, target, 4)
    place, v, a, b = evidence_of(input)
    r = place - target
    log_ratio = v.log() - (2 * b).log() - torch.log1p(v)
    nll = (math.log(math.pi) - log_ratio) / 2 - _log_gamma_step(a)
    nll = nll + (a + 0.5) * log1p_square(r, (log_ratio / 2).exp())
    return nll + as_scalar_or_tensor(coefficient, r) * (r.abs() * (2 * v + a))


def evidence_of(output: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return γ, v, a and b of a head of four."""
    place, *raw = output.unbind(head_dim(output))
    v, a, b = (nnf.softplus(u.clamp(min=-40)) for u in raw)  # below, 0 in all but its logarithm
    return place, v, a + 1, b


def _log_gamma_step(a: Tensor) -> Tensor:
    """Return log Γ(a + 1/2) − log Γ(a) for a ≥ 1, by its series where a is large."""
    large = a > 16
    near, far = torch.where(large, 1, a), torch.where(large, a, 16)
    step = 1 / far
    square = step.square()
    rest = step / 8 * (1 - square / 24 * (1 - square * 3 / 10 * (1 - square * 85 / 112)))
    return torch.where(large, far.log() / 2 - rest, torch.lgamma(near + 0.5) - torch.lgamma(near))
