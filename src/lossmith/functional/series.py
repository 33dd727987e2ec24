"""Losses of time series as wholes, unreduced: one value a series (N, T) or (N, T, D).

Alignments are summed up along the diagonals of the grid of all pairs of times, T + S − 1 steps.
"""

import torch
from torch import Tensor

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    check,
    clamp_if_outside,
    divisor,
    promote,
    same_rows,
    same_shape,
)

__all__ = ["dilate", "fredf", "mase", "naive_error", "soft_dtw"]


def soft_dtw(
    input: Tensor, target: Tensor, *, gamma: Tensor | float = 1.0, divergence: bool = False
) -> Tensor:
    """Return −gamma·log Σ exp(−cost/gamma) over all alignments (Cuturi & Blondel, 2017).

    Shapes: input (N, T) or (N, T, D), target (N, S) or (N, S, D). The divergence takes away half of
    what each series has with itself, so that it is 0 where they are equal, and never below.
    """
    first, second = _series(input, target)
    value = _aligned(_costs(first, second), gamma)
    if not divergence:
        return value
    own = [_aligned(_costs(one, one), gamma) for one in (first, second)]
    return value - (own[0] + own[1]) / 2


def dilate(
    input: Tensor, target: Tensor, *, alpha: Tensor | float = 0.5, gamma: Tensor | float = 0.01
) -> dict[str, Tensor]:
    """Return alpha·soft-DTW and (1 − alpha)·the mean squared delay (Le Guen & Thome, 2019).

    The delay is (i − j)²/T² summed over the soft path: the slope of soft-DTW along these costs.
    """
    first, second = _series(*same_shape(input, target))
    time = torch.arange(first.shape[1], dtype=first.dtype, device=first.device)
    delay = (time.unsqueeze(1) - time).square() / max(len(time), 1) ** 2
    share = as_scalar_or_tensor(alpha, first)
    shape, late = _aligned_along(_costs(first, second), gamma, delay)
    return {"shape": share * shape, "time": (1 - share) * late}


def fredf(input: Tensor, target: Tensor, *, alpha: Tensor | float) -> dict[str, Tensor]:
    """Return alpha·the mean size of Fourier(x − y) and (1 − alpha)·the mean square of x − y."""
    first, second = _series(*same_shape(input, target))
    most, share = torch.finfo(first.dtype).max / 8, as_scalar_or_tensor(alpha, first)
    gap = clamp_if_outside(first - second, -most / first.shape[1], most / first.shape[1])
    return {
        "frequency": share * _amplitudes(gap).flatten(1).mean(1),
        "time": ((1 - share) * gap * gap).flatten(1).mean(1),
    }


