"""Losses of signals: scale, silence, perfect estimates, channels."""

import math

import pytest
import torch
from torch import Tensor

import lossmith
from lossmith import functional as F

SMALL = {"fft_sizes": [32, 16], "hops": [8, 4], "windows": [24, 16]}
LOSSES = {"multi_resolution_stft": SMALL, "si_sdr": {}, "esr": {}}


def signals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slope(loss: lossmith.Loss, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    leaf = input.clone().requires_grad_()
    value = loss(leaf, target)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize(("key", "hypers"), LOSSES.items())
def test_channels_are_signals(key: str, hypers: dict) -> None:
    loss, input, target = lossmith.get(key, **hypers), signals(2, 3, 40), signals(2, 3, 40, seed=1)
    torch.testing.assert_close(loss(input, target), loss(input.flatten(0, 1), target.flatten(0, 1)))


@pytest.mark.parametrize(("key", "hypers"), LOSSES.items())
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_silence_and_perfect_estimates_are_finite(key: str, hypers: dict, dtype) -> None:
    loss, some = lossmith.get(key, **hypers), signals(2, 40)
    silent = torch.zeros_like(some)
    for input, target in ((some, some), (silent, some), (some, silent), (silent, silent)):
        value, gradient = slope(loss, input.to(dtype), target.to(dtype))
        assert value.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("key", ["si_sdr", "esr"])
def test_silent_targets_do_not_count(key: str) -> None:
    loss, input, target = lossmith.get(key), signals(3, 40), signals(3, 40, seed=1)
    target[1] = 0
    value, gradient = slope(loss, input, target)
    torch.testing.assert_close(value, loss(input[[0, 2]], target[[0, 2]]))
    assert (gradient[1] == 0).all()


@pytest.mark.parametrize("scale", [1e-6, 0.1, 1e6])
def test_si_sdr_knows_no_loudness(scale: float) -> None:
    loss, input, target = lossmith.get("si_sdr"), signals(2, 40), signals(2, 40, seed=1)
    torch.testing.assert_close(loss(scale * input, target), loss(input, target))
    torch.testing.assert_close(loss(input, scale * target + scale), loss(input, target))


def test_si_sdr_ends_at_eighty_decibels() -> None:
    target = signals(1, 40)
    assert lossmith.get("si_sdr")(3 * target, target).item() == pytest.approx(-80.0)
    noise = 0.1 * signals(1, 40, seed=1)
    noise = noise - noise.mean()
    centred = target - target.mean()
    noise = noise - (noise * centred).sum() / centred.square().sum() * centred
    expected = -10 * math.log10(centred.square().sum() / noise.square().sum())
    assert lossmith.get("si_sdr")(target + noise, target).item() == pytest.approx(expected)


def test_esr_of_silence_is_one() -> None:
    target = signals(4, 40)
    torch.testing.assert_close(F.esr(torch.zeros_like(target), target), torch.ones(4).double())
    torch.testing.assert_close(F.esr(1e6 * target, 1e6 * target), torch.zeros(4).double())


def test_a_louder_copy_has_the_ratio_as_convergence_and_logarithm() -> None:
    loss, target = lossmith.get("multi_resolution_stft", **SMALL), signals(2, 60)
    for factor in (0.5, 3.0):
        value = loss(factor * target, target).item()
        assert value == pytest.approx(abs(1 - factor) + abs(math.log(factor)), rel=1e-5)


def test_the_papers_resolutions_and_what_does_not_fit() -> None:
    loss = lossmith.get("multi_resolution_stft")
    assert loss(signals(1, 1100), signals(1, 1100, seed=1)).isfinite()
    with pytest.raises(ValueError, match=r"longer than half.*2048.*\(1, 1024\)"):
        loss(signals(1, 1024), signals(1, 1024))
    with pytest.raises(ValueError, match="one hop and one window"):
        lossmith.get("multi_resolution_stft", fft_sizes=[8], hops=[4, 2], windows=[8])
    with pytest.raises(ValueError, match="at most as long"):
        lossmith.get("multi_resolution_stft", fft_sizes=[8], hops=[4], windows=[9])
    with pytest.raises(ValueError, match=r"hops must be in \[1, inf\), got 0"):
        lossmith.get("multi_resolution_stft", fft_sizes=[8], hops=[0], windows=[8])


def test_mel_filters_are_even_triangles_of_area_one() -> None:
    filters = F.mel_filters(16000, 4096, 40, dtype=torch.float64)
    assert filters.shape == (40, 2049)
    torch.testing.assert_close(
        filters.sum(1) * 16000 / 4096, torch.ones(40).double(), rtol=2e-2, atol=0
    )
    peaks = filters.argmax(1) * 16000 / 4096
    below = peaks[peaks < 900]
    assert (below.diff() - below.diff().mean()).abs().max() < 8  # evenly spaced up to 1000 Hz
    beyond = peaks[peaks > 1100]
    ratio = beyond[1:] / beyond[:-1]
    assert (ratio / ratio.mean() - 1).abs().max() < 1e-2  # in even ratios beyond


def test_mel_bands_without_a_frequency_cost_nothing() -> None:
    g = torch.Generator().manual_seed(0)
    input, target = torch.randn(2, 2, 64, generator=g)
    leaf = input.clone().requires_grad_()
    given = {"sample_rate": 16000, "fft_sizes": [16], "hops": [8], "windows": [16]}
    assert (F.mel_filters(16000, 16, 40).sum(1) == 0).any()
    value = lossmith.get("mel_stft", mels=40, **given)(leaf, target)
    assert value.isfinite()
    assert torch.autograd.grad(value, leaf)[0].isfinite().all()
    with pytest.raises(ValueError, match="MelSTFT needs one hop and one window"):
        lossmith.get("mel_stft", **{**given, "hops": [8, 4]})
