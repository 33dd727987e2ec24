"""Ensemble selection: which losses' models predict together, by their validation predictions.

Chosen one by one, a setting more than once where that helps, each the one whose predictions bring
the error of the mean over the folds down most (Caruana, Niculescu-Mizil, Crew & Ksikes, *Ensemble
Selection from Libraries of Models*, ICML 2004).
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.data.table_problem import TableProblem
from lossmith.study.journal import Setting
from lossmith.study.metrics import Metric, shifted
from lossmith.study.rules.measurements import Measurements
from lossmith.study.tasks import ROW_TASKS
from lossmith.study.trials.scoring import Scorer

KINDS = ("seeds", "losses")  # of ensembles
MOST = 5  # finalists beside the default

Key = TypeVar("Key", bound=Hashable)
ByFold = Sequence[np.ndarray]


def check_ensemble(kind: str, problem: TableProblem) -> None:
    """Raise InputError where models of several losses cannot be averaged."""
    if kind == "seeds":
        return
    if problem.several:
        raise InputError("an ensemble of several losses is for one target; leave ensemble out")
    if problem.task not in ROW_TASKS:
        raise InputError(
            f"an ensemble of several losses is for {', '.join(ROW_TASKS)}, not for {problem.task}: "
            "its losses predict on scales of their own; leave ensemble out"
        )


@dataclass(frozen=True, kw_only=True)
class Picked:
    """How many models each setting gives, and the decision of a tuned metric for their mean."""

    models: Mapping[Setting, int]
    decision: np.ndarray | None

    @property
    def by_loss(self) -> dict[str, int]:
        """How many models each loss gives."""
        return {setting.candidate: count for setting, count in self.models.items()}


@dataclass(frozen=True, kw_only=True)
class OutOfFold:
    """The validation rows by fold, and how predictions of them are judged.

    rows: which of a fold's are scored.
    """

    metric: Metric
    targets: ByFold
    rows: Sequence[np.ndarray | slice]

    def decision(self, predictions: ByFold) -> np.ndarray | None:
        """Return the decision of a tuned metric: the mean over folds."""
        if not self.metric.tuned:
            return None
        return np.mean(
            [self._tuned(*one) for one in zip(self.targets, predictions, strict=True)], axis=0
        )

    def error(self, predictions: ByFold) -> float:
        """Return the error of predictions: the mean over folds, each by its own decision."""
        errors = []
        for target, rows, values in zip(self.targets, self.rows, predictions, strict=True):
            decided = shifted(values, self._tuned(target, values)) if self.metric.tuned else values
            errors.append(self.metric.error(self.metric.score(target[rows], decided[rows])))
        return float(np.mean(errors))

    def _tuned(self, target: np.ndarray, values: np.ndarray) -> np.ndarray:
        decision = self.metric.tune(target, values)
        assert decision is not None  # the metric is tuned
        return decision


def pick(measurements: Measurements, scorer: Scorer, models: int) -> Picked:
    """Choose an ensemble among the finalists of a study that kept its predictions."""
    folds = measurements.folds
    judged = OutOfFold(
        metric=scorer.metric,
        targets=[scorer.folds.valid_target(fold) for fold in folds],
        rows=[scorer.scored(fold) for fold in folds],
    )
    predictions = {one: _predictions(measurements, one) for one in _library(measurements)}
    chosen = selected(predictions, judged.error, models)
    mean = _mean([predictions[one] for one in chosen.elements()])
    return Picked(models=chosen, decision=judged.decision(mean))


def selected(
    predictions: Mapping[Key, ByFold], error: Callable[[ByFold], float], models: int
) -> Counter[Key]:
    """Return how often each of some models is taken into an ensemble of so many.

    >>> apart = {"low": [np.array([1.0])], "high": [np.array([4.0])]}
    >>> selected(apart, lambda mean: abs(mean[0][0] - 2.0), 3)
    Counter({'low': 2, 'high': 1})
    """
    taken: list[Key] = []
    for _ in range(models):
        errors = {
            one: error(_mean([predictions[other] for other in (*taken, one)]))
            for one in predictions
        }
        taken.append(min(errors, key=lambda one: errors[one]))
    return Counter(taken)


def _mean(predictions: Sequence[ByFold]) -> list[np.ndarray]:
    return [np.mean(of_fold, axis=0) for of_fold in zip(*predictions, strict=True)]


def _library(measurements: Measurements) -> list[Setting]:
    """Return what may be taken: the best finalists, and the default."""
    settings = [s for s in measurements.settings.values() if not measurements.diverged(s)]
    errors = {one: float(measurements.evaluate(one).errors.mean()) for one in settings}
    best = sorted(settings, key=lambda one: errors[one])[:MOST]
    return list(dict.fromkeys((*best, measurements.default)))


def _predictions(measurements: Measurements, setting: Setting) -> list[np.ndarray]:
    """Return a setting's validation predictions by fold, as it was at its best epoch."""
    epoch = measurements.evaluate(setting).best_epoch
    details = [measurements.detail(setting, fold, epoch) for fold in measurements.folds]
    return [detail["prediction"].astype(float) for detail in details]
