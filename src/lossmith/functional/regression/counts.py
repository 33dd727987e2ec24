"""Losses of a head that gives the logarithm of a mean: counts and positive numbers, unreduced.

The mean is exp(input + offset). Beyond exp(50) = 5e21 exponentials go on as their tangents, so
that nothing overflows and everything stays convex.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    check,
    clamp_if_outside,
    head_dim,
    promote,
    same_shape,
    several_outputs,
    tensor_like,
    widest,
)

__all__ = [
    "counts_level",
    "gamma",
    "log_mean",
    "negative_binomial",
    "poisson",
    "tweedie",
    "zero_inflated_mean",
    "zero_inflated_negative_binomial",
    "zero_inflated_poisson",
]

MOST = 50.0
NEGATIVE = "target holds negative numbers; Poisson needs counts, 0 or more"
MANY = 100.0  # a count from which Stirling's series is exact to 1e-9


def log_mean(output: Tensor, *, offset: Tensor | float) -> Tensor:
    """Return the mean exp(output + offset), by its tangent beyond exp(50)."""
    output = promote(output)
    return exp_linear_tail(output + as_scalar_or_tensor(offset, output))


def exp_linear_tail(z: Tensor) -> Tensor:
    """Return exp(z), by its tangent beyond z = 50."""
    near = clamp_if_outside(z, high=MOST)
    return z.exp() if near is z else near.exp() * (1 + (z - near))


def poisson(input: Tensor, target: Tensor, *, offset: Tensor | float) -> Tensor:
    """Return mean − target·log mean + log(target!) (Poisson; the full likelihood)."""
    eta, target = _log_means(input, target, offset)
    check((target >= 0).all(), NEGATIVE)
    if clamp_if_outside(target, high=MANY) is target:
        return poisson_of_few(eta, target)
    many = target > MANY
    few = poisson_of_few(torch.where(many, 0, eta), torch.where(many, 0, target))
    return torch.where(many, _poisson_of_many(eta, torch.where(many, target, MANY)), few)


def poisson_of_few(eta: Tensor, target: Tensor) -> Tensor:
    """Return the value of counts so small that log(target!) cancels no digits."""
    constant = torch.lgamma(target + 1)
    return torch.addcmul(exp_linear_tail(eta) + constant, target, eta, value=-1)


def _poisson_of_many(eta: Tensor, target: Tensor) -> Tensor:
    """Return the value by Stirling's series of log(target!), whose large terms cancel exactly."""
    rise = eta - target.log()
    near = clamp_if_outside(rise, high=MOST)
    share = torch.expm1(near)
    value = share - near + (rise - near) * share
    return target * value + (2 * math.pi * target).log() / 2 + 1 / (12 * target)


def gamma(input: Tensor, target: Tensor, *, offset: Tensor | float) -> Tensor:
    """Return target/mean − 1 − log(target/mean), half the gamma distribution's deviance."""
    eta, target = _log_means(input, target, offset)
    check((target > 0).all(), "target holds numbers that are not positive; gamma needs y > 0")
    ratio = target.log() - eta
    near = clamp_if_outside(ratio, high=MOST)
    rise = torch.expm1(near)
    value = rise - near
    return value if near is ratio else value + (ratio - near) * rise


def tweedie(
    input: Tensor, target: Tensor, *, power: Tensor | float, offset: Tensor | float
) -> Tensor:
    """Return half the deviance of variance mean^power, 1 < power < 2 (Tweedie, 1984)."""
    eta, target = _log_means(input, target, offset)
    check((target >= 0).all(), "target holds negative numbers; Tweedie needs y >= 0")
    power = as_scalar_or_tensor(power, eta)
    below, above = power - 1, 2 - power
    share = target**above
    positive = target > 0
    ratio = torch.where(positive, torch.where(positive, target, 1).log() - eta, 0)
    # Differences are risen powers of the ratio, which keep their digits where power is near 1 or 2.
    far = torch.where(positive, share * _risen(-above * ratio), exp_linear_tail(above * eta))
    return share * _risen(below * ratio) / below + far / above


