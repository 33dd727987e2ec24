"""A table's study as facts of a journal: the same with and without a folder, and after kill -9."""

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lossmith import select
from lossmith.study.base.errors import InputError
from lossmith.study.journal import Decision, Journal, Setting, Training
from lossmith.study.selection.conclude import Selection
from lossmith.study.training.budget import Budget
from lossmith.study.training.stacked import StackedBatch
from lossmith.study.trials.onlooker import progress_in, verdict_in
from lossmith.study.trials.place import read_place

FORK = multiprocessing.get_context("fork")
CANDIDATES = ["huber", "log_cosh", "student_t_nll", "adaptive_barron"]


def houses() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size, age = rng.normal(size=200), rng.normal(size=200)
    price = size - age + rng.standard_t(2, size=200)
    price[::9] += 40 * rng.random(23)
    good = np.where(size + rng.normal(size=200) > 0, "yes", "no")
    return pd.DataFrame({"size": size, "age": age, "price": price, "good": good})


def studied(several: bool = False, longer: bool = False, **arguments: Any) -> dict[str, Any]:
    """Return what a study finds, without what a second run of it may differ in.

    longer: a study that is planned for too few epochs, and goes on where more help.
    """
    if longer:
        return told_of(select(growing(), **GROWING, **arguments))
    target: Any = ["price", "good"] if several else "price"
    metric: Any = ["rmse", "f1"] if several else "rmse"
    keys = ["huber", "log_cosh", "brier"] if several else CANDIDATES
    data = houses() if several else houses().drop(columns="good")
    return told_of(
        select(data, target=target, metric=metric, candidates=keys, epochs=12, **arguments)
    )


def growing() -> pd.DataFrame:
    rng = np.random.default_rng(20)
    size, age = rng.normal(size=200), rng.normal(size=200)
    return pd.DataFrame(
        {"size": size, "age": age, "price": size - age + rng.standard_t(2, size=200)}
    )


GROWING: Any = {"target": "price", "metric": "mae", "candidates": ["huber"], "seed": 20}


def told_of(found: Selection) -> dict[str, Any]:
    told = json.loads(json.dumps(found.result.to_json()))
    told["ran"], told["predictions"] = told.pop("cost")["trainings"], found.predictions().to_csv()
    told["drawn"] = [
        (one.name, str(one.loss.state_dict()), one.output.tolist())
        for one in found.evidence.outputs
    ]
    return told


def killed_at(call: int, **arguments: Any) -> None:
    """Study in a process that kills itself when it tells its progress for the n-th time."""
    calls = []

    def tell(share: float, text: str) -> None:
        calls.append(share)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)

    process = FORK.Process(target=studied, kwargs={"progress": tell, **arguments})
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.fixture(scope="module")
def undisturbed() -> dict[bool, dict[str, Any]]:
    return {several: studied(several) for several in (False, True)}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The stretches that batches train, as (folds, epochs)."""
    stretches: list[tuple[int, int]] = []
    advance = StackedBatch.advance

    def watched(batch: StackedBatch, epochs: int) -> None:
        stretches.append((len(batch.rows.seeds), epochs))
        advance(batch, epochs)

    monkeypatch.setattr(StackedBatch, "advance", watched)
    return stretches


@pytest.mark.parametrize("several", [False, True])
def test_a_folder_changes_nothing(
    several: bool, undisturbed: dict[bool, dict[str, Any]], tmp_path: Path
) -> None:
    assert studied(several, out=tmp_path / "run") == undisturbed[several]


# Scored after 1, 2, 3, 4, 5, 7, 8, 9, 11 and 12 epochs, reported after 1, 2, 4, 8 and 12 of the
# screening, 4 of a further learning rate, and 4, 8 and 12 of the finalists. A stack that goes on is
# saved a moment after the report: who dies in between trains the part anew.
@pytest.mark.parametrize(
    ("call", "screening", "confirmation"),
    [(2, 15, 12), (3, 14, 12), (12, 4, 12), (15, 0, 12), (21, 0, 8), (24, 0, 0)],
)
def test_a_study_that_was_killed_goes_on_where_it_last_reported(
    call: int,
    screening: int,
    confirmation: int,
    undisturbed: dict[bool, dict[str, Any]],
    trained: list[tuple[int, int]],
    tmp_path: Path,
) -> None:
    killed_at(call, out=tmp_path)
    assert not (tmp_path / "result.json").exists()
    progress_in(tmp_path)  # can be read
    trained.clear()
    assert studied(out=tmp_path) == undisturbed[False]
    assert sum(epochs for folds, epochs in trained if folds == 2) == screening
    assert sum(epochs for folds, epochs in trained if folds == 8) == confirmation


@pytest.mark.parametrize("call", [4, 24])
def test_a_study_of_several_targets_goes_on_too(
    call: int, undisturbed: dict[bool, dict[str, Any]], tmp_path: Path
) -> None:
    killed_at(call, several=True, out=tmp_path)
    assert studied(True, out=tmp_path) == undisturbed[True]


@contextmanager
def six_epochs() -> Iterator[None]:
    """Plan six epochs where no number is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Budget, "for_rows", lambda *_, **__: Budget(epochs=6, batch=32))
        yield


