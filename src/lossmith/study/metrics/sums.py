"""Metrics that are a smooth function of sums over rows; influences by the delta method.

Most metrics that are no mean are such: overlaps, F-scores, kappa, perplexity, weighted quantile
losses; a mean is the simplest. A new one is a class with a name and two methods, and is added to
`METRICS`, or given to a study as an instance.
"""

from abc import abstractmethod
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from lossmith.study.base.errors import InputError
from lossmith.study.metrics.reading import class_codes
from lossmith.study.metrics.study_metric import StudyMetric, to_array
from lossmith.study.metrics.units import unit_sums

Array = np.ndarray


class SumMetric(StudyMetric):
    r"""A smooth function g of the sums S of k statistics of each row.

    .. math:: m = g(S) \qquad S = \sum_i s_i \qquad v_u = U \, \nabla g(S) \cdot \sum_{i \in u} s_i

    g must not change when all sums are multiplied by one number: a ratio, where a count is one
    of the statistics. The influences v are to first order what the score would gain from the
    unit's weight (Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982).

    >>> class RelativeError(SumMetric):
    ...     name, label, better = "relative_error", "relative error", "lower"
    ...
    ...     def statistics(self, target, prediction):
    ...         return np.stack([abs(target - prediction), abs(target)], axis=1)
    ...
    ...     def value(self, sums):
    ...         return ratio(sums[0], sums[1])
    >>> metric, target = RelativeError(), np.array([1.0, 3.0])
    >>> metric.score(target, np.array([2.0, 3.0]))
    0.25
    >>> metric.influences(target, np.array([2.0, 3.0])).tolist()
    [0.375, -0.375]
    """

    @abstractmethod
    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return what each row adds to the sums, (n, k)."""

    @abstractmethod
    def value(self, sums: Tensor) -> Tensor:
        """Return the score, a scalar, from the sums (k,) in double precision."""

    def _score(self, target: Array, prediction: Array) -> float:
        sums = self._statistics(target, prediction).sum(axis=0)
        return float(self.value(torch.from_numpy(sums)))

    def _influences(self, target: Array, prediction: Array, codes: Array, index: Array) -> Array:
        statistics = unit_sums(self._statistics(target, prediction), index, len(codes))
        with torch.inference_mode(False), torch.enable_grad():
            sums = torch.from_numpy(statistics.sum(axis=0)).requires_grad_()
            (slope,) = torch.autograd.grad(self.value(sums), sums)
        return len(codes) * (statistics @ slope.numpy())

    def _statistics(self, target: Array, prediction: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return self.statistics(target, prediction).astype(np.float64, copy=False)


class ClassSums(SumMetric):
    """A metric of targets that are class codes, of which negative ones are ignored."""

    def check(self, target: object) -> None:
        """Raise InputError for targets that are not whole numbers."""
        super().check(target)
        class_codes(self.name, to_array(target))


class AtK(SumMetric):
    """A metric of the first k of a list, called name@k; k None takes the whole list."""

    needs_k: ClassVar[bool] = False

    def __init__(self, k: int | None = None) -> None:
        if (k is None and self.needs_k) or (k is not None and k < 1):
            raise InputError(
                f"{type(self).name} needs a length of at least 1: {type(self).name}@10"
            )
        self.k = k
        if k is not None:
            self.name, self.label = f"{type(self).name}@{k}", f"{type(self).label} at {k}"

    @classmethod
    def parse(cls, argument: str) -> Self:
        """Return the metric of a list of this length."""
        if argument and not argument.isdecimal():
            raise InputError(f"{cls.name}@{argument} needs a whole number, as in {cls.name}@10")
        return cls(int(argument) if argument else None)


def ratio(above: Tensor, below: Tensor) -> Tensor:
    """Return above / below, and 0 where below is 0."""
    held = below != 0
    return torch.where(held, above / torch.where(held, below, 1.0), 0.0)


def mean_where(values: Tensor, held: Tensor) -> Tensor:
    """Return the mean of the values that are held, and 0 of none."""
    return torch.where(held, values, 0.0).sum() / held.sum().clamp(min=1)
