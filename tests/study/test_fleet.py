"""A table's study as facts of a journal: the same with and without a folder, and after kill -9."""

import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lossmith import select
from lossmith.study.base.errors import InputError
from lossmith.study.journal import Decision, Journal, Setting, Training
from lossmith.study.training.stacked import StackedBatch
from lossmith.study.trials.onlooker import progress_in, verdict_in

FORK = multiprocessing.get_context("fork")
CANDIDATES = ["huber", "log_cosh", "student_t_nll", "adaptive_barron"]


def houses() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size, age = rng.normal(size=200), rng.normal(size=200)
    price = size - age + rng.standard_t(2, size=200)
    price[::9] += 40 * rng.random(23)
    good = np.where(size + rng.normal(size=200) > 0, "yes", "no")
    return pd.DataFrame({"size": size, "age": age, "price": price, "good": good})


def studied(several: bool = False, **arguments: Any) -> dict[str, Any]:
    """Return what a study finds, without what a second run of it may differ in."""
    target: Any = ["price", "good"] if several else "price"
    metric: Any = ["rmse", "f1"] if several else "rmse"
    keys = ["huber", "log_cosh", "brier"] if several else CANDIDATES
    data = houses() if several else houses().drop(columns="good")
    found = select(data, target=target, metric=metric, candidates=keys, epochs=12, **arguments)
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


# Scored after 1, 2, 3, 4, 5, 7, 8, 9, 11 and 12 epochs, reported after 2, 4, 8 and 12 of the
# screening, and 4, 8 and 12 of the finalists. A stack that goes on is saved a moment after the
# report: who dies in between trains the part anew.
@pytest.mark.parametrize(
    ("call", "screening", "confirmation"),
    [(2, 12, 12), (3, 10, 12), (11, 0, 12), (17, 0, 8), (20, 0, 0)],
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
        found.put(len(journal.claim("worker", 60.0, most=None)))

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
