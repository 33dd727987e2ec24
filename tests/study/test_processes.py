"""Trainings side by side: the same numbers as one after the other, and what ends them."""

import multiprocessing
import os
import signal
import threading
import time
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from lossmith.core.schedule import Linear
from lossmith.losses import AdaptiveBarron, CrossEntropy, Huber
from lossmith.study.data.dataset import SupervisedDataset
from lossmith.study.data.folds import split_rows
from lossmith.study.errors import InputError
from lossmith.study.search.trial import TrialSpec
from lossmith.study.select import select
from lossmith.study.training.module_trainer import DatasetTrainer
from lossmith.study.training.parallel import can_fork, fork_map

pytestmark = pytest.mark.skipif(not can_fork(), reason="processes are forked on Linux's CPUs")
DIGITS = load_digits()
IMAGES = torch.tensor(DIGITS.images[:300] / 16, dtype=torch.float32).flatten(1)
LABELS = torch.tensor(DIGITS.target[:300] % 3)
HERE = os.getpid()


def body(out_features: int) -> nn.Module:
    return nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, out_features))


def trained(target: Tensor, losses: list[Any], workers: int) -> tuple[list[Any], list[TrialSpec]]:
    """Return outputs after an epoch and after two more without the first member, and the rest."""
    metric = "rmse" if target.is_floating_point() else "accuracy"
    examples = SupervisedDataset.of((IMAGES, target), None, metric)
    split = split_rows(examples.task, examples.target, 0)
    trainer = DatasetTrainer(examples, split, body, epochs=3, workers=workers)
    members = [
        TrialSpec(candidate=str(i), learning_rate=0.01, losses=tuple(make() for _ in range(2)))
        for i, make in enumerate(losses)
    ]
    batch = trainer.start([0, 3], members)
    batch.advance(1)
    found = [batch.outputs()]
    batch.keep(range(1, len(members)))
    batch.advance(2)
    return [*found, batch.outputs()], batch.trials


@pytest.mark.parametrize(
    ("target", "losses"),
    [
        (LABELS, [lambda: CrossEntropy(classes=3), lambda: CrossEntropy(classes=3)]),
        (
            IMAGES.sum(1),
            [Huber, lambda: Huber(delta=Linear(0.1, 3.0)), AdaptiveBarron],
        ),
    ],
    ids=["classes", "losses that change"],
)
def test_trainings_side_by_side_are_those_one_after_the_other(
    target: Tensor, losses: list[Any]
) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # so that sums are formed in the same order
        alone, plain = trained(target, losses, 1)
        spread_out, several = trained(target, losses, 3)
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(spread_out, alone, rtol=0, atol=0)
    for one, other in zip(several, plain, strict=True):
        for ours, theirs in zip(one.losses, other.losses, strict=True):
            torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_results_come_in_order_from_other_processes() -> None:
    found = fork_map(lambda i: (i * i, os.getpid(), torch.get_num_threads()), 7, 2)
    assert [square for square, _, _ in found] == [i * i for i in range(7)]
    assert HERE not in {process for _, process, _ in found}
    assert {threads for _, _, threads in found} == {1}


def test_an_error_is_raised_here() -> None:
    def work(index: int) -> int:
        if index == 3:
            raise InputError(f"raised in {'this' if os.getpid() == HERE else 'another'} process")
        return index

    with pytest.raises(InputError, match="in this process"):
        fork_map(work, 5, 2)


@pytest.mark.parametrize("how", ["killed", "unpicklable"])
def test_what_a_process_cannot_do_is_done_here(how: str) -> None:
    def work(index: int) -> Any:
        if index == 1 and os.getpid() != HERE:
            if how == "unpicklable":
                return lambda: None
            os.kill(os.getpid(), signal.SIGKILL)
        return index

    assert fork_map(work, 4, 2) == [0, 1, 2, 3]


def test_ctrl_c_ends_the_processes() -> None:
    start = time.monotonic()
    timer = threading.Timer(0.5, os.kill, (HERE, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        fork_map(lambda _: time.sleep(60), 4, 2)
    assert time.monotonic() - start < 30
    assert not multiprocessing.active_children()


def test_a_study_of_an_own_model_in_two_processes() -> None:
    settings: dict[str, Any] = {"metric": "accuracy", "epochs": 2, "learning_rates": (1e-2,)}
    found = select(model=body, train=(IMAGES, LABELS), candidates=["brier"], workers=2, **settings)
    assert {row.name for row in found.result.candidates} == {"cross_entropy", "brier"}
    with pytest.raises(InputError, match=r"model\(3\) must give outputs"):
        select(model=lambda n: body(7), train=(IMAGES, LABELS), workers=2, **settings)
    with pytest.raises(InputError, match="workers must be above 0"):
        select(model=body, train=(IMAGES, LABELS), workers=0, **settings)


def test_where_processes_cannot_be_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossmith.study.training.module_trainer.can_fork", lambda: False)
    with pytest.raises(InputError, match="Linux"):
        select(model=body, train=(IMAGES, LABELS), metric="accuracy", workers=2)
