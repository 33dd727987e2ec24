"""Quantiles of the distributions that heads give, at one level between 0 and 1."""

import math
from collections.abc import Callable, Sequence
from functools import cache
from statistics import NormalDist

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, head_dim, promote
from lossmith.functional.distributional.likelihood import evidence_of, log_scale_of

__all__ = [
    "bins_quantile",
    "count_quantile",
    "evidential_quantile",
    "gaussian_quantile",
    "interpolated_quantile",
    "laplace_quantile",
    "mixture_quantile",
    "student_t_quantile",
    "student_t_step",
]

_STEPS = 64  # of a bisection, down to the last bit of float64
_NEWTON = 20
_NODES = 16
_MOST_COUNT = 1000  # up to which probabilities of counts are added up
_ALMOST = 1 - 1e-12  # of a sum of probabilities, which rounding may leave short


def gaussian_quantile(output: Tensor, *, level: float, floor: Tensor | float) -> Tensor:
    """Return location + Φ⁻¹(level)·scale of a head of two.

    >>> gaussian_quantile(torch.tensor([[1.0, 0.0]]), level=0.975, floor=1e-9)
    tensor([2.9600])
    """
    return _at(output, NormalDist().inv_cdf(level), floor)


def laplace_quantile(output: Tensor, *, level: float, floor: Tensor | float) -> Tensor:
    """Return location ± log(2·min(level, 1 − level))·scale of a head of two."""
    step = math.log(2 * level) if level < 0.5 else -math.log(2 * (1 - level))
    return _at(output, step, floor)


def student_t_quantile(
    output: Tensor, *, level: float, degrees_of_freedom: Tensor | float, floor: Tensor | float
) -> Tensor:
    """Return location + t(level)·scale of a head of two."""
    nu = torch.as_tensor(degrees_of_freedom, dtype=torch.float64).detach()
    return _at(output, student_t_step(level, nu).to(promote(output)), floor)


def _at(output: Tensor, step: Tensor | float, floor: Tensor | float) -> Tensor:
    place, raw = promote(output).unbind(head_dim(output))
    return held(place + step * scale_of(raw, floor))


def scale_of(raw: Tensor, floor: Tensor | float) -> Tensor:
    """Return floor + exp(raw), finite for every raw output."""
    return log_scale_of(raw, floor).clamp(max=math.log(torch.finfo(raw.dtype).max) - 1).exp()


def held(values: Tensor) -> Tensor:
    """Return values held within the range of their dtype."""
    most = torch.finfo(values.dtype).max
    return values.clamp(-most, most)


def student_t_step(level: float, nu: Tensor) -> Tensor:
    r"""Return Student's t quantile of ν = nu degrees of freedom, exact to 1e-6.

    With t = √ν·tan θ the distribution function is an integral of cos^(ν − 1) from 0 to θ, concave
    in θ for ν ≥ 1, so that Newton's steps from the left never pass the root. Up to ν = 2 what is
    left of it up to π/2 is solved for instead, over u^ν, in which it is nearly linear.

    >>> student_t_step(0.975, torch.tensor([1.0, 4.0])).round(decimals=3)
    tensor([12.7060,  2.7760])
    """
    if level == 0.5:
        return torch.zeros_like(nu)
    wide = nu.double().clamp(max=1e6)  # beyond, the Gaussian's to 1e-6
    log_beta = torch.lgamma(wide / 2) - torch.lgamma((wide + 1) / 2) + math.log(math.pi) / 2
    step = wide.sqrt() * _angle(abs(level - 0.5) * log_beta.exp(), wide.clamp(min=2)).tan()
    if (wide <= 2).any():
        left = _angle_left(min(level, 1 - level) * log_beta.exp(), wide.clamp(max=2))
        step = torch.where(wide > 2, step, wide.sqrt() / left.tan())
    return (math.copysign(1, level - 0.5) * step).to(nu.dtype)


def _angle(area: Tensor, nu: Tensor) -> Tensor:
    """Return θ up to which cos^(ν − 1) holds this area."""
    nodes, weights = (part.to(nu.device) for part in _legendre())
    power, angle = nu - 1, area
    for _ in range(_NEWTON):
        inside = (angle.unsqueeze(-1) * nodes).cos().log() * power.unsqueeze(-1)
        short = area - angle * (inside.exp() * weights).sum(-1)
        angle = angle + short / (power * angle.cos().log()).exp().clamp(min=1e-300)
        angle = angle.clamp(0, math.pi / 2 - 1e-9)
    return angle


def _angle_left(area: Tensor, nu: Tensor) -> Tensor:
    """Return u up to which sin^(ν − 1) holds this area."""
    nodes, weights = (part.to(nu.device) for part in _legendre())
    most = (math.pi / 2) ** nu
    place = (nu * area).minimum(most)
    for _ in range(_NEWTON):
        inside = _shrunk(place.unsqueeze(-1) * nodes, nu.unsqueeze(-1))
        short = nu * area - place * (inside * weights).sum(-1)
        place = (place + short / _shrunk(place, nu)).clamp(min=0)
        place = torch.minimum(place, most)
    return place ** (1 / nu)


