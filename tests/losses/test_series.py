"""Series as wholes, beside the sum over all alignments."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import lossmith as lm
from lossmith import functional as F


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ways(times: int, places: int) -> Iterator[list[tuple[int, int]]]:
    """Yield all ways from the first pair of times to the last."""
    if times == places == 1:
        yield [(0, 0)]
        return
    for up, left in ((1, 1), (1, 0), (0, 1)):
        if times > up and places > left:
            for before in ways(times - up, places - left):
                yield [*before, (times - 1, places - 1)]


def by_ways(x: Tensor, y: Tensor) -> Tensor:
    """Return the cost of every alignment of two series (T, D) and (S, D)."""
    costs = (x.unsqueeze(1) - y).square().sum(2)
    return torch.stack([sum(costs[i, j] for i, j in way) for way in ways(len(x), len(y))])


@pytest.mark.parametrize("lengths", [(3, 3), (4, 2), (1, 3), (2, 5), (1, 1)])
@pytest.mark.parametrize("gamma", [0.1, 2.0])
def test_soft_dtw_sums_over_all_alignments(lengths: tuple[int, int], gamma: float) -> None:
    x, y = (drawn(2, length, 2, seed=length) for length in lengths)
    right = torch.stack(
        [-gamma * (-by_ways(a, b) / gamma).logsumexp(0) for a, b in zip(x, y, strict=True)]
    )
    torch.testing.assert_close(F.soft_dtw(x, y, gamma=gamma), right)


def test_towards_gamma_0_it_is_the_best_alignment() -> None:
    x, y = drawn(1, 4, 1, seed=1), drawn(1, 5, 1, seed=2)
    close = F.soft_dtw(x.squeeze(2), y.squeeze(2), gamma=1e-9)
    torch.testing.assert_close(close[0], by_ways(x[0], y[0]).min())


def test_the_divergence_is_least_where_series_are_equal() -> None:
    x, loss = drawn(3, 5).requires_grad_(), lm.SoftDTW(divergence=True)
    (slope,) = torch.autograd.grad(loss(x, x.detach()), x)
    torch.testing.assert_close(loss.values(x, x), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(slope, torch.zeros_like(slope))
    assert (loss.values(x, drawn(3, 5, seed=9)) > 0).all()
    assert (lm.SoftDTW().values(x, x) < 0).all()


def test_dilates_delay_is_the_slope_of_soft_dtw_along_it() -> None:
    x, y = drawn(1, 4, seed=1), drawn(1, 4, seed=2)
    costs = (x[0].unsqueeze(1) - y[0]).square().requires_grad_()
    totals = torch.stack([sum(costs[i, j] for i, j in way) for way in ways(4, 4)])
    (path,) = torch.autograd.grad(-0.3 * (-totals / 0.3).logsumexp(0), costs)
    time = torch.arange(4)
    late = (path * (time.unsqueeze(1) - time) ** 2).sum() / 16
    terms = lm.DILATE(alpha=0.25, gamma=0.3).terms(x, y)
    torch.testing.assert_close(terms["time"], 0.75 * late)
    torch.testing.assert_close(terms["shape"], 0.25 * F.soft_dtw(x, y, gamma=0.3)[0])


def test_dilate_grows_with_the_delay() -> None:
    step = (torch.arange(8) >= 3).double().unsqueeze(0)
    late = [lm.DILATE().terms(step.roll(by, 1), step)["time"].item() for by in range(4)]
    assert late == sorted(set(late))


def test_fredf_is_of_the_spectrum_and_of_squares() -> None:
    x, y = drawn(2, 5, 3, seed=1), drawn(2, 5, 3, seed=2)
    spectrum = (torch.fft.rfft(x, dim=1) - torch.fft.rfft(y, dim=1)).abs().mean()
    torch.testing.assert_close(lm.FreDF(alpha=1.0)(x, y), spectrum)
    torch.testing.assert_close(lm.FreDF(alpha=0.0)(x, y), (x - y).square().mean())


def test_series_of_other_widths_are_refused() -> None:
    for x, y in (((2, 3, 2), (2, 3, 1)), ((2, 3), (2, 3, 1)), ((2,), (2,))):
        with pytest.raises(ValueError, match=r"\(N, T\), or \(N, T, D\)"):
            lm.SoftDTW()(drawn(*x), drawn(*y))


def test_forecasting_finds_losses_of_series_too() -> None:
    assert {"soft_dtw", "dilate", "fredf", "mae", "quantile"} <= set(lm.find("forecasting"))
    assert set(lm.find("series")) == {"soft_dtw", "dilate", "fredf", "mase", "energy_score"}


def test_repeating_the_last_season_has_a_scaled_error_of_one_where_it_did_before() -> None:
    history = torch.tensor([[1.0, 5.0, 2.0, 7.0, 2.0, 9.0], [10.0, 50.0, 20.0, 70.0, 20.0, 90.0]])
    scale = F.naive_error(history, season=2)  # of 1, 2, 0 and 2, and ten times as much
    torch.testing.assert_close(scale, torch.tensor([1.25, 12.5]))
    target = {"value": history[:, -2:], "scale": scale}
    missed = history[:, -2:] + 1.25 * torch.tensor([[1.0, -1.0], [10.0, -10.0]])
    torch.testing.assert_close(lm.MASE().values(missed, target), torch.ones(2))


def test_scaled_errors_of_several_numbers_a_time_have_a_scale_each() -> None:
    generator = torch.Generator().manual_seed(6)
    input, value = torch.randn(2, 3, 4, 2, generator=generator)
    scale = F.naive_error(torch.randn(3, 9, 2, generator=generator))
    parts = [
        lm.MASE()(input[..., d], {"value": value[..., d], "scale": scale[:, d]}) for d in range(2)
    ]
    both = lm.MASE()(input, {"value": value, "scale": scale})
    torch.testing.assert_close(both, (parts[0] + parts[1]) / 2)


def test_a_scale_is_one_number_above_0_a_series() -> None:
    input = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="scale must be above 0"):
        lm.MASE()(input, {"value": input, "scale": torch.tensor([1.0, 0.0])})
    with pytest.raises(ValueError, match=r"scale has shape \(3,\)"):
        lm.MASE()(input, {"value": input, "scale": torch.ones(3)})
    with pytest.raises(ValueError, match="more times than a season, 4"):
        F.naive_error(torch.ones(1, 4), season=4)


def test_the_energy_score_of_one_sample_is_the_end_point_error() -> None:
    """As docs/contributing.md says: of flow (N, 2, H, W), each pixel one sample of two numbers."""
    generator = torch.Generator().manual_seed(0)
    flow, true = torch.randn(2, 2, 2, 3, 4, generator=generator, dtype=torch.float64)
    error = (flow - true).square().sum(1).sqrt().mean()
    pixels = [one.movedim(1, -1).reshape(-1, 2) for one in (flow, true)]
    torch.testing.assert_close(lm.EnergyScore()(pixels[0].unsqueeze(1), pixels[1]), error)
