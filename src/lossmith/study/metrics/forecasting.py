"""Metrics of forecasts, whose targets may be missing where they are NaN."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from torch import Tensor

from lossmith.core.tree import tree_map
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.reading import same_shape
from lossmith.study.metrics.regression import TARGET_UNITS
from lossmith.study.metrics.study_metric import to_array
from lossmith.study.metrics.sums import SumMetric, ratio

Array = np.ndarray


class Forecast(SumMetric):
    """A ratio of sums over the targets that are not missing."""

    better = "lower"

    def check(self, target: object) -> None:
        """Accept any targets: NaN ones are missing."""

    def value(self, sums: Tensor) -> Tensor:
        """Return the ratio."""
        return ratio(sums[0], sums[1])


class Quantiles(Forecast):
    """A metric of predictions (N, Q, …) of targets (N, …), Q quantiles each along dimension 1."""

    def _pinballs(self, target: Array, prediction: Array) -> tuple[Array, Array, Array]:
        """Return the quantiles' pinball losses (N, …, Q), the targets and which are there."""
        count = prediction.shape[1] if prediction.ndim > 1 else 0
        levels = self._levels(count)
        wanted = (*target.shape[:1], count, *target.shape[1:])
        if prediction.shape != wanted or len(levels) != count or not count:
            raise InputError(
                f"{self.name} needs predictions (rows, levels, …) of targets of shape "
                f"{target.shape}, one for each of its levels, got {prediction.shape}"
            )
        held = np.isfinite(target)
        actual = np.where(held, target, 0).astype(np.float64)
        error = actual[..., None] - np.moveaxis(prediction, 1, -1)
        return np.maximum(levels * error, (levels - 1) * error), actual, held

    def _levels(self, count: int) -> Array:
        """Return the levels of so many quantiles."""
        return np.array(self.levels)


class WeightedQuantileLoss(Quantiles):
    r"""Pinball losses of Q quantiles, over the size of the targets.

    .. math:: m = \frac{2}{Q} \frac{\sum_q \sum_i \max(\tau_q e_{iq}, (\tau_q - 1) e_{iq})}
        {\sum_i |y_i|} \qquad e_{iq} = y_i - x_{iq}

    Shapes: targets (N, …) and predictions (N, Q, …), as `Quantile.decode` gives them. The levels τ
    are those named, wql@0.05,0.5,0.95, else 1/(Q + 1) … Q/(Q + 1): of the losses of a study 0.1 to
    0.9.

    Source: Alexandrov et al., GluonTS: Probabilistic and Neural Time Series Modeling in Python,
    2020.
    """

    name, label = "wql", "weighted quantile loss"
    levels = tuple(round(0.1 * k, 1) for k in range(1, 10))

    def __init__(self, levels: tuple[float, ...] | None = None) -> None:
        if levels is not None and not (levels and all(0 < level < 1 for level in levels)):
            raise InputError("wql needs levels between 0 and 1, as in wql@0.05,0.5,0.95")
        self.told = levels is not None
        if levels is not None:
            self.levels = levels
            self.name = f"wql@{','.join(f'{level:g}' for level in levels)}"

    @classmethod
    def parse(cls, argument: str) -> Self:
        """Return the metric of these levels, parted by commas."""
        try:
            levels = tuple(float(part) for part in argument.split(",")) if argument else None
        except ValueError:
            levels = ()
        return cls(levels)

    def _levels(self, count: int) -> Array:
        return np.array(self.levels) if self.told else np.arange(1, count + 1) / (count + 1)

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return the sums of the quantiles' losses and of the targets' sizes, (N, 2)."""
        losses, actual, held = self._pinballs(target, prediction)
        return _sums(np.where(held, 2 * losses.mean(axis=-1), 0), abs(actual))


class CRPS(Quantiles):
    r"""The continuous ranked probability score, by Q quantiles of each target.

    .. math:: m = \operatorname*{mean}_i \frac{2}{Q} \sum_q \max(\tau_q e_{iq},
        (\tau_q - 1) e_{iq}) \qquad e_{iq} = y_i - x_{iq}, \; \tau_q = \frac{q - 1/2}{Q}

    Shapes: targets (N, …) and predictions (N, Q, …). The losses of a study are read at nine levels,
    so that all distributions are scored alike.

    Source: Gneiting & Raftery, Strictly Proper Scoring Rules, Prediction, and Estimation, 2007; the
    sum over levels is that of Laio & Tamea, 2007.
    """

    name, label, unit = "crps", "CRPS", TARGET_UNITS
    levels = tuple((2 * k + 1) / 18 for k in range(9))

    def _levels(self, count: int) -> Array:
        return (np.arange(count) + 0.5) / max(count, 1)

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return the sums of the quantiles' losses and of the targets, (N, 2)."""
        losses, _, held = self._pinballs(target, prediction)
        return _sums(np.where(held, 2 * losses.mean(axis=-1), 0), held)