def _shrunk(place: Tensor, nu: Tensor) -> Tensor:
    return torch.sinc(place ** (1 / nu) / math.pi) ** (nu - 1)


@cache
def _legendre() -> tuple[Tensor, Tensor]:
    """Return the nodes and weights of a Gauss–Legendre rule on 0 … 1 (Golub & Welsch, 1969)."""
    order = torch.arange(1, _NODES, dtype=torch.float64)
    beside = order / (4 * order.square() - 1).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return (values + 1) / 2, vectors[0].square()


def evidential_quantile(output: Tensor, *, level: float) -> Tensor:
    """Return the quantile of Student's t of 2a degrees and scale² b(1 + v)/(v·a) around γ."""
    place, v, a, b = evidence_of(promote(output))
    scale = ((b / a).sqrt() * ((1 + v) / v).sqrt()).clamp(max=torch.finfo(place.dtype).max)
    return held(place + student_t_step(level, 2 * a) * scale)


def mixture_quantile(
    output: Tensor, *, level: float, components: int, floor: Tensor | float
) -> Tensor:
    """Return the quantile of a mixture of Gaussians, between those of its parts, by bisection."""
    dim = head_dim(output)
    logits, means, raw = (part.movedim(dim, -1) for part in promote(output).chunk(3, dim))
    share, scale = logits.softmax(-1), scale_of(raw, floor)
    ends = held(means + NormalDist().inv_cdf(level) * scale)
    low, high = ends.amin(-1), ends.amax(-1)
    for _ in range(_STEPS):
        middle = low / 2 + high / 2
        below = (share * torch.special.ndtr((middle.unsqueeze(-1) - means) / scale)).sum(-1)
        short = below < level
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return high


def bins_quantile(
    output: Tensor, *, level: float, bins: int, low: Tensor | float, high: Tensor | float
) -> Tensor:
    """Return the quantile of a histogram softmax(output) of even bins, linear within each."""
    share = promote(output).softmax(head_dim(output)).movedim(head_dim(output), -1)
    whole = share.cumsum(-1)
    whole = whole / whole[..., -1:]
    place = (whole < level).sum(-1, keepdim=True).clamp(max=bins - 1)
    before = (whole - share).gather(-1, place).clamp(min=0)
    inside = (level - before) / share.gather(-1, place).clamp(min=torch.finfo(share.dtype).tiny)
    position = (place + inside.clamp(0, 1)).squeeze(-1)
    width = as_scalar_or_tensor((high - low) / bins, position)
    return as_scalar_or_tensor(low, position) + width * position


def interpolated_quantile(values: Tensor, *, level: float, levels: Sequence[float]) -> Tensor:
    """Return what a head of rising quantiles says at a level, linear between its levels.

    Beyond its first and last level it says no more than there.

    >>> interpolated_quantile(torch.tensor([[0.0, 1.0, 4.0]]), level=0.6, levels=(0.1, 0.5, 0.9))
    tensor([1.7500])
    """
    dim = head_dim(values)
    above = next((i for i, one in enumerate(levels) if one >= level), len(levels) - 1)
    if above == 0 or levels[above] <= level:
        return values.select(dim, above)
    share = (level - levels[above - 1]) / (levels[above] - levels[above - 1])
    return torch.lerp(values.select(dim, above - 1), values.select(dim, above), share)


def count_quantile(
    log_probability: Callable[[Tensor], Tensor],
    mean: Tensor,
    variance: Tensor,
    *,
    level: Tensor | float,
) -> Tensor:
    """Return the least count whose distribution function reaches the level.

    Probabilities are added up to 1000; where the quantile may lie beyond (Cantelli's inequality),
    it is that of the gamma distribution of the same mean and variance, rounded.

    Args:
        log_probability: of counts (…, K) under each row.
        mean: of each row.
        variance: of each row.
        level: between 0 and 1, or one for each row, 0 of the count 0.
    """
    level = torch.as_tensor(level, dtype=torch.float64, device=mean.device)
    reach = (mean + (variance * (level / (1 - level))).sqrt()).ceil()
    few = reach <= _MOST_COUNT
    most = int(torch.where(few, reach, 0).amax().item()) if mean.numel() else 0
    counts = torch.arange(most + 1, dtype=mean.dtype, device=mean.device)
    whole = log_probability(counts.expand(*mean.shape, -1)).double().exp().cumsum(-1)
    found = (whole < level.unsqueeze(-1) * _ALMOST).sum(-1).to(mean.dtype)
    return found if few.all() else torch.where(few, found, _gamma_quantile(mean, variance, level))


def _gamma_quantile(mean: Tensor, variance: Tensor, level: Tensor) -> Tensor:
    mean, variance = mean.double(), variance.double()
    shape = (mean / variance * mean).clamp(max=1e9)
    low, high = torch.zeros_like(mean), 1 + (level / (1 - level) / shape).sqrt()
    for _ in range(_STEPS):
        middle = (low + high) / 2
        short = torch.special.gammainc(shape, shape * middle) < level
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return (high * mean).round()
