"""Censored times of a distribution: density and survival belong together, far out too."""

import math

import pytest
import torch
from torch import Tensor

from lossmith import LogNormalAFT, WeibullAFT

BOTH = pytest.mark.parametrize("kind", [WeibullAFT, LogNormalAFT])
HEAD = torch.tensor([[0.7, -0.4]], dtype=torch.float64)


def each(loss: WeibullAFT | LogNormalAFT, head: Tensor, time: Tensor, event: int) -> Tensor:
    """Return the value of each of several times under one head."""
    heads = head.expand(len(time), 2)
    return loss.values(heads, {"time": time, "event": torch.full_like(time, event)})


@BOTH
def test_the_density_integrates_to_what_does_not_survive(kind: type) -> None:
    loss, end = kind(), torch.tensor([3.0], dtype=torch.float64)
    time = torch.linspace(1e-9, 3.0, 200_001, dtype=torch.float64)
    mass = torch.trapezoid((-each(loss, HEAD, time, 1)).exp(), time)
    survives = (-each(loss, HEAD, end, 0)).exp()
    assert mass.item() == pytest.approx(1 - survives.item(), abs=1e-6)
    assert torch.allclose(loss.survival(HEAD, end), survives)


@BOTH
def test_half_outlive_the_median(kind: type) -> None:
    loss = kind()
    assert loss.survival(HEAD, loss.decode(HEAD)).item() == pytest.approx(0.5)


def test_shape_1_is_exponential() -> None:
    loss, time = WeibullAFT(floor=1e-12), torch.tensor([0.5, 4.0], dtype=torch.float64)
    head = torch.tensor([[math.log(2.0), 0.0]], dtype=torch.float64)  # a rate of 1/2
    assert torch.allclose(each(loss, head, time, 1), time / 2 + math.log(2))
    assert torch.allclose(each(loss, head, time, 0), time / 2)


@BOTH
def test_another_unit_of_time_shifts_events_by_its_logarithm(kind: type) -> None:
    loss, time = kind(), torch.tensor([0.5, 4.0], dtype=torch.float64)
    shifted = HEAD + HEAD.new_tensor([math.log(60.0), 0.0])
    for event in (0, 1):
        moved = each(loss, shifted, 60 * time, event) - each(loss, HEAD, time, event)
        assert torch.allclose(moved, torch.full_like(time, event * math.log(60.0)))


@pytest.mark.parametrize("place", [-0.5, -30.0, -1e4, 1e4])
def test_slopes_of_log_normal_far_out_are_those_of_float64(place: float) -> None:
    slopes = []
    for dtype in (torch.float32, torch.float64):
        head = torch.tensor([[place, 0.0]], dtype=dtype, requires_grad=True)
        target = {"time": torch.ones(1, dtype=dtype), "event": torch.zeros(1)}
        slopes += torch.autograd.grad(LogNormalAFT(floor=1e-9)(head, target), head)
    assert torch.allclose(slopes[0].double(), slopes[1], rtol=1e-5)


@BOTH
def test_what_is_no_censored_time_is_refused(kind: type) -> None:
    loss, one = kind(), torch.ones(1)
    for time, event, message in (
        (0 * one, one, "not positive"),
        (one * torch.nan, one, "time holds NaN"),
        (one, 2 * one, "event holds more than 0 and 1"),
        (one, torch.ones(2), r"event has shape \(2,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            loss(HEAD.float(), {"time": time, "event": event})
