"""Losses that differ from sound ones by one fault each are caught by its name."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lossmith.core import Card, Claims, Loss, Whole
from lossmith.functional.checks import promote, same_shape
from lossmith.testing import ConformanceError, check, checks
from shared.sound_losses import Gap, Softmax, Square, Views


def claiming(kind: type[Loss], **claims: Any) -> Card:
    return replace(kind.card, claims=Claims(**claims))


class WrongExample(Square):
    card = replace(Square.card, example=replace(Square.card.example, value=4.0))


class Broadcasts(Square):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return (input.float() if input.dtype.itemsize < 4 else input).sub(target.to(input)).square()


class OverflowsFarOut(Square):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target).exp().log()


class NanSlopeAtTheTarget(Square):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target).sqrt().square()


class ComputedInHalf(Square):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        if input.dtype.itemsize < 4:
            return (input - target.to(input.dtype)).square().float()
        return super().values(input, target)


class PromotesToDouble(Square):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target).double()


class DetachedGradient(Square):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target) * (1 + 0 * input) + input.detach() - input


class DividesByCount(Square):
    def terms(self, input: Tensor, target: Tensor, **kw: Any) -> dict[str, Tensor]:
        weight = kw["weight"]
        values = self.values(input, target)
        weighted = values if weight is None else values * weight
        return {"square": weighted.sum() / (kw["denominator"] or max(len(values), 1))}


class DividesByWeight(Square):
    def terms(self, input: Tensor, target: Tensor, **kw: Any) -> dict[str, Tensor]:
        weight, values = kw["weight"], self.values(input, target)
        weight = torch.ones_like(values) if weight is None else weight.to(values)
        return {"square": (values * weight).sum() / weight.sum()}


class IgnoresWeight(Square):
    def terms(self, input: Tensor, target: Tensor, **kw: Any) -> dict[str, Tensor]:
        return super().terms(input, target, denominator=kw["denominator"])


class IgnoresDenominator(Square):
    def terms(self, input: Tensor, target: Tensor, **kw: Any) -> dict[str, Tensor]:
        return super().terms(input, target, weight=kw["weight"])


class FloatAttribute(Square):
    def __post_init__(self) -> None:
        del self._numbers["scale"]
        self.scale = self.scale.item()

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        input, target = same_shape(input, target)
        return (input - target).square() * self.scale


class BreaksTheGraph(Square):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target) * (1.0 if input.sum().item() > 1e30 else 1)


class CountsCalls(Square):
    def __init__(self, *, scale: float = 1.0) -> None:
        super().__init__(scale=scale)
        self.calls = 0

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        return super().values(input, target)


class WritesItsInput(Square):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        values = super().values(input, target)
        if not input.requires_grad and target.is_floating_point():
            target.mul_(1.5)
        return values


class RoundedByCasts(Square):
    def _apply(self, fn: Any, recurse: bool = True) -> "RoundedByCasts":
        self.scale = fn(self.scale)
        return self


class LeftOutOfState(Square):
    def __init__(self, *, scale: float = 1.0) -> None:
        super().__init__(scale=scale)
        self.factor = nn.Buffer(torch.ones(()), persistent=False)

    def __deepcopy__(self, memo: dict) -> "LeftOutOfState":
        twin = type(self)(scale=float(self.scale))
        twin.factor.fill_(2.0)
        return twin

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target) * self.factor.to(input.dtype)


class Unpicklable(Square):
    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle")


class ForgetsItsArgument(Square):
    def __init__(self, *, scale: float = 1.0) -> None:
        super().__init__(scale=1.0)


class AnotherDefault(Square):
    def __init__(self, *, scale: float = 2.0) -> None:
        super().__init__(scale=scale)


class AcceptsAnything(Square):
    def __init__(self, *, scale: float = 1.0) -> None:
        super().__init__(scale=1.0)
        self.scale = torch.tensor(scale, dtype=torch.float64)


class AutocastsDown(Square):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        r = (super().values(input, target) + 1e-30).sqrt().reshape(-1, 1, 1)
        return (r @ r).reshape(input.shape)


class BranchesOnValues(Square):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        values = super().values(input, target)
        return values if values.sum() >= 0 else -values


class AcceptsIntegers(Square):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input if input.is_floating_point() else input.double(), target)


class DecodesElsewhere(Square):
    def decode(self, output: Tensor) -> Tensor:
        return promote(output) + 0.5


class DecodesPairs(Square):
    def decode(self, output: Tensor) -> Tensor:
        return torch.stack([output, output], -1)


class DecodesOverTheBatch(Softmax):
    def decode(self, output: Tensor) -> Tensor:
        return output.softmax(0)


class DecodesLogits(Softmax):
    def decode(self, output: Tensor) -> Tensor:
        return output


class DecodesInHalf(Softmax):
    def decode(self, output: Tensor) -> Tensor:
        return output.softmax(1)


class HeadTooNarrow(Softmax):
    @property
    def out_features(self) -> int:
        return self.classes - 1 if self.classes > 2 else 2


class LetsAnyClassPass(Softmax):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target.clamp(0, self.classes - 1))


class FloatClasses(Softmax):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target.long())


class FlattensTheHead(Softmax):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        if input.ndim > 2:
            return super().values(input.reshape(-1, self.classes), target.flatten())
        return super().values(input, target)


class CountsIgnoredRows(Softmax):
    ignore_index: Whole = Whole(default=-100, doc="left out")

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        kept = target != self.ignore_index
        return super().values(input, target) * kept


class PropertyRaises(Square):
    @property
    def units(self) -> str:
        raise ValueError("not known")


class TakesAnyArgument(Square):
    def __init__(self, *, scale: float = 1.0, **more: Any) -> None:
        super().__init__(scale=scale)


class NotConvex(Square):
    card = claiming(Square, convex=True)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target).clamp(max=1e30).log1p()


class NotConvexFarOut(Square):
    card = claiming(Square, convex=True)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target).clamp(max=1e6)


class NotLipschitz(Square):
    card = claiming(Square, lipschitz=True)


class NotBounded(Square):
    card = claiming(Square, bounded=True)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target).log1p()


class NotMedian(Square):
    card = claiming(Square, elicits="median")


class NotProper(Softmax):
    card = claiming(Softmax, proper=True)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        chance = (-super().values(input, target)).exp()
        return 1 - chance


class NotProperDensity(Square):
    card = claiming(Square, proper=True)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target) * (1 + input.square())


class NotBalanced(Softmax):
    card = claiming(Softmax, elicits="balanced")


BROKEN: list[tuple[type[Loss], str]] = [
    (WrongExample, "reference_value"),
    (Broadcasts, "strict_shapes"),
    (OverflowsFarOut, "finite_at_extremes"),
    (OverflowsFarOut, "finite_at_far_targets"),
    (NanSlopeAtTheTarget, "finite_at_extremes"),
    (NanSlopeAtTheTarget, "second_gradient"),
    (ComputedInHalf, "half_precision"),
    (PromotesToDouble, "dtype_kept"),
    (DetachedGradient, "gradient"),
    (DividesByCount, "weight_two"),
    (DividesByCount, "weight_zero"),
    (DividesByCount, "constant_weight"),
    (DividesByCount, "strict_weight"),
    (DividesByWeight, "nothing_to_learn"),
    (IgnoresWeight, "weight_zero"),
    (IgnoresDenominator, "denominator"),
    (FloatAttribute, "compiles_once"),
    (FloatAttribute, "state_dict_round_trip"),
    (BreaksTheGraph, "compiles_once"),
    (CountsCalls, "forward_reads_only"),
    (WritesItsInput, "forward_reads_only"),
    (RoundedByCasts, "casts_keep_hypers"),
    (LeftOutOfState, "copies"),
    (LeftOutOfState, "state_dict_round_trip"),
    (Unpicklable, "copies"),
    (ForgetsItsArgument, "keeps_arguments"),
    (AnotherDefault, "keeps_arguments"),
    (AcceptsAnything, "refuses_hypers_out_of_range"),
    (AutocastsDown, "autocast"),
    (BranchesOnValues, "vmap_equals_loop"),
    (AcceptsIntegers, "integer_input"),
    (DecodesElsewhere, "decodes_what_it_learns"),
    (DecodesElsewhere, "elicits"),
    (DecodesPairs, "decodes"),
    (DecodesOverTheBatch, "decodes"),
    (DecodesOverTheBatch, "decodes_rows_alone"),
    (DecodesLogits, "decodes"),
    (DecodesInHalf, "decodes"),
    (HeadTooNarrow, "fits_targets"),
    (LetsAnyClassPass, "classes_in_range"),
    (FloatClasses, "classes_are_integers"),
    (FlattensTheHead, "dense"),
    (CountsIgnoredRows, "ignored_rows"),
    (PropertyRaises, "attributes_are_readable"),
    (TakesAnyArgument, "refuses_unknown_arguments"),
    (NotConvex, "convex"),
    (NotConvexFarOut, "convex"),
    (NotLipschitz, "lipschitz"),
    (NotBounded, "bounded"),
    (NotMedian, "elicits"),
    (NotProper, "proper"),
    (NotProperDensity, "proper"),
    (NotBalanced, "elicits"),
]


@pytest.mark.parametrize(("kind", "name"), BROKEN, ids=lambda part: getattr(part, "__name__", part))
def test_a_broken_loss_is_caught_by_name(kind: type[Loss], name: str) -> None:
    (one,) = (one for one in checks(kind) if one.name == name)
    with pytest.raises(AssertionError, match=kind.__name__):
        one()


class WeighsNegatives(Views):
    def terms(self, input: Tensor, target: Tensor, **given: Any) -> dict[str, Tensor]:
        weight = given.pop("weight", None)
        scale = 1 if weight is None else weight.unsqueeze(1)
        return super().terms(input * scale, target * scale, weight=weight, **given)


class OrderedRows(Views):
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        return super().values(input, target) * torch.arange(len(input))


class IgnoresWeightOfGap(Gap):
    def value(self, input: dict[str, Tensor], target: None, weight: Tensor | None) -> Tensor:
        return super().value(input, target, None)


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        (OrderedRows, "order_of_rows"),
        (WeighsNegatives, "weighs_anchors"),
        (IgnoresWeightOfGap, "weight_zero"),
    ],
)
def test_a_broken_loss_of_sets_is_caught(broken: type[Loss], found: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        check(broken)
    assert found in caught.value.failures


def test_all_failures_are_listed_by_name() -> None:
    with pytest.raises(ConformanceError) as caught:
        check(DecodesElsewhere)
    assert set(caught.value.failures) == {"decodes_what_it_learns", "elicits"}
    for name in caught.value.failures:
        assert name in str(caught.value)


def test_what_makes_no_full_graph_is_not_compiled() -> None:
    class Broken(BreaksTheGraph):
        card = replace(BreaksTheGraph.card, fullgraph=False)

    names = [{one.name for one in checks(kind)} for kind in (BreaksTheGraph, Broken)]
    assert names[0] - names[1] == {"compiles_once", "compiles_for_all_sizes"}
