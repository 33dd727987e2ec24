"""What a stack holds at once is bounded, however many trials, classes and rows it has."""

import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from lossmith.losses import LDAM, Brier, CrossEntropy, Focal
from lossmith.study.journal import Setting
from lossmith.study.metrics import lookup
from lossmith.study.training import stacked
from lossmith.study.training.budget import Budget, TrialSpec
from lossmith.study.training.stacked import Rows, StackedBatch
from lossmith.study.trials.scoring import Scorer

CLASSES, ROWS, VALID, SEEDS = 40, 64, 50, (3, 11)
COUNTS = tuple(range(1, CLASSES + 1))


def batch(*names: str) -> StackedBatch:
    generator = torch.Generator().manual_seed(0)
    train = [
        (
            torch.randn(ROWS, 5, generator=generator),
            torch.randint(CLASSES, (ROWS,), generator=generator),
        )
        for _ in SEEDS
    ]
    valid = [torch.randn(VALID, 5, generator=generator) for _ in SEEDS]
    makers = {
        "cross_entropy": lambda: CrossEntropy(classes=CLASSES),
        "brier": lambda: Brier(classes=CLASSES),
        "focal": lambda: Focal(classes=CLASSES),
        "ldam": lambda: LDAM(counts=COUNTS),
    }
    trials = [
        TrialSpec(candidate=name, learning_rate=rate, losses=tuple(makers[name]() for _ in SEEDS))
        for name in names
        for rate in (1e-3, 1e-2)
    ]
    return StackedBatch(Rows(train, valid, SEEDS), trials, Budget(epochs=2, batch=32))


@pytest.mark.parametrize("trials", [1, 3, 100])
def test_outputs_come_in_blocks_of_a_bounded_size(
    monkeypatch: pytest.MonkeyPatch, trials: int
) -> None:
    one = batch("cross_entropy", "brier", "focal", "ldam")
    one.advance(1)
    whole = one.outputs()  # at the usual bound, in one block
    assert len(list(one.blocks())) == 1
    each = len(SEEDS) * VALID * max(CLASSES, 64)
    monkeypatch.setattr(stacked, "MOST", trials * each)
    blocks = list(one.blocks())
    numbers = [sum(part.numel() for own in block for part in own) for block in blocks]
    assert max(numbers) <= trials * each
    assert len(blocks) >= min(2, len(whole) * CLASSES // (64 * trials))
    found = [outputs for block in blocks for outputs in block]
    assert len(found) == len(whole) == len(one.trials)
    for mine, theirs in zip(found, whole, strict=True):
        torch.testing.assert_close(mine, theirs)


NAMES = ("cross_entropy", "brier", "focal", "ldam")
OF_A_KIND = 2 * len(SEEDS) * 32 * CLASSES  # outputs, of both learning rates


@pytest.mark.parametrize("kinds", [1, 2, 3])
def test_losses_keep_what_their_gradients_need_a_few_kinds_after_the_other(
    monkeypatch: pytest.MonkeyPatch, kinds: int
) -> None:
    alone = {name: _most_kept(batch(name)) for name in NAMES}
    together = _most_kept(batch(*NAMES))
    assert together == sum(alone.values())  # at the usual bound, at once
    monkeypatch.setattr(stacked, "MOST", kinds * OF_A_KIND)
    assert _most_kept(batch(*NAMES)) <= sum(sorted(alone.values())[-kinds:]) < together


@pytest.mark.parametrize("most", [1, OF_A_KIND, 2 * OF_A_KIND, 3 * OF_A_KIND - 1])
def test_slopes_do_not_depend_on_how_many_kinds_are_differentiated_at_once(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    one = batch(*NAMES)
    expected = _slopes(one)
    assert len({key for stack in one.stacks for key in stack.keys}) == len(NAMES)
    monkeypatch.setattr(stacked, "MOST", most)
    for mine, theirs in zip(_slopes(one), expected, strict=True):
        assert torch.equal(mine, theirs)


def test_kinds_are_grouped_up_to_the_bound_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacked, "MOST", 10)
    sizes = {"a": 4, "b": 6, "c": 1, "d": 30, "e": 2, "f": 9}
    assert [*stacked._grouped(sizes, sizes.__getitem__)] == [["a", "b"], ["c"], ["d"], ["e"], ["f"]]


def _slopes(one: StackedBatch) -> list[Tensor]:
    """Return the losses' gradients with respect to the outputs of every stack."""
    index = torch.arange(32).expand(len(SEEDS), -1)
    outputs = [stack.model(one.rows.batch(index)) for stack in one.stacks]
    slopes = [[torch.full_like(part, torch.nan) for part in own] for own in outputs]
    one._differentiate(outputs, slopes, index)
    return [part for own in slopes for part in own]


def _most_kept(one: StackedBatch) -> int:
    """Return the most bytes that the losses' graphs hold at any time of a step."""
    held, most = 0, 0

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            nonlocal held, most
            self.tensor, size = tensor, tensor.numel() * tensor.element_size()
            held += size
            most = max(most, held)
            weakref.finalize(self, release, size)

    def release(size: int) -> None:
        nonlocal held
        held -= size

    index = torch.arange(32).expand(len(SEEDS), -1)
    outputs = [stack.model(one.rows.batch(index)) for stack in one.stacks]
    slopes = [[torch.empty_like(part) for part in own] for own in outputs]
    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        one._differentiate(outputs, slopes, index)
    return most


def test_outliers_are_told_by_the_trials_of_all_blocks() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(size=200)
    target[::10] *= 200
    values = np.stack([target * 0, target, target * 0 + 0.1])  # the second foresees all
    folds = SimpleNamespace(valid_target=lambda fold: target, siblings=lambda *_: [])
    found = []
    for parts in ([[0, 1, 2]], [[0], [2], [1]]):
        scorer = Scorer(lookup("rmse"), folds, exclude_outliers=True)
        histories = [scorer.history(Setting("mse", 0.1, place)) for place in range(3)]
        for epoch in (1, 2):
            for part in parts:
                own = [histories[place] for place in part]
                scorer.record(own, {0: values[part] / epoch}, epoch)
        scorer.exclude_outliers([0])
        errors = [error for history in histories for error in history.errors[0].values()]
        found.append([scorer.excluded, *errors])
    assert found[0][0] > 0.05
    assert found[1] == pytest.approx(found[0])


def test_a_step_takes_the_gradients_of_the_sum_of_all_losses() -> None:
    one, other = batch("cross_entropy", "brier"), batch("cross_entropy", "brier")
    index = torch.arange(32).expand(len(SEEDS), -1)
    features = one.rows.batch(index)
    one._step(features, index)
    parts = [stack.parts(stack.model(features)) for stack in other.stacks]
    losses = [
        objective(torch.cat([part[key] for part in parts], dim=1), index)
        for key, objective in other.objectives.items()
    ]
    torch.stack(losses).sum().backward()
    for mine, theirs in zip(one.stacks, other.stacks, strict=True):
        theirs.optimizer.step()
        for a, b in zip(mine.model.parameters(), theirs.model.parameters(), strict=True):
            torch.testing.assert_close(a, b)
