"""Means block by block are the plain ones, and a user never sees which they were."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lossmith import BinaryCrossEntropy, CrossEntropy, Focal, Huber, find
from lossmith.core import Loss
from lossmith.kernels import blocks, explain
from lossmith.testing.cases import Case

N = 23
ROWWISE = [
    key
    for key, kind in find().items()
    if kind.card.trains_head and kind.reduction == "mean" and not kind.card.learns
]


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small inputs of simple losses take the path too, a few numbers at a time."""
    monkeypatch.setattr(blocks, "BLOCK", 4)
    monkeypatch.setattr(blocks, "FEW", 0)
    monkeypatch.setattr(blocks, "_steps", lambda values: 2)


def example(key: str) -> Loss:
    kind = find()[key]
    return kind(**kind.card.example.arguments)


def batch(loss: Loss, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    input, target = Case(loss).batch(N, dtype=dtype)
    return input.requires_grad_(), target


def outcome(loss: Loss, input: Tensor, target: Tensor, **given: Any) -> list[Tensor]:
    value = loss(input, target, **given)
    return [value, *torch.autograd.grad(3 * value, input)]


@pytest.mark.parametrize("key", ROWWISE)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("weighs", [False, True], ids=["even", "weighed"])
def test_equals_the_plain_mean(
    key: str, dtype: torch.dtype, weighs: bool, request: pytest.FixtureRequest
) -> None:
    loss = example(key)
    input, target = batch(loss, dtype)
    given = {"weight": torch.linspace(0, 1, N, dtype=torch.float64)} if weighs else {}
    plain = outcome(loss, input, target, **given)
    request.getfixturevalue("blocked")
    choice = explain(loss, input, target, **given)[-1]
    if not choice.fast:
        assert choice.reason == "not of one value a row", choice  # several terms
        return
    tolerance = {"rtol": 1e-12, "atol": 1e-15} if dtype == torch.float64 else {"atol": 1e-6}
    for mine, theirs in zip(outcome(loss, input, target, **given), plain, strict=True):
        assert mine.dtype == theirs.dtype
        assert torch.allclose(mine, theirs, **tolerance)


def test_elements_weights_and_denominators(request: pytest.FixtureRequest) -> None:
    input = torch.randn(N, 3, dtype=torch.float64, requires_grad=True)
    target, weight = torch.randn(N, 3, dtype=torch.float64), torch.rand(N, 3) < 0.5
    given = [{}, {"weight": weight}, {"weight": weight[:, 0]}, {"denominator": 7.0}]
    given.append({"weight": 0 * weight, "denominator": torch.tensor(5.0)})
    given.append({"weight": torch.zeros(N)})
    plain = [outcome(Huber(), input, target, **one) for one in given]
    request.getfixturevalue("blocked")
    for one, expected in zip(given, plain, strict=True):
        for mine, theirs in zip(outcome(Huber(), input, target, **one), expected, strict=True):
            assert torch.allclose(mine, theirs)


def test_ignored_and_weighed_classes(request: pytest.FixtureRequest) -> None:
    loss = CrossEntropy(classes=3, class_weight=[1.0, 2.0, 3.0])
    input = torch.randn(N, 3, requires_grad=True)
    target = torch.arange(N) % 4
    target[target == 3] = -100
    plain = outcome(loss, input, target)
    request.getfixturevalue("blocked")
    assert explain(loss, input, target)[-1].fast
    for mine, theirs in zip(outcome(loss, input, target), plain, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-7)
    target[-1] = 3
    with pytest.raises(ValueError, match="outside 0 … 2"):
        loss(input, target)


@pytest.mark.usefixtures("blocked")
def test_gradients_of_gradients() -> None:
    loss = example("pseudo_huber")
    input, target = (one[:5] for one in batch(loss))
    assert torch.autograd.gradcheck(lambda x: loss(x, target), input)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, target), input)


@pytest.mark.usefixtures("blocked")
def test_a_second_backward() -> None:
    input, target = batch(BinaryCrossEntropy())
    value = BinaryCrossEntropy()(input, target)
    first, again = (torch.autograd.grad(2 * value, input, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, again)
    assert first is not again


@pytest.mark.usefixtures("blocked")
def test_strided_empty_and_unwanted() -> None:
    input, target = torch.randn(N, 2, requires_grad=True), torch.randn(N, 2)
    turned = outcome(Huber(), input.T, target.T)[0]
    assert torch.allclose(turned, Huber()(input, target))
    assert Huber()(input[:0], target[:0]) == 0
    with torch.no_grad():
        assert torch.allclose(Huber()(input, target), turned)


@pytest.mark.usefixtures("blocked")
def test_what_stands_in_the_way_is_named() -> None:
    huber = Huber()
    input, target = batch(huber)
    soft = input.detach().softmax(0)
    reasons = {
        "target has a gradient": (huber, input, target.clone().requires_grad_()),
        "one value a row": (CrossEntropy(), input, soft),  # one sample, a class a row
        "one target a row": (CrossEntropy(), input, torch.tensor(2)),
        "torch.func": (torch.func.grad(lambda x: huber(x, target)), input),
        "is learned": (Huber(delta=nn.Parameter(torch.tensor(1.0))), input, target),
    }
    for reason, call in reasons.items():
        (choice,) = explain(*call)
        assert not choice.fast
        assert reason in choice.reason


def test_rows_larger_than_a_block_are_taken_at_once_and_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes, loss = [], Focal(classes=8)
    plain = loss.values
    monkeypatch.setattr(loss, "values", lambda x, y: sizes.append(x.numel()) or plain(x, y))
    image, classes = torch.zeros(1, 8, 600, 600), torch.zeros(1, 600, 600, dtype=torch.long)
    (choice,) = explain(loss, image, classes)
    assert sizes == [image.numel()]
    assert not choice.fast
    assert "is no block" in choice.reason


@pytest.mark.parametrize(("size", "fast"), [(1 << 18, False), (1 << 21, True)])
def test_it_is_for_large_inputs(size: int, fast: bool) -> None:
    input = torch.zeros(size, requires_grad=True)
    assert explain(example("pseudo_huber"), input, torch.ones(size))[-1].fast == fast


@pytest.mark.usefixtures("blocked")
def test_outputs_of_inference_mode() -> None:
    loss, target = find()["log_cosh"](), torch.zeros(N)
    with torch.inference_mode():
        input = torch.linspace(-1, 1, N)
    assert explain(loss, input, target)[-1].fast
    torch.testing.assert_close(loss(input, target), loss.values(input, target).mean())
