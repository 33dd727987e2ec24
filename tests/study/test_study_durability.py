"""Nothing is lost: processes that are killed, several on one folder, trainings that go on."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lossmith.study.launch.processes import can_fork
from lossmith.study.trials.trial import Trial
from shared.own_loop import start, study, train, work, work_with_kills

forks = pytest.mark.skipif(not can_fork(), reason="processes are forked on Linux's CPUs")
FACTS = ["loss", "learning_rate", "fold", "epoch", "score"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def told(folder: Path) -> tuple[str, dict[str, Any], pd.DataFrame]:
    opened = study(folder)
    verdict = opened.verdict()
    rows = {row.name: row for row in verdict.candidates}
    frame = opened.frame()
    whole = frame[frame.state == "done"][FACTS].sort_values(FACTS, ignore_index=True)
    return verdict.sentence, rows, whole


@forks
@pytest.mark.parametrize("saves", [True, False], ids=["checkpoints", "no checkpoints"])
def test_kills_change_nothing(tmp_path: Path, saves: bool) -> None:
    work(tmp_path / "calm", saves=saves)
    log = tmp_path / "log"
    kills = work_with_kills(tmp_path / "killed", 2, 4, seed=1, saves=saves, log=log, pause=0.01)
    calm, killed = told(tmp_path / "calm"), told(tmp_path / "killed")
    assert kills == 4
    assert calm[:2] == killed[:2]
    pd.testing.assert_frame_equal(calm[2], killed[2])
    again = sum(number - 1 for number in Counter(log.read_text().splitlines()).values())
    assert again <= kills * (1 if saves else 6)


def _outputs_of(folder: Path, stops: bool) -> dict[str, dict[int, list[float]]]:
    """Return what the first trainings report, at one go or stopped after each epoch."""
    found: dict[str, dict[int, list[float]]] = {}
    one = study(folder, epochs=20, losses=["adaptive_barron"], default="mse")
    while (trial := one.ask()) is not None and len(found) < 6:
        reported = found.setdefault(trial.id, {})

        def report(trial: Trial = trial, reported: Any = reported, **said: Any) -> bool:
            reported[trial.epoch] = said["outputs"].tolist()
            ended = Trial.report(trial, **said)
            return ended or (stops and trial.epoch % 2 == 1)

        trial.report = report  # type: ignore[method-assign]
        with trial.seeded():
            train(trial, saves=True)
        one.release(trial)
        if stops:  # something else draws from the generators in between
            torch.rand(3)
            np.random.normal(size=3)
    return found


def test_trainings_that_stop_and_go_on_are_bit_equal(tmp_path: Path) -> None:
    through, stopping = (_outputs_of(tmp_path / str(stops), stops) for stops in (False, True))
    shared = [(key, e) for key in through for e in through[key] if e in stopping.get(key, {})]
    assert len({key for key, _ in shared}) >= 5
    assert len(shared) >= 10
    for key, epoch in shared:
        assert through[key][epoch] == stopping[key][epoch]


@forks
def test_several_processes_do_each_training_once_and_decide_the_same(tmp_path: Path) -> None:
    work(tmp_path / "alone", saves=True)
    log = tmp_path / "log"
    processes = [
        start(work, tmp_path / "several", saves=True, log=log, pause=0.002) for _ in range(3)
    ]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 3
    assert max(Counter(log.read_text().splitlines()).values()) == 1
    assert told(tmp_path / "alone")[:2] == told(tmp_path / "several")[:2]
    alone, several = (study(tmp_path / name).journal.decisions() for name in ("alone", "several"))
    assert alone == several