class IntervalScore(Quantiles):
    r"""The width of central intervals and, 2/α times, how far targets lie outside.

    .. math:: m = \operatorname*{mean}_i (u_i - l_i) + \tfrac{2}{\alpha} (l_i - y_i)^+ +
        \tfrac{2}{\alpha} (y_i - u_i)^+

    of intervals that should cover 1 − α of the targets, interval@0.8 says. Coverage and width
    stand beside it: either alone is easily perfect.

    Shapes: targets (N, …) and predictions (N, 2, …), the ends l and u.

    Source: Winkler, A Decision-Theoretic Approach to Interval Estimation, 1972; Gneiting & Raftery,
    2007.
    """

    name, label, unit = "interval", "interval score", TARGET_UNITS

    def __init__(self, coverage: float = 0.8) -> None:
        if not 0 < coverage < 1:
            raise InputError("interval needs a coverage between 0 and 1, as in interval@0.8")
        self.coverage, outside = coverage, 1 - coverage
        self.levels = (round(outside / 2, 12), round(1 - outside / 2, 12))
        self.name, self.label = f"interval@{coverage:g}", f"interval score at {coverage:g}"

    @classmethod
    def parse(cls, argument: str) -> Self:
        """Return the metric of intervals of this coverage."""
        try:
            return cls(float(argument or 0.8))
        except ValueError:
            return cls(0.0)

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return the sums of the intervals' scores and of the targets, (N, 2)."""
        losses, _, held = self._pinballs(target, prediction)
        scores = 2 / (1 - self.coverage) * losses.sum(axis=-1)
        return _sums(np.where(held, scores, 0), held)

    def beside(self, target: Any, prediction: Any) -> dict[str, float]:
        """Return the share of the targets within their intervals, and the mean width."""
        target, prediction = self._aligned(target, prediction)
        low, high = np.moveaxis(prediction, 1, 0)
        held = np.isfinite(target)
        inside = ((low <= target) & (target <= high))[held]
        return {"coverage": float(inside.mean()), "width": float((high - low)[held].mean())}


class MASE(Forecast):
    r"""Absolute errors in units of what a naive forecast missed by in each row's own past.

    .. math:: m = \operatorname*{mean}_{n, h} \frac{|y_{nh} - x_{nh}|}{s_n} \qquad
        s_n = \operatorname*{mean}_{t > p} |z_{nt} - z_{n, t - p}|

    of a row's past z and its season p, 1 where there is none.

    Shapes: targets a dict of `value` (N, …), of which NaN is missing, and `scale` (N,), the s;
    predictions (N, …).

    Source: Hyndman & Koehler, Another Look at Measures of Forecast Accuracy, 2006.
    """

    name, label, mappings, elicits = "mase", "MASE", True, "median"

    def check(self, target: Any) -> None:
        """Raise InputError for targets that are no values and scales."""
        _scaled(tree_map(to_array, target))

    def statistics(self, target: Any, prediction: Array) -> Array:
        """Return the sum of the scaled errors and their count, (N, 2)."""
        value, scale = _scaled(target)
        same_shape(self.name, value, prediction)
        held = np.isfinite(value)
        sums = _sums(np.where(held, abs(np.where(held, value, 0) - prediction), 0), held)
        return sums / np.stack([scale, np.ones_like(scale)], axis=1)


def _scaled(target: Any) -> tuple[Array, Array]:
    """Return values (N, …) and scales (N,)."""
    if not isinstance(target, Mapping) or set(target) != {"value", "scale"}:
        raise InputError(
            "mase needs targets as a dict of value (N, H) and scale (N,), the mean error of a "
            "naive forecast in each row's past"
        )
    value, scale = target["value"], np.asarray(target["scale"], dtype=np.float64)
    if scale.shape != value.shape[:1] or not ((scale > 0) & np.isfinite(scale)).all():
        raise InputError(
            "mase divides by scale, which must be one number above 0 a row; leave out rows whose "
            "past never changes"
        )
    return value, scale


class SMAPE(Forecast):
    r"""Symmetric mean absolute percentage error, from 0 to 2; of two zeros it is 0.

    .. math:: m = \operatorname*{mean}_i \frac{2 |y_i - x_i|}{|y_i| + |x_i|}

    Shapes: targets and predictions (N, …) alike.

    Source: Makridakis & Hibon, The M3-Competition: Results, Conclusions and Implications, 2000.
    """

    name, label, elicits = "smape", "sMAPE", "median"

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return the sum of the relative errors and their count, (N, 2)."""
        same_shape(self.name, target, prediction)
        held = np.isfinite(target)
        actual = np.where(held, target, 0).astype(np.float64)
        size = abs(actual) + abs(prediction)
        error = 2 * abs(actual - prediction) / np.where(size > 0, size, 1)
        return _sums(np.where(held, error, 0), held)


def _sums(above: Array, below: Array) -> Array:
    rows = len(above)
    return np.stack([part.reshape(rows, -1).sum(axis=1) for part in (above, below)], axis=1)
