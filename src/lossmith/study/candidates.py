"""Which losses a study compares, and which is the default of the metric: from cards alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from lossmith.catalogue.names import loss_class
from lossmith.core.card import Task
from lossmith.core.loss import Loss
from lossmith.study.base.errors import InputError
from lossmith.study.metrics import Metric
from lossmith.study.tasks import TABLE_TASKS, TableTask
from lossmith.study.tasks.candidate import Candidate

TREATMENTS = ("log1p", "relative")  # of the target, as they stand in a candidate's name


class CandidateSpec(Protocol):
    """What is compared: a loss, or a combination of losses, still to be fitted."""

    @property
    def name(self) -> str:
        """The name shown to people."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything it was made with, as plain data."""

    @property
    def variants(self) -> Sequence["CandidateSpec"]:
        """What is tuned beside the learning rate."""

    def fit(self, target: Tensor) -> Loss:
        """Return its loss fitted to training targets."""


@dataclass(frozen=True, kw_only=True)
class CandidateSet:
    """The candidates of a study, the one to beat, and the one people start with."""

    candidates: tuple[CandidateSpec, ...]
    default: str
    common: str

    def __getitem__(self, name: str) -> CandidateSpec:
        """Return the candidate of a name."""
        return next(candidate for candidate in self.candidates if candidate.name == name)


def candidates_for(
    task: Task, metric: Metric, target: np.ndarray, classes: int | None, keys: Sequence[str] | None
) -> CandidateSet:
    """Return the candidates for a task: every loss of the catalogue whose card fits it."""
    of = TABLE_TASKS[task]
    keys = keys and with_keys(keys)
    _check_keys(of, keys, target)
    default, common = of.default(metric, classes), of.common(classes)
    everyone = of.candidates(metric, target, classes)
    chosen = [c for c in everyone if keys is None or c.key in keys or c.name in keys]
    for key in keys or ():
        if not any(key in (c.key, c.name) for c in (default, common, *everyone)):
            raise InputError(
                f"no candidate is called {key!r} under {metric.name}; "
                f"{_instead(of, loss_of(key), everyone, target)}"
            )
    several = (default, common, *chosen)
    unique = {candidate.name: of.told(candidate, target) for candidate in several}
    return CandidateSet(candidates=tuple(unique.values()), default=default.name, common=common.name)


def loss_of(name: str) -> str:
    """Return the key of the loss in a candidate's name.

    >>> loss_of("huber(delta=0.5)"), loss_of("log1p(mse)")
    ('huber', 'mse')
    """
    outer, _, rest = name.partition("(")
    return loss_of(rest.removesuffix(")")) if outer in TREATMENTS else outer


def known_loss(name: str) -> str:
    """Return the key of today of a loss that the catalogue has; InputError for any other."""
    try:
        return loss_class(loss_of(name)).card.key
    except KeyError as error:
        raise InputError(str(error.args[0])) from error


def with_keys(names: Sequence[str]) -> list[str]:
    """Return candidates' names with the losses in them by their keys of today.

    >>> with_keys(["HuberLoss(delta=0.5)", "log1p(l1)"])
    ['huber(delta=0.5)', 'log1p(mae)']
    """
    return [name.replace(loss_of(name), known_loss(name), 1) for name in names]


def _instead(task: TableTask, key: str, everyone: Sequence[Candidate], target: np.ndarray) -> str:
    """Return which candidates a loss has, or why it has none."""
    names = ", ".join(candidate.name for candidate in everyone if candidate.key == key)
    kind = loss_class(key)
    if names:
        return f"there are: {names}"
    if task.admits(kind, target):
        return "its level is that of metric pinball@q"
    if task.trains(kind):
        return f"it needs {kind.card.target} as targets, and the least one is {target.min():g}"
    return "it wraps or waits for more than a study gives: train it in a loop of your own"


def _check_keys(task: TableTask, keys: Sequence[str] | None, target: np.ndarray) -> None:
    fitting = task.losses()
    for key in keys or ():
        base = loss_of(key)
        if base not in fitting:
            able = ", ".join(name for name, kind in fitting.items() if task.admits(kind, target))
            raise InputError(f"loss {base!r} cannot train a {task.name} task; these can: {able}")
