"""Losses of signals, and of sequences without alignment."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    check,
    check_range,
    matmul_full_precision,
    promote,
    same_shape,
    widest,
)

__all__ = [
    "ctc",
    "esr",
    "has_signal",
    "mel_filters",
    "mel_stft",
    "multi_resolution_stft",
    "rnnt",
    "si_sdr",
]

_LEAST = 1e-30
_LOG_STEP = math.log(6.4) / 27  # of a mel beyond 1000 Hz, Slaney's
_FLOOR = 1e-8  # of an estimate's energy: distortion ratios end at 80 dB
_FAR = 1e9  # log-probabilities whose sums keep the digits of a difference in float64


def esr(input: Tensor, target: Tensor) -> Tensor:
    """Return Σ(x − y)²/Σy² of each signal, 0 for a silent target (Wright et al., 2019)."""
    input, target = _signals(input, target)
    heard = has_signal(target)
    scale = _largest(target)
    error = (input / scale - target / scale).square().sum(-1)
    energy = (target / scale).square().sum(-1)
    return torch.where(heard, error / torch.where(heard, energy, 1.0), 0.0)


def si_sdr(input: Tensor, target: Tensor, *, zero_mean: bool = True) -> Tensor:
    """Return −10·log10(|αy|²/|x − αy|²), α = x·y/|y|², in decibels (Le Roux et al., 2019).

    Both energies are raised by 1e-8 of the estimate's. A silent target or estimate gives 0.
    """
    input, target = _signals(input, target)
    heard = has_signal(target, zero_mean=zero_mean)
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
    return _spectral(input, target, (fft_sizes, hops, windows), epsilon)


def mel_stft(
    input: Tensor,
    target: Tensor,
    *,
    sample_rate: int,
    mels: int = 128,
    fft_sizes: Sequence[int] = (1024,),
    hops: Sequence[int] = (256,),
    windows: Sequence[int] = (1024,),
    epsilon: Tensor | float = 1e-8,
) -> Tensor:
    """Return the same of mel bands, sums of magnitudes with the weights of `mel_filters`."""
    banks = [
        mel_filters(sample_rate, size, mels, dtype=widest(input.device), device=input.device)
        for size in fft_sizes
    ]
    return _spectral(input, target, (fft_sizes, hops, windows), epsilon, banks)


def mel_filters(
    sample_rate: int,
    size: int,
    mels: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
) -> Tensor:
    """Return weights (mels, size/2 + 1) of a transform's frequencies: triangles of area 1.

    Their corners lie evenly on Slaney's mel scale from 0 to half the sample rate, which is linear
    up to 1000 Hz and logarithmic beyond, as in librosa.

    >>> 1000 * mel_filters(8000, 8, 1)
    tensor([[0.0000, 0.4187, 0.3564, 0.1782, 0.0000]])
    """
    kind: dict[str, Any] = {"dtype": dtype, "device": device}
    half = sample_rate / 2
    top = 15 + math.log(half / 1000) / _LOG_STEP if half > 1000 else half * 3 / 200
    place = torch.linspace(0, top, mels + 2, **kind)
    corner = torch.where(place < 15, place * 200 / 3, 1000 * ((place - 15) * _LOG_STEP).exp())
    heard = torch.linspace(0, half, size // 2 + 1, **kind)
    low, peak, high = (one.unsqueeze(1) for one in (corner[:-2], corner[1:-1], corner[2:]))
    shape = torch.minimum((heard - low) / (peak - low), (high - heard) / (high - peak))
    return shape.clamp(min=0) * 2 / (high - low)


def _spectral(
    input: Tensor,
    target: Tensor,
    transforms: tuple[Sequence[int], Sequence[int], Sequence[int]],
    epsilon: Tensor | float,
    banks: Sequence[Tensor | None] | None = None,
) -> Tensor:
    """The distance of spectrograms, of bands where there are banks, mean over resolutions."""
    input, target = _signals(input, target)
    sizes = transforms[0]
    if input.shape[-1] <= max(sizes) // 2:
        raise ValueError(
            f"signals must be longer than half of the largest transform, {max(sizes)}; got "
            f"shape {tuple(input.shape)}"
        )
    if input.numel() == 0:  # which no transform takes
        return input.sum(-1)
    scale = torch.maximum(torch.maximum(_largest(input), _largest(target)), input.new_ones(()))
    least = (as_scalar_or_tensor(epsilon, input) / scale / scale).clamp(min=_LEAST).unsqueeze(-1)
    total = torch.zeros(input.shape[:-1], dtype=input.dtype, device=input.device)
    for *transform, bank in zip(*transforms, banks or [None] * len(sizes), strict=True):
        given, wanted = (
            torch.maximum(_power(signal / scale, *transform), least).sqrt()
            for signal in (input, target)
        )
        if bank is not None:
            given, wanted = (
                matmul_full_precision(bank.to(one.dtype), one).clamp(min=_LEAST)
                for one in (given, wanted)
            )
        total = total + _convergence(given, wanted)
        total = total + (given.log() - wanted.log()).abs().flatten(-2).mean(-1)
    return total / len(sizes)


def has_signal(target: Tensor, *, zero_mean: bool = False) -> Tensor:
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
    given, wanted = given.flatten(-2), wanted.flatten(-2)
    apart = torch.linalg.vector_norm(wanted - given, dim=-1)
    return apart / torch.linalg.vector_norm(wanted, dim=-1)


def ctc(
    input: Tensor,
    classes: Tensor,
    lengths: Tensor,
    frames: Tensor | None = None,
    *,
    blank: int = 0,
    zero_infinity: bool = True,
) -> Tensor:
    """Return −log of the chance of each row's labels over all their alignments to the frames.

    Computed by torch's `ctc_loss`. A row that no alignment fits has 0, or infinity without
    `zero_infinity`; its gradient is zero either way.
    """
    logits, labels, length, frame = _checked(input, classes, lengths, frames, blank)
    if not len(logits):
        return logits.sum((1, 2))
    if frames is not None:  # whatever is behind them
        heard = torch.arange(logits.shape[1], device=logits.device) < frame.unsqueeze(1)
        logits = torch.where(heard.unsqueeze(2), logits, 0)
    low = torch.finfo(logits.dtype).min / (2 * max(logits.shape[1], 1))  # a path adds up to finite
    wide = logits.to(widest(logits.device))  # torch subtracts sums of it
    log_p = wide.log_softmax(2).clamp(min=low)
    # So far apart one path is all: a scale, under which sums keep their digits, changes no share.
    size = (log_p.detach().abs().amax() / _FAR).clamp(min=1.0)
    values = torch.nn.functional.ctc_loss(
        (log_p / size).transpose(0, 1),
        labels,
        frame,
        length,
        blank,
        reduction="none",
        zero_infinity=True,
    )
    values = (values * size).to(logits.dtype)
    if zero_infinity:
        return values
    place = torch.arange(1, labels.shape[1], device=labels.device)
    again = (labels[:, 1:] == labels[:, :-1]) & (place < length.unsqueeze(1))
    return values.masked_fill(length + again.sum(1) > frame, torch.inf)


def rnnt(
    input: Tensor,
    classes: Tensor,
    lengths: Tensor,
    frames: Tensor | None = None,
    *,
    blank: int = 0,
) -> Tensor:
    """Return −log of the chance of each row's labels over all their alignments (Graves, 2012).

    Shapes: input (N, T, S + 1, C), classes (N, S). A row without frames has 0.
    """
    logits, labels, length, frame = _checked(input, classes, lengths, frames, blank, grid=True)
    if not logits.shape[0]:
        return logits.sum((1, 2, 3))
    rows, times, places, _ = logits.shape
    heard = torch.arange(times, device=logits.device) < frame.unsqueeze(1)
    there = torch.arange(places, device=logits.device) <= length.unsqueeze(1)
    logits = torch.where((heard.unsqueeze(2) & there.unsqueeze(1)).unsqueeze(3), logits, 0)
    total = logits.logsumexp(3)
    low = torch.finfo(logits.dtype).min / (8 * (times + places))  # a path adds up to finite
    wait = (logits[..., blank] - total).clamp(min=low)
    index = labels[:, None, :, None].expand(rows, times, places - 1, 1)
    say = (logits[:, :, :-1].gather(3, index).squeeze(3) - total[:, :, :-1]).clamp(min=low)
    reached = _diagonals(wait, say)
    last = (frame - 1).clamp(min=0)
    row = torch.arange(rows, device=logits.device)
    value = -(reached[row, last + length, length] + wait[row, last, length])
    return torch.where(frame > 0, value, 0)


def _diagonals(wait: Tensor, say: Tensor) -> Tensor:
    """Return the summed log-chance of all ways to each cell of a grid, (N, T + S, S + 1).

    `wait` (N, T, S + 1) leads to the next frame and `say` (N, T, S) to the next label. Cells come
    by diagonals of frame + label, each of which follows from the one before it at once.
    """
    times, places = wait.shape[1:]
    label = torch.arange(places, device=wait.device)
    frame = torch.arange(times + places - 1, device=wait.device).unsqueeze(1) - label
    inside, frame = (frame >= 0) & (frame < times), frame.clamp(0, times - 1)
    wait, say = wait[:, frame, label], say[:, frame[:, :-1], label[:-1]]
    none = wait.new_full((), torch.finfo(wait.dtype).min / 4)
    start = torch.where(label == 0, 0, none).expand_as(wait[:, 0])
    found = [start]
    for at in range(1, len(inside)):
        said = torch.cat([none.expand_as(start[:, :1]), found[-1][:, :-1] + say[:, at - 1]], 1)
        both = torch.stack([found[-1] + wait[:, at - 1], said])
        found.append(torch.where(inside[at], both.logsumexp(0), none))
    return torch.stack(found, 1)


def _checked(
    input: Tensor,
    classes: Tensor,
    lengths: Tensor,
    frames: Tensor | None,
    blank: int,
    *,
    grid: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return float logits, and labels without padding, lengths and frames as integers.

    Logits are those of frames, or of a grid of frames and labels said so far.
    """
    logits = promote(input)
    if classes.is_floating_point() or classes.dtype == torch.bool:
        raise TypeError(f"classes must hold integers, got {classes.dtype}; use classes.long()")
    rows = logits.shape[:1]
    counted = {"lengths": lengths} if frames is None else {"lengths": lengths, "frames": frames}
    shapes = [tuple(one.shape) for one in (logits, classes, *counted.values())]
    fit = logits.ndim == 3 + grid and classes.ndim == 2 and classes.shape[:1] == rows
    fit = fit and (not grid or logits.shape[2] == classes.shape[1] + 1)
    if not fit or any(one.shape != rows for one in counted.values()):
        raise ValueError(
            f"input, classes, {', '.join(counted)} have shapes {', '.join(map(str, shapes))}; "
            f"they must be {'(N, T, S + 1, C)' if grid else '(N, T, C)'}, (N, S), and (N,)"
        )
    count = logits.shape[-1]
    if blank >= count:
        raise ValueError(f"blank is {blank}, but input has {count} classes")
    length = _within("lengths", lengths, classes.shape[1])
    frame = torch.full_like(length, logits.shape[1])
    frame = frame if frames is None else _within("frames", frames, logits.shape[1])
    padding = torch.arange(classes.shape[1], device=classes.device) >= length.unsqueeze(1)
    labels = classes.long()
    fine = (labels >= 0) & (labels < count) & (labels != blank)
    check(
        (fine | padding).all(),
        f"a class lies outside 0 … {count - 1}, or is {blank}, the blank's",
    )
    return logits, labels.masked_fill(padding, blank), length, frame


def _within(name: str, counts: Tensor, most: int) -> Tensor:
    """Return counts as integers, all from 0 to `most`."""
    check_range(counts, 0, most, f"{name} must lie in 0 … {most}, the padded size")
    return counts.long()
