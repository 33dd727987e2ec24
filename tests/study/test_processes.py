"""Trainings in several processes: the same study as in one, and what ends them."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from lossmith.core.schedule import Linear
from lossmith.losses import AdaptiveBarron, Huber
from lossmith.study.base.errors import InputError
from lossmith.study.journal.sqlite import Journal
from lossmith.study.launch.launcher import follow
from lossmith.study.launch.processes import Processes, can_fork
from lossmith.study.selection.select import select

pytestmark = pytest.mark.skipif(not can_fork(), reason="processes are forked on Linux's CPUs")
DIGITS = load_digits()
IMAGES = torch.tensor(DIGITS.images[:300] / 16, dtype=torch.float32).flatten(1)
LABELS = torch.tensor(DIGITS.target[:300] % 3)
HERE = os.getpid()
QUICK: dict[str, Any] = {"metric": "accuracy", "epochs": 3, "learning_rates": (1e-2,)}


def body(out_features: int) -> nn.Module:
    return nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, out_features))


@pytest.fixture
def _one_thread() -> Any:  # so that sums are formed in the same order
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize(
    ("target", "metric", "losses"),
    [
        (LABELS, "accuracy", ["brier", "square_loss"]),
        (IMAGES.sum(1), "rmse", [Huber(delta=Linear(0.1, 3.0)), AdaptiveBarron()]),
    ],
    ids=["classes", "losses that change"],
)
def test_several_processes_make_the_study_of_one(target: Tensor, metric: str, losses: Any) -> None:
    alone, several = (
        select(
            model=body,
            train=(IMAGES, target),
            candidates=losses,
            workers=workers,
            **(QUICK | {"metric": metric}),
        )
        for workers in (1, 3)
    )
    assert several.result.candidates == alone.result.candidates
    assert several.result.test == alone.result.test
    assert several.result.sentence == alone.result.sentence
    order = ["loss", "learning_rate", "fold", "epoch"]
    frames = [
        one.study.frame().drop(columns="seconds").sort_values(order).reset_index(drop=True)
        for one in (several, alone)
    ]
    assert frames[0].equals(frames[1])


def test_each_process_has_one_thread_and_one_that_dies_leaves_the_rest(tmp_path: Path) -> None:
    def work() -> None:
        place = tmp_path / f"{os.getpid()}"
        place.write_text(str(torch.get_num_threads()))
        if os.getpid() % 2:
            os.kill(os.getpid(), signal.SIGKILL)

    errors: list[str] = []
    with Processes() as engine:
        for _ in range(3):
            engine.submit(work)
        follow(
            engine.running, lambda: time.sleep(0.01) is not None, lambda e: errors.append(str(e))
        )
    found = {int(path.name): path.read_text() for path in tmp_path.iterdir()}
    assert len(found) == 3
    assert HERE not in found
    assert set(found.values()) == {"1"}
    assert errors == ["its process ended with -9"] * sum(process % 2 for process in found)


def test_what_dying_processes_leave_is_done_here() -> None:
    trained: list[int] = []

    def dying(out_features: int) -> nn.Module:
        if os.getpid() != HERE:
            os.kill(os.getpid(), signal.SIGKILL)
        trained.append(1)
        return body(out_features)

    found = select(model=dying, train=(IMAGES, LABELS), candidates=["brier"], workers=2, **QUICK)
    assert not found.result.interrupted
    assert {row.name for row in found.result.candidates} == {"cross_entropy", "brier"}
    assert len(trained) >= 10


@pytest.fixture
def _listening() -> None:
    """Hear Ctrl-C, which whoever starts tests in the background may have turned off."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.usefixtures("_listening")
def test_ctrl_c_ends_the_processes() -> None:
    start = time.monotonic()
    timer = threading.Timer(0.5, os.kill, (HERE, signal.SIGINT))
    timer.start()
    with Processes() as engine:
        running = [engine.submit(time.sleep, 60) for _ in range(2)]
        with pytest.raises(KeyboardInterrupt):
            follow(running, lambda: time.sleep(0.1) is not None, lambda error: None)
    assert time.monotonic() - start < 30
    assert not multiprocessing.active_children()


