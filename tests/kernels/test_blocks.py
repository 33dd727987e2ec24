"""Values block by block are the plain ones, and a user never sees which they were."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lossmith import find
from lossmith.core import Loss
from lossmith.kernels import blocks, explain

N = 23
ELEMENTWISE = [
    key
    for key, kind in find().items()
    if kind.card.reads_head
    and kind.card.reduction == "mean"
    and kind.card.target in ("values", "labels", "positive", "counts")
]


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small inputs of simple losses take the path too, 4 numbers at a time."""
    monkeypatch.setattr(blocks, "BLOCK", 4)
    monkeypatch.setattr(blocks, "FEW", 0)
    monkeypatch.setattr(blocks, "STEPS", 0)


def example(key: str) -> Loss:
    kind = find()[key]
    return kind(**kind.card.example.arguments)


def batch(loss: Loss, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    shown = torch.as_tensor(loss.card.example.target, dtype=torch.float64).flatten()
    input = torch.randn(N, 2, generator=g, dtype=torch.float64).to(dtype)
    target = shown[torch.randint(len(shown), (N, 2), generator=g)]
    return input.requires_grad_(), target.to(dtype)


def outcome(loss: Loss, input: Tensor, target: Tensor, **given: Any) -> list[Tensor]:
    value = loss(input, target, **given)
    return [value, *torch.autograd.grad(value, input)]


@pytest.mark.parametrize("key", ELEMENTWISE)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_equals_the_plain_values(
    key: str, dtype: torch.dtype, request: pytest.FixtureRequest
) -> None:
    loss = example(key)
    if loss.out_features > 1 or any(one.requires_grad for one in loss.parameters()):
        pytest.skip("has no elementwise form")
    input, target = batch(loss, dtype)
    weight = torch.linspace(0, 1, N, dtype=torch.float64)
    plain = outcome(loss, input, target, weight=weight)
    request.getfixturevalue("blocked")
    choice = explain(loss, input, target)[-1]
    assert choice.fast, choice
    tolerance = {"rtol": 1e-12, "atol": 1e-15} if dtype == torch.float64 else {}
    for mine, theirs in zip(outcome(loss, input, target, weight=weight), plain, strict=True):
        assert mine.dtype == theirs.dtype
        assert torch.allclose(mine, theirs, **tolerance)


@pytest.mark.usefixtures("blocked")
def test_gradients_of_gradients() -> None:
    loss = example("pseudo_huber")
    input, target = (one[:5] for one in batch(loss))
    assert torch.autograd.gradcheck(lambda x: loss(x, target), input)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, target), input)


@pytest.mark.usefixtures("blocked")
def test_strided_empty_and_unwanted() -> None:
    loss = example("huber")
    input, target = batch(loss)
    turned = outcome(loss, input.T, target.T)[0]
    assert torch.allclose(turned, loss(input, target))
    assert loss(input[:0], target[:0]) == 0
    with torch.no_grad():
        assert torch.allclose(loss(input, target), turned)


@pytest.mark.usefixtures("blocked")
def test_what_stands_in_the_way_is_named() -> None:
    huber = example("huber")
    input, target = batch(huber)
    reasons = {
        "target has a gradient": (huber, input, target.clone().requires_grad_()),
        "one output an element": (example("gaussian_nll"), input, target[:, 0]),
        "torch.func": (torch.func.grad(lambda x: huber(x, target)), input),
        "is learned": (find()["huber"](delta=nn.Parameter(torch.tensor(1.0))), input, target),
    }
    for reason, call in reasons.items():
        (choice,) = explain(*call)
        assert not choice.fast
        assert reason in choice.reason
