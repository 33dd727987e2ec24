"""Losses of many classes with their gradients at once: equal to the plain way, and when it runs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.functional.classification import tempered
from lossmith.functional.probabilities import project_to_simplex
from lossmith.kernels.choice import explain
from lossmith.losses import BiTempered, Entmax, EvidentialDirichlet, Sparsemax

LOSSES: dict[str, tuple[Callable[..., Tensor], dict[str, float]]] = {
    "sparsemax": (F.sparsemax, {}),
    "1.5-entmax": (F.entmax, {"alpha": 1.5}),
    "1.7-entmax": (F.entmax, {"alpha": 1.7}),
    "1.2-entmax": (F.entmax, {"alpha": 1.2}),
    "bi-tempered": (F.bi_tempered, {"t1": 0.8, "t2": 1.2}),
    "bi-tempered, far apart": (F.bi_tempered, {"t1": 0.3, "t2": 1.7}),
    "evidence": (F.evidential, {"coefficient": 0.7}),
}
ROUNDING = {torch.float64: 1e-8, torch.float32: 1e-4}


@pytest.fixture
def plainly(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(tempered, "_at_hand", lambda *_, **__: False)


def batch(classes: int, scale: float, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    input = scale * torch.randn(30, classes, generator=generator, dtype=dtype)
    target = torch.randint(classes, (30,), generator=generator)
    target[:10] = input[:10].argmax(1)
    return input, target


def outcome(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return values, and the gradient of a sum that weighs each otherwise."""
    function, given = LOSSES[name]
    leaf = input.clone().requires_grad_()
    values = function(leaf * 1, target, **given)
    weight = torch.linspace(0.5, 2, values.numel(), dtype=values.dtype).reshape(values.shape)
    return values.detach(), torch.autograd.grad((weight * values).sum(), leaf)[0]


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients_are_those_of_the_plain_way(
    name: str, dtype: torch.dtype, plainly: Callable[[], None]
) -> None:
    batches = [batch(classes, s, dtype) for classes in (2, 9, 500) for s in (0, 1e-3, 0.3, 3, 30)]
    fast = [outcome(name, *one) for one in batches]
    plainly()
    for one, (values, grad) in zip(batches, fast, strict=True):
        expected, slope = outcome(name, *one)
        close = {"rtol": ROUNDING[dtype], "atol": 0.05 * ROUNDING[dtype]}
        torch.testing.assert_close(values, expected, **close)
        torch.testing.assert_close(grad, slope, **close)


@pytest.mark.parametrize("name", LOSSES)
def test_any_shape_of_outputs_is_had_row_by_row(name: str) -> None:
    input, target = batch(9, 2.0)
    values, grad = outcome(name, input, target)
    image = input.reshape(5, 6, 9).movedim(-1, 1)
    own, slope = outcome(name, image, target.reshape(5, 6))
    torch.testing.assert_close(own.flatten(), values)
    torch.testing.assert_close(slope.movedim(1, -1).reshape(30, 9), grad)
    one, _ = outcome(name, input[3], target[3])
    torch.testing.assert_close(one, values[3])


@pytest.mark.parametrize("name", LOSSES)
def test_more_rows_than_a_block_are_as_if_in_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    input, target = batch(9, 2.0)
    whole = outcome(name, input, target)
    monkeypatch.setattr("lossmith.kernels.class_rows.BLOCK", 7 * 9)
    for got, expected in zip(outcome(name, input, target), whole, strict=True):
        torch.testing.assert_close(got, expected)
    empty = outcome(name, input[:0], target[:0])
    assert [tuple(one.shape) for one in empty] == [(0,), (0, 9)]


@pytest.mark.parametrize("name", LOSSES)
def test_a_row_with_nan_spoils_no_other(name: str) -> None:
    input, target = batch(9, 2.0)
    values, grad = outcome(name, input, target)
    input[4, 2] = torch.nan
    spoilt, slope = outcome(name, input, target)
    others = torch.arange(30) != 4
    assert spoilt[4].isnan()
    torch.testing.assert_close(spoilt[others], values[others])
    torch.testing.assert_close(slope[others], grad[others])


def test_supports_that_shrink_one_by_one_are_found_to_the_end() -> None:
    """Outputs of which each step of Newton's drops one."""
    steps = 0.5 ** torch.arange(40, dtype=torch.float64)
    for input in (-steps.flip(0).cumsum(0), steps.cumsum(0), -(1 - steps)):
        outputs = input.unsqueeze(0)
        torch.testing.assert_close(
            F.sparse_probabilities(outputs), project_to_simplex(outputs), rtol=0, atol=1e-14
        )


@pytest.mark.parametrize("t", [0.0, 0.3, 0.5, 1.2, 1.7])
def test_probabilities_are_those_of_the_plain_way(t: float, plainly: Callable[[], None]) -> None:
    outputs = [batch(classes, scale)[0] for classes in (2, 9, 500) for scale in (0, 0.3, 3, 30)]
    outputs.append(outputs[-1].reshape(5, 6, 500).movedim(-1, 1))
    fast = [F.tempered_softmax(one, t=t) for one in outputs]
    sparse = [F.sparse_probabilities(one) for one in outputs]
    plainly()
    for one, p, q in zip(outputs, fast, sparse, strict=True):
        torch.testing.assert_close(p, F.tempered_softmax(one, t=t))
        torch.testing.assert_close(q, F.sparse_probabilities(one))


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        (Sparsemax(), ""),
        (Entmax(), ""),
        (Entmax(alpha=torch.nn.Parameter(torch.tensor(1.5))), "a hyperparameter is learned"),
        (Entmax(alpha=1.05), "nearly a softmax, in more digits"),
        (BiTempered(), ""),
        (BiTempered(t2=1.01), "nearly a softmax, in more digits"),
        (EvidentialDirichlet(), ""),
    ],
)
def test_explain_says_which_way_a_call_went(loss: Any, why: str) -> None:
    input, target = batch(9, 2.0)
    told = explain(loss, input, target)[-1]
    assert told.fast == (not why)
    assert told.reason == (why or "some rows at a time")


def test_what_torch_func_transforms_goes_the_plain_way() -> None:
    input, target = batch(9, 2.0)
    told = explain(torch.func.grad(lambda x: F.sparsemax(x, target).sum()), input)
    assert [one.fast for one in told] == [False]
