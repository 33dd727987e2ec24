"""Censored times of a distribution: density and survival belong together, far out too."""

import math

import pytest
import torch
from torch import Tensor

from lossmith import Cox, LogLogisticAFT, LogNormalAFT, WeibullAFT
from lossmith.catalogue.lookup import from_config

BOTH = pytest.mark.parametrize("kind", [WeibullAFT, LogNormalAFT, LogLogisticAFT])
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


@BOTH
def test_the_unit_of_time_is_the_median_and_belongs_to_the_head(kind: type) -> None:
    time = torch.tensor([100.0, 400.0, 900.0], dtype=torch.float64)
    target = {"time": time, "event": torch.tensor([1, 0, 1])}
    loss = kind.for_target(target)
    assert loss.scale.item() == 400.0
    head = torch.tensor([[0.3, -0.2]] * 3, dtype=torch.float64)
    shift = head.new_tensor([math.log(400.0), 0.0])
    assert torch.allclose(loss.values(head, target), kind().values(head + shift, target))
    assert torch.allclose(loss.decode(head), kind().decode(head + shift))
    assert torch.allclose(loss.survival(head, time), kind().survival(head + shift, time))
    assert kind.for_target(target, scale=1.0).scale.item() == 1.0
    with pytest.raises(ValueError, match="holds no time above 0"):
        kind.for_target({"time": torch.zeros(2), "event": torch.ones(2)})


def test_the_baseline_is_breslows_sum_over_events() -> None:
    time = torch.tensor([3.0, 1.0, 2.0, 2.0, 5.0, 2.0], dtype=torch.float64)
    event = torch.tensor([1, 1, 1, 0, 0, 1])
    risk = torch.tensor([0.3, -1.0, 0.2, 2.0, 0.0, -0.4], dtype=torch.float64)
    steps = {}
    for i in range(6):
        at_risk = sum(risk[j].exp().item() for j in range(6) if time[j] >= time[i])
        steps[i] = event[i].item() / at_risk
    loss = Cox().with_baseline(risk, {"time": time, "event": event}, times=[0.5, 1.0, 2.0, 4.0])
    for at, found in zip([0.5, 1.0, 2.0, 4.0], loss.hazard.tolist(), strict=True):
        assert found == pytest.approx(sum(steps[i] for i in range(6) if time[i] <= at))
    survives = loss.survival(risk, torch.full((6,), 1.5, dtype=torch.float64))
    middle = (loss.hazard[1] + loss.hazard[2]) / 2
    assert torch.allclose(survives, (-middle * risk.exp()).exp())
    again = from_config({"loss": "cox", "arguments": loss.config()})
    assert torch.equal(again.survival(risk, time), loss.survival(risk, time))


def test_a_baseline_of_outputs_far_out_is_finite() -> None:
    target = {"time": torch.tensor([1.0, 2.0, 3.0]), "event": torch.ones(3)}
    for shift in (-800.0, 0.0, 800.0):
        loss = Cox().with_baseline(torch.tensor([1.0, 0.0, -1.0]) + min(shift, 0), target)
        found = loss.survival(torch.tensor([shift, 0.0, 1e4]), torch.tensor([1.0, 0.0, 3.0]))
        assert found.isfinite().all()


def test_a_baseline_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="risks have no time"):
        Cox().survival(torch.zeros(1), torch.ones(1))
    wrong = ([1.0], None), ([2.0, 1.0], [0.1, 0.2]), ([1.0, 2.0], [0.2, 0.1]), ([1.0, 2.0], [0.1])
    for times, hazard in wrong:
        with pytest.raises(ValueError, match="equally many increasing numbers"):
            Cox(times=times, hazard=hazard)
    with pytest.raises(ValueError, match="holds no event"):
        Cox().with_baseline(torch.zeros(2), {"time": torch.ones(2), "event": torch.zeros(2)})
