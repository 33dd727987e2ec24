"""Reduction identities: what weights, denominators and batches may and may not change."""

from typing import Any

import torch
from torch import Tensor

from lossmith.core import Coupled, Pointwise
from lossmith.core.tree import tree_leaves, tree_map
from lossmith.testing.cases import ROWS, Case, joined, refusal, take


def mean_of_values(case: Case) -> None:
    """The loss is its terms combined: where there are values, their weighted mean."""
    input, target = case.batch()
    loss = case.loss
    same(loss.combine(loss.terms(input, target)), loss(input, target), "combine(terms) and loss")
    if not isinstance(loss, (Pointwise, Coupled)):
        return
    values, own = loss.values(input, target), loss.weights(target)
    own = torch.ones(ROWS) if own is None else own
    total = torch.zeros((), dtype=torch.float64)
    for part in [values] if isinstance(values, Tensor) else values.values():
        assert part.shape[:1] == (ROWS,), f"values has shape {tuple(part.shape)}"
        wide = own.reshape(own.shape + (1,) * (part.ndim - own.ndim)).expand_as(part)
        total = total + (part * wide).sum() / wide.sum()
    same(loss(input, target), total, "loss and mean of values")


def weight_two(case: Case) -> None:
    """A weight of 2 equals the sample twice."""
    batch = case.batch()
    weight = _weights((1, 2.0))
    twice = joined(batch, take(batch, slice(1, 2)))
    same(case.loss(*batch, weight=weight), case.loss(*twice), "weight 2 and sample twice")


def weight_zero(case: Case) -> None:
    """A weight of 0 equals the sample left out, whatever it holds, and its gradient is zero."""
    batch, weight = case.batch(), _weights((0, 0.0))
    left = case.loss(*take(batch, slice(1, None)))
    for given in (batch, [tree_map(spoilt, part) for part in batch]):
        value, slopes = case.slopes(*given, weight=weight)
        same(value, left, "weight 0 and sample left out")
        for slope in slopes:
            assert (slope[0] == 0).all(), f"a sample of weight 0 has gradient {slope[0].tolist()}"
            assert slope.isfinite().all(), "a sample of weight 0 spoils the others' gradients"


def weighs_anchors(case: Case) -> None:
    """Weights weigh the values of the rows, which they leave as they are."""
    batch, weight = case.batch(), torch.linspace(0.0, 2.0, ROWS, dtype=torch.float64)
    alone = [case.loss(*batch, weight=_weights(*((j, 0.0) for j in range(ROWS) if j != i)))
             for i in range(ROWS)]  # fmt: skip
    assert isinstance(case.loss, Coupled)
    values, own = case.loss.values(*batch), case.loss.weights(batch[1])
    weight = weight if own is None else weight * own
    expected = sum((w * v for w, v in zip(weight, alone, strict=True)), torch.zeros(()))
    for part in tree_leaves(values):
        assert part.shape[:1] == (ROWS,), f"values has shape {tuple(part.shape)}"
    got = case.loss(*batch, weight=torch.linspace(0.0, 2.0, ROWS, dtype=torch.float64))
    same(got, expected / weight.sum(), "loss and weighted mean of its rows' values")


def order_of_rows(case: Case) -> None:
    """The order of a batch's rows changes nothing."""
    batch, order = case.batch(), torch.tensor([3, 0, 5, 1, 4, 2])
    same(case.loss(*take(batch, order)), case.loss(*batch), "rows in another order")


def takes_no_weight(case: Case) -> None:
    """One number of the batch as a whole refuses weights, with a clear error."""
    weight = torch.ones(ROWS, dtype=torch.float64)
    refusal(ValueError, "a weight", case.loss, *case.batch(), weight=weight)


def takes_no_denominator(case: Case) -> None:
    """What is no mean over rows refuses a denominator, with a clear error."""
    refusal(ValueError, "a denominator", case.loss, *case.batch(), denominator=7.0)


def constant_weight(case: Case) -> None:
    """A weight that is the same for all changes nothing."""
    batch = case.batch()
    weight = torch.full((ROWS,), 3.0, dtype=torch.float64)
    same(case.loss(*batch, weight=weight), case.loss(*batch), "weight 3 and none")


