"""Copies of rows are one unit: of the folds, of the untouched rows and of the test."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lossmith import select
from lossmith.study.base.errors import InputError
from lossmith.study.data.dataset import SupervisedDataset
from lossmith.study.data.folds import FOLDS, Split, split_rows
from lossmith.study.data.problem import frame_problem
from lossmith.study.data.table_problem import table_problem
from lossmith.study.data.units import copies, same_features, same_inputs
from lossmith.study.diagnose import diagnose
from lossmith.study.metrics import lookup
from lossmith.study.rules.paired_test import estimate

RNG = np.random.default_rng(0)
BASE = pd.DataFrame(
    {
        "a": RNG.normal(size=90),
        "b": RNG.choice(["x", "y", None], 90),
        "price": RNG.normal(size=90),
        "sold": np.repeat(["yes", "no", "late"], [50, 30, 10]),
    }
)
MANY = {
    "each twice": [*range(90)] * 2,
    "each four times": [*range(90)] * 4,
    "some": [*range(90), *range(30)],
    "one a hundred times": [*range(90), *[7] * 100],
}
TWICE = pd.concat([BASE, BASE])


def copied(name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """A shuffled table with copies, and which row of the base each is."""
    frame = BASE.iloc[MANY[name]].sample(frac=1, random_state=1)
    return frame.reset_index(drop=True), frame.index.to_numpy()


def parted(split: Split, groups: np.ndarray) -> None:
    """No group stands on two sides of any split."""
    assert not set(groups[split.train]) & set(groups[split.test])
    assert sorted([*split.train, *split.test]) == list(range(len(groups)))
    for fold in split.folds:
        assert not set(groups[fold.train]) & set(groups[fold.valid])
        assert sorted([*fold.train, *fold.valid]) == sorted(split.train)


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize(("target", "metric"), [("price", "mae"), ("sold", "accuracy")])
def test_copies_stay_together(name: str, target: str, metric: str) -> None:
    frame, rows = copied(name)
    problem = frame_problem(frame, target, metric=metric)
    for seed in range(3):
        split = split_rows(problem.task, problem.target, seed, problem.units)
        parted(split, rows)
        if target == "sold":
            assert set(problem.target[split.test]) == {0, 1, 2}
            assert all(set(problem.target[fold.train]) == {0, 1, 2} for fold in split.folds)


@pytest.mark.parametrize("metrics", [("mae", "accuracy"), ("mae", "mae")])
def test_copies_stay_together_for_several_targets(metrics: tuple[str, str]) -> None:
    frame, rows = copied("each twice")
    frame["other"] = frame["price"] ** 2
    names = ["price", "sold" if metrics[1] == "accuracy" else "other"]
    problem = table_problem(frame, names, metrics, [None, None], [None, None])
    parted(problem.split(0), rows)


def test_sizes_are_even_and_a_large_group_is_no_test() -> None:
    groups = np.repeat(np.arange(101), [400, *[6] * 100])
    for seed in range(5):
        split = split_rows("regression", np.zeros(1000), seed, groups)
        assert 0 not in groups[split.test]
        parted(split, groups)
    even = split_rows("regression", np.zeros(180), 0, np.repeat(np.arange(90), 2))
    assert len(even.test) == 36
    sizes = [len(fold.valid) for fold in even.folds]
    assert max(sizes) - min(sizes) <= 2


def test_groups_of_several_classes_and_too_few_of_them() -> None:
    groups, classes = np.repeat(np.arange(40), 5), np.tile([0, 0, 0, 0, 1], 40)
    split = split_rows("binary", classes, 0, groups)
    parted(split, groups)
    assert {classes[fold.valid].mean() for fold in split.folds} == {0.2}
    with pytest.raises(InputError, match=f"the rows form 9 groups; a study needs {2 * FOLDS}"):
        split_rows("binary", classes, 0, groups % 9)


def test_the_seed_decides_the_groups_split() -> None:
    groups = np.repeat(np.arange(60), 3)
    one, same, other = (split_rows("regression", np.zeros(180), s, groups) for s in (1, 1, 2))
    assert np.array_equal(one.test, same.test)
    assert np.array_equal(one.folds[3].valid, same.folds[3].valid)
    assert set(one.test) != set(other.test)


def test_a_table_without_copies_is_split_as_ever() -> None:
    problem = frame_problem(BASE.drop(columns="sold"), "price", metric="mae")
    assert problem.units is None
    contradicting = TWICE.assign(price=RNG.normal(size=180))
    assert frame_problem(contradicting, "price", metric="mae").units is None


def test_columns_of_few_values_make_no_copies() -> None:
    coarse = pd.DataFrame({"a": RNG.integers(0, 2, 200), "b": RNG.integers(0, 3, 200)})
    survived = coarse.assign(y=np.where(RNG.random(200) < 0.3 + 0.2 * coarse["a"], "yes", "no"))
    problem = frame_problem(survived, "y", metric="accuracy")
    assert problem.units is None
    found = {one.name: one for one in diagnose(problem)}
    assert "equal by chance" in found["duplicated rows"].meaning
    prices = coarse.assign(y=RNG.normal(size=200))  # of which equal ones are copies all the same
    assert frame_problem(pd.concat([prices, prices]), "y", metric="mae").units is not None


def test_copies_are_told_and_count_once() -> None:
    problem = frame_problem(copied("each twice")[0], "price", metric="mae")
    (found,) = (one for one in diagnose(problem) if one.name == "duplicated rows")
    assert found.value == "50 %"
    assert "one unit" in found.meaning


def test_too_few_different_rows_are_refused() -> None:
    few = pd.concat([BASE.iloc[:40]] * 3)
    with pytest.raises(InputError, match="the table has 120 rows, but only 40 differ"):
        frame_problem(few, "price", metric="mae")
    rare = pd.concat([BASE, *[BASE.iloc[[-1]].assign(sold="never")] * 6])
    with pytest.raises(InputError, match="class 'never' of column 'sold' has 1 different row"):
        frame_problem(rare, "sold", metric="accuracy")


def test_the_test_is_that_of_the_rows_counted_once() -> None:
    values = [RNG.normal(-0.2, 1, 40) for _ in range(5)]
    rows = list(np.arange(200).reshape(5, 40))
    once = estimate(values, rows)
    twice = estimate([np.tile(v, 2) for v in values], [np.tile(r, 2) for r in rows])
    assert (twice.mean, twice.p_value) == pytest.approx((once.mean, once.p_value))


@pytest.mark.parametrize("joint", [False, True])
def test_a_study_tests_by_units(joint: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every estimate of a study is given the units, which are fewer than the rows."""
    seen: list[int] = []

    def counting(values: Any, rows: Any, overlap: float) -> Any:
        seen.append(len(np.concatenate(rows)) - 2 * len(np.unique(np.concatenate(rows))))
        return estimate(values, rows, overlap)

    monkeypatch.setattr("lossmith.study.rules.compare.estimate", counting)
    more: dict[str, Any] = {"target": "price", "metric": "mae", "candidates": ["mse"]}
    frame = TWICE.drop(columns="sold")
    if joint:
        more |= {"target": ["price", "a"], "metric": ["mae", "mae"]}
    select(frame.assign(c=frame["price"] ** 2), epochs=2, learning_rates=[1e-2], **more)
    assert seen
    assert min(seen) >= 0


