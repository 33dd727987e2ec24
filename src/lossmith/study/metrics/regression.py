"""Metrics of numbers: each one's score and, beside it, the influence of a row."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from lossmith.core.card import Task
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.base import Array, Metric, RowMean, StackedMetric

REGRESSION: tuple[Task, ...] = ("regression",)
TARGET_UNITS = "units of the target"
LOWEST_PREDICTION = -1 + 1e-6  # of rmsle, whose logarithm ends at -1
LEAST_SHARE = 1e-3  # of the mean target, below which a mean is no prediction of a deviance
NEAR = 0.15  # of the ranks on each side of the median, from which its density is taken


class RegressionMetric(StackedMetric):
    """A metric of (n,) numbers in the target's own unit."""

    tasks = REGRESSION
    dimensions = 2

    def _safe(self, target: Array, predictions: Array) -> tuple[Array, Array]:
        finite, safe = super()._safe(target, predictions)
        return finite, safe.astype(np.float64, copy=False)

    def constant_score(self, target: Array) -> float:
        """Return the score of the best constant prediction."""
        return self.score(target, np.full(len(target), self._functional(target.astype(float))))

    def _functional(self, target: Array) -> float:
        """Return what the metric elicits, of these targets."""
        if self.elicits == "mean":
            return float(target.mean())
        return float(np.quantile(target, self.level or 0.5))


class RMSE(RegressionMetric):
    """The root mean squared error."""

    name, label, unit, elicits = "rmse", "RMSE", TARGET_UNITS, "mean"

    def _scores(self, target: Array, predictions: Array) -> Array:
        return np.sqrt(((target - predictions) ** 2).mean(axis=1))

    def _influences(self, target: Array, predictions: Array) -> Array:
        return _root((target - predictions) ** 2)


class MAE(RowMean, RegressionMetric):
    """The mean absolute error."""

    name, label, unit, elicits = "mae", "MAE", TARGET_UNITS, "median"

    def _of_rows(self, target: Array, predictions: Array) -> Array:
        return np.abs(target - predictions)


class MedianAbsoluteError(RegressionMetric):
    """The median of absolute errors; its influence rests on the density about the median."""

    name, label, unit, elicits = "medae", "median absolute error", TARGET_UNITS, "median"

    def _scores(self, target: Array, predictions: Array) -> Array:
        return np.median(np.abs(target - predictions), axis=1)

    def _influences(self, target: Array, predictions: Array) -> Array:
        error = np.abs(target - predictions)
        low, middle, high = np.quantile(error, [0.5 - NEAR, 0.5, 0.5 + NEAR], axis=1)[..., None]
        return ((error > middle) - 0.5) * (high - low) / (2 * NEAR)


class MAPE(RowMean, RegressionMetric):
    """The mean absolute error relative to the target, of targets that are not 0."""

    name, label, elicits, transform = "mape", "MAPE", "median", "relative"

    def _of_rows(self, target: Array, predictions: Array) -> Array:
        return np.abs((target - predictions) / target)

    def check(self, target: Array) -> None:
        """Raise InputError where a target is 0."""
        if (target == 0).any():
            raise InputError(
                f"mape divides by the target, which is 0 in {int((target == 0).sum())} rows; "
                "use --metric mae, or rmsle where relative errors matter"
            )

    def _functional(self, target: Array) -> float:
        weights = 1 / np.abs(target)
        return float(np.quantile(target, 0.5, weights=weights, method="inverted_cdf"))


class RMSLE(RegressionMetric):
    """The root mean squared error of log(1 + y), of targets above −1."""

    name, label, elicits, transform = "rmsle", "RMSLE", "mean", "log1p"

    def _scores(self, target: Array, predictions: Array) -> Array:
        return np.sqrt(self._squares(target, predictions).mean(axis=1))

    def _influences(self, target: Array, predictions: Array) -> Array:
        return _root(self._squares(target, predictions))

    def _squares(self, target: Array, predictions: Array) -> Array:
        return (np.log1p(target) - np.log1p(np.maximum(predictions, LOWEST_PREDICTION))) ** 2

    def check(self, target: Array) -> None:
        """Raise InputError where a target is −1 or below."""
        if target.min() <= -1:
            raise InputError(
                f"rmsle needs targets above -1, but the smallest is {target.min():g}; "
                "use --metric mae or rmse"
            )

    def _functional(self, target: Array) -> float:
        return float(np.expm1(np.log1p(target).mean()))


