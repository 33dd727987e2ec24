"""The batch is the ordinary loop, many times at once: nothing of one member reaches another."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from lossmith.core.loss import Loss
from lossmith.losses import MAE, MSE, BalancedSoftmax, CrossEntropy, HLGauss, Huber, LogitAdjusted
from lossmith.study.training.averaging import WeightAverage
from lossmith.study.training.budget import Budget, TrialSpec, batches
from lossmith.study.training.mlp import StackedMLP
from lossmith.study.training.piecewise import PiecewiseLinear
from lossmith.study.training.stacked import WEIGHT_DECAY, Rows, StackedBatch

ROWS, BATCH, EPOCHS = 21, 8, 3  # two full batches an epoch, five rows left over
SEEDS = (3, 11)
BUDGET = Budget(epochs=EPOCHS, batch=BATCH)


def rows(columns: Sequence[int] = (5, 5)) -> Rows:
    generator = torch.Generator().manual_seed(0)
    train, valid = [], []
    for number, width in enumerate(columns):
        train.append(
            (
                torch.randn(ROWS, width, generator=generator),
                torch.randn(ROWS, generator=generator).double() * 2,
            )
        )
        valid.append(torch.randn(6 + number, width, generator=generator))
    return Rows(train, valid, SEEDS)


def member(name: str, rate: float, *losses: Loss) -> TrialSpec:
    return TrialSpec(
        candidate=name, learning_rate=rate, losses=losses * (len(SEEDS) // len(losses))
    )


def histogram(low: float) -> HLGauss:
    return HLGauss(low=low, high=low + 12, bins=7)


def mixed() -> list[TrialSpec]:
    """Members of two heads, three structures of loss and two learning rates."""
    return [
        member("huber", 1e-2, Huber(delta=0.3), Huber(delta=1.7)),
        member("histogram", 1e-3, histogram(-6), histogram(-7)),
        member("mse", 1e-3, MSE()),
        member("huber2", 1e-3, Huber(delta=1.0)),
        member("histogram2", 1e-2, histogram(-5)),
        member("mse", 1e-2, MSE()),
        member("mae", 1e-2, MAE()),
    ]


def by_name(batch: StackedBatch) -> dict[tuple[str, float], list[Tensor]]:
    found = zip(batch.trials, batch.outputs(), strict=True)
    return {(m.candidate, m.learning_rate): outputs for m, outputs in found}


def plain_model(body: StackedMLP, fold: int) -> nn.Sequential:
    """Return the only member's model of a fold as a plain one of torch."""
    layers = (
        (body.w1[fold, :, 0], body.b1[fold, 0, 0]),
        (body.w2[fold, 0], body.b2[fold, 0, 0]),
        (body.heads[0][fold, 0], body.biases[0][fold, 0, 0]),
    )
    model: list[nn.Module] = []
    for weight, bias in layers:
        linear = nn.Linear(*weight.shape)
        linear.weight.data = weight.detach().T.clone()
        linear.bias.data = bias.detach().clone()
        model += [linear, nn.SiLU()]
    return nn.Sequential(*model[:-1])


def plain_outputs(rows: Rows, one: TrialSpec, fold: int, epochs: int) -> Tensor:
    """Train one member on one fold in the ordinary loop; return its averaged outputs."""
    body = StackedMLP(rows.width, [one.out_features], [rows.seeds[fold]])
    embedding = PiecewiseLinear.of(rows.features[[fold]])
    model = plain_model(body, 0)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=one.learning_rate, weight_decay=WEIGHT_DECAY
    )
    weights = [p.detach().clone() for p in model.parameters()]
    order, step = torch.Generator().manual_seed(rows.seeds[fold]), 0
    for _ in range(epochs):
        shuffled = torch.randperm(ROWS, generator=order)
        for start in range(0, ROWS - BATCH + 1, BATCH):
            index = shuffled[start : start + BATCH]
            output = model(embedding(rows.features[fold, index]))
            output = output[:, 0] if one.out_features == 1 else output
            optimizer.zero_grad()
            one.losses[fold](output, rows.target[fold, index]).backward()
            optimizer.step()
            step += 1
            if step % 2 == 0:
                share = 8 / (step / 2 + 8)
                for mean, weight in zip(weights, model.parameters(), strict=True):
                    mean += share * (weight.detach() - mean)
    for mean, weight in zip(weights, model.parameters(), strict=True):
        weight.data = mean
    with torch.no_grad():
        output = model(embedding(rows.valid[fold]))
    return output[:, 0] if one.out_features == 1 else output


def test_every_member_of_a_fleet_equals_the_ordinary_loop() -> None:
    data, members = rows(), mixed()
    batch = StackedBatch(data, members, BUDGET)
    batch.advance(EPOCHS)
    found = by_name(batch)
    assert len(found) == len(members)
    for one in members:
        for fold in range(len(SEEDS)):
            expected = plain_outputs(data, one, fold, EPOCHS)
            actual = found[one.candidate, one.learning_rate][fold]
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_training_moves_the_outputs_apart() -> None:
    batch = StackedBatch(rows(), mixed(), BUDGET)
    before = by_name(batch)
    batch.advance(EPOCHS)
    after = by_name(batch)
    assert all(not torch.equal(before[key][0], after[key][0]) for key in before)
    singles = [after[key][0] for key in after if not key[0].startswith("histogram")]
    assert all(
        not torch.allclose(one, other) for i, one in enumerate(singles) for other in singles[:i]
    )


