"""Metrics of classes that are decided by a tuned threshold, each row by what other rows say."""

import numpy as np

from lossmith.study.metrics.base import Metric
from lossmith.study.metrics.table_metric import TableMetric
from lossmith.study.metrics.tuning import PARTS, decide, shifted

Array = np.ndarray


class TunedMetric(TableMetric):
    """A metric of classes whose decision is tuned, for every candidate alike.

    The rows of a fold are dealt into five parts, the same for all candidates, and the classes of
    each part are decided by the threshold that scores best on the other four. The predictions are
    kept, so that a final model's decision can be tuned on them.
    """

    cheap = False  # predictions are kept, for the decision of a final model

    def _score(self, target: Array, prediction: Array) -> float:
        return super()._score(target, self._decided(target, prediction))

    def _influences(self, target: Array, prediction: Array, codes: Array, index: Array) -> Array:
        decided = self._decided(target, prediction)
        return super()._influences(target, decided, codes, index)

    def _decided(self, target: Array, prediction: Array) -> Array:
        """Return (n, C) predictions with all weight on the class that is decided."""
        prediction = _pairs(prediction)
        part = np.random.default_rng(0).permutation(len(target)) % PARTS
        codes = np.empty(len(target), dtype=int)
        for number in range(PARTS):
            own = part == number
            decision = self.metric.tune(target[~own], prediction[~own])
            codes[own] = decide(prediction[own], decision)
        return np.eye(prediction.shape[1])[codes]

    def decision(self, target: Array, prediction: Array) -> Array:
        """Return the decision that scores best on all of these rows."""
        found = self.metric.tune(target, _pairs(prediction))
        assert found is not None  # the metric is tuned
        return found

    def score_by(self, decision: Array, target: Array, prediction: Array) -> float:
        """Return the score of predictions whose classes are decided by a given decision."""
        return self.metric.score(target, shifted(_pairs(prediction), decision))


def _pairs(prediction: Array) -> Array:
    """Return (n, C) probabilities, also of the probability of class 1 alone."""
    return np.stack([1 - prediction, prediction], axis=1) if prediction.ndim == 1 else prediction


def tuned(metric: Metric) -> TunedMetric:
    """Return a metric with its tuned decision.

    >>> from lossmith.study.metrics import lookup
    >>> tuned(lookup("f1"))
    TunedMetric('f1', better='higher')
    """
    return TunedMetric(metric)
