"""One number for several metrics: the geometric mean of errors, each against a constant's.

Two candidates then differ by the mean of the metrics' relative changes, whatever units these have,
and everything a study does with one metric holds for several: ranking, pairing, the test.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lossmith.study.base.direction import Better
from lossmith.study.metrics import Metric
from lossmith.study.metrics.base import relative_to_best

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class GeometricMean:
    """The geometric mean, over metrics, of a model's error in units of a constant prediction's.

    The error is the distance from a perfect score; a mean of 1 is no better than a constant.
    """

    metrics: tuple[Metric, ...]
    units: tuple[float, ...]  # the errors of constant predictions
    name: str = "relative error"
    better: Better = "lower"
    by_ratio: bool = True

    @classmethod
    def of(cls, metrics: Sequence[Metric], targets: Sequence[Array]) -> "GeometricMean":
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

    def influences(
        self, scores: Sequence[float], parts: Sequence[Array], scored: Sequence[Array]
    ) -> Array:
        """Return what each row adds to the combined score, from what it adds to each error.

        Args:
            scores: one a metric.
            parts: of each metric, the influences of the rows that it scores.
            scored: of each metric, (n,), which rows these are.
        """
        joined = self.combine(scores, len(scored[0]))
        influence = np.zeros(len(scored[0]))
        for metric, score, part, rows in zip(self.metrics, scores, parts, scored, strict=True):
            influence[rows] += part / (relative_to_best(metric, score, len(rows)) * rows.mean())
        mean = joined * influence / len(scores)
        return np.where(np.isfinite(mean), mean, 0.0)


def _unit(metric: Metric, target: Array) -> float:
    """Return the error of the best constant, or 1 where it has none: half the targets are alike."""
    score = metric.constant_score(target)
    return 1.0 if score == metric.best else relative_to_best(metric, score, len(target))