def _risen(exponent: Tensor) -> Tensor:
    """Return exp(exponent) − 1, held where exp is."""
    near = exponent.abs() < 1
    return torch.where(near, torch.where(near, exponent, 0).expm1(), exp_linear_tail(exponent) - 1)


def negative_binomial(
    input: Tensor, target: Tensor, *, dispersion: Tensor | float, offset: Tensor | float
) -> Tensor:
    """Return the negative log-likelihood of variance mean + dispersion·mean² (the full one)."""
    eta, target = _log_means(input, target, offset)
    check(
        (target >= 0).all(),
        "target holds negative numbers; the negative binomial needs counts, 0 or more",
    )
    wide = torch.promote_types(eta.dtype, widest(eta.device))
    exact = tensor_like(dispersion, torch.empty((), dtype=wide, device=eta.device))
    size, count = 1 / exact, target.to(exact.dtype)  # differences of large logarithms
    constant = torch.lgamma(size) + torch.lgamma(count + 1) - torch.lgamma(count + size)
    odds = eta + exact.log().to(eta.dtype)  # of a success: dispersion times the mean
    spread = size.to(eta.dtype) * nnf.softplus(odds) + target * nnf.softplus(-odds)
    return spread + constant.to(eta.dtype)


def zero_inflated_poisson(input: Tensor, target: Tensor, *, offset: Tensor | float) -> Tensor:
    """Return the negative log-likelihood of zeros, in share σ(z), and a Poisson (Lambert, 1992).

    The head's outputs are the logarithm of the Poisson's mean, less offset, and z.
    """
    eta, extra, target = _mean_and_zeros(input, target)
    none = log_mean(eta, offset=offset)
    return _zero_inflated(extra, target, none, poisson(eta, target, offset=offset))


def zero_inflated_negative_binomial(
    input: Tensor, target: Tensor, *, dispersion: Tensor | float, offset: Tensor | float
) -> Tensor:
    """Return the same with a negative binomial of variance mean + dispersion·mean²."""
    eta, extra, target = _mean_and_zeros(input, target)
    none = negative_binomial(eta, torch.zeros_like(target), dispersion=dispersion, offset=offset)
    some = negative_binomial(eta, target, dispersion=dispersion, offset=offset)
    return _zero_inflated(extra, target, none, some)


def zero_inflated_mean(output: Tensor, *, offset: Tensor | float) -> Tensor:
    """Return the mean of a zero-inflated head: (1 − σ(z))·exp(output + offset)."""
    eta, extra = _two(promote(output))
    return (-extra).sigmoid() * log_mean(eta, offset=offset)


def counts_level(output: Tensor, *, level: float) -> tuple[Tensor, Tensor]:
    """Return the log means, less offset, and the level at which counts are the mixture's quantile.

    With π of further zeros that is (level − π)/(1 − π), and 0 where zeros alone reach the level.
    """
    eta, extra = _two(promote(output))
    share, rest = extra.double().sigmoid(), (-extra).double().sigmoid()
    tiny = torch.finfo(torch.float64).tiny
    own = ((level - share) / rest.clamp(min=tiny)).clamp(0, 1 - torch.finfo(torch.float64).eps)
    return eta, own


def _zero_inflated(extra: Tensor, target: Tensor, none: Tensor, some: Tensor) -> Tensor:
    """Return a mixture's value of what 0, and what the target, costs without further zeros."""
    zero = torch.logaddexp(nnf.logsigmoid(extra), nnf.logsigmoid(-extra) - none)
    return torch.where(target == 0, -zero, some - nnf.logsigmoid(-extra))


def _mean_and_zeros(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    input, target = several_outputs(input, target, 2)
    return *_two(input), target


def _two(head: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two outputs of a head."""
    if not head.ndim or head.shape[head_dim(head)] != 2:
        raise ValueError(f"output must have a head of 2 in dimension 1, got {tuple(head.shape)}")
    first, second = head.unbind(head_dim(head))
    return first, second


def _log_means(input: Tensor, target: Tensor, offset: Tensor | float) -> tuple[Tensor, Tensor]:
    input, target = same_shape(input, target)
    return input + as_scalar_or_tensor(offset, input), target
