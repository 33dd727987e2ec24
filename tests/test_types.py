"""What the types let a user write: mypy reads this file, and pytest runs it."""

from torch import Tensor, nn, tensor

from lossmith import (
    CrossEntropy,
    Focal,
    Huber,
    Hybrid,
    Linear,
    LossScheduler,
    Number,
    Plateau,
    Quantile,
    Tempered,
    Tversky,
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
