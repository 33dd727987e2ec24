"""Likelihoods of censored times on a grid t_1 < … < t_K, whose intervals are (t_{k−1}, t_k].

t_0 is 0. The head has an output for each interval. What is censored within an interval tells
nothing of it, but under a piecewise constant hazard; what lies beyond t_K is censored there.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    check,
    check_head,
    clamp_if_outside,
    head_dim,
    matmul_full_precision,
    promote,
)
from lossmith.functional.regression.counts import exp_linear_tail
from lossmith.functional.survival.continuous import happened

__all__ = [
    "bce_surv",
    "deep_hit",
    "hazard_curve",
    "logistic_hazard",
    "mass_curve",
    "mtlr",
    "mtlr_curve",
    "pc_hazard",
    "pc_hazard_survival",
    "pmf",
]

_ALL = slice(None)


def logistic_hazard(input: Tensor, time: Tensor, event: Tensor, *, times: Tensor) -> Tensor:
    """Return the cross-entropy of each interval's hazard σ(input) (Gensheimer, 2019)."""
    logits, time, event, edges = _rows(input, time, event, times)
    survived = _survived(time, event, edges)
    ended = event.unsqueeze(-1) & _first(~survived)
    rise = torch.where(survived, -nnf.logsigmoid(-logits), 0)
    return (rise - torch.where(ended, nnf.logsigmoid(logits), 0)).sum(-1)


def bce_surv(input: Tensor, time: Tensor, event: Tensor, *, times: Tensor) -> Tensor:
    """Return the cross-entropy of surviving each end, where that is known (Kvamme, 2019)."""
    logits, time, event, edges = _rows(input, time, event, times)
    survived = _survived(time, event, edges)
    fallen = event.unsqueeze(-1) & ~survived
    rise = torch.where(survived, -nnf.logsigmoid(logits), 0)
    return (rise - torch.where(fallen, nnf.logsigmoid(-logits), 0)).sum(-1)


def pmf(input: Tensor, time: Tensor, event: Tensor, *, times: Tensor) -> Tensor:
    """Return −log of the mass that is possible, of a softmax over the intervals (Kvamme, 2019)."""
    logits, time, event, edges = _rows(input, time, event, times)
    return -_log_possible(_log_masses(logits), _possible(_survived(time, event, edges), event))


def mtlr(input: Tensor, time: Tensor, event: Tensor, *, times: Tensor) -> Tensor:
    """Return −log of the mass that is possible; logits are sums of input from k on (Yu, 2011)."""
    logits, time, event, edges = _rows(input, time, event, times)
    logs, survived = _log_masses(_from_here_on(logits)), _survived(time, event, edges)
    return -_log_possible(logs, _possible(survived, event))


def deep_hit(
    input: Tensor,
    time: Tensor,
    event: Tensor,
    *,
    times: Tensor,
    alpha: Tensor | float,
    sigma: Tensor | float,
    own: slice = _ALL,
) -> Tensor:
    """Return −log of the mass that is possible + alpha·mean_j A_ij e^(−(F_i − F_j)/sigma).

    F is the probability of an event by the end of the interval of row i's event, and A_ij is 1
    where row j is known to have survived that interval (Lee et al., 2018).
    """
    if input.ndim != 2:
        raise ValueError(f"input must be a batch of heads (N, K), got shape {tuple(input.shape)}")
    logits, time, event, edges = _rows(input, time, event, times)
    survived, logs = _survived(time, event, edges), _log_masses(logits)
    likelihood = -_log_possible(logs[own], _possible(survived, event)[own])
    died = (event.unsqueeze(1) & _first(~survived))[own].to(logits.dtype)
    until = logs.exp()[:, :-1].cumsum(1)
    gaps = (died * until[own]).sum(1, keepdim=True) - matmul_full_precision(died, until.T)
    outlived = matmul_full_precision(died, survived.T.to(logits.dtype))
    rank = outlived * exp_linear_tail(-gaps / as_scalar_or_tensor(sigma, logits))
    return likelihood + as_scalar_or_tensor(alpha, logits) * rank.mean(1)


def pc_hazard(input: Tensor, time: Tensor, event: Tensor, *, times: Tensor) -> Tensor:
    """Return Σ_k h_k·(share of interval k lived) − event·log h, h = softplus(input) (Kvamme)."""
    raw, time, event, edges = _rows(input, time, event, times)
    ended = event.unsqueeze(-1) & _first(~_survived(time, event, edges))
    hazard = -nnf.logsigmoid(-raw) * _lived(time, edges).to(raw.dtype)
    return (hazard - torch.where(ended, _log_softplus(raw), 0)).sum(-1)


