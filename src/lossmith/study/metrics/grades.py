"""Metrics of ordered grades for tables: each one's score and, beside it, the influence of a row.

Each decides the grade that it asks for of the same probabilities: a mean, a median, the likeliest.
"""

import numpy as np

from lossmith.core.card import Task
from lossmith.study.base.direction import Better
from lossmith.study.metrics.base import Array, RowMean, StackedMetric
from lossmith.study.metrics.tuning import decide

ORDINAL: tuple[Task, ...] = ("ordinal",)


class GradeMetric(StackedMetric):
    """A metric of (n, C) probabilities against grades 0 … C − 1; (n, 1) are grades themselves."""

    tasks, elicits = ORDINAL, "decision"
    dimensions = 3

    def grades(self, predictions: Array) -> Array:
        """Return the grades that k models decide on, (k, n)."""
        if predictions.shape[-1] == 1:
            return predictions[..., 0]
        return decide(predictions, rule=self.rule)

    def constant_score(self, target: Array) -> float:
        """Return the score of the best constant grade."""
        every = np.eye(int(target.max()) + 1)[:, None].repeat(len(target), axis=1)
        return self.error(float(self.error(self.scores(target, every)).min()))


class GradeMAE(RowMean, GradeMetric):
    """The mean distance of grades, of which the median of the probabilities is the best."""

    name, label, unit, rule = "grade_mae", "MAE of grades", "grades", "median"

    def _of_rows(self, target: Array, predictions: Array) -> Array:
        return np.abs(self.grades(predictions) - target).astype(np.float64)


class WithinOne(RowMean, GradeMetric):
    """The share of grades that are right or next to it."""

    name, label, rule = "within_one", "accuracy within one grade", "median"
    better: Better = "higher"
    best = 1.0

    def _of_rows(self, target: Array, predictions: Array) -> Array:
        return np.abs(self.grades(predictions) - target) <= 1


class QuadraticKappa(GradeMetric):
    r"""Agreement beyond chance, errors weighing by their square; the rounded mean is decided.

    .. math:: \kappa = 1 - \frac{\operatorname{mean}(a - b)^2}{\operatorname{mean} a^2 +
        \operatorname{mean} b^2 - 2 \bar a \bar b}

    Source: Cohen, Weighted Kappa, 1968; 0 where all targets and predictions are one grade. Among
    losses it is the value of weighted kappa's alone, counted with probabilities: best are not the
    mean grades of like rows, but these spread as widely as the grades themselves.
    """

    name, label, rule = "quadratic_kappa", "quadratic kappa", "mean"
    minimiser = "weighted_kappa"
    better: Better = "higher"
    best = 1.0

    def _scores(self, target: Array, predictions: Array) -> Array:
        squares, chance = self._parts(target, predictions)
        total = chance.mean(axis=1)
        return np.where(total > 0, 1 - squares.mean(axis=1) / np.where(total > 0, total, 1), 0.0)

    def _influences(self, target: Array, predictions: Array) -> Array:
        squares, chance = self._parts(target, predictions)
        total = chance.mean(axis=1, keepdims=True)
        ratio = squares.mean(axis=1, keepdims=True) / np.where(total > 0, total, 1)
        return np.where(total > 0, (ratio * chance - squares) / np.where(total > 0, total, 1), 0.0)

    def _parts(self, target: Array, predictions: Array) -> tuple[Array, Array]:
        """Return the rows' squared errors and, to first order, their parts in those of chance."""
        a, b = target.astype(np.float64), self.grades(predictions).astype(np.float64)
        mean_a, mean_b = a.mean(), b.mean(axis=1, keepdims=True)
        whole = (a**2).mean() + (b**2).mean(axis=1, keepdims=True) - 2 * mean_a * mean_b
        share = a**2 + b**2 - 2 * (a * mean_b + mean_a * b)
        return (a - b) ** 2, share - share.mean(axis=1, keepdims=True) + whole


METRICS = (QuadraticKappa(), GradeMAE(), WithinOne())
