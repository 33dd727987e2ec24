"""The problem of several targets: its rows, its notes, its losses, and mistakes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lossmith.study.base.errors import InputError
from lossmith.study.data.table import read_table
from lossmith.study.data.table_problem import TableProblem, table_problem
from lossmith.study.diagnose import diagnose_each
from lossmith.study.metrics import lookup
from lossmith.study.selection.select import select
from lossmith.study.selection.tables import _fields
from lossmith.study.tasks.candidate import Candidate
from shared.houses import ROWS, houses


def price_and_sale(frame: pd.DataFrame) -> TableProblem:
    return table_problem(frame, ["price", "sold.fast"], ["mae", "auroc"], [None] * 2, [None] * 2)


def test_rows_are_those_that_have_every_target() -> None:
    found = price_and_sale(houses())
    assert found.dropped == 2
    assert found.target.shape == (ROWS - 2, 2)
    assert "sold.fast" not in found.features
    assert np.array_equal(found.rows, np.setdiff1d(np.arange(ROWS), [3, 5]))
    assert "grade" in found.features
    findings = diagnose_each(found)
    names = [[one.name for one in own] for own in findings]
    assert "rows" in names[0]
    assert "rows" not in names[1]


def test_texts_read_as_missing_classes_are_named(tmp_path: Path) -> None:
    frame = houses()
    frame["sold.fast"] = np.where(np.arange(ROWS) % 3 == 0, "NA", frame["sold.fast"].astype(str))
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = price_and_sale(read_table(tmp_path / "t.csv"))
    assert "(read as missing: 'NA'; rename the class if it is one)" in found.targets[0].notes[-1]


def test_what_all_targets_share_is_noted_once() -> None:
    found = price_and_sale(houses().assign(empty=np.nan))
    first, second = (one.notes for one in found.targets)
    assert first[-1] == "2 rows without a value of every target were left out"
    assert sum("empty" in note for note in (*first, *second)) == 1
    assert any("positive class" in note for note in second)


def test_candidates_asked_for_race_for_the_targets_that_they_can_train() -> None:
    frame = houses().assign(change=lambda t: t["area"] - 120, rooms=lambda t: t["age"] // 9)
    measures = lookup("mae"), lookup("pinball@0.9")
    problem = table_problem(
        frame, ["change", "rooms"], ["mae", "pinball@0.9"], [None] * 2, [None] * 2
    )
    split = problem.split(0)
    found = _fields(problem, measures, split, ["poisson", "quantile", "huber"])
    keys = [{one.key for one in field.candidates if isinstance(one, Candidate)} for field in found]
    assert "huber" in keys[0] & keys[1]
    assert {"poisson", "quantile"} <= keys[1] - keys[0]
    elsewhere = _fields(problem, measures, split, ["HuberLoss"])  # by a name of torch
    assert all("huber" in {one.key for one in field.candidates} for field in elsewhere)
    with pytest.raises(InputError, match="no candidate is called"):
        _fields(problem, measures, split, ["huber(delta=77)"])


def test_rare_combinations_of_classes_fall_back_to_the_rarest_class() -> None:
    frame = houses()
    both = table_problem(frame, ["grade", "sold.fast"], ["accuracy"] * 2, [None] * 2, [None] * 2)
    strata = both.strata()
    assert strata is not None
    assert np.bincount(strata).min() >= 5


@pytest.mark.parametrize(
    ("target", "metric", "more", "told"),
    [
        (["price", "sold.fast"], ["mae"], {}, "2 targets but 1 of metric"),
        (["price", "price"], ["mae", "rmse"], {}, "'price' is named twice"),
        (["price", "sold_fast"], ["mae", "auroc"], {}, "did you mean 'sold.fast'"),
        (["price", "sold.fast"], ["mae", "rmse"], {}, "not a number"),
        ("price", ["mae", "auroc"], {}, "a list of metrics is for several columns"),
        ([], [], {}, "a list of metrics is for several columns"),
        (["price"], ["mae", "auroc"], {}, "1 targets but 2 of metric"),
        (["price", "sold.fast"], "mae", {}, "several targets need as many metrics"),
        (["price", "grade"], ["mae", "f1"], {}, "target 'grade': metric f1"),
        (["price", "sold.fast"], ["mae", "auroc"], {"positive": {"sold": 1}}, "mean 'sold.fast'"),
        (["price", "grade"], ["mae", "accuracy"], {"task": {"age": "binary"}}, "no target"),
        (["price", "sold.fast"], ["mae", "auroc"], {"positive": "no"}, "say which positive"),
        (["price", "grade"], ["mae", "accuracy"], {"candidates": ["nll"]}, "no loss is called"),
        (["price", "age"], ["mae", "mae"], {"candidates": ["focal"]}, "none of the targets"),
    ],
)
def test_mistakes_are_told_in_one_line(
    target: Any, metric: Any, more: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        select(houses(), target=target, metric=metric, epochs=1, **more)
