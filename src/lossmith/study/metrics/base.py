"""What a metric is: its name, which way it improves, a score, and each row's influence on it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np

from lossmith.core.card import Task
from lossmith.study.base.direction import Better, Value, as_error
from lossmith.study.metrics.tuning import Rule

Array = np.ndarray
Elicits = Literal["mean", "median", "quantile", "probabilities", "balanced", "decision"]


class Metric(ABC):
    """A metric, and what one model's predictions score on it.

    The influences are how a score moves, to first order, with the weight of each unit (Hampel, The
    Influence Curve and its Role in Robust Estimation, 1974). They sum to zero and carry the
    sampling error of any metric unit by unit; a unit is a row, or whatever a metric counts by.

    name: as a user writes it. label: as prose does. better: which way scores improve. unit: of a
    score, "" if it has none. best: the score of a perfect prediction. tasks: that it fits. elicits:
    the functional of the target that scores best; "decision" is a class read from probabilities.
    level: of a quantile. transform: the scale on which the functional is taken, "log1p" of the
    target, or errors "relative" to it. tuned: whether `tune` decides classes. rule: that decides a
    class from probabilities. levels: of the quantiles that it scores, where these are several.
    minimiser: the loss whose value it is, where that is no other's. horizons: at which it scores
    survival; None for those that the targets of a study tell.
    """

    name: str
    label: str
    better: Better = "lower"
    unit: str = ""
    best: float = 0.0
    tasks: tuple[Task, ...] = ()
    elicits: Elicits | None = None
    level: float | None = None
    transform: Literal["log1p", "relative"] | None = None
    tuned: ClassVar[bool] = False
    rule: Rule = "mode"
    levels: tuple[float, ...] = ()
    minimiser: str = ""
    horizons: Sequence[float] | None = ()

    @abstractmethod
    def score(self, target: Array, prediction: Array) -> float:
        """Return the score of one model."""

    @abstractmethod
    def influences(self, target: Array, prediction: Array) -> Array:
        """Return each unit's influence on the score of one model, (n,) of mean zero."""

    def scores(self, target: Array, predictions: Array) -> Array:
        """Return the scores of k models, (k,)."""
        return np.array([self.score(target, one) for one in predictions])

    def influence_matrix(self, target: Array, predictions: Array) -> Array:
        """Return the influences on the scores of k models, (k, n)."""
        return np.stack([self.influences(target, one) for one in predictions])

    def error(self, score: Value) -> Value:
        """Return scores, or influences on them, such that lower is better; twice gives them back.

        >>> from lossmith.study.metrics import lookup
        >>> lookup("mae").error(2.0), lookup("r2").error(0.5)
        (2.0, -0.5)
        """
        return as_error(score, self.better)

    @property
    def by_ratio(self) -> bool:
        """Whether errors of different folds differ by factors, so that their ratios compare.

        Of scores where higher is better, differences compare.
        """
        return self.better == "lower"

    @property
    def reads(self) -> float | None:
        """The level of a predicted distribution that scores best, ½ of a median; None if none."""
        if self.transform is not None:
            return None
        return 0.5 if self.elicits == "median" else self.level

    @property
    def worst(self) -> float:
        """The score of a model that diverged."""
        return self.error(np.inf)

    def check(self, target: Array) -> None:  # noqa: B027 (most take any)
        """Raise InputError when the metric is undefined for these targets."""

    def fitted(self, target: Any) -> Self:
        """Return the metric with what it takes from all targets of a study; most take nothing."""
        return self

    def constant_score(self, target: Array) -> float:
        """Return the score of the best constant prediction; `best` where none is known."""
        return self.best

    def tune(self, target: Array, prediction: Array) -> Array | None:
        """Return the decision that scores best on these rows; None where nothing is tuned."""
        return None

    def at(self, level: str) -> "Metric | None":
        """Return the metric at a level, as written after its name and @; None if it has none."""
        return None if level else self


class StackedMetric(Metric):
    """A metric of arrays, which are scored for many models at once.

    Predictions are (n,) numbers in the target's own unit, or (n, C) probabilities, where C is 2
    for a binary task and column 1 is the positive class; targets are (n,) numbers or class codes.
    A model with a prediction that is not finite scores `worst`, and no row has an influence on it.
    """

    dimensions: ClassVar[int]  # of the predictions of k models

    @abstractmethod
    def _scores(self, target: Array, predictions: Array) -> Array:
        """Return the scores of k models whose predictions are finite."""

    @abstractmethod
    def _influences(self, target: Array, predictions: Array) -> Array:
        """Return the influences on these scores, (k, n), up to a constant a model."""

    def score(self, target: Array, prediction: Array) -> float:
        """Return the score of one model."""
        return float(self.scores(target, np.asarray(prediction)[None])[0])

    def influences(self, target: Array, prediction: Array) -> Array:
        """Return each row's influence on the score of one model, (n,)."""
        return self.influence_matrix(target, np.asarray(prediction)[None])[0]

    def scores(self, target: Array, predictions: Array) -> Array:
        """Return the scores of k models at once, (k,)."""
        finite, safe = self._safe(target, predictions)
        with np.errstate(over="ignore", invalid="ignore"):
            result = self._scores(np.asarray(target), safe)
        return np.where(finite & ~np.isnan(result), result, self.worst)

    def influence_matrix(self, target: Array, predictions: Array) -> Array:
        """Return each row's influence on the scores of k models, (k, n)."""
        finite, safe = self._safe(target, predictions)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = self._influences(np.asarray(target), safe)
        found = found - found.mean(axis=1, keepdims=True)  # of rounding, and of single draws
        return np.where(finite[:, None] & np.isfinite(found), found, 0.0)

    def _safe(self, target: Array, predictions: Array) -> tuple[Array, Array]:
        """Return which models are finite, and predictions with zeros in place of the others'."""
        predictions = np.asarray(predictions)
        if predictions.ndim != self.dimensions or predictions.shape[1] != len(target):
            raise ValueError(
                f"{self.name} needs predictions of shape (k, {len(target)}"
                f"{', C' if self.dimensions == 3 else ''}), got {predictions.shape}"
            )
        rest = tuple(range(1, self.dimensions))
        finite = np.isfinite(predictions).all(axis=rest)
        if not finite.all():
            predictions = np.where(np.expand_dims(finite, rest), predictions, 0)
        return finite, predictions


class RowMean(StackedMetric):
    """A metric that is a mean over rows, so that each row's own value is its influence."""

    @abstractmethod
    def _of_rows(self, target: Array, predictions: Array) -> Array:
        """Return what each row scores under each of k models, (k, n)."""

    def _scores(self, target: Array, predictions: Array) -> Array:
        return self._of_rows(target, predictions).mean(axis=1)

    def _influences(self, target: Array, predictions: Array) -> Array:
        return self._of_rows(target, predictions).astype(np.float64, copy=False)


def relative_to_best(metric: Metric, score: float, rows: int) -> float:
    """Return how far a score is from the best, at least what half a row would give of a share."""
    floor = 0.5 / rows if metric.best else float(np.finfo(float).tiny)
    return max(abs(score - metric.best), floor)