def denominator(case: Case) -> None:
    """Parts of a batch under a common denominator add up to the whole batch under it."""
    batch = case.batch()
    weight = torch.linspace(0.5, 2.0, ROWS, dtype=torch.float64)
    for given in (7.0, torch.tensor(7.0, dtype=torch.float64)):
        whole = case.loss(*batch, weight=weight, denominator=given)
        doubled = case.loss(*batch, weight=weight, denominator=2 * given)
        same(2 * doubled, whole, "half the value under twice the denominator")
        if case.loss.reduction == "coupled":
            continue
        parts = [
            case.loss(*take(batch, part), weight=weight[part], denominator=given)
            for part in (slice(0, 2), slice(2, ROWS))
        ]
        same(sum(parts, torch.zeros(())), whole, "parts and whole under one denominator")


def refuses_denominators(case: Case) -> None:
    """A denominator is a finite number above 0; it is 0 for a batch with nothing to learn from."""
    batch = case.batch()
    for number in (-1.0, torch.nan, torch.inf, 0.0):
        for given in (number, torch.tensor(number)):
            refusal(ValueError, f"the denominator {number}", case.loss, *batch, denominator=given)


def nothing_to_learn(case: Case) -> None:
    """Weights that are all zero, or an empty batch, give 0 with zero gradients."""
    batch, none = case.batch(), torch.zeros(ROWS, dtype=torch.float64)
    kind = case.loss.reduction
    for given in [{}, {"denominator": 0.0}] if kind in ("mean", "coupled") else [{}]:
        if kind != "set":
            vanishes(case, batch, "all weights zero", weight=none, **given)
        if kind in ("mean", "statistic"):
            input, target = (tree_map(lambda part: spoilt(part, ROWS), data) for data in batch)
            vanishes(case, (input, target), "all weights zero, NaN", weight=none, **given)
        vanishes(case, take(batch, slice(0, 0)), "an empty batch", **given)


def one_sample(case: Case) -> None:
    """A batch of one sample has a finite value; heads also without a batch dimension."""
    batch = case.batch()
    rows = [take(batch, slice(i, i + 1)) for i in range(ROWS)]
    alone = torch.stack([case.loss(*row) for row in rows])
    assert alone.isfinite().all(), f"batches of one sample have values {alone.tolist()}"
    for row in rows:
        for slope in case.slopes(*row)[1]:
            assert slope.isfinite().all(), f"a batch of one has gradient {slope.tolist()}"
    if case.card.trains_head:
        bare = torch.stack([case.loss(batch[0][i], batch[1][i]) for i in range(ROWS)])
        same(bare, alone, "a sample without a batch dimension and a batch of one")


def dense(case: Case) -> None:
    """More dimensions behind the head's are more samples, as in segmentation or a sequence."""
    input, target = case.batch()
    wide = input.reshape(2, ROWS // 2, *input.shape[1:])
    wide = wide.movedim(2, 1) if input.ndim > 1 else wide
    same(case.loss(wide, target.reshape(2, -1)), case.loss(input, target), "(2, 3) and (6,)")


def spoilt(rows: Tensor, count: int = 1) -> Tensor:
    """Return rows whose first ones hold what no loss can read."""
    first = rows[:count].detach()
    nothing = torch.full_like(first, torch.nan) if rows.is_floating_point() else first - 10_000
    return torch.cat([nothing.to(rows.dtype), rows[count:]])


def _weights(*others: tuple[int, float]) -> Tensor:
    """Weights of 1, but for some rows."""
    weight = torch.ones(ROWS, dtype=torch.float64)
    for row, value in others:
        weight[row] = value
    return weight


def vanishes(case: Case, batch: tuple[Any, Any], what: str, **given: Any) -> None:
    """Raise AssertionError unless the value and all its gradients are 0."""
    value, slopes = case.slopes(*batch, **given)
    assert value.item() == 0, f"{what}: the value is {value.item()}, not 0"
    for slope in slopes:
        assert (slope == 0).all(), f"{what}: the gradient is {slope.tolist()}, not zero"


def same(got: Tensor, expected: Tensor, what: str) -> None:
    """Raise AssertionError unless two tensors are equal but for rounding."""
    got, expected = got.detach(), expected.detach()
    assert torch.allclose(got, expected, rtol=1e-9, atol=1e-12), (
        f"{what} differ: {got.tolist()} and {expected.tolist()}"
    )
