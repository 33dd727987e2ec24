"""Tasks of training loops of one's own: targets of any shape."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from torch import nn

from lossmith.catalogue.names import loss_class
from lossmith.core.loss import Loss
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.study_metric import StudyMetric
from lossmith.study.tasks.base import Baseline, StudyTask
from lossmith.study.tasks.candidate import Candidate, Sum


class ArrayTask(StudyTask):
    """A task whose targets are arrays, one entry a row along the first dimension.

    defaults: the loss to beat under each metric, by its name without what follows an @. start:
    what people start with, whatever the metric. sums: of losses that experts train with.
    wanted: the targets, in words. inferred: whether metric and targets alone tell it.
    """

    defaults: ClassVar[Mapping[str, Baseline]]
    start: ClassVar[str]
    wanted: ClassVar[str]
    sums: ClassVar[Sequence[str]] = ()
    inferred: ClassVar[bool] = True

    @abstractmethod
    def accepts(self, target: Any) -> bool:
        """Tell whether targets are of this task."""

    def judges(self, metric: StudyMetric) -> bool:
        """Tell whether a metric is one of this task's."""
        return _base(metric) in self.defaults

    def suits(self, metric: StudyMetric, target: Any) -> bool:
        """Tell whether metric and targets are of this task."""
        return self.judges(metric) and target is not None and self.accepts(target)

    def check(self, metric: StudyMetric, target: Any) -> None:
        """Raise InputError for a metric or targets of another task."""
        if not self.judges(metric):
            raise InputError(
                f"task {self.name!r} is judged by {', '.join(self.defaults)}, not {metric.name}; "
                "give losses= and default= under another metric"
            )
        if target is None or not self.accepts(target):
            raise InputError(f"task {self.name!r} needs {self.wanted} as target=")

    def learned(self, target: Any) -> Any:
        """Return the part of the targets that losses are fitted to."""
        return target

    def shown(self, target: Any) -> str:
        """Return what is looked at of predictions, see `sample.py`."""
        return self.sample

    def baseline(self, metric: StudyMetric) -> Baseline:
        """Return the loss to beat under a metric, with its reason."""
        return self.defaults[_base(metric)]

    def default(self, metric: StudyMetric, target: Any) -> Candidate | Sum:
        """Return what the metric asks for, or what the field's experts start with."""
        return self.named(self.baseline(metric).loss, target)

    def common(self, target: Any) -> Candidate | Sum:
        """Return what people start with, whatever the metric."""
        return self.named(self.start, target)

    def named(self, keys: str, target: Any) -> Candidate | Sum:
        """Return the loss of a key, or the sum of those of several, joined by +."""
        parts = [self.one(key, target) for key in keys.split(" + ")]
        return parts[0] if len(parts) == 1 else Sum(parts=parts)

    def one(self, key: str, target: Any) -> Candidate:
        """Return a loss of the catalogue with what it is told of the targets."""
        kind = loss_class(key)
        return Candidate(key=kind.card.key, given=self.told(kind, target))

    def told(self, kind: type[Loss], target: Any) -> dict[str, Any]:
        """Return the arguments of a loss that follow from the targets."""
        return {}

    def everyone(self, metric: StudyMetric, target: Any) -> list[Candidate | Sum]:
        """Return every loss and sum that fits, the default and the common one first."""
        found = [self.default(metric, target), self.common(target)]
        found += [
            replace(one, given=self.told(loss_class(one.key), target))
            for one in self.candidates(metric, target, None)
        ]
        found += [self.named(keys, target) for keys in self.sums]
        return list({one.name: one for one in found}.values())

    def routed(self, loss: nn.Module) -> nn.Module:
        """Return a loss that reads what the loop gives, by the names of its parts."""
        return loss

    def head(self, loss: nn.Module) -> nn.Module:
        """Return the loss that reads what is reported."""
        return loss

    def width(self, loss: Loss, target: Any) -> int | None:
        """Return the width of the head that a loss needs; None where the user knows it."""
        return loss.out_features

    def read(
        self, metric: StudyMetric, loss: nn.Module, prediction: Any, target: Any
    ) -> tuple[Any, Any]:
        """Return targets and predictions as the metric takes them, of what the loss decoded."""
        return target, prediction

    def beside(self, metric: StudyMetric, target: Any, prediction: Any) -> dict[str, float]:
        """Return what is read beside the score, by name."""
        return metric.beside(target, prediction)


def _base(metric: StudyMetric) -> str:
    return metric.name.partition("@")[0]


def whole(target: Any, dimensions: int | None = None) -> bool:
    """Tell whether targets are an array of whole numbers, of so many dimensions."""
    if not isinstance(target, np.ndarray) or target.dtype.kind not in "biu":
        return False
    return dimensions is None or target.ndim == dimensions