def trainings(journal: Path) -> int:
    """Return how many a study that others run has planned; 0 before it has begun."""
    try:
        return len(Journal(journal).facts().records) if journal.exists() else 0
    except InputError:
        return 0


class Slow(nn.Module):
    """A model that takes its time once the default has been measured."""

    def __init__(self, out_features: int) -> None:
        super().__init__()
        self.head = nn.Linear(64, out_features)

    def forward(self, input: Tensor) -> Tensor:
        time.sleep(0.01)
        return self.head(input)


@pytest.mark.usefixtures("_listening")
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_the_default_once_it_is_measured(workers: int, tmp_path: Path) -> None:
    def interrupt() -> None:
        journal = tmp_path / "run" / "study" / "journal.sqlite"
        for _ in range(600):
            time.sleep(0.1)
            if trainings(journal) > 2:
                os.kill(HERE, signal.SIGINT)
                return

    threading.Thread(target=interrupt, daemon=True).start()
    found = select(
        model=Slow, train=(IMAGES, LABELS), out=tmp_path / "run", workers=workers, **QUICK
    )
    assert found.result.interrupted
    assert found.verdict == "keep"
    assert not multiprocessing.active_children()


def test_a_budget_is_honoured() -> None:
    start = time.monotonic()
    found = select(
        model=Slow, train=(IMAGES, LABELS), budget=4, workers=2, **(QUICK | {"epochs": 20})
    )
    assert time.monotonic() - start < 8  # a machine that is busy takes its time
    assert found.result.interrupted
    assert found.verdict == "keep"


def test_what_is_wrong_in_several_processes_is_one_line() -> None:
    with pytest.raises(InputError, match=r"model\(3\) must give outputs"):
        select(model=lambda n: body(7), train=(IMAGES, LABELS), workers=2, **QUICK)
    with pytest.raises(InputError, match="workers must be above 0"):
        select(model=body, train=(IMAGES, LABELS), workers=0, **QUICK)

    made = 0

    def failing(out_features: int) -> nn.Module:
        nonlocal made
        made += 1
        if made > 2:
            raise MemoryError("no room for the weights")
        return body(out_features)

    with pytest.raises(InputError, match=r"cross_entropy failed .*no room for the weights"):
        select(model=failing, train=(IMAGES, LABELS), workers=2, **QUICK)


def test_where_processes_cannot_be_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossmith.study.selection.own_trainings.can_fork", lambda: False)
    with pytest.raises(InputError, match="Linux"):
        select(model=body, train=(IMAGES, LABELS), metric="accuracy", workers=2)


SCRIPT = """
import sys, time, torch
from torch import nn
from sklearn.datasets import load_digits
from lossmith import select
torch.set_num_threads(1)
digits = load_digits()
images = torch.tensor(digits.images[:300] / 16, dtype=torch.float32).flatten(1)
labels = torch.tensor(digits.target[:300] % 3)

def body(n):
    return nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, n))

found = select(
    model=body, train=(images, labels), metric="accuracy", candidates=["brier"], epochs=3,
    learning_rates=(1e-2,), out=sys.argv[1], workers=2,
)
print([(row.name, row.score, row.p_value) for row in found.result.candidates])
print(found.result.sentence, found.result.test)
"""


def test_a_study_that_was_killed_goes_on(tmp_path: Path) -> None:
    def begin(name: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path / name)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    expected, _ = begin("whole").communicate(timeout=300)
    killed = begin("killed")
    journal = tmp_path / "killed" / "study" / "journal.sqlite"
    for _ in range(3000):
        time.sleep(0.02)
        if trainings(journal) > 4:
            break
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed" / "result.json").exists()
    again, _ = begin("killed").communicate(timeout=300)
    assert again == expected != ""
    assert (tmp_path / "killed" / "result.json").exists()