def mase(input: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """Return the mean of |x − y| over time, in units of scale (Hyndman & Koehler, 2006).

    Shapes: input and target (N, T) and scale (N,), or (N, T, D) and (N, D).
    """
    first, second = _series(*same_shape(input, target))
    if scale.shape != (*input.shape[:1], *input.shape[2:]):
        raise ValueError(
            f"scale has shape {tuple(scale.shape)} but input has shape {tuple(input.shape)}; it "
            "must be one number a series, (N,) for (N, T), (N, D) for (N, T, D)"
        )
    check(
        (scale > 0).all(),
        "scale must be above 0; leave out series whose history repeats itself, as a constant one",
    )
    most = torch.finfo(first.dtype).max / 8
    gap = clamp_if_outside(first - second, -most, most).abs().mean(1)
    return (gap / scale.to(first).reshape(gap.shape)).mean(1)


def naive_error(history: Tensor, *, season: int = 1) -> Tensor:
    """Return the mean |y_t − y_{t − season}| of each history (N, S) or (N, S, D): MASE's scale.

    >>> naive_error(torch.tensor([[1.0, 3.0, 2.0]]))
    tensor([1.5000])
    """
    if history.ndim not in (2, 3) or not 1 <= season < history.shape[1]:
        raise ValueError(
            f"history has shape {tuple(history.shape)}; it must be (N, S) or (N, S, D) with more "
            f"times than a season, {season}, which is 1 at least"
        )
    history = promote(history)
    return (history[:, season:] - history[:, :-season]).abs().mean(1)


def _amplitudes(series: Tensor) -> Tensor:
    """Return the size of each frequency of series (N, T, D), (N, T // 2 + 1, D)."""
    if not series.shape[0]:  # which no transform takes
        return series[:, : series.shape[1] // 2 + 1]
    real, imaginary = torch.view_as_real(torch.fft.rfft(series, dim=1)).unbind(-1)
    some = (real != 0) | (imaginary != 0)
    return torch.where(some, torch.hypot(torch.where(some, real, 1.0), imaginary), 0.0)


def _series(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check two batches of series and return them as (N, T, D) in one dtype."""
    input = promote(input)
    same_rows({"input": input, "target": target})
    fit = input.ndim == target.ndim and input.ndim in (2, 3) and input.shape[2:] == target.shape[2:]
    if not fit or 0 in (*input.shape[1:], *target.shape[1:]):
        raise ValueError(
            f"input has shape {tuple(input.shape)} and target {tuple(target.shape)}; series must "
            "be (N, T), or (N, T, D) with the same D"
        )
    target = target.to(input.dtype)
    return (input, target) if input.ndim == 3 else (input.unsqueeze(2), target.unsqueeze(2))


def _costs(first: Tensor, second: Tensor) -> Tensor:
    """Return the squared distance of each time to each, (N, T, S), where paths of them add up."""
    count = first.shape[2] * (first.shape[1] + second.shape[1])
    most = (torch.finfo(first.dtype).max / (8 * count)) ** 0.5
    apart = clamp_if_outside(first.unsqueeze(2) - second.unsqueeze(1), -most, most)
    return apart.square().sum(3)


def _aligned(cost: Tensor, gamma: Tensor | float) -> Tensor:
    return _aligned_along(cost, gamma, None)[0]


def _aligned_along(
    cost: Tensor, gamma: Tensor | float, along: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return soft-DTW of costs (N, T, S), and its slope along other costs (T, S), 0 without."""
    (times, places), sharp = cost.shape[1:], divisor(gamma, cost)
    column = torch.arange(places, device=cost.device)
    row = torch.arange(times + places - 1, device=cost.device).unsqueeze(1) - column
    inside, row = (row >= 0) & (row < times), row.clamp(0, times - 1)
    cost = cost[:, row, column]
    far = cost.new_full((), torch.finfo(cost.dtype).max / 4)
    before = last = far.expand_as(cost[:, 0])
    slopes = (torch.zeros_like(before),) * 2
    for at in range(len(inside)):
        ways = [_moved(before, far if at else torch.zeros_like(far)), _moved(last, far), last]
        least, share = _soft_least(torch.stack(ways), sharp)
        before, last = last, torch.where(inside[at], cost[:, at] + least, far)
        if along is not None:
            zero = torch.zeros_like(far)
            tangents = [_moved(slopes[0], zero), _moved(slopes[1], zero), slopes[1]]
            slope = along[row[at], column] + (share * torch.stack(tangents)).sum(0)
            slopes = slopes[1], torch.where(inside[at], slope, zero)
    return last[:, -1], slopes[1][:, -1]


def _moved(cells: Tensor, first: Tensor) -> Tensor:
    """Return cells one place further, `first` before them."""
    return torch.cat([first.expand_as(cells[:, :1]), cells[:, :-1]], 1)


def _soft_least(ways: Tensor, sharp: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return the soft minimum over the first dimension, and the share of each in it."""
    least = ways.detach().amin(0)
    ahead = (least - ways) / sharp
    return least - sharp * ahead.logsumexp(0), ahead.softmax(0)
