"""A race whose predictions miss the target by what a script says."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossmith.core.card import Task
from lossmith.core.loss import Loss
from lossmith.losses import MSE
from lossmith.study.candidates import Candidate, Field
from lossmith.study.clock import Clock
from lossmith.study.data.folds import split_rows
from lossmith.study.metrics import metric
from lossmith.study.search.loop import Race
from lossmith.study.search.scoring import Scorer
from lossmith.study.search.trial import Budget, Member

RATES = (0.001, 0.003, 0.01)
TARGET = np.random.default_rng(0).normal(size=200)
BUDGET = Budget(epochs=40, batch=16)
Script = Callable[[str, int, int, float], float]  # candidate, cell, epoch, rate → error


class ScriptedFleet:
    def __init__(self, trainer: "Scripted", cells: Sequence[int], members: Sequence[Member]):
        self.trainer, self.cells, self.members, self.epoch = trainer, cells, list(members), 0

    def advance(self, epochs: int) -> None:
        self.epoch += epochs
        self.trainer.epochs += epochs * len(self.members) * len(self.cells)
        self.trainer.on_advance(self)

    def outputs(self) -> list[list[Tensor]]:
        return [[self.trainer.output(m, c, self.epoch) for c in self.cells] for m in self.members]

    def keep(self, kept: Sequence[int]) -> None:
        self.members = [self.members[i] for i in sorted(kept)]


class Scripted:
    """A trainer whose predictions miss the target by what a script says."""

    task: Task = "regression"
    ensemble = 1

    def __init__(self, script: Script, target: np.ndarray = TARGET) -> None:
        self.script, self.target, self.budget = script, target, BUDGET
        self.split = split_rows(self.task, target, 0)
        self.rounds = self.split.rounds
        self.epochs = 0
        self.unfit: set[str] = set()
        self.on_advance: Callable[[ScriptedFleet], None] = lambda fleet: None

    def output(self, member: Member, cell: int, epoch: int) -> Tensor:
        error = self.script(member.candidate, cell, epoch, member.learning_rate)
        return torch.from_numpy(self.valid_target(cell) + error)

    def losses(self, candidate: Candidate, cells: Sequence[int]) -> tuple[Loss, ...]:
        if candidate.name in self.unfit:
            raise ValueError("it does not fit")
        return (MSE(),) * len(cells)

    def fleet(self, cells: Sequence[int], members: Sequence[Member]) -> ScriptedFleet:
        return ScriptedFleet(self, cells, members)

    def probe(self, loss: Loss) -> None:
        pass

    def valid_target(self, cell: int) -> np.ndarray:
        return self.target[self.split.cells[cell].valid]

    def siblings(self, cell: int, cells: Sequence[int]) -> list[int]:
        return self.split.siblings(cell, cells)


NAMES = ("default", "naive", "a", "b", "c", "d", "e", "f", "g", "h", "i")


def race(
    trainer: Any, name: str = "mae", names: Sequence[str] = NAMES, exclude_gross: bool = True
) -> Race:
    candidates = tuple(Candidate(key=key) for key in names)
    return Race(
        trainer=trainer,
        entries=Field(candidates=candidates, default="default", naive="naive"),
        scorer=Scorer(metric(name, trainer.task), trainer, exclude_gross=exclude_gross),
        rates=RATES,
        clock=Clock(None, lambda share, text: None),
    )


def finished(one: Race) -> Race:
    """Return a race that ran to its end."""
    assert one.run()
    return one


LEVELS = {name: 1.0 + 0.03 * place for place, name in enumerate(NAMES)}


def noise(*key: object) -> float:
    """Return a number that is the same for the same key."""
    words = [sum(map(ord, str(part))) + 7 for part in key]
    return float(np.random.default_rng(words).normal())


def learning(name: str, cell: int, epoch: int, rate: float) -> float:
    """Fall towards a level; the middle rate is best; cells differ alike for all."""
    level = LEVELS[name] + 0.2 * (rate != 0.003)
    return level * (1 + 3 / epoch) + 0.02 * noise(cell) + 0.05 * noise(name, cell)
