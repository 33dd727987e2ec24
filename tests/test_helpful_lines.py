"""What a user of torch types first and does not fit is one line that says what to write instead."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lossmith
from lossmith import (
    MAE,
    MSE,
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    GaussianNLL,
    Huber,
    Hybrid,
    Linear,
    MultiHinge,
    QuantileTracking,
    Tempered,
)
from lossmith.core.loss import UnknownHeadError
from lossmith.testing import check
from lossmith.testing.cases import Case, example
from lossmith.testing.state import plain_json


def line(error: Any, call: Callable[[], Any]) -> str:
    with pytest.raises(error) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Arguments of the constructor.

SUM = "it is the weighted mean; the sum is loss(input, target, denominator=1)"
ONES = torch.ones(3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Huber(detla=1.0), "Huber has no hyperparameter 'detla'; did you mean delta?"),
        (lambda: Huber(Delta=1.0), "did you mean delta?"),
        (lambda: Huber(reduction="sum"), SUM),
        (lambda: Huber("sum"), SUM),
        (lambda: MSE(size_average=False), SUM),
        (lambda: MSE(reduce=True), "values unreduced loss.values(input, target)"),
        (lambda: lossmith.VICReg(reduction="sum"), "it is one number of the whole batch"),
        (lambda: CrossEntropy(weight=ONES), "one weight a class is class_weight="),
        (lambda: Focal(weight=ONES), "one weight a class is alpha="),
        (lambda: lossmith.Brier(weight=ONES), "loss(input, target, weight=weight[target])"),
        (lambda: BinaryCrossEntropy(weight=ONES), "loss(input, target, weight=weight)"),
        (lambda: lossmith.VICReg(weight=ONES), "nor does it take weights"),
        (lambda: BinaryCrossEntropy(pos_weight=3.0), "did you mean positive_weight?"),
        (lambda: lossmith.get("bce_with_logits", pos_weight=3.0), "mean positive_weight?"),
        (lambda: Huber(1.0), "Huber takes its arguments by name: delta="),
        (lambda: MSE(1.0), "MSE takes no hyperparameters, got (1.0,)"),
        (lambda: MSE(ONES, ONES), "MSE is built first, then called with tensors: MSE()(input"),
        (lambda: CrossEntropy(ONES), "torch's first, weight, is class_weight="),
        (
            lambda: QuantileTracking(MSE(), 0.9),
            "QuantileTracking takes its arguments after loss by name: hyper=",
        ),
        (lambda: Hybrid(MSE(), MAE()), "Hybrid takes its arguments by name: weighting=, **losses"),
        (lambda: lossmith.HLGauss(low=0.0), "HLGauss needs high; give them, or fit them to the"),
    ],
)
def test_arguments_of_torch_and_misspelt_ones(call: Callable[[], Any], words: str) -> None:
    assert words in line(TypeError, call)


class Mine(Huber):
    pass


class Wider(Huber):
    def __init__(self, *, delta: float = 1.0, **more: Any) -> None:
        super().__init__(delta=delta, **more)


def test_a_subclass_says_so_of_itself() -> None:
    assert "Mine has no hyperparameter 'detla'" in line(TypeError, lambda: Mine(detla=1.0))
    assert "hyperparameter 'detla'; did" in line(TypeError, lambda: lossmith.get("huber", detla=1))
    assert Wider(delta=2.0).delta == 2
    with pytest.raises(TypeError):
        Wider(detla=1.0)


def test_signatures_are_those_of_the_constructors() -> None:
    for kind in (Huber, Mine):
        assert list(inspect.signature(kind).parameters) == ["delta"]
    assert next(iter(inspect.signature(QuantileTracking).parameters)) == "loss"


# What is passed to the call.

TOKENS, ROWS = torch.zeros(2, 5, 3), torch.zeros(4, 3)
CODES = torch.tensor([0, 2, 1, 0])
HOT = torch.eye(3)[CODES]
ONE = torch.tensor([0.0, 1.0, 1.0, 0.0])
LAST = "if the last dimension holds the 3 outputs, use input.movedim(-1, 1)"
LOGIT = "one logit against labels of 0 and 1 is BinaryCrossEntropy"


@pytest.mark.parametrize(
    ("loss", "input", "target", "words"),
    [
        (CrossEntropy(), TOKENS, torch.zeros(2, 5).long(), LAST),
        (CrossEntropy(classes=3), TOKENS, torch.zeros(2, 5).long(), LAST),
        (CrossEntropy(class_weight=[1, 2, 3]), TOKENS, torch.zeros(2, 5).long(), LAST),
        (lossmith.Dice(), torch.zeros(2, 4, 4, 3), torch.zeros(2, 4, 4).long(), LAST),
        (GaussianNLL(), torch.zeros(4, 5, 2), torch.zeros(4, 5), "use input.movedim(-1, 1)"),
        (CrossEntropy(), ROWS, HOT.long(), "if target is one-hot, use target.argmax(1)"),
        (Focal(), ROWS, HOT, "if it is one-hot, target.long().argmax(1)"),
        (Focal(), ROWS, HOT.bool(), "if it is one-hot, target.long().argmax(1)"),
        (CrossEntropy(), ROWS, CODES.float(), "got torch.float32 of shape (4,); use target.long()"),
        (CrossEntropy(), ROWS, CODES[:, None], "use target.squeeze(1)"),
        (CrossEntropy(), ROWS[:, 0], ONE, "one logit a row, use BinaryCrossEntropy"),
        (Focal(), ROWS[:, 0], ONE, LOGIT),
        (CrossEntropy(), ROWS[:, 0], ONE.long(), LOGIT),
        (CrossEntropy(), ROWS[:, :1], ONE, LOGIT),
        (CrossEntropy(), ROWS[:, :1], ONE.long(), LOGIT),
        (CrossEntropy(), ROWS[:, :1], ONE[:, None].long(), LOGIT),
        (BinaryCrossEntropy(), ROWS, CODES, "torch.nn.functional.one_hot(target, 3)"),
        (BinaryCrossEntropy(), ROWS[:, :1], ONE, "needs input.squeeze(-1)"),
        (BinaryCrossEntropy(), ROWS[:, 0], ONE[:, None], "use target.squeeze(-1)"),
        (Huber(), ROWS[:, 0], ONE[:, None], "use target.squeeze(-1)"),
        (GaussianNLL(), ROWS[:, 0], ONE, "must give 2 outputs, loss.out_features"),
    ],
)
def test_shapes_and_labels_that_show_what_is_meant(
    loss: lossmith.Loss, input: Tensor, target: Tensor, words: str
) -> None:
    assert words in line((TypeError, ValueError), lambda: loss(input, target))


OF_CLASSES = [
    kind
    for kind in lossmith.find().values()
    if kind.card.trains_head and kind.card.target == "classes"
]


@pytest.mark.parametrize("kind", OF_CLASSES, ids=lambda kind: kind.card.key)
def test_every_loss_of_classes_finds_them(kind: type[lossmith.Loss]) -> None:
    case = Case(example(kind))
    tokens, input = (
        torch.zeros(2, case.width + 1).long(),
        torch.zeros(2, case.width + 1, case.width),
    )
    assert "movedim(-1, 1)" in line(ValueError, lambda: case.loss(input, tokens))
    if case.width == case.classes:
        hot = torch.eye(case.width).long()[case.targets()]
        assert "argmax(1)" in line(ValueError, lambda: case.loss(case.inputs(), hot))


def test_what_the_lines_say_works() -> None:
    loss = CrossEntropy()
    tokens = torch.randn(2, 5, 3)
    flat = loss(tokens.reshape(10, 3), torch.zeros(10).long())
    assert loss(tokens.movedim(-1, 1), torch.zeros(2, 5).long()) == pytest.approx(flat.item())
    for one_hot in (HOT, HOT.bool()):
        assert torch.equal(one_hot.long().argmax(1), CODES)


# Attributes that a loss can't know.


def test_a_head_that_is_not_known_is_no_attribute_and_says_why() -> None:
    routed = CrossEntropy().on("label") + Huber().on("price")
    for loss in (CrossEntropy(), Tempered(CrossEntropy()), routed, CrossEntropy() + MultiHinge()):
        assert not hasattr(loss, "out_features")
        assert dict(inspect.getmembers(loss))["card"] is loss.card
    assert "pass classes= or use" in line(UnknownHeadError, lambda: CrossEntropy().out_features)
    known = CrossEntropy(classes=2).on("label") + Huber().on("price")
    assert "ask each loss in .losses" in line(ValueError, lambda: known.out_features)
    assert not hasattr(known, "out_features")
    assert inspect.getmembers(known)


class Faulty(Huber):
    @property
    def out_features(self) -> int:
        return self.widht  # type: ignore[no-any-return]


def test_an_error_within_a_property_is_not_hidden() -> None:
    assert "has no attribute 'widht'" in line(AttributeError, lambda: Faulty().out_features)
    assert "'Huber' object has no attribute 'foo'" in line(AttributeError, lambda: Huber().foo)


# The suite takes a user's subclass outside the catalogue.


class Moving(QuantileTracking):
    pass


@pytest.mark.parametrize("kind", [Mine, Moving])
def test_a_subclass_whose_search_holds_a_schedule_passes_all_checks(kind: type) -> None:
    check(kind)


def test_a_subclass_with_a_schedule_or_a_parameter_comes_back() -> None:
    for delta in (Linear(1.0, 0.5), nn.Parameter(torch.tensor(2.0))):
        plain_json(Case(Mine(delta=delta)))
