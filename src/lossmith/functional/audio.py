"""Losses of signals against signals, unreduced: one value a signal, along the last dimension."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lossmith.functional.checks import in_dtype, same_shape

_LEAST = 1e-30
_FLOOR = 1e-8  # of an estimate's energy: distortion ratios end at 80 dB


def esr(input: Tensor, target: Tensor) -> Tensor:
    """Return Σ(x − y)²/Σy² of each signal, 0 for a silent target (Wright et al., 2019)."""
    input, target = _signals(input, target)
    heard = sounding(target)
    scale = _largest(target)
    error = (input / scale - target / scale).square().sum(-1)
    energy = (target / scale).square().sum(-1)
    return torch.where(heard, error / torch.where(heard, energy, 1.0), 0.0)


def si_sdr(input: Tensor, target: Tensor, *, zero_mean: bool = True) -> Tensor:
    """Return −10·log10(|αy|²/|x − αy|²), α = x·y/|y|², in decibels (Le Roux et al., 2019).

    Both energies are raised by 1e-8 of the estimate's. A silent target or estimate gives 0.
    """
    input, target = _signals(input, target)
    heard = sounding(target, zero_mean=zero_mean)
    input, target = (_centred(one / _largest(one), zero_mean) for one in (input, target))
    energy = torch.where(heard, target.square().sum(-1), 1.0)
    shared = ((input * target).sum(-1) / energy).unsqueeze(-1) * target
    floor = _FLOOR * input.square().sum(-1) + _LEAST
    wanted, rest = shared.square().sum(-1) + floor, (input - shared).square().sum(-1) + floor
    return torch.where(heard, 10 * (rest.log10() - wanted.log10()), 0.0)


def multi_resolution_stft(
    input: Tensor,
    target: Tensor,
    *,
    fft_sizes: Sequence[int] = (1024, 2048, 512),
    hops: Sequence[int] = (120, 240, 50),
    windows: Sequence[int] = (600, 1200, 240),
    epsilon: Tensor | float = 1e-8,
) -> Tensor:
    """Return spectral convergence + log-magnitude distance, mean over resolutions (Yamamoto, 2020).

    ‖|Y| − |X|‖/‖|Y|‖ and the mean of |log|Y| − log|X||, with powers of at least epsilon.
    """
    input, target = _signals(input, target)
    if input.shape[-1] <= max(fft_sizes) // 2:
        raise ValueError(
            f"signals must be longer than half of the largest transform, {max(fft_sizes)}; got "
            f"shape {tuple(input.shape)}"
        )
    if input.numel() == 0:  # which no transform takes
        return input.sum(-1)
    scale = torch.maximum(torch.maximum(_largest(input), _largest(target)), input.new_ones(()))
    least = (in_dtype(epsilon, input) / scale / scale).clamp(min=_LEAST).unsqueeze(-1)
    total = torch.zeros(input.shape[:-1], dtype=input.dtype, device=input.device)
    for size, hop, window in zip(fft_sizes, hops, windows, strict=True):
        given, wanted = (
            torch.maximum(_power(signal / scale, size, hop, window), least)
            for signal in (input, target)
        )
        total = total + _convergence(given, wanted)
        total = total + (given.log() - wanted.log()).abs().flatten(-2).mean(-1) / 2
    return total / len(fft_sizes)


def sounding(target: Tensor, *, zero_mean: bool = False) -> Tensor:
    """Return whether each signal has energy, beyond its mean where that is taken away."""
    if target.ndim == 0:
        raise ValueError("target must hold signals (N, T), got a scalar")
    target = target.float() if target.dtype.itemsize < 4 else target
    centred = _centred(target / _largest(target), zero_mean)
    return ~(centred.square().sum(-1) <= 1e-12 * target.shape[-1])  # NaN is no silence


def _signals(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    input, target = same_shape(input, target)
    if input.ndim < 2:
        raise ValueError(f"input must hold signals (N, …, T), got shape {tuple(input.shape)}")
    return input, target


def _largest(signal: Tensor) -> Tensor:
    """The largest size in each signal, as a constant; 1 for silence."""
    size = signal.detach().abs().amax(-1, keepdim=True)
    return torch.where(size == 0, 1.0, size)


def _centred(signal: Tensor, zero_mean: bool) -> Tensor:
    return signal - signal.mean(-1, keepdim=True) if zero_mean else signal


def _power(signal: Tensor, size: int, hop: int, window: int) -> Tensor:
    """The power of each frequency at each time, (…, F, frames)."""
    shape = torch.hann_window(window, dtype=signal.dtype, device=signal.device)
    flat = signal.flatten(0, -2)
    found = torch.view_as_real(torch.stft(flat, size, hop, window, shape, return_complex=True))
    return found.square().sum(-1).unflatten(0, signal.shape[:-1])


def _convergence(given: Tensor, wanted: Tensor) -> Tensor:
    given, wanted = given.sqrt().flatten(-2), wanted.sqrt().flatten(-2)
    apart = torch.linalg.vector_norm(wanted - given, dim=-1)
    return apart / torch.linalg.vector_norm(wanted, dim=-1)
