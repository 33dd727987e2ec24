"""Numbers at the ends of a dtype, and hyperparameters next to where a formula divides by 0."""

import math
from typing import Any

import pytest
import torch

import lossmith
from lossmith.core import Loss
from lossmith.core.tree import tree_map
from lossmith.testing.cases import Case

X, ZERO = torch.tensor([1.0, 2.0]), torch.zeros(2)


@pytest.mark.parametrize("size", [3e38, 1e30, 1e-30, 1e-45])
def test_weights_of_any_size_are_their_ratio(size: float) -> None:
    alike, double = torch.full((2,), size), torch.tensor([size, 3 * size], dtype=torch.float64)
    assert lossmith.MSE()(X, ZERO, weight=alike).item() == 2.5
    assert lossmith.MSE()(X, ZERO, weight=double).item() == pytest.approx(13 / 4, rel=1e-6)
    assert lossmith.CVaR(fraction=0.5)(X, ZERO, weight=alike).item() == 2.0


def test_a_weight_of_infinity_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 or more and finite, got inf"):
        lossmith.MSE()(X, ZERO, weight=torch.tensor([math.inf, 1.0]))


NEAR: list[tuple[str, str, float, float]] = [
    ("entmax", "alpha", 1 + 1e-7, 1 + 1e-4),
    ("entmax", "alpha", 1 + 1e-14, 1 + 1e-4),
    ("bi_tempered", "t2", 1 + 1e-10, 1 + 1e-4),
    ("jensen_shannon", "pi", 1e-12, 1e-4),
    ("jensen_shannon", "pi", 1 - 1e-10, 1 - 1e-9),
    ("distillation", "temperature", 1e8, 1e3),
    ("dkd", "temperature", 1e8, 1e3),
    ("tweedie", "power", 1 + 1e-12, 1 + 1e-4),
]


@pytest.mark.parametrize(("key", "name", "value", "beside"), NEAR)
def test_next_to_a_limit_the_value_is_that_beside_it(
    key: str, name: str, value: float, beside: float
) -> None:
    arguments = lossmith.catalogue.get(key, **_example(key)).config()

    def at(number: float, dtype: torch.dtype) -> tuple[Any, Any]:
        case = Case(lossmith.catalogue.get(key, **{**arguments, name: number}))
        batch = (tree_map(lambda x: _to(x, dtype), part) for part in case.batch())
        return case.slopes(*batch)

    (got, slopes), (right, exact) = at(value, torch.float32), at(beside, torch.float64)
    torch.testing.assert_close(got.double(), right, rtol=5e-3, atol=1e-5)
    for one, other in zip(slopes, exact, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("size", [1e7, 1e18, 1e30])
def test_ctc_of_far_logits_has_the_gradient_of_one_path(size: float) -> None:
    loss = lossmith.get("ctc", blank=2)
    logits = size * torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    target = {"classes": torch.tensor([[0, 1], [1, 1]]), "lengths": torch.tensor([2, 2])}
    slopes = []
    for dtype in (torch.float32, torch.float64):
        leaf = logits.to(dtype).requires_grad_()
        (slope,) = torch.autograd.grad(loss(leaf, target), leaf)
        slopes.append(slope.double())
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-3, atol=1e-6)
    assert (slopes[0] * 2 - (slopes[0] * 2).round()).abs().max() < 1e-3  # shares of 0 and 1


def test_grades_of_any_size_have_gains() -> None:
    scores, grades = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[1000.0, 999.0, 0.0]])
    near = torch.tensor([[30.0, 29.0, 0.0]])
    for key in ("approx_ndcg", "lambda_loss"):
        loss = lossmith.get(key)
        torch.testing.assert_close(loss(scores, grades), loss(scores, near), rtol=1e-5, atol=1e-6)


def _example(key: str) -> dict[str, Any]:
    kind: type[Loss] = lossmith.catalogue.find()[key]
    return dict(kind.card.example.arguments)


def _to(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
