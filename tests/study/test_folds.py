"""The rows of a study: what is untouched stays so, and folds part the rest."""

import warnings

import numpy as np
import pytest

from lossmith.study.data.folds import (
    FEWEST_SAMPLES,
    FOLDS,
    LARGEST_SAMPLE,
    REPEATS,
    SAMPLE,
    SAMPLE_OF_CLASS,
    SCREENING,
    split_by_time,
    split_rows,
)
from lossmith.study.training.budget import Budget, batches

REGRESSION = np.random.default_rng(0).normal(size=203)
RARE = np.repeat([0, 1, 2], [180, 15, 5])
FEW = np.repeat(np.arange(10), 5)  # 50 rows, each class with the fewest that are allowed
MANY = np.repeat(np.arange(120), 10)
POSITIVES = np.repeat([0, 1], [990, 10])
TARGETS = {
    "regression": ("regression", REGRESSION),
    "small": ("regression", REGRESSION[:50]),
    "rare": ("multiclass", RARE),
    "few": ("multiclass", FEW),
    "many": ("multiclass", MANY),
    "positives": ("binary", POSITIVES),
    "shuffled": ("multiclass", np.random.default_rng(0).permutation(RARE)),
}
CASES = pytest.mark.parametrize("case", TARGETS)


@CASES
def test_folds_part_the_rows(case: str) -> None:
    task, target = TARGETS[case]
    split = split_rows(task, target, 3)
    everyone = set(range(len(target)))
    assert set(split.train) | set(split.test) == everyone
    assert not set(split.train) & set(split.test)
    assert len(split.test) == int(np.ceil(0.2 * len(target)))
    for fold in split.folds:
        assert not set(fold.train) & set(fold.valid)
        assert set(fold.train) | set(fold.valid) == set(split.train)
    for repeat in range(REPEATS):
        parts = [fold.valid for fold in split.folds if fold.repeat == repeat]
        assert len(parts) == FOLDS
        assert sorted(np.concatenate(parts)) == sorted(split.train)


@CASES
def test_every_class_trains_in_every_cell_and_is_tested(case: str) -> None:
    task, target = TARGETS[case]
    if task == "regression":
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split = split_rows(task, target, 0)
    classes = set(target)
    assert set(target[split.test]) == classes
    for fold in split.folds:
        assert set(target[fold.train]) == classes
        counts = np.bincount(target[fold.valid], minlength=len(classes))
        expected = np.bincount(target[split.train]) / FOLDS
        assert (np.abs(counts - expected) <= 1).all()


@CASES
def test_cells_can_be_trained_side_by_side(case: str) -> None:
    task, target = TARGETS[case]
    split = split_rows(task, target, 0)
    lengths = {len(fold.train) for fold in split.folds}
    assert max(lengths) - min(lengths) <= 1
    import torch

    budget = Budget.for_rows(len(split.folds[0].train))
    assert all(batches(n, budget.batch, torch.Generator()) for n in lengths)


def test_the_seed_decides_everything() -> None:
    one, same, other = (split_rows("regression", REGRESSION, seed) for seed in (5, 5, 6))
    for a, b in zip(one.folds, same.folds, strict=True):
        assert np.array_equal(a.train, b.train)
        assert np.array_equal(a.valid, b.valid)
        assert a.seed == b.seed
    assert np.array_equal(one.test, same.test)
    assert set(one.test) != set(other.test)
    seeds = [fold.seed for fold in (*one.folds, *other.folds)]
    assert len(set(seeds)) == len(seeds)


def test_repeats_part_the_rows_differently() -> None:
    split = split_rows("regression", REGRESSION, 0)
    parts = {frozenset(fold.valid.tolist()) for fold in split.folds}
    assert len(parts) == FOLDS * REPEATS


def test_rounds_and_siblings() -> None:
    split = split_rows("regression", REGRESSION, 0)
    first, others = split.screening_folds, split.confirmation_folds
    assert len(first) == SCREENING
    assert sorted([*first, *others]) == list(range(FOLDS * REPEATS))
    for number, fold in enumerate(split.folds):
        near = split.siblings(number, range(len(split.folds)))
        assert len(near) == FOLDS - 1
        assert all(not set(split.folds[c].valid) & set(fold.valid) for c in near)
    assert split.siblings(0, split.screening_folds) == [1]


def _repeats(split) -> list[np.ndarray]:
    rows = [[f.valid for f in split.folds if f.repeat == r] for r in range(REPEATS)]
    return [np.sort(np.concatenate(one)) for one in rows]


def test_a_large_table_is_studied_on_samples_that_share_no_row() -> None:
    rows = 200_000
    split = split_rows("regression", np.arange(rows), 0)
    first, second = _repeats(split)
    assert len(split.train) == 0.8 * rows
    assert split.sampled
    assert split.studied == len(first) + len(second)
    assert SAMPLE <= len(first) < 2 * SAMPLE
    assert not set(first) & set(second)
    assert set(first) | set(second) <= set(split.train)
    for fold in split.folds:
        own = first if fold.repeat == 0 else second
        assert sorted([*fold.train, *fold.valid]) == own.tolist()


def test_a_table_of_a_few_samples_is_studied_whole() -> None:
    least = int(FEWEST_SAMPLES * SAMPLE / 0.8)
    assert split_rows("regression", np.arange(least), 0).sampled
    split = split_rows("regression", np.arange(least - 2), 0)
    assert not split.sampled
    assert all(np.array_equal(rows, np.sort(split.train)) for rows in _repeats(split))
    target = (np.arange(least) < 500).astype(int)  # a rare class of which samples have too few
    assert not split_rows("binary", target, 0).sampled


def test_samples_hold_enough_of_the_rarest_class() -> None:
    target = np.zeros(400_000, dtype=int)
    target[np.random.default_rng(0).permutation(len(target))[:1500]] = 1  # 1,200 train
    for rows in _repeats(split_rows("binary", target, 0)):
        assert target[rows].sum() >= SAMPLE_OF_CLASS
        assert len(rows) > 2 * SAMPLE
        assert np.isclose(target[rows].mean(), target.mean(), rtol=0.01)
    target[target.nonzero()[0][100:]] = 0  # a hundred of them: more rows, but within a bound
    for rows in _repeats(split_rows("binary", target, 0)):
        assert len(rows) <= LARGEST_SAMPLE
        assert target[rows].sum() >= 20


def test_samples_keep_groups_whole() -> None:
    groups = np.random.default_rng(0).integers(0, 3000, 120_000)
    split = split_rows("regression", np.arange(len(groups)), 0, groups)
    first, second = _repeats(split)
    assert split.sampled
    assert not set(groups[first]) & set(groups[second])
    few = split_rows("regression", np.arange(120_000), 0, groups % 30)
    assert not few.sampled  # thirty groups are too few to part


def test_a_large_table_in_order_of_time_is_thinned_evenly() -> None:
    times = np.arange(300_000)
    split = split_by_time(times, 0)
    assert split.sampled
    for fold in split.folds:
        assert fold.train.max() < fold.valid.min()
        steps = np.diff(fold.train)
        assert steps.min() == steps.max() == np.diff(fold.valid).max()
        assert SAMPLE <= len(fold.train) < 2 * SAMPLE
