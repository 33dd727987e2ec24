"""Reduction identities: what weights, denominators and batches may and may not change."""

import torch
from torch import Tensor

from lossmith.core import Loss, Pointwise
from lossmith.testing.cases import ROWS, Case


def mean_of_values(case: Case) -> None:
    """The loss is its terms combined: for a pointwise loss the weighted mean of its values."""
    input, target = case.batch()
    loss = case.loss
    _same(loss.combine(loss.terms(input, target)), loss(input, target), "combine(terms) and loss")
    if isinstance(loss, Pointwise):
        values, own = loss.values(input, target), loss.weights(target)
        assert values.shape[:1] == (ROWS,), f"values has shape {tuple(values.shape)}"
        own = torch.ones(ROWS) if own is None else own
        own = own.reshape(own.shape + (1,) * (values.ndim - own.ndim)).expand_as(values)
        _same(loss(input, target), (values * own).sum() / own.sum(), "loss and mean of values")


def weight_two(case: Case) -> None:
    """A weight of 2 equals the sample twice."""
    input, target = case.batch()
    weight = torch.ones(ROWS, dtype=torch.float64).index_fill(0, torch.tensor([1]), 2.0)
    twice = torch.cat([input, input[1:2]]), torch.cat([target, target[1:2]])
    _same(case.loss(input, target, weight=weight), case.loss(*twice), "weight 2 and sample twice")


def weight_zero(case: Case) -> None:
    """A weight of 0 equals the sample left out, whose gradient is zero."""
    input, target = case.batch()
    input = input.requires_grad_()
    weight = torch.ones(ROWS, dtype=torch.float64).index_fill(0, torch.tensor([0]), 0.0)
    value = case.loss(input, target, weight=weight)
    _same(value, case.loss(input[1:], target[1:]), "weight 0 and sample left out")
    (slope,) = torch.autograd.grad(value, input)
    assert (slope[0] == 0).all(), f"a sample of weight 0 has gradient {slope[0].tolist()}"


def constant_weight(case: Case) -> None:
    """A weight that is the same for all changes nothing."""
    input, target = case.batch()
    weight = torch.full((ROWS,), 3.0, dtype=torch.float64)
    _same(case.loss(input, target, weight=weight), case.loss(input, target), "weight 3 and none")


def denominator(case: Case) -> None:
    """Parts of a batch under a common denominator add up to the whole batch under it."""
    input, target = case.batch()
    weight = torch.linspace(0.5, 2.0, ROWS, dtype=torch.float64)
    for given in (7.0, torch.tensor(7.0, dtype=torch.float64)):
        whole = case.loss(input, target, weight=weight, denominator=given)
        parts = [
            case.loss(input[part], target[part], weight=weight[part], denominator=given)
            for part in (slice(0, 2), slice(2, ROWS))
        ]
        _same(sum(parts, torch.zeros(())), whole, "parts and whole under one denominator")
        doubled = case.loss(input, target, weight=weight, denominator=2 * given)
        _same(2 * doubled, whole, "half the value under twice the denominator")


def nothing_to_learn(case: Case) -> None:
    """Weights that are all zero, or an empty batch, give 0 with zero gradients."""
    input, target = case.batch()
    _vanishes(case.loss, input, target, torch.zeros(ROWS, dtype=torch.float64), "all weights zero")
    _vanishes(case.loss, input[:0], target[:0], None, "an empty batch")


def ignored_rows(case: Case) -> None:
    """Rows whose target is ignore_index are left out; where all are, the loss is 0."""
    input, target = case.batch()
    ignored = target.new_tensor(case.loss.config()["ignore_index"])
    masked = target.index_fill(0, torch.tensor([0, 3]), ignored)
    kept = torch.tensor([1, 2, 4, 5])
    input = input.requires_grad_()
    value = case.loss(input, masked)
    _same(value, case.loss(input[kept], target[kept]), "ignored rows and rows left out")
    (slope,) = torch.autograd.grad(value, input)
    assert (slope[[0, 3]] == 0).all(), f"ignored rows have gradients {slope[[0, 3]].tolist()}"
    _vanishes(case.loss, input, ignored.expand(ROWS), None, "all rows ignored")


def one_sample(case: Case) -> None:
    """A batch of one sample, and the sample without a batch dimension, have the sample's value."""
    input, target = case.batch()
    alone = torch.stack([case.loss(input[i : i + 1], target[i : i + 1]) for i in range(ROWS)])
    assert alone.isfinite().all(), f"batches of one sample have values {alone.tolist()}"
    bare = torch.stack([case.loss(input[i], target[i]) for i in range(ROWS)])
    _same(bare, alone, "a sample without a batch dimension and a batch of one")


def dense(case: Case) -> None:
    """More dimensions behind the head's are more samples, as in segmentation or a sequence."""
    input, target = case.batch()
    wide = input.reshape(2, ROWS // 2, *input.shape[1:])
    wide = wide.movedim(2, 1) if input.ndim > 1 else wide
    _same(case.loss(wide, target.reshape(2, -1)), case.loss(input, target), "(2, 3) and (6,)")


def _vanishes(loss: Loss, input: Tensor, target: Tensor, weight: Tensor | None, what: str) -> None:
    input = input.detach().requires_grad_()
    value = loss(input, target, weight=weight)
    assert value.item() == 0, f"{what}: the value is {value.item()}, not 0"
    (slope,) = torch.autograd.grad(value, input)
    assert (slope == 0).all(), f"{what}: the gradient is {slope.tolist()}, not zero"


def _same(got: Tensor, expected: Tensor, what: str) -> None:
    got, expected = got.detach(), expected.detach()
    assert torch.allclose(got, expected, rtol=1e-9, atol=1e-12), (
        f"{what} differ: {got.tolist()} and {expected.tolist()}"
    )
