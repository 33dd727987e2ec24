"""Which losses a study compares, and which is the default of the metric: from cards alone."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from scipy import stats
from torch import Tensor

from lossmith.catalogue import find
from lossmith.catalogue.lookup import loss_class
from lossmith.core.card import Task
from lossmith.core.loss import Loss
from lossmith.core.serial import plain
from lossmith.losses.regression.transformed import TransformedTarget
from lossmith.study.base.errors import InputError
from lossmith.study.metrics import Metric

TREATMENTS = ("log1p", "relative")  # of the target, as they stand in a candidate's name
SKEW = 1.0  # beyond which a target that is never negative is tried in logs


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A loss with its hyperparameters, still to be fitted to training targets."""

    key: str
    hypers: Mapping[str, Any] = field(default_factory=dict)
    function: str | None = None  # of the target, for regression
    relative: bool = False
    classes: int | None = None

    @property
    def variants(self) -> tuple["Candidate", ...]:
        """What is tuned beside the learning rate: nothing, there is one."""
        return (self,)

    @property
    def name(self) -> str:
        """The name shown to people: huber(delta=0.5), log1p(mse)."""
        text = ", ".join(f"{name}={value:g}" for name, value in self.hypers.items())
        name = f"{self.key}({text})" if text else self.key
        if self.relative:
            name = f"relative({name})"
        return name if self.function in (None, "identity") else f"{self.function}({name})"

    @property
    def parameters(self) -> dict[str, Any]:
        """The hyperparameters and the treatment of the target as plain data."""
        treatment = {"function": self.function} if self.function not in (None, "identity") else {}
        relative = {"relative": True} if self.relative else {}
        return {**{n: plain(v) for n, v in self.hypers.items()}, **treatment, **relative}

    def fit(self, target: Tensor) -> Loss:
        """Return the loss with its head, scale and counts fitted to training targets."""
        kind = loss_class(self.key)
        if self.function is not None:
            inner = kind(**self.hypers) if self.hypers else kind
            return TransformedTarget.for_target(
                target, loss=inner, function=self.function, relative=self.relative
            )
        if kind.card.target == "classes":
            return kind.for_target(target, classes=self.classes, **self.hypers)
        return kind.for_target(target, **self.hypers)


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
    _check_keys(task, keys)
    default, common = _default(task, metric, classes), _common(task, classes)
    everyone = [
        candidate
        for key, kind in find(task).items()
        if _trainable(kind, target)
        for candidate in _variants(key, kind, task, metric, target, classes)
    ]
    chosen = [c for c in everyone if keys is None or c.key in keys or c.name in keys]
    for key in keys or ():
        if not any(key in (c.key, c.name) for c in (default, common, *everyone)):
            raise InputError(
                f"no candidate is called {key!r} under {metric.name}; "
                f"{_instead(loss_of(key), everyone, target)}"
            )
    unique = {candidate.name: candidate for candidate in (default, common, *chosen)}
    return CandidateSet(candidates=tuple(unique.values()), default=default.name, common=common.name)


def loss_of(name: str) -> str:
    """Return the key of the loss in a candidate's name.

    >>> loss_of("huber(delta=0.5)"), loss_of("log1p(mse)")
    ('huber', 'mse')
    """
    outer, _, rest = name.partition("(")
    return loss_of(rest.removesuffix(")")) if outer in TREATMENTS else outer


def known_loss(name: str) -> str:
    """Return the same for a loss that the catalogue has; InputError for any other."""
    base = loss_of(name)
    try:
        loss_class(base)
    except KeyError as error:
        raise InputError(str(error.args[0])) from error
    return base


def _instead(key: str, everyone: Sequence[Candidate], target: np.ndarray) -> str:
    """Return which candidates a loss has, or why it has none."""
    names = ", ".join(candidate.name for candidate in everyone if candidate.key == key)
    kind = loss_class(key)
    if names:
        return f"there are: {names}"
    if _trainable(kind, target):
        return "its level is that of metric pinball@q"
    if _able(kind):
        return f"it needs {kind.card.target} as targets, and the least one is {target.min():g}"
    return "it wraps or waits for more than a study gives: train it in a loop of your own"


def _able(kind: type[Loss]) -> bool:
    """Tell whether a study gives a loss all it needs: it reads a head and asks for no signals."""
    card = kind.card
    able = card.trains_head and not card.needs
    return able and "loss" not in kind.hyperparameters  # a wrapper waits for what it wraps


def _trainable(kind: type[Loss], target: np.ndarray) -> bool:
    """Tell whether a loss can train a table's model: it reads a head and admits the targets."""
    least = {"counts": 0.0, "positive": np.nextafter(0.0, 1.0)}.get(str(kind.card.target), -np.inf)
    return _able(kind) and bool(target.min() >= least)


def _variants(
    key: str,
    kind: type[Loss],
    task: Task,
    metric: Metric,
    target: np.ndarray,
    classes: int | None,
) -> list[Candidate]:
    grid = _grid(kind, metric)
    if task != "regression":
        return [Candidate(key=key, hypers=hypers, classes=classes) for hypers in grid]
    card = kind.card
    if card.target != "values":  # counts and positive numbers must not be centred
        return [Candidate(key=key, hypers=hypers) for hypers in grid]
    plain = [Candidate(key=key, hypers=hypers, function="identity") for hypers in grid]
    moves = card.input == "values" and card.claims.elicits in ("mean", "median", "quantile")
    if not (moves and _skewed(target)):
        return plain
    return plain + [Candidate(key=key, hypers=hypers, function="log1p") for hypers in grid]


def _grid(kind: type[Loss], metric: Metric) -> list[dict[str, Any]]:
    """Return the hyperparameters to try; a level is the metric's own, or the loss is left out."""
    axes = {name: hyper.search for name, hyper in kind.hyperparameters.items() if hyper.search}
    if "level" in kind.hyperparameters:
        axes["level"] = () if metric.level is None else (metric.level,)
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _skewed(target: np.ndarray) -> bool:
    return bool(target.min() >= 0 and stats.skew(target) > SKEW)


def _default(task: Task, metric: Metric, classes: int | None) -> Candidate:
    """Return the loss whose minimiser is what the metric rewards."""
    if task == "regression":
        if metric.elicits == "quantile":
            hypers = {"level": metric.level}
            return Candidate(key="quantile", hypers=hypers, function="identity")
        key = "mse" if metric.elicits == "mean" else "mae"
        function = "log1p" if metric.transform == "log1p" else "identity"
        return Candidate(key=key, function=function, relative=metric.transform == "relative")
    if metric.elicits == "balanced":
        return Candidate(key="balanced_softmax", classes=classes)
    return _common(task, classes)


def _common(task: Task, classes: int | None) -> Candidate:
    """Return what people start with, whatever the metric."""
    if task == "regression":
        return Candidate(key="mse", function="identity")
    return Candidate(
        key="binary_cross_entropy" if task == "binary" else "cross_entropy", classes=classes
    )


def _check_keys(task: Task, keys: Sequence[str] | None) -> None:
    fitting = find(task)
    for key in keys or ():
        base = known_loss(key)
        if base not in fitting:
            able = ", ".join(name for name, kind in fitting.items() if _able(kind))
            raise InputError(f"loss {base!r} cannot train a {task} task; these can: {able}")
