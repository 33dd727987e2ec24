"""Scores of predicted distributions, unreduced: beta-NLL, mixtures, CRPS, normal-inverse-gamma.

Scales are floor + exp(u) of a raw output u, as in `lossmith.functional.likelihood`.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith.functional.checks import (
    check_head,
    head_dim,
    held,
    in_dtype,
    promote,
    several_outputs,
)
from lossmith.functional.counts import grown
from lossmith.functional.likelihood import location_scale, log_scale_of
from lossmith.functional.regression import non_crossing, quantile
from lossmith.functional.robust import log1p_square

_MOST = 50.0  # the exponent beyond which a weight grows no more


def beta_nll(
    input: Tensor, target: Tensor, *, beta: Tensor | float, floor: Tensor | float
) -> Tensor:
    """Return (z²/2 + log scale)·scale^(2·beta), the last factor held constant (Seitzer, 2022)."""
    r, log_scale = location_scale(input, target, floor)
    weight = (2 * in_dtype(beta, r) * log_scale.detach()).clamp(max=_MOST).exp()
    return ((r * (-log_scale).exp()).square() / 2 + log_scale) * weight


def mixture_nll(input: Tensor, target: Tensor, *, components: int, floor: Tensor | float) -> Tensor:
    """Return −log Σ_k π_k N(target; μ_k, scale_k) of a head of 3 K outputs (Bishop, 1994)."""
    input, target = several_outputs(input, target, 3 * components)
    dim = head_dim(input)
    logits, means, raw = input.chunk(3, dim)
    log_scale = log_scale_of(raw, floor)
    most = torch.finfo(input.dtype).max
    z = held((means - target.unsqueeze(dim)) * (-log_scale).exp(), -(most**0.499), most**0.499)
    parts = logits.log_softmax(dim) - z.square() / 2 - log_scale
    return math.log(2 * math.pi) / 2 - held(parts, -most / 4).logsumexp(dim)


def mixture_mean(output: Tensor, *, components: int) -> Tensor:
    """Return Σ_k π_k μ_k of a head of logits, means and raw log-scales."""
    dim = head_dim(output)
    logits, means, _ = promote(output).chunk(3, dim)
    return (logits.softmax(dim) * means).sum(dim)


def gaussian_crps(input: Tensor, target: Tensor, *, floor: Tensor | float) -> Tensor:
    """Return scale·(z·(2Φ(z) − 1) + 2φ(z) − 1/√π) (Gneiting & Raftery, 2007)."""
    input, target = several_outputs(input, target, 2)
    place, raw = input.unbind(head_dim(input))
    most = torch.finfo(input.dtype).max / 100
    scale, r = held(in_dtype(floor, input) + grown(raw), high=most), place - target
    reach = 40 * scale  # beyond, Φ is 0 or 1 and φ is 0
    z = r.clamp(-reach, reach) / scale
    density = (-z.square() / 2).exp() * math.sqrt(2 / math.pi)
    return r * torch.erf(z / math.sqrt(2)) + scale * (density - 1 / math.sqrt(math.pi))


def quantile_crps(input: Tensor, target: Tensor, *, quantiles: int) -> Tensor:
    """Return twice the mean pinball value of a non-crossing head at levels (k − 1/2)/quantiles."""
    check_head(input, target, quantiles)
    values = non_crossing(input)
    rank = torch.arange(quantiles, device=values.device, dtype=values.dtype)
    return 2 * quantile(values, target, level=(rank + 0.5) / quantiles)


def ensemble_crps(input: Tensor, target: Tensor, *, members: int, fair: bool) -> Tensor:
    """Return mean |x_i − target| − Σ_ij |x_i − x_j|/(2 M²), or /(2 M (M − 1)) if fair."""
    input, target = several_outputs(input, target, members)
    dim = head_dim(input)
    miss = ((input - target.unsqueeze(dim)).abs() / members).sum(dim)
    rank = torch.arange(1 - members, members, 2, device=input.device, dtype=input.dtype)
    share = rank / (members * (members - 1 if fair else members))  # Σ_ij |x_i − x_j|/2, sorted
    share = share.reshape(-1, *(1,) * (input.ndim - 1 - dim))
    return miss - (share * input.sort(dim).values).sum(dim)


def evidential_regression(input: Tensor, target: Tensor, *, coefficient: Tensor | float) -> Tensor:
    """Return the Student-t likelihood of the evidence + coefficient·|r|·(2v + a) (Amini, 2020)."""
    input, target = several_outputs(input, target, 4)
    place, *raw = input.unbind(head_dim(input))
    v, a, b = (nnf.softplus(u.clamp(min=-40)) for u in raw)  # below, 0 in all but its logarithm
    a, r = a + 1, place - target
    log_ratio = v.log() - (2 * b).log() - torch.log1p(v)
    nll = (math.log(math.pi) - log_ratio) / 2 - _log_gamma_step(a)
    nll = nll + (a + 0.5) * log1p_square(r, (log_ratio / 2).exp())
    return nll + in_dtype(coefficient, r) * (r.abs() * (2 * v + a))


def _log_gamma_step(a: Tensor) -> Tensor:
    """Return log Γ(a + 1/2) − log Γ(a) for a ≥ 1, by its series where a is large."""
    large = a > 16
    near, far = torch.where(large, 1, a), torch.where(large, a, 16)
    step = 1 / far
    square = step.square()
    rest = step / 8 * (1 - square / 24 * (1 - square * 3 / 10 * (1 - square * 85 / 112)))
    return torch.where(large, far.log() / 2 - rest, torch.lgamma(near + 0.5) - torch.lgamma(near))


def ensemble_mean(output: Tensor) -> Tensor:
    """Return the mean of a head of members."""
    return promote(output).mean(head_dim(output))
