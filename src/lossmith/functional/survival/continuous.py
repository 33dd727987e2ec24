"""Likelihoods of censored times: Cox's partial one, and those of a distribution; a value a row."""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import (
    clamp_if_outside,
    head_dim,
    promote,
    require,
    several_outputs,
)
from lossmith.functional.distributional.likelihood import log_scale_of
from lossmith.functional.regression.counts import exp_linear_tail

__all__ = [
    "cox",
    "log_normal_aft",
    "log_normal_survival",
    "median_time",
    "weibull_aft",
    "weibull_survival",
]


def cox(input: Tensor, time: Tensor, event: Tensor, *, ties: str) -> Tensor:
    """Return log Σ_j s_ij·exp(input_j) − input_i for rows i with an event, of any value elsewhere.

    s_ij is 1 where row j is still at risk at time_i. Under ties "efron" those of m tied events
    count less and less, 1 − r/m for r = 0 … m − 1 (Efron, 1977); under "breslow" in full.
    """
    if input.ndim != 1 or not input.shape == time.shape == event.shape:
        raise ValueError(
            f"input has shape {tuple(input.shape)}, time {tuple(time.shape)} and event "
            f"{tuple(event.shape)}; they must be (N,) alike, nothing is broadcast"
        )
    input, event = promote(input), happened(time, event)
    share = (time.unsqueeze(0) >= time.unsqueeze(1)).to(input.dtype)
    if ties == "efron":
        both = event.unsqueeze(0) & event.unsqueeze(1)
        tied = (both & (time.unsqueeze(0) == time.unsqueeze(1))).to(input.dtype)
        before, count = tied.tril(-1).sum(1, keepdim=True), tied.sum(1, keepdim=True)
        share = share - before / count.clamp(min=1) * tied
    present = (share > 0) & event.unsqueeze(1)  # other rows, NaN maybe, wait for no one
    logs = input.unsqueeze(0) + torch.where(present, share, 1).log()
    logs = torch.where(present, logs, torch.finfo(input.dtype).min / 2)
    return logs.logsumexp(1) - torch.where(event, input, 0)


def weibull_aft(input: Tensor, time: Tensor, event: Tensor, *, floor: Tensor | float) -> Tensor:
    """Return e^z + event·(log σ + log time − z), z = (log time − μ)/σ (Kalbfleisch, 1980)."""
    event = happened(time, event)
    z, log_scale, log_time = _standardised(input, time, floor)
    return exp_linear_tail(z) + torch.where(event, log_scale + log_time - z, 0)


def log_normal_aft(input: Tensor, time: Tensor, event: Tensor, *, floor: Tensor | float) -> Tensor:
    """Return −log(φ(z)/(σ·time)) of events, −log Φ(−z) of censored times (Kalbfleisch, 1980)."""
    event = happened(time, event)
    z, log_scale, log_time = _standardised(input, time, floor)
    density = z.square() / 2 + log_scale + log_time + math.log(2 * math.pi) / 2
    return torch.where(event, density, -_log_upper_tail(z))


def weibull_survival(output: Tensor, time: Tensor, *, floor: Tensor | float) -> Tensor:
    """Return exp(−e^z), the probability to outlive a time."""
    return (-exp_linear_tail(_standardised(output, time, floor)[0])).exp()


def log_normal_survival(output: Tensor, time: Tensor, *, floor: Tensor | float) -> Tensor:
    """Return Φ(−z), the probability to outlive a time."""
    return torch.special.ndtr(-_standardised(output, time, floor)[0])


def median_time(output: Tensor, *, middle: float, floor: Tensor | float) -> Tensor:
    """Return exp(μ + σ·middle): the median, where that of z is `middle`."""
    place, raw = promote(output).unbind(head_dim(output))
    return exp_linear_tail(
        place + middle * exp_linear_tail(log_scale_of(raw, floor)) if middle else place
    )


def happened(time: Tensor, event: Tensor) -> Tensor:
    """Return the event as a truth value; raise unless it is 0 or 1, one a time, none missing."""
    if time.shape != event.shape:
        raise ValueError(
            f"time has shape {tuple(time.shape)} but event has shape {tuple(event.shape)}; they "
            "must be equal, nothing is broadcast"
        )
    require(((event == 0) | (event == 1)).all(), "event holds more than 0 and 1")
    require((time == time).all(), "time holds NaN; leave such rows out")
    return event == 1


def _standardised(
    input: Tensor, time: Tensor, floor: Tensor | float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return z = (log time − μ)/σ, log σ and log time of a head of two."""
    input, time = several_outputs(input, time, 2)
    require((time > 0).all(), "time holds numbers that are not positive; leave such rows out")
    place, raw = input.unbind(head_dim(input))
    log_scale, log_time = log_scale_of(raw, floor), time.log()
    most = torch.finfo(input.dtype).max ** 0.499
    z = clamp_if_outside((log_time - place) * (-log_scale).exp(), -most, most)
    return z, log_scale, log_time


def _log_upper_tail(z: Tensor) -> Tensor:
    """Return log Φ(−z); the slope of torch's log_ndtr is wrong far out, in float32 by z = 100."""
    far, near = z.clamp(min=1) / math.sqrt(2), z.clamp(max=1) / math.sqrt(2)
    tail = (torch.special.erfcx(far) / 2).log() - far.square()
    return torch.where(z > 1, tail, torch.log1p(-torch.erfc(-near) / 2))
