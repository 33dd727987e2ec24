"""Likelihoods of censored times: Cox's partial one, and those of a distribution; a value a row."""

import math

import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith.functional.checks import (
    check,
    check_flags,
    clamp_if_outside,
    head_dim,
    promote,
    several_outputs,
    tensor_like,
    widest,
)
from lossmith.functional.distributional.likelihood import log_scale_of
from lossmith.functional.regression.counts import exp_linear_tail

__all__ = [
    "at_times",
    "breslow",
    "cox",
    "cox_survival",
    "log_logistic_aft",
    "log_logistic_survival",
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


def breslow(output: Tensor, time: Tensor, event: Tensor, *, at: Tensor) -> Tensor:
    """Return Σ_i: t_i ≤ at event_i / Σ_j: t_j ≥ t_i exp(output_j), the hazard summed up to times.

    (Breslow, 1974.)
    """
    order = time.argsort(descending=True)
    time, event, risks = time[order], event[order], output[order].logcumsumexp(0)
    last = torch.searchsorted(-time, -time, right=True) - 1  # of equal times: all are at risk
    most = torch.finfo(risks.dtype).max / (2 * len(risks))  # so that their sum is finite
    steps = torch.where(event == 1, (-risks[last]).exp().clamp(max=most), 0).flip(0).cumsum(0)
    places = torch.searchsorted(time.flip(0), at, right=True)
    return torch.cat([steps.new_zeros(1), steps])[places]


def cox_survival(output: Tensor, time: Tensor, *, times: Tensor, hazard: Tensor) -> Tensor:
    """Return exp(−H(time)·exp(output)), H in lines between the times at which it is known."""
    output = promote(output)
    known = hazard.to(output.device, widest(output.device)).expand(len(output), -1)
    logs = at_times(known, time, times=times, start=0.0).log()
    return (-(logs + output).exp()).exp().to(output.dtype)


def at_times(values: Tensor, time: Tensor, *, times: Tensor, start: float) -> Tensor:
    """Return rows of values at the ends of intervals, (N, K), between them: each row at its time.

    They rise or fall in lines from `start` at time 0, and stay what they are beyond the last end.
    """
    edges = nnf.pad(promote(times.to(values)), (1, 0))
    values = nnf.pad(values, (1, 0), value=start)
    place = torch.searchsorted(edges, time.to(edges).contiguous()).clamp(1, len(edges) - 1)
    left, right = edges[place - 1], edges[place]
    through = ((time - left) / (right - left)).clamp(0, 1).to(values)
    low, high = (values.gather(-1, one.unsqueeze(-1)).squeeze(-1) for one in (place - 1, place))
    return torch.lerp(low, high, through)


def weibull_aft(
    input: Tensor,
    time: Tensor,
    event: Tensor,
    *,
    floor: Tensor | float,
    scale: Tensor | float | None = None,
) -> Tensor:
    """Return e^z + event·(log σ + log time − z), z = (log time/scale − μ)/σ (Kalbfleisch, 1980)."""
    event = happened(time, event)
    z, log_scale, log_time = _standardised(input, time, floor, scale)
    return exp_linear_tail(z) + torch.where(event, log_scale + log_time - z, 0)


def log_logistic_aft(
    input: Tensor,
    time: Tensor,
    event: Tensor,
    *,
    floor: Tensor | float,
    scale: Tensor | float | None = None,
) -> Tensor:
    """Return s + event·(s + log σ + log time − z), s = log(1 + e^z) (Kalbfleisch, 1980)."""
    event = happened(time, event)
    z, log_scale, log_time = _standardised(input, time, floor, scale, power=0.99)
    # 2s − z is s of z and of −z: written so, nothing cancels
    density = nnf.softplus(-z) + log_scale + log_time
    return nnf.softplus(z) + torch.where(event, density, 0)


def log_normal_aft(
    input: Tensor,
    time: Tensor,
    event: Tensor,
    *,
    floor: Tensor | float,
    scale: Tensor | float | None = None,
) -> Tensor:
    """Return −log(φ(z)/(σ·time)) of events, −log Φ(−z) of censored times (Kalbfleisch, 1980)."""
    event = happened(time, event)
    z, log_scale, log_time = _standardised(input, time, floor, scale)
    density = z.square() / 2 + log_scale + log_time + math.log(2 * math.pi) / 2
    return torch.where(event, density, -_log_upper_tail(z))


def weibull_survival(
    output: Tensor, time: Tensor, *, floor: Tensor | float, scale: Tensor | float | None = None
) -> Tensor:
    """Return exp(−e^z), the probability to outlive a time."""
    return (-exp_linear_tail(_standardised(output, time, floor, scale)[0])).exp()


def log_logistic_survival(
    output: Tensor, time: Tensor, *, floor: Tensor | float, scale: Tensor | float | None = None
) -> Tensor:
    """Return 1/(1 + e^z), the probability to outlive a time."""
    return (-_standardised(output, time, floor, scale)[0]).sigmoid()


def log_normal_survival(
    output: Tensor, time: Tensor, *, floor: Tensor | float, scale: Tensor | float | None = None
) -> Tensor:
    """Return Φ(−z), the probability to outlive a time."""
    return torch.special.ndtr(-_standardised(output, time, floor, scale)[0])


def median_time(
    output: Tensor,
    *,
    middle: float,
    floor: Tensor | float,
    scale: Tensor | float | None = None,
) -> Tensor:
    """Return scale·exp(μ + σ·middle): the median, where that of z is `middle`."""
    place, raw = promote(output).unbind(head_dim(output))
    place = place + _log_unit(scale, place)
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
    check_flags("event", event)
    check((time == time).all(), "time holds NaN; leave such rows out")
    return event == 1


def _log_unit(scale: Tensor | float | None, like: Tensor) -> Tensor | float:
    return 0.0 if scale is None else tensor_like(scale, like).log()


def _standardised(
    input: Tensor,
    time: Tensor,
    floor: Tensor | float,
    scale: Tensor | float | None,
    *,
    power: float = 0.499,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return z = (log time/scale − μ)/σ, log σ and log time of a head of two.

    z is held within that power of the dtype's largest number: its square is a number, or it itself.
    """
    input, time = several_outputs(input, time, 2)
    check((time > 0).all(), "time holds numbers that are not positive; leave such rows out")
    place, raw = input.unbind(head_dim(input))
    log_scale, log_time = log_scale_of(raw, floor), time.log()
    most = torch.finfo(input.dtype).max ** power
    away = log_time - _log_unit(scale, place) - place
    z = clamp_if_outside(away * (-log_scale).exp(), -most, most)
    return z, log_scale, log_time


def _log_upper_tail(z: Tensor) -> Tensor:
    """Return log Φ(−z); the slope of torch's log_ndtr is wrong far out, in float32 by z = 100."""
    far, near = z.clamp(min=1) / math.sqrt(2), z.clamp(max=1) / math.sqrt(2)
    tail = (torch.special.erfcx(far) / 2).log() - far.square()
    return torch.where(z > 1, tail, torch.log1p(-torch.erfc(-near) / 2))
