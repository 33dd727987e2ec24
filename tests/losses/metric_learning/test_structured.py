"""Pairs of a class against all negatives: definitions as loops, pairs that do not count."""

import math

import pytest
import torch
from torch import Tensor

import lossmith as lm

GENERATOR = torch.Generator().manual_seed(0)
ROWS = torch.randn(7, 3, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.tensor([0, 0, 1, 1, 1, 2, 0])


def pairs() -> list[tuple[int, int]]:
    return [(i, j) for i in range(7) for j in range(7) if i != j and CLASSES[i] == CLASSES[j]]


def negatives(i: int) -> list[int]:
    return [k for k in range(7) if CLASSES[k] != CLASSES[i]]


def test_lifted_structured_is_equation_4() -> None:
    """J/(2|P|) over pairs P without order, which is half the mean over those with one."""

    def gap(i: int, j: int) -> float:
        return (ROWS[i] - ROWS[j]).norm().item()

    total = 0.0
    for i, j in pairs():
        near = sum(math.exp(1 - gap(i, k)) for k in negatives(i))
        near += sum(math.exp(1 - gap(j, k)) for k in negatives(j))
        total += max(0.0, math.log(near) + gap(i, j)) ** 2
    expected = total / 2 / len(pairs())
    assert lm.LiftedStructured()(ROWS, CLASSES).item() == pytest.approx(expected, rel=1e-12)


def test_tuplet_margin_is_its_definition() -> None:
    unit = ROWS / ROWS.norm(dim=1, keepdim=True)
    angle = (unit @ unit.T).clamp(-1, 1).acos()

    def one(i: int, j: int) -> Tensor:
        eased = (angle[i, j] - 0.1).cos()
        return (1 + sum((8 * (angle[i, n].cos() - eased)).exp() for n in negatives(i))).log()

    expected = torch.stack([one(i, j) for i, j in pairs()]).mean()
    torch.testing.assert_close(lm.TupletMargin(scale=8.0)(ROWS, CLASSES), expected)


@pytest.mark.parametrize("kind", [lm.LiftedStructured, lm.TupletMargin])
@pytest.mark.parametrize("classes", [[0] * 7, list(range(7))])
def test_one_class_alone_or_one_row_each_teaches_nothing(kind: type, classes: list[int]) -> None:
    leaf = ROWS.clone().requires_grad_()
    value = kind()(leaf, torch.tensor(classes))
    assert value == 0
    assert (torch.autograd.grad(value, leaf)[0] == 0).all()


@pytest.mark.parametrize("kind", [lm.LiftedStructured, lm.TupletMargin])
def test_rows_that_coincide_have_finite_slopes(kind: type) -> None:
    leaf = torch.zeros(4, 3).index_fill(0, torch.tensor([0, 1]), 1.0).requires_grad_()
    value = kind()(leaf, torch.tensor([0, 0, 1, 1]))
    assert value.isfinite()
    assert torch.autograd.grad(value, leaf)[0].isfinite().all()