def pc_hazard_survival(output: Tensor, time: Tensor, *, times: Tensor) -> Tensor:
    """Return exp −Σ_k h_k·(share of interval k lived), the probability to outlive a time."""
    raw, time, _, edges = _rows(output, time, torch.zeros_like(time), times)
    return (nnf.logsigmoid(-raw) * _lived(time, edges).to(raw.dtype)).sum(-1).exp()


def hazard_curve(output: Tensor) -> Tensor:
    """Return Π_j≤k 1 − σ(output_j), which is exp −Σ_j≤k softplus(output_j), along the head."""
    return _along_head(output, lambda raw: nnf.logsigmoid(-raw).cumsum(-1).exp())


def mass_curve(output: Tensor) -> Tensor:
    """Return the mass beyond each interval, of logits of masses, along the head."""
    return _along_head(output, _mass_beyond)


def mtlr_curve(output: Tensor) -> Tensor:
    """Return the mass beyond each interval, of the outputs of MTLR, along the head."""
    return _along_head(output, lambda scores: _mass_beyond(_from_here_on(scores)))


def _rows(
    input: Tensor, time: Tensor, event: Tensor, times: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Check one head, time and event a row; return heads last, times, truth values and the grid.

    The grid is rounded as the times are, so that a time on an edge stays there.
    """
    event = happened(time, event)
    check_head(input, time, len(times))
    input = promote(input)
    time = time if time.is_floating_point() else time.to(input.dtype)
    check((time >= 0).all(), "time holds negative numbers; the grid starts at 0")
    return input.movedim(head_dim(input), -1), promote(time), event, promote(times.to(time))


def _lived(time: Tensor, edges: Tensor) -> Tensor:
    """Return the share of each interval that was lived, in a last dimension."""
    left = nnf.pad(edges[:-1], (1, 0))
    width = (edges - left).clamp(min=torch.finfo(edges.dtype).tiny)
    return ((time.unsqueeze(-1) - left) / width).clamp(0, 1)


def _survived(time: Tensor, event: Tensor, edges: Tensor) -> Tensor:
    """Return for each interval whether its end is known to be survived, in a last dimension."""
    time, event = time.unsqueeze(-1), event.unsqueeze(-1)
    return torch.where(event, edges < time, edges <= time)


def _first(ended: Tensor) -> Tensor:
    """Return the first of intervals that are not survived: where an event, if any, was."""
    return ended & ~nnf.pad(ended[..., :-1], (1, 0), value=False)


def _possible(survived: Tensor, event: Tensor) -> Tensor:
    """Return which intervals, and as the last what lies beyond, may hold the event."""
    open_end = nnf.pad(~survived, (0, 1), value=True)
    return torch.where(event.unsqueeze(-1), _first(open_end), open_end)


def _log_masses(logits: Tensor) -> Tensor:
    """Return the logarithm of each interval's mass, and as the last that of what lies beyond."""
    most = torch.finfo(logits.dtype).max / 8  # so that no difference is infinite
    return nnf.pad(clamp_if_outside(logits, -most, most), (0, 1)).log_softmax(-1)


def _log_possible(logs: Tensor, possible: Tensor) -> Tensor:
    return torch.where(possible, logs, torch.finfo(logs.dtype).min / 2).logsumexp(-1)


def _mass_beyond(logits: Tensor) -> Tensor:
    return _tails(_log_masses(logits).exp())[..., 1:]


def _from_here_on(scores: Tensor) -> Tensor:
    most = torch.finfo(scores.dtype).max / (8 * scores.shape[-1])
    return _tails(clamp_if_outside(scores, -most, most))


def _tails(parts: Tensor) -> Tensor:
    """Return for each place the sum from it to the end of the last dimension."""
    return parts.flip(-1).cumsum(-1).flip(-1)


def _log_softplus(raw: Tensor) -> Tensor:
    """Return log(softplus(raw)), by its series where softplus would lose its logarithm."""
    low = raw < -18
    near = -nnf.logsigmoid(-torch.where(low, 0, raw))
    return torch.where(low, raw - raw.clamp(max=0).exp() / 2, near.log())


def _along_head(output: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    dim = head_dim(output)
    return function(promote(output).movedim(dim, -1)).movedim(-1, dim)