def test_copies_in_tensors() -> None:
    inputs, target = torch.randn(80, 3), torch.randn(80)
    twice = torch.cat([inputs, inputs]), torch.cat([target, target])
    examples = SupervisedDataset.of(twice, None, lookup("mae"))
    assert examples.units is not None
    parted(split_rows("regression", examples.target, 0, examples.units), examples.units)
    assert SupervisedDataset.of((inputs, target), None, lookup("mae")).units is None
    assert len(set(same_inputs(twice[0].bfloat16()))) == 80
    found = select(
        model=lambda width: nn.Linear(3, width),
        train=twice,
        metric="mae",
        candidates=["mse"],
        epochs=1,
        learning_rates=[1e-2],
        workers=1,
    )
    assert "duplicated rows" in [one.name for one in found.result.diagnosis]
    with pytest.raises(InputError, match="has 160 samples, but only 40 differ"):
        SupervisedDataset.of((inputs[:40].repeat(4, 1), target[:40].repeat(4)), None, lookup("mae"))


def test_missing_values_are_equal() -> None:
    frame = pd.DataFrame({"a": [np.nan, np.nan, 1.0], "b": [None, None, "x"]})
    found = copies(same_features(frame), np.array([1.0, 1.0, 2.0]))
    assert found is not None
    assert found.tolist() == [0, 0, 1]
