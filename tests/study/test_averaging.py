"""The running average of weights against its formula written out."""

import pytest
import torch
from torch import nn

from lossmith.study.training.averaging import WeightAverage


def steps(model: nn.Module, average: WeightAverage, values: list[float]) -> None:
    for value in values:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(value)
        average.update(model)


def expected(start: float, values: list[float]) -> float:
    """Every second value enters with the share 8 / (k + 8), k counted from 1."""
    mean = start
    for k, value in enumerate(values[1::2], start=1):
        mean = (1 - 8 / (k + 8)) * mean + 8 / (k + 8) * value
    return mean


def linear(value: float) -> nn.Linear:
    model = nn.Linear(2, 1)
    nn.init.constant_(model.weight, value)
    nn.init.constant_(model.bias, value)
    return model


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 41])
def test_the_average_is_its_formula(count: int) -> None:
    model, values = linear(3.0), [float(v) for v in torch.randn(count).tolist()]
    average = WeightAverage(model)
    steps(model, average, values)
    average.install(model)
    assert average.steps == count
    for parameter in model.parameters():
        torch.testing.assert_close(
            parameter, torch.full_like(parameter, expected(3.0, values)), rtol=1e-5, atol=1e-6
        )


def test_the_start_is_forgotten_and_the_window_grows() -> None:
    weights = {}
    for count in (40, 400):
        model = linear(1.0)
        average = WeightAverage(model)
        steps(model, average, [0.0] * count)
        average.install(model)
        weights[count] = model.bias.item()
    assert weights[40] < 1e-3
    assert weights[400] < 1e-9


def test_applied_for_a_while_even_after_an_error() -> None:
    model = linear(1.0)
    average = WeightAverage(model)
    steps(model, average, [5.0, 2.0])
    with average.applied(model):
        assert model.bias.item() == pytest.approx(expected(1.0, [5.0, 2.0]))
    assert model.bias.item() == 2.0
    with pytest.raises(RuntimeError, match="inside"), average.applied(model):
        raise RuntimeError("inside")
    assert model.bias.item() == 2.0


def test_restart_goes_on_as_if_never_stopped() -> None:
    values = [1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 9.0]
    model = linear(3.0)
    average = WeightAverage(model)
    steps(model, average, values[:3])
    other = linear(0.0)
    resumed = WeightAverage(other)
    known = dict(zip(other.parameters(), average.of(model).values(), strict=True))
    resumed.restart(other, known, average.steps)
    steps(other, resumed, values[3:])
    resumed.install(other)
    assert other.bias.item() == pytest.approx(expected(3.0, values))


def test_floating_buffers_are_averaged_and_counters_left_alone() -> None:
    model = nn.BatchNorm1d(1, momentum=None)
    average = WeightAverage(model)
    batch = torch.tensor([[4.0], [6.0]])
    for _ in range(4):
        model(batch)
        average.update(model)
    assert model.running_mean.item() == pytest.approx(5.0)
    average.install(model)
    assert model.num_batches_tracked.item() == 4
    assert model.running_mean.item() == pytest.approx(expected(0.0, [5.0] * 4))


def test_a_shared_weight_is_averaged_once() -> None:
    first = linear(1.0)
    model = nn.Sequential(first, nn.Linear(1, 2), first)
    average = WeightAverage(model)
    assert len(average.weights) == 4
    steps(model, average, [2.0, 3.0])
    average.install(model)
    assert first.bias.item() == pytest.approx(expected(1.0, [2.0, 3.0]))