KEPT = [(0,), (6,), (1, 4), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5, 6)]


@pytest.mark.parametrize("kept", KEPT)
def test_keep_is_as_if_the_others_had_never_been_there(kept: tuple[int, ...]) -> None:
    batch = StackedBatch(rows(), mixed(), BUDGET)
    chosen = [batch.trials[i] for i in kept]
    batch.advance(2)
    batch.keep(list(reversed(kept)))
    assert batch.trials == chosen
    batch.advance(1)
    alone = StackedBatch(rows(), chosen, BUDGET)
    alone.advance(3)
    assert batch.trials == alone.trials
    for one, other in zip(batch.outputs(), alone.outputs(), strict=True):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    for stack, other in zip(batch.stacks, alone.stacks, strict=True):
        assert stack.average.steps == other.average.steps == 3 * (ROWS // BATCH)
        states = stack.optimizer.state, other.optimizer.state
        pairs = zip(stack.model.parameters(), other.model.parameters(), strict=True)
        for mine, theirs in pairs:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
            assert states[0][mine].keys() == {"step", "exp_avg", "exp_avg_sq"}
            for name, value in states[0][mine].items():
                torch.testing.assert_close(value, states[1][theirs][name], rtol=1e-3, atol=1e-6)


def test_keep_before_training_and_twice() -> None:
    batch = StackedBatch(rows(), mixed(), BUDGET)
    batch.keep([0, 2, 5])
    batch.advance(1)
    batch.keep([1])
    batch.advance(1)
    alone = StackedBatch(rows(), batch.trials, BUDGET)
    alone.advance(2)
    torch.testing.assert_close(batch.outputs()[0], alone.outputs()[0], rtol=1e-4, atol=1e-5)


def poisoned() -> Huber:
    """Return a loss that is NaN, of the structure that healthy members have too."""
    loss = Huber()
    loss.delta.fill_(math.nan)
    return loss


def test_a_member_that_becomes_nan_touches_no_other() -> None:
    healthy = mixed()
    expected = StackedBatch(rows(), healthy, BUDGET)
    bad = [member("bad", rate, poisoned()) for rate in (1e-3, 1e-2)]
    batch = StackedBatch(rows(), [*bad, *healthy], BUDGET)
    for one in (expected, batch):
        one.advance(EPOCHS)
    wanted, found = by_name(expected), by_name(batch)
    assert all(not part.isfinite().any() for part in found["bad", 1e-2])
    for key, outputs in wanted.items():
        torch.testing.assert_close(found[key], outputs, rtol=1e-4, atol=1e-5)


def test_a_member_that_diverges_touches_no_other_of_its_loss() -> None:
    healthy = mixed()
    expected = StackedBatch(rows(), healthy, BUDGET)
    wild = [member(f"wild {one.candidate}", 1e38, *one.losses) for one in healthy]
    batch = StackedBatch(rows(), [*wild, *healthy], BUDGET)
    for one in (expected, batch):
        one.advance(EPOCHS)
    wanted, found = by_name(expected), by_name(batch)
    assert not any(part.isfinite().any() for one in wild for part in found[one.candidate, 1e38])
    for key, outputs in wanted.items():
        torch.testing.assert_close(found[key], outputs, rtol=1e-4, atol=1e-5)


def test_a_cell_that_becomes_nan_touches_no_other() -> None:
    clean, dirty = rows(), rows()
    dirty.target[1] = math.inf
    stacks = [StackedBatch(data, mixed()[2:4], BUDGET) for data in (clean, dirty)]
    for batch in stacks:
        batch.advance(EPOCHS)
    for one, other in zip(stacks[0].outputs(), stacks[1].outputs(), strict=True):
        torch.testing.assert_close(one[0], other[0])
        assert other[0].isfinite().all()


def test_all_start_from_the_cells_weights() -> None:
    model = StackedMLP(4, [1, 1, 2, 7], [5, 6])
    for weight, dim in ((model.w1, 2), (model.w2, 1), (model.b1, 2), (model.b2, 1)):
        first = weight.select(dim, 0)
        assert all(torch.equal(weight.select(dim, i), first) for i in range(4))
    widest = model.heads[2][:, 0]
    assert widest.shape == (2, 64, 7)
    for head, width in zip(model.heads, (1, 2, 7), strict=True):
        for number in range(head.shape[1]):
            assert torch.equal(head[:, number], widest[..., :width])
    assert not torch.equal(model.w1[0], model.w1[1])
    assert not torch.equal(widest[0], widest[1])


@pytest.mark.parametrize("width", [1, 2, 3, 51, 100])
def test_a_head_starts_alike_whatever_other_heads_there_are(width: int) -> None:
    alone, together = StackedMLP(4, [width], [5]), StackedMLP(4, [width, 130], [5])
    torch.testing.assert_close(alone.heads[0], together.heads[0])
    assert torch.equal(alone.w2[:, 0], together.w2[:, 0])


def test_initial_weights_keep_the_scale_of_a_layer() -> None:
    model = StackedMLP(30, [100], [0])
    assert model.w1.std().item() == pytest.approx(30**-0.5, rel=0.1)
    assert model.w2.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.1)
    assert model.heads[0].std().item() == pytest.approx(1 / 8, rel=0.1)


