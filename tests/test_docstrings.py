"""What a loss's docstring says of its arguments and errors, completed from what it declares."""

import inspect
import re

import pytest
import torch

from lossmith import Huber, Real
from lossmith.catalogue import find
from lossmith.catalogue.pages import page
from lossmith.core import Loss
from lossmith.core.docstring import allowed
from lossmith.core.tree import tree_map
from lossmith.testing.cases import Case, example

KINDS = list(find().values())
each_loss = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.card.key)


def part(kind: type[Loss], name: str) -> str:
    """Return one section as one line, empty where there is none."""
    found = re.search(rf"^{name}:\n((?:    .+\n)+)", inspect.getdoc(kind) or "", re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


@each_loss
def test_every_argument_is_told_once_and_its_range_too(kind: type[Loss]) -> None:
    text = part(kind, "Args")
    for name, hyper in kind.hyperparameters.items():
        within = allowed(hyper)
        assert (f"{name}, {within}: " if within else f"{name}: ") in text
        assert hyper.range is None or hyper.range not in hyper.doc
        low, high = (getattr(hyper, end, None) for end in ("low", "high"))
        if low and high is None:
            assert not re.search(rf"(at least|above) {low:g}\b".replace("-", "[-−]"), hyper.doc)
        elif low is not None and high is not None:
            assert f"between {low:g} and {high:g}" not in hyper.doc


@each_loss
def test_the_errors_that_it_tells_are_raised(kind: type[Loss]) -> None:
    told, loss = part(kind, "Raises"), example(kind)
    input, target = Case(loss).batch(5)
    with pytest.raises(TypeError):
        loss(tree_map(lambda tensor: tensor.to(torch.complex64), input), target)
    with pytest.raises(ValueError, match=r"weight"):
        loss(input, target, weight=-torch.ones(5))
    if target is not None:
        with pytest.raises(ValueError, match=r"\w \w"):
            loss(input, tree_map(lambda tensor: tensor[:-1], target))
    assert "TypeError: if" in told
    assert "shapes do not fit" in told
    assert ("an argument is of another kind" in told) == bool(kind.hyperparameters)
    for words, call in {
        "a class lies outside the head": lambda: loss(
            input, tree_map(lambda t: t if t.is_floating_point() else t + 99, target)
        ),
        "a weight or a denominator is given": lambda: loss(input, target, weight=torch.ones(5)),
        " denominator is given": lambda: loss(input, target, denominator=5.0),
    }.items():
        if words in told:
            with pytest.raises(ValueError, match=r"\w \w"):
                call()
        else:
            call()


@each_loss
def test_the_step_that_it_tells_brings_what_it_needs(kind: type[Loss]) -> None:
    for call in re.findall(r"clock\.step\((.*?)\)", inspect.getdoc(kind) or ""):
        assert set(re.findall(r"(\w+)=", call)) == set(kind.card.required_signals)


def test_sections_of_ones_own_stay() -> None:
    class Own(Huber):
        """A loss.

        Raises:
            ArithmeticError: on Sundays.
        """

        power: Real = Real(default=2.0, low=1.0, doc="the exponent")

    assert part(Own, "Raises") == "ArithmeticError: on Sundays."
    assert part(Own, "Args").startswith("power, in [1, inf): the exponent.")
    assert part(type("Silent", (Huber,), {}), "Raises") == part(Huber, "Raises")


@each_loss
def test_a_page_holds_no_markup(kind: type[Loss]) -> None:
    assert not re.search(r":math:|\\[a-zA-Z]", page(kind.card.key))