@pytest.fixture(scope="module")
def lengthened() -> dict[str, Any]:
    with six_epochs():
        return studied(longer=True)


# It is widened twice (calls 7 to 12 and 13, 14), lengthened to 12 epochs on the screening folds (15
# to 18, and one further learning rate 19 to 22), and after the finalists (23 to 32) to 24 on all
# folds, one stack after the other (33 to 36, 37 to 40).
@pytest.mark.parametrize("call", [9, 16, 18, 20, 28, 36, 39])
def test_a_lengthened_study_goes_on_too(
    call: int, lengthened: dict[str, Any], tmp_path: Path
) -> None:
    with six_epochs():
        killed_at(call, longer=True, out=tmp_path)
        progress_in(tmp_path)  # can be read
        assert studied(longer=True, out=tmp_path) == lengthened
    decided = read_place(tmp_path / "study").decisions()
    lengths = [one["epochs"] for name, one in decided.items() if name.startswith("lengthening")]
    assert "widening 2" in decided
    assert lengths == [12, 24]
    found = verdict_in(tmp_path).result
    assert found.selected == lengthened["selected"]
    assert not list((tmp_path / "study" / "trials").glob("*"))


def test_a_batch_is_claimed_by_one_worker(tmp_path: Path) -> None:
    """Many trainings in one transaction: of two workers at once one has all, the other none."""
    path = tmp_path / "journal.sqlite"
    Journal(path).create({}, [])
    trainings = [Training(Setting("mse", 0.1, variant), 0) for variant in range(200)]
    Journal(path).decide(Decision("screening", 200, plan=trainings))
    barrier, found = FORK.Barrier(4), FORK.Queue()

    def work() -> None:
        journal = Journal(path)
        barrier.wait()
        found.put(len(journal.claim("worker", most=None)))

    workers = [FORK.Process(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    counts = [found.get() for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(counts) == [0, 0, 0, 200]


def test_another_study_is_refused_and_force_begins_anew(
    undisturbed: dict[bool, dict[str, Any]], tmp_path: Path
) -> None:
    killed_at(12, out=tmp_path)
    with pytest.raises(InputError, match="holds a study with another"):
        studied(out=tmp_path, seed=1)
    assert studied(out=tmp_path, seed=1, force=True)["seed"] == 1


def test_the_journal_gives_the_verdict_of_the_run(tmp_path: Path) -> None:
    told = studied(out=tmp_path)
    found, progress = verdict_in(tmp_path).result, progress_in(tmp_path)
    assert progress.ended
    assert found.selected == told["selected"]
    rows = {row["name"]: row for row in told["candidates"] if row["p_value"] is not None}
    own = {row.name: row for row in found.candidates if row.p_value is not None}
    assert {name: row["p_value"] for name, row in rows.items()} == {
        name: row.p_value for name, row in own.items()
    }
    assert {name: row["score"] for name, row in rows.items()} == {
        name: row.score for name, row in own.items()
    }
