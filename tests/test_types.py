"""What the types let a user write: mypy reads this file, and pytest runs it."""

from typing import Any, assert_type

import pytest
from torch import Tensor, nn, tensor

from lossmith import (
    MSE,
    MSSSIM,
    AnyLoss,
    CrossEntropy,
    Focal,
    HLGauss,
    Huber,
    Hybrid,
    Linear,
    LossScheduler,
    NTXent,
    Number,
    Plateau,
    Pointwise,
    Quantile,
    Real,
    Reals,
    Tempered,
    Tversky,
    Whole,
)


def test_numbers_schedules_and_parameters_are_typed_alike() -> None:
    numbers: tuple[Number, ...] = (0.5, Linear(1.0, 0.1), nn.Parameter(tensor(0.5)))
    for number in numbers:
        loss: Hybrid = 0.3 * Huber(delta=number).on("price")
        loss = loss + number * Quantile(level=0.9).on("price")
        value: Tensor = loss({"price": tensor([1.0])}, {"price": tensor([0.0])})
        assert value.ndim == 0


def test_schedules_reach_losses_with_defaults_of_none_and_wrappers() -> None:
    loss = Tempered(
        CrossEntropy(label_smoothing=Linear(0.1, 0.0), softcap=Linear(50.0, 30.0)),
        temperature=Plateau("accuracy", start=2.0, factor=0.9, least=1.0),
    )
    LossScheduler(loss, total_steps=2).step(accuracy=0.5)
    LossScheduler(Focal(gamma=Linear(2.0, 0.0)), total_steps=2).step()
    LossScheduler(Tversky(alpha=Linear(0.5, 0.3)), total_steps=2).step()


class Own(Pointwise):
    card = Huber.card
    scale: Real = Real(default=1.0, doc="a factor")
    steps: Reals = Reals(doc="several")

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return self.scale.to(input) * (input - target)


class Repeated(Huber):
    times: Whole = Whole(default=1, doc="how often")


def test_what_an_attribute_reads_as() -> None:
    entropy, count = CrossEntropy(classes=3, class_weight=[1.0, 2.0, 3.0]), Repeated(times=2)
    assert_type(Huber(delta=1).delta, Tensor)
    assert_type(entropy.classes, int | None)
    assert_type(entropy.class_weight, Tensor | None)
    assert_type(entropy.softcap, Tensor | None)
    assert_type(Quantile(level=[0.1, 0.9]).level, Tensor)
    assert_type(AnyLoss(metric="f1").metric, str)
    assert_type(NTXent(gather=False).gather, bool | str)
    assert_type(count.times, int)
    assert_type(count.delta, Tensor)
    assert_type(Own(steps=[1.0]).steps, Tensor)


def test_what_a_call_gives() -> None:
    numbers = tensor([1.0])
    assert_type(Huber()(numbers, numbers, weight=numbers), Tensor)
    assert_type(0.5 * Huber() + MSE(), Hybrid)
    assert_type(Huber.for_target(numbers), Huber)
    with pytest.raises(TypeError):
        Huber()(numbers, numbers, wieght=numbers)  # type: ignore[call-arg]


def test_what_a_checker_refuses_is_refused() -> None:
    with pytest.raises(TypeError, match="did you mean delta"):
        Huber(detla=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="by name: delta="):
        Huber(1.0)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="needs high"):
        HLGauss(low=0.0)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="did you mean scale"):
        Own(steps=[1.0], scle=2.0)  # type: ignore[call-arg]
    wrong: list[Any] = [
        lambda: Huber(delta="1"),  # type: ignore[arg-type]
        lambda: Huber(delta=None),  # type: ignore[arg-type]
        lambda: CrossEntropy(classes=3.0),  # type: ignore[arg-type]
        lambda: MSSSIM(scale_weights=Linear(0.0, 1.0)),  # type: ignore[arg-type]
        lambda: NTXent(gather=3),  # type: ignore[arg-type]
        lambda: AnyLoss(metric=1),  # type: ignore[arg-type]
        lambda: Tempered(3),  # type: ignore[arg-type]
        lambda: Repeated(times=1.5),  # type: ignore[arg-type]
    ]
    for build in wrong:
        with pytest.raises(TypeError, match="must be"):
            build()
