"""A study whose predictions miss the target by what a script says."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossmith.core.card import Task
from lossmith.core.loss import Loss
from lossmith.losses import MSE
from lossmith.study.base.clock import Clock
from lossmith.study.candidates import CandidateSet
from lossmith.study.data.folds import split_rows
from lossmith.study.metrics import metric
from lossmith.study.rules.measurements import Measurements
from lossmith.study.tasks.candidate import Candidate
from lossmith.study.training.budget import Budget, TrialSpec
from lossmith.study.trials.scoring import Scorer
from lossmith.study.trials.stacked_worker import StackedWorker

RATES = (0.001, 0.003, 0.01)
TARGET = np.random.default_rng(0).normal(size=200)
BUDGET = Budget(epochs=40, batch=16)
Script = Callable[[str, int, int, float], float]  # candidate, fold, epoch, rate → error


class ScriptedBatch:
    def __init__(self, trainer: "Scripted", folds: Sequence[int], trials: Sequence[TrialSpec]):
        self.trainer, self.folds, self.trials, self.epoch = trainer, folds, list(trials), 0

    def advance(self, epochs: int) -> None:
        self.epoch += epochs
        self.trainer.epochs += epochs * len(self.trials) * len(self.folds)
        self.trainer.on_advance(self)

    def outputs(self) -> list[list[Tensor]]:
        return [[self.trainer.output(t, f, self.epoch) for f in self.folds] for t in self.trials]

    def keep(self, kept: Sequence[int]) -> None:
        self.trials = [self.trials[i] for i in sorted(kept)]


class Scripted:
    """A trainer whose predictions miss the target by what a script says."""

    task: Task = "regression"
    ensemble = 1

    def __init__(self, script: Script, target: np.ndarray = TARGET) -> None:
        self.script, self.target, self.budget = script, target, BUDGET
        self.split = split_rows(self.task, target, 0)
        self.epochs = 0
        self.unfit: set[str] = set()
        self.on_advance: Callable[[ScriptedBatch], None] = lambda batch: None

    def output(self, trial: TrialSpec, fold: int, epoch: int) -> Tensor:
        error = self.script(trial.candidate, fold, epoch, trial.learning_rate)
        return torch.from_numpy(self.valid_target(fold) + error)

    def losses(self, candidate: Candidate, folds: Sequence[int]) -> tuple[Loss, ...]:
        if candidate.name in self.unfit:
            raise ValueError("it does not fit")
        return (MSE(),) * len(folds)

    def start(self, folds: Sequence[int], trials: Sequence[TrialSpec]) -> ScriptedBatch:
        return ScriptedBatch(self, folds, trials)

    def time_reference(self, loss: Loss) -> None:
        pass

    def valid_target(self, fold: int) -> np.ndarray:
        return self.target[self.split.folds[fold].valid]

    def siblings(self, fold: int, folds: Sequence[int]) -> list[int]:
        return self.split.siblings(fold, folds)


NAMES = ("default", "naive", "a", "b", "c", "d", "e", "f", "g", "h", "i")


def search(
    trainer: Any, name: str = "mae", names: Sequence[str] = NAMES, exclude_outliers: bool = True
) -> StackedWorker:
    candidates = tuple(Candidate(key=key) for key in names)
    return StackedWorker(
        trainer=trainer,
        candidates=CandidateSet(candidates=candidates, default="default", common="naive"),
        scorer=Scorer(metric(name, trainer.task), trainer, exclude_outliers=exclude_outliers),
        learning_rates=RATES,
        clock=Clock(None, lambda share, text: None),
    )


def finished(one: StackedWorker) -> Measurements:
    """Return what a study measured that ran to its end."""
    found = one.run()
    assert found.finished
    return found


LEVELS = {name: 1.0 + 0.03 * place for place, name in enumerate(NAMES)}


def noise(*key: object) -> float:
    """Return a number that is the same for the same key."""
    words = [sum(map(ord, str(part))) + 7 for part in key]
    return float(np.random.default_rng(words).normal())


def learning(name: str, fold: int, epoch: int, rate: float) -> float:
    """Fall towards a level; the middle rate is best; folds differ alike for all."""
    level = LEVELS[name] + 0.2 * (rate != 0.003)
    return level * (1 + 3 / epoch) + 0.02 * noise(fold) + 0.05 * noise(name, fold)