class R2(RegressionMetric):
    """The share of the target's variance that predictions explain."""

    name, label, better, best, elicits = "r2", "R²", "higher", 1.0, "mean"

    def _scores(self, target: Array, predictions: Array) -> Array:
        residual = ((target - predictions) ** 2).sum(axis=1)
        total = ((target - target.mean()) ** 2).sum()
        return 1 - residual / total if total > 0 else np.where(residual > 0, 0.0, 1.0)

    def _influences(self, target: Array, predictions: Array) -> Array:
        squares, spread = (target - predictions) ** 2, (target - target.mean()) ** 2
        ratio = squares.mean(axis=1, keepdims=True) / spread.mean()
        return (ratio * spread - squares) / spread.mean()


@dataclass(frozen=True)
class Pinball(RowMean, RegressionMetric):
    """The pinball loss, which the quantile of its level minimises."""

    level: float
    unit, elicits = TARGET_UNITS, "quantile"

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name with its level."""
        return f"pinball@{self.level:g}"

    @property
    def label(self) -> str:  # type: ignore[override]
        """The name in prose."""
        return f"pinball at {self.level:g}"

    def _of_rows(self, target: Array, predictions: Array) -> Array:
        error = target - predictions
        return np.maximum(self.level * error, (self.level - 1) * error)

    def at(self, level: str) -> Metric:
        """Return the metric at another level.

        Raises:
            InputError: if it is no number between 0 and 1.
        """
        try:
            number = float(level)
        except ValueError:
            number = 0.0
        if not 0 < number < 1:
            written = f"pinball@{level}" if level else "pinball"
            raise InputError(f"{written!r} needs a level between 0 and 1, for example {self.name}")
        return Pinball(number)


class Deviance(RowMean, RegressionMetric):
    """A mean deviance of positive predictions; lower ones count as a thousandth of the mean."""

    elicits = "mean"

    def _of_rows(self, target: Array, predictions: Array) -> Array:
        least = max(LEAST_SHARE * float(target.mean()), np.finfo(np.float64).tiny)
        return self._deviances(target.astype(np.float64), np.maximum(predictions, least))

    @abstractmethod
    def _deviances(self, target: Array, means: Array) -> Array:
        """Return the deviance of each row."""

    def check(self, target: Array) -> None:
        """Raise InputError where a target is too low."""
        if target.min() < 0 or not target.max() > 0:
            raise InputError(
                f"{self.name} needs targets of 0 or more, but the smallest is {target.min():g}; "
                "use --metric rmse or mae"
            )


class PoissonDeviance(Deviance):
    """Twice the log-likelihood that the Poisson distribution of a mean falls short of the best."""

    name, label, minimiser = "poisson_deviance", "Poisson deviance", "poisson"

    def _deviances(self, target: Array, means: Array) -> Array:
        return 2 * (xlogy(target, target / means) - target + means)


class GammaDeviance(Deviance):
    """Twice the log-likelihood that the gamma distribution of a mean falls short of the best."""

    name, label, minimiser = "gamma_deviance", "gamma deviance", "gamma"

    def _deviances(self, target: Array, means: Array) -> Array:
        return 2 * (np.log(means / target) + target / means - 1)

    def check(self, target: Array) -> None:
        """Raise InputError where a target is not positive."""
        if target.min() <= 0:
            raise InputError(
                f"{self.name} needs targets above 0, but the smallest is {target.min():g}; use "
                "--metric tweedie_deviance@1.5, which allows zeros"
            )


@dataclass(frozen=True)
class TweedieDeviance(Deviance):
    """The deviance of variance mean^power: exact zeros and a skewed positive rest."""

    power: float = 1.5
    minimiser = "tweedie"

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name with its power."""
        return f"tweedie_deviance@{self.power:g}"

    @property
    def label(self) -> str:  # type: ignore[override]
        """The name in prose."""
        return f"Tweedie deviance of power {self.power:g}"

    def _deviances(self, target: Array, means: Array) -> Array:
        p = self.power
        own = target ** (2 - p) / ((1 - p) * (2 - p))
        return 2 * (own - target * means ** (1 - p) / (1 - p) + means ** (2 - p) / (2 - p))

    def at(self, level: str) -> Metric:
        """Return the metric at another power.

        Raises:
            InputError: if it is no number between 1 and 2.
        """
        try:
            power = float(level or 1.5)
        except ValueError:
            power = 0.0
        if not 1 < power < 2:
            raise InputError(f"tweedie_deviance@{level} needs a power between 1 and 2: {self.name}")
        return TweedieDeviance(power)


def _root(squares: Array) -> Array:
    """Return the influences on the root of a mean of squares."""
    mean = squares.mean(axis=1, keepdims=True)
    return (squares - mean) / (2 * np.sqrt(mean))


METRICS = (
    *(RMSE(), MAE(), MedianAbsoluteError(), MAPE(), RMSLE(), R2(), Pinball(0.9)),
    *(PoissonDeviance(), GammaDeviance(), TweedieDeviance()),
)
