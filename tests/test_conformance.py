"""Every loss of the catalogue keeps the contract, and so do sound losses of a user."""

import shutil
from dataclasses import fields, replace
from typing import get_args

import pytest
import torch

from lossmith import MSE, Huber
from lossmith.catalogue import find
from lossmith.core import Choice, Claims, Loss
from lossmith.core.card import Elicits
from lossmith.testing import Check, check, checks
from lossmith.testing.cases import Case
from lossmith.testing.claims import CLAIMS, ELICITS
from shared.sound_losses import Gap, Softmax, Square, Views

ALL = [one for kind in find().values() for one in checks(kind)]


@pytest.mark.parametrize("one", ALL, ids=str)
def test_catalogue(one: Check) -> None:
    one()


def test_every_claim_has_a_check() -> None:
    assert set(CLAIMS) == {field.name for field in fields(Claims)}
    assert set(ELICITS) == set(get_args(Elicits))


@pytest.mark.parametrize("loss", [Square, Softmax, Square(scale=3.0), Softmax(classes=3)], ids=repr)
def test_sound_losses_of_a_user_pass(loss: type[Loss] | Loss) -> None:
    check(loss)


@pytest.mark.parametrize("loss", [Views, Gap])
def test_sound_losses_of_sets_and_names_pass(loss: type[Loss]) -> None:
    check(loss)


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor compiles C++")
def test_inductor_gives_eager_values() -> None:
    torch._dynamo.reset()
    loss = find()["cross_entropy"](classes=3)
    case = Case(loss)
    input, target = case.batch(dtype=torch.float32)
    compiled = torch.compile(loss, fullgraph=True)
    slopes = []
    for function in (loss, compiled):
        leaf = input.clone().requires_grad_()
        value = function(leaf, target)
        slopes.append((value, *torch.autograd.grad(value, leaf)))
    assert all(torch.allclose(*pair) for pair in zip(*slopes, strict=True))


def test_only_what_the_card_says_is_checked() -> None:
    names = {one.name for one in checks(MSE)}
    assert {"convex", "elicits", "second_gradient", "vmap_equals_loop"} <= names
    assert not names & {"lipschitz", "bounded", "proper", "classes_in_range"}


def test_a_gradient_that_holds_a_part_constant_is_not_differenced() -> None:
    class Held(Gap):
        card = replace(Gap.card, detached=True)

    difference = {"gradient", "second_gradient", "alive_at_corners"}
    assert {one.name for one in checks(Gap)} - {one.name for one in checks(Held)} == difference


def test_each_choice_is_tried_and_no_other_allowed() -> None:
    class Side(Gap):
        side: Choice = Choice(default="a", choices=("a", "b"), doc="which")

    tried = {case.loss.side for case in checks(Side)[0]._cases}
    assert tried == {"a", "b"}
    with pytest.raises(ValueError, match="side must be 'a' or 'b', got 'c'"):
        Side(side="c")


def test_an_instance_is_tried_as_it_is() -> None:
    names = {
        one.name for one in checks(Huber(delta=0.5)) if "delta=0.5" in repr(one._cases[0].loss)
    }
    assert {"gradient", "convex", "compiles_once"} <= names
