"""The metrics of tables for predictions of any shape."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.metrics.base import Metric
from lossmith.study.metrics.classification import OneVsRest
from lossmith.study.metrics.reading import (
    check_columns,
    class_codes,
    has_classes,
    probabilities,
    same_shape,
)
from lossmith.study.metrics.regression import REGRESSION
from lossmith.study.metrics.study_metric import StudyMetric, to_array
from lossmith.study.metrics.units import of_units

Array = np.ndarray
Part = tuple[Array, Array, Array]


class TableMetric(StudyMetric):
    """A metric of numbers or classes, of all elements together; the most probable class is decided.

    Shapes: numbers are (N, …) alike. Classes are targets (N, …) of codes, negative ones ignored,
    with predictions (N, C, …) of probabilities, or (N, …) of the probability of class 1, for which
    AUROC and average precision take any score. Of several labels a row, targets and predictions
    (N, L), it is the mean of the labels' scores; a label that all rows have, or none, has no
    ranking and is left out of its mean.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.name, self.better = metric.name, metric.better
        self.label, self.ranks = metric.label, isinstance(metric, OneVsRest)
        self.elicits, self.level, self.transform = metric.elicits, metric.level, metric.transform

    def check(self, target: Any) -> None:
        """Raise InputError when the metric is undefined for these targets."""
        super().check(target)
        if self.metric.tasks != REGRESSION:
            class_codes(self.name, to_array(target))
        self.metric.check(to_array(target))

    def _score(self, target: Array, prediction: Array) -> float:
        parts = self._parts(target, prediction)
        scores = [self.metric.score(part, of_it) for part, of_it, _ in parts]
        return float(np.mean(scores)) if scores else np.nan

    def _influences(self, target: Array, prediction: Array, codes: Array, index: Array) -> Array:
        found = [
            of_units(self.metric.influences(part, of_it), index[rows], len(codes))
            for part, of_it, rows in self._parts(target, prediction)
        ]
        return np.mean(found, axis=0) if found else np.zeros(len(codes))

    def _parts(self, target: Array, prediction: Array) -> Iterator[Part]:
        """Yield targets (m,), predictions (m,) or (m, C) and rows (m,), one a label."""
        if self.metric.tasks == REGRESSION:
            if prediction.shape == (*target.shape, 1):
                prediction = prediction[..., 0]
            same_shape(self.name, target, prediction)
            rows = np.arange(len(target)).repeat(target[0].size)
            yield target.ravel(), prediction.ravel(), rows
            return
        target = class_codes(self.name, target)
        if self._chosen(target, prediction):
            yield _held(target, _certain(target, prediction))
            return
        if not (self.ranks and prediction.shape == target.shape):  # one score is as good
            prediction = probabilities(self.name, prediction)
        if has_classes(target, prediction):
            check_columns(self.name, target, prediction)
            yield _held(target, prediction)
            return
        same_shape(self.name, target, prediction)
        pairs = np.stack([1 - prediction, prediction], axis=1)
        if target.ndim != 2:
            yield _held(target, pairs)
            return
        yield from self._labels(target, pairs)

    def _chosen(self, target: Array, prediction: Array) -> bool:
        """Return whether predictions are classes, decided already, under a metric of decisions."""
        whole = prediction.shape == target.shape and np.issubdtype(prediction.dtype, np.integer)
        return whole and target.ndim == 1 and self.elicits in ("decision", "balanced")

    def _labels(self, target: Array, pairs: Array) -> Iterator[Part]:
        if self.name == "f1":
            raise InputError("f1 is of one label; of several labels use f1_macro or f1_micro")
        for label in range(target.shape[1]):
            part = _held(target[:, label], pairs[:, :, label])
            both = 0 < np.count_nonzero(part[0]) < len(part[0])
            if both or not self.ranks:
                yield part


def _certain(target: Array, prediction: Array) -> Array:
    """Return classes (N,) as probabilities (N, C) of 0 and 1."""
    classes = 1 + max(int(target.max()), int(prediction.max()))
    return (prediction[:, None] == np.arange(classes)).astype(np.float64)


class GradesOfAnyShape(TableMetric):
    """A metric of ordered grades, which may also be predicted as numbers, (N, …), rounded."""

    def _parts(self, target: Array, prediction: Array) -> Iterator[Part]:
        """Yield targets (m,), predictions (m, C), or (m, 1) of numbers, and rows (m,)."""
        if has_classes(target, prediction):
            yield from super()._parts(target, prediction)
            return
        same_shape(self.name, target, prediction)
        yield _held(class_codes(self.name, target), np.rint(prediction)[:, None])


def _held(target: Array, prediction: Array) -> Part:
    """Return the elements whose targets are not ignored, and their rows."""
    prediction = np.moveaxis(prediction, 1, -1).reshape(-1, prediction.shape[1])
    rows = np.arange(len(target)).repeat(target[0].size)
    held = target.ravel() >= 0
    return target.ravel()[held], prediction[held], rows[held]
