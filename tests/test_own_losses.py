"""Losses of a user's own: what a class may override, declare, inherit and state."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lossmith import Card, Coupled, Example, Huber, Pointwise, Real
from lossmith import functional as F

INPUT, TARGET = torch.tensor([0.5, 3.0]), torch.zeros(2)
CARD = Card(
    key="own",
    tasks=("regression",),
    input="values",
    target="values",
    example=Example(input=[1.0], target=[0.0], value=1.0),
)


class Base(Pointwise):
    power: Real = Real(default=1.0, doc="exponent of the error")
    card = CARD

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return (input - target).abs() ** self.power.float()


def test_of_several_bases_the_first_in_the_order_of_methods_counts() -> None:
    class Plain(Base):
        pass

    class Squared(Base):
        power: Real = Real(default=2.0, doc="exponent of the error")

    class Both(Plain, Squared):
        pass

    class Fixed(Base):
        power = 3.0

    class Never(Plain, Fixed):
        pass

    assert Both().config() == {"power": 2.0}
    assert Both()(INPUT, TARGET) == 9.25 / 2

    class Valued:
        power = 3.0

    class Taken(Valued, Squared):
        pass

    class Again(Valued, Squared):
        power: Real = Real(default=4.0, doc="exponent of the error")

    assert Never().config() == Taken().config() == {}
    assert Again().config() == {"power": 4.0}


def test_a_mixin_that_is_no_loss_may_declare_and_state_a_function() -> None:
    class Scaled:
        scale: Real = Real(default=2.0, low=0.0, doc="a factor")

        def function(input: Tensor, target: Tensor, *, scale: Tensor | float) -> Tensor:
            return scale * (input - target).abs()

    class Own(Scaled, Huber):
        pass

    for kind in (Own, type("Again", (Scaled, Huber), {})):
        assert kind(scale=4.0).config() == {"scale": 4.0, "delta": 1.0}
        assert kind(scale=4.0)(INPUT, TARGET) == 7.0
        with pytest.raises(ValueError, match=r"scale must be in \[0, inf\)"):
            kind(scale=-1.0)


def test_a_hyperparameter_is_not_called_as_a_method() -> None:
    for name in ("forward", "values", "required_signals", "train"):
        with pytest.raises(TypeError, match=f"Own: {name} is a method or property of losses"):
            type("Own", (Huber,), {name: Real(default=1.0, doc="")})


class Absolute(nn.Module):
    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return (input - target).abs()


def _with_default(
    input: Tensor, target: Tensor, *, delta: Tensor | float, factor: float = 2.0
) -> Tensor:
    return factor * delta * (input - target).abs()


@pytest.mark.parametrize(
    "function",
    [torch.sub, lambda input, target: input - target, Absolute(), F.mae, _with_default],
    ids=["of C", "lambda", "module", "lossmith", "default"],
)
def test_any_function_of_input_and_target_may_be_stated(function: object) -> None:
    own = type("Own", (Huber,), {"function": function})
    assert own(delta=0.5)(INPUT, TARGET) == 1.75


def test_a_function_that_takes_more_by_place_is_refused_at_once() -> None:
    def of_self(self: object, input: Tensor, target: Tensor) -> Tensor:
        return input - target

    def by_place(input: Tensor, target: Tensor, delta: float) -> Tensor:
        return delta * (input - target)

    for function, taken in ((of_self, "self, input, target"), (by_place, "input, target, delta")):
        with pytest.raises(TypeError, match=rf"Own.function takes {taken} by place"):
            type("Own", (Huber,), {"function": function})


def test_values_are_overridden_also_where_the_base_forms_the_mean_at_once() -> None:
    class Twice(Huber):
        def values(self, input: Tensor, target: Tensor) -> Tensor:
            return 2 * super().values(input, target)

    assert Twice()(INPUT, TARGET) == 2 * Huber()(INPUT, TARGET)


def test_a_constructor_of_ones_own() -> None:
    class Named(Huber):
        def __init__(self, name: str | None, **hypers: float) -> None:
            super().__init__(**hypers)
            self.name = name

    assert Named(None, delta=2.0).delta == 2.0
    with pytest.raises(TypeError, match="no hyperparameter 'detla'; did you mean delta"):
        Named("a", detla=2.0)
    with pytest.raises(TypeError, match="Named needs name"):
        Named(delta=2.0)


def test_coupled_values_may_be_those_of_all_rows() -> None:
    class Own(Coupled):
        card = CARD

        @staticmethod
        def function(input: Tensor, target: Tensor) -> Tensor:
            return (input - target).square()

    assert Own().values(INPUT, TARGET, slice(1, 2)).tolist() == [9.0]


def test_a_loss_is_not_saved_as_its_base(tmp_path: Path) -> None:
    class Twice(Huber):
        def values(self, input: Tensor, target: Tensor) -> Tensor:
            return 2 * super().values(input, target)

    for loss in (Twice(), 0.5 * Twice() + Huber()):
        with pytest.raises(TypeError, match="Twice has the card of another loss, huber"):
            loss.save(tmp_path / "loss.json")
    Base().save(tmp_path / "own.json")
    assert '"loss": "own"' in (tmp_path / "own.json").read_text()
