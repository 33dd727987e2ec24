"""One number for several metrics: the geometric mean of errors, each against a constant's.

Two candidates then differ by the mean of the metrics' relative changes, whatever units these have,
and everything a study does with one metric holds for several: ranking, pairing, the test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.study.direction import Better
from lossmith.study.metrics import Metric
from lossmith.study.rules.history import TrialHistory, TrialKey
from lossmith.study.search.scoring import Scorer

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class JointMetric:
    """The geometric mean, over metrics, of a model's error in units of a constant prediction's.

    The error is the distance from a perfect score; a mean of 1 is no better than a constant.
    """

    metrics: tuple[Metric, ...]
    units: tuple[float, ...]  # the errors of constant predictions
    name: str = "relative error"
    better: Better = "lower"
    by_ratio: bool = True

    @classmethod
    def of(cls, metrics: Sequence[Metric], targets: Sequence[Array]) -> "JointMetric":
        """Return the measure in units of the best constant predictions of some targets."""
        units = [_unit(metric, target) for metric, target in zip(metrics, targets, strict=True)]
        return cls(metrics=tuple(metrics), units=tuple(units))

    def error(self, score: float) -> float:
        """Return a score as it is: lower is better."""
        return score

    def combine(self, scores: Sequence[float], rows: int) -> float:
        """Make one number of one score a metric."""
        logs = [
            np.log(relative_to_best(metric, score, rows) / unit)
            for metric, score, unit in zip(self.metrics, scores, self.units, strict=True)
        ]
        return float(np.exp(np.mean(logs)))


@dataclass
class JointHistory(TrialHistory):
    """A candidate's joint errors, and beside them its errors by each metric."""

    parts: tuple[TrialHistory, ...] = field(default_factory=tuple)


class JointScorer:
    """Scores each target by its own scorer, and joins what they say.

    Args:
        scorers: one a target, over the same folds.
    """

    excluded = 0.0  # a target's own scorer may leave rows out; the joint score counts all

    def __init__(self, metric: JointMetric, scorers: Sequence[Scorer]) -> None:
        self.metric, self.scorers = metric, tuple(scorers)
        self._histories: dict[TrialKey, JointHistory] = {}

    def scored(self, fold: int) -> slice:
        """Return which of a fold's validation rows are scored: all, for some target."""
        return slice(None)

    def history(self, key: TrialKey) -> JointHistory:
        """Return an empty history."""
        parts = tuple(TrialHistory(key) for _ in self.scorers)
        self._histories[key] = JointHistory(key, parts=parts)
        return self._histories[key]

    def predictions(self, losses: Sequence[Loss], outputs: Sequence[Tensor]) -> tuple[Array, ...]:
        """Return what trials predict of each target from their raw outputs on one fold."""
        predictions = [loss.predict(raw) for loss, raw in zip(losses, outputs, strict=True)]  # type: ignore[operator]
        return tuple(np.stack(of_target) for of_target in zip(*predictions, strict=True))

    def record(
        self, histories: Sequence[JointHistory], predictions: Mapping[int, Any], epoch: int
    ) -> None:
        """Score every target's predictions of each fold, and join the scores."""
        for number, scorer in enumerate(self.scorers):
            of_target = {fold: values[number] for fold, values in predictions.items()}
            scorer.record([history.parts[number] for history in histories], of_target, epoch)
        for history in histories:
            for fold in predictions:
                self._join(history, fold, epoch)

    def exclude_outliers(self, folds: Sequence[int]) -> None:
        """Let each target's scorer decide which of its rows are scored; join the scores again."""
        before = [scorer.scored_rows.keys() & set(folds) for scorer in self.scorers]
        for scorer in self.scorers:
            scorer.exclude_outliers(folds)
        if before == [scorer.scored_rows.keys() & set(folds) for scorer in self.scorers]:
            return
        for history in self._histories.values():
            for fold in set(folds) & set(history.errors):
                for epoch in history.errors[fold]:
                    self._join(history, fold, epoch)

    def rows(self, number: int, fold: int) -> Array:
        """Return which of a fold's rows are scored for a target."""
        scorer = self.scorers[number]
        every = np.ones(len(scorer.folds.valid_target(fold)), bool)
        return scorer.scored_rows.get(fold, every)

    def _join(self, history: JointHistory, fold: int, epoch: int) -> None:
        metrics, parts = self.metric.metrics, history.parts
        scores = [m.error(p.errors[fold][epoch]) for m, p in zip(metrics, parts, strict=True)]
        scored = [self.rows(number, fold) for number in range(len(self.scorers))]
        joined = self.metric.combine(scores, len(scored[0]))
        influence = np.zeros(len(scored[0]))
        for part, metric, score, rows in zip(parts, metrics, scores, scored, strict=True):
            scale = relative_to_best(metric, score, len(rows)) * rows.mean()
            influence[rows] += part.influences[fold][epoch] / scale
        mean = joined * influence / len(scores)
        history.influences.setdefault(fold, {})[epoch] = np.where(np.isfinite(mean), mean, 0.0)
        history.errors.setdefault(fold, {})[epoch] = joined
        history.diverged = any(part.diverged for part in parts)


def relative_to_best(metric: Metric, score: float, rows: int) -> float:
    """Return how far a score is from the best, at least what half a row would give of a share."""
    floor = 0.5 / rows if metric.best else float(np.finfo(float).tiny)
    return max(abs(score - metric.best), floor)


def _unit(metric: Metric, target: Array) -> float:
    """Return the error of the best constant, or 1 where it has none: half the targets are alike."""
    score = metric.constant_score(target)
    return 1.0 if score == metric.best else relative_to_best(metric, score, len(target))
