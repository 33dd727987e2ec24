"""What a task is: its targets, the losses that fit them, its metrics and the losses to beat."""

import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lossmith.catalogue import find
from lossmith.core.card import Task
from lossmith.core.hyperparameter import RealOrReals
from lossmith.core.loss import Loss
from lossmith.study.metrics import Metric
from lossmith.study.tasks.candidate import Candidate

Array = np.ndarray


@dataclass(frozen=True)
class Baseline:
    """The loss to beat under a metric, and why it is that one.

    elicited: whether the metric asks for what it gives; else the field's experts start with it.
    source: what that is, or who they are.
    """

    loss: str
    source: str
    elicited: bool = False

    @property
    def why(self) -> str:
        """Why it is the loss to beat, in words."""
        reason = (
            "the metric asks for what it gives" if self.elicited else "the field starts with it"
        )
        return f"{reason}: {self.source}"


class StudyTask(ABC):
    """A task of a study: one object says all that depends on the task.

    name: as a user and the cards of losses write it. cards: the tasks whose losses are studied,
    where it is not the task alone. numbers: whether targets are numbers, not classes that folds
    share out evenly. sample: what is looked at of predictions, see `sample.py`.
    """

    name: ClassVar[Task]
    cards: ClassVar[tuple[Task, ...]] = ()
    numbers: ClassVar[bool] = False
    sample: str = "classes"

    def losses(self) -> dict[str, type[Loss]]:
        """Return the losses whose cards fit, and ask for nothing that no data tell."""
        named = [find(name) for name in self.cards or (self.name,)]
        return {key: kind for own in named for key, kind in own.items() if kind.card.studied}

    def trains(self, kind: type[Loss]) -> bool:
        """Tell whether a study gives a loss all it needs: no signals, and nothing to wrap."""
        return (
            kind.card.trains_head
            and not kind.card.required_signals
            and "loss" not in kind.hyperparameters
        )

    def admits(self, kind: type[Loss], target: Array) -> bool:
        """Tell whether a loss can be trained on these targets."""
        return self.trains(kind)

    def candidates(self, metric: Any, target: Array, classes: int | None) -> list[Candidate]:
        """Return every loss that fits, at the values that its card lists."""
        return [
            one
            for key, kind in self.losses().items()
            if self.admits(kind, target)
            for one in self.variants(key, kind, metric, target, classes)
        ]

    def variants(
        self, key: str, kind: type[Loss], metric: Any, target: Array, classes: int | None
    ) -> list[Candidate]:
        """Return one loss at the values that its card lists."""
        hypers = grid(kind, metric.levels or metric.level)
        return [Candidate(key=key, hypers=one, classes=classes) for one in hypers]


class TableTask(StudyTask):
    """A task that a column of a table may be the target of.

    kind: of the targets in memory. single: whether they are one number or class a row.
    """

    kind: ClassVar[type]
    single: ClassVar[bool] = True
    least: ClassVar[int] = 0  # classes that it has, 0 of numbers
    most: ClassVar[float] = 0

    @abstractmethod
    def check(self, target: Array) -> None:
        """Raise InputError for targets that nothing can be learned of."""

    def arranged(self, codes: Array, labels: Array, name: str, said: Any) -> tuple[Array, Array]:
        """Return codes and labels in the order that matters, of which a user may have said more."""
        return codes, labels

    def notes(self, labels: Array, codes: Array) -> list[str]:
        """Return what a user should know of the order of the labels."""
        return []

    def strata(self, target: Array) -> Array | None:
        """Return the classes that folds share out evenly; None where there are none."""
        return None if self.numbers else target

    def list_length(self, target: Array) -> int:
        """Return how many rows make a list that trains as a whole; 0 where rows train singly."""
        return 0

    def told(self, candidate: Candidate, target: Array) -> Candidate:
        """Return a candidate with what it takes from all targets that train, alike in all folds."""
        return candidate

    @abstractmethod
    def baseline(self, metric: Any) -> Baseline:
        """Return the loss to beat under a metric, with its reason."""

    @abstractmethod
    def default(self, metric: Metric, classes: int | None) -> Candidate:
        """Return the loss whose minimiser is what the metric rewards: the one to beat."""

    @abstractmethod
    def common(self, classes: int | None) -> Candidate:
        """Return what people start with, whatever the metric."""

    def classes_of(self, target: Array) -> int | None:
        """Return how many classes the codes have; None of numbers."""
        return None if self.numbers else int(target.max()) + 1


def grid(kind: type[Loss], level: float | tuple[float, ...] | None) -> list[dict[str, Any]]:
    """Return the hyperparameters to try; a level is the metric's own, or the loss is left out."""
    axes = {name: hyper.search for name, hyper in kind.hyperparameters.items() if hyper.search}
    if "level" in kind.hyperparameters:
        several = isinstance(level, tuple)
        able = not several or isinstance(kind.hyperparameters["level"], RealOrReals)
        axes["level"] = (level,) if level is not None and able else ()
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