def test_batches_are_the_same_for_every_loss_and_differ_between_cells() -> None:
    seen: dict[str, list[Tensor]] = {"a": [], "b": []}

    def spy(name: str) -> type[Loss]:
        class Spy(MSE):
            def values(self, input: Tensor, target: Tensor) -> Tensor:
                seen[name].append(target.clone())
                return super().values(input, target)

        card = MSE.card
        Spy.card = type(card)(**{**vars(card), "key": f"spy_{name}"})
        return Spy

    members = [member("a", 1e-3, spy("a")()), member("b", 1e-2, spy("b")())]
    data = rows()
    StackedBatch(data, members, BUDGET).advance(2)
    assert len(seen["a"]) == 2 * (ROWS // BATCH)
    assert all(torch.equal(x, y) for x, y in zip(seen["a"], seen["b"], strict=True))
    assert not any(torch.equal(*target.split(BATCH)) for target in seen["a"])
    order = torch.Generator().manual_seed(SEEDS[0])
    first_cell = [target[:BATCH] for target in seen["a"]]
    expected = [data.target[0, index] for _ in range(2) for index in batches(ROWS, BATCH, order)]
    assert all(torch.equal(x, y) for x, y in zip(first_cell, expected, strict=True))


def test_batches_are_full_and_without_repetition() -> None:
    parts = batches(ROWS, BATCH, torch.Generator().manual_seed(0))
    assert [len(part) for part in parts] == [BATCH, BATCH]
    assert len(set(torch.cat(parts).tolist())) == 2 * BATCH


def test_cells_smaller_than_a_batch_are_one_batch() -> None:
    parts = batches(5, 8, torch.Generator().manual_seed(0))
    assert [sorted(part.tolist()) for part in parts] == [[0, 1, 2, 3, 4]]


def test_columns_that_a_cell_lacks_are_zeros() -> None:
    data = rows((5, 3))
    assert data.features.shape == (2, ROWS, 5)
    assert not data.features[1, :, 3:].any()
    assert data.features[1, :, :3].any()
    assert [one.shape for one in data.valid] == [(6, 5), (7, 5)]
    batch = StackedBatch(data, mixed(), BUDGET)
    batch.advance(1)
    assert [len(part) for part in batch.outputs()[0]] == [6, 7]


def test_outputs_do_not_depend_on_padded_rows() -> None:
    batch = StackedBatch(rows(), mixed(), BUDGET)
    batch.advance(1)
    stack = batch.stacks[0]
    with torch.no_grad(), stack.average.applied(stack.model):
        embedding = batch.rows.embedding
        shorter = stack.model(embedding(torch.stack([x[:3] for x in batch.rows.valid])))
    wanted = torch.cat([part[..., 0] for part in shorter[:1]], dim=1)[:, 0]
    torch.testing.assert_close(batch.outputs()[0][0][:3], wanted[0])


def test_cells_of_unequal_length_lose_their_last_rows() -> None:
    x, y = torch.randn(9, 2), torch.arange(9.0)
    data = Rows([(x, y), (x[:7], y[:7])], [x, x], (0, 1))
    assert data.target.shape == (2, 7)


def test_equal_losses_stay_equal() -> None:
    twins = [
        TrialSpec(candidate="a", learning_rate=1e-2, losses=(BalancedSoftmax(counts=[9, 5]),) * 2),
        TrialSpec(candidate="b", learning_rate=1e-2, losses=(LogitAdjusted(counts=[9, 5]),) * 2),
        TrialSpec(candidate="c", learning_rate=1e-2, losses=(CrossEntropy(classes=2),) * 2),
    ]
    data = rows()
    data.target = (data.target > 0).long()
    batch = StackedBatch(data, twins, BUDGET)
    batch.advance(EPOCHS)
    found = by_name(batch)
    torch.testing.assert_close(found["a", 1e-2], found["b", 1e-2], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found["a", 1e-2][0], found["c", 1e-2][0], atol=1e-3)


def test_the_live_weights_return_after_outputs() -> None:
    batch = StackedBatch(rows(), mixed(), BUDGET)
    batch.advance(1)
    before = [p.detach().clone() for stack in batch.stacks for p in stack.model.parameters()]
    batch.outputs()
    after = [p for stack in batch.stacks for p in stack.model.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_averages_differ_from_the_live_weights() -> None:
    batch = StackedBatch(rows(), mixed(), BUDGET)
    batch.advance(EPOCHS)
    stack = batch.stacks[0]
    live = stack.model.w2.detach().clone()
    assert isinstance(stack.average, WeightAverage)
    assert not torch.equal(stack.averaged().w2, live)
