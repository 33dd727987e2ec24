"""Metrics of forecasts, whose targets may be missing where they are NaN."""

from typing import Self

import numpy as np
from torch import Tensor

from lossmith.study.base.errors import InputError
from lossmith.study.metrics.reading import same_shape
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


class WeightedQuantileLoss(Forecast):
    r"""Pinball losses of Q quantiles, over the size of the targets.

    .. math:: m = \frac{2}{Q} \frac{\sum_q \sum_i \max(\tau_q e_{iq}, (\tau_q - 1) e_{iq})}
        {\sum_i |y_i|} \qquad e_{iq} = y_i - x_{iq}

    Shapes: targets (N, …) and predictions (N, Q, …), as `Quantile.decode` gives them. The levels τ
    are 1/(Q + 1) … Q/(Q + 1), 0.1 to 0.9 for nine, or those named: wql@0.05,0.5,0.95.

    Source: Alexandrov et al., GluonTS: Probabilistic and Neural Time Series Modeling in Python,
    2020.
    """

    name, label = "wql", "weighted quantile loss"

    def __init__(self, levels: tuple[float, ...] | None = None) -> None:
        if levels is not None and not (levels and all(0 < level < 1 for level in levels)):
            raise InputError("wql needs levels between 0 and 1, as in wql@0.05,0.5,0.95")
        self.levels = levels
        if levels is not None:
            self.name = f"wql@{','.join(f'{level:g}' for level in levels)}"

    @classmethod
    def parse(cls, argument: str) -> Self:
        """Return the metric of these levels, parted by commas."""
        try:
            levels = tuple(float(part) for part in argument.split(",")) if argument else None
        except ValueError:
            levels = ()
        return cls(levels)

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return the sums of the quantiles' losses and of the targets' sizes, (N, 2)."""
        count = prediction.shape[1] if prediction.ndim > 1 else 0
        wanted = (*target.shape[:1], count, *target.shape[1:])
        if prediction.shape != wanted or len(self.levels or range(count)) != count or not count:
            raise InputError(
                f"{self.name} needs predictions (rows, levels, …) of targets of shape "
                f"{target.shape}, one for each of its levels, got {prediction.shape}"
            )
        prediction = np.moveaxis(prediction, 1, -1)
        levels = np.array(self.levels or np.arange(1, count + 1) / (count + 1))
        held = np.isfinite(target)
        actual = np.where(held, target, 0).astype(np.float64)
        error = actual[..., None] - prediction
        loss = 2 * np.maximum(levels * error, (levels - 1) * error).mean(axis=-1)
        return _sums(np.where(held, loss, 0), abs(actual))


class SMAPE(Forecast):
    r"""Symmetric mean absolute percentage error, from 0 to 2; of two zeros it is 0.

    .. math:: m = \operatorname*{mean}_i \frac{2 |y_i - x_i|}{|y_i| + |x_i|}

    Shapes: targets and predictions (N, …) alike.

    Source: Makridakis & Hibon, The M3-Competition: Results, Conclusions and Implications, 2000.
    """

    name, label = "smape", "sMAPE"

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
