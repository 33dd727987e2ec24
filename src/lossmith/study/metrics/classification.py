"""Metrics of classes: each one's score and, beside it, the influence of a row."""

from abc import abstractmethod

import numpy as np
from scipy.stats import rankdata

from lossmith.core.card import Task
from lossmith.study.base.direction import Better
from lossmith.study.metrics.base import Array, RowMean, StackedMetric
from lossmith.study.metrics.tuning import best_decision, shifted

CLASSES: tuple[Task, ...] = ("binary", "multiclass")


class ClassMetric(StackedMetric):
    """A metric of (n, C) probabilities against class codes."""

    tasks = CLASSES
    better: Better = "higher"
    best = 1.0
    dimensions = 3

    def constant_score(self, target: Array) -> float:
        """Return the score of the classes' frequencies as every row's probabilities."""
        prediction = np.tile(np.bincount(target) / len(target), (len(target), 1))
        return self.score(target, shifted(prediction, self.tune(target, prediction)))


class Accuracy(RowMean, ClassMetric):
    """The share of rows whose most probable class is theirs."""

    name, label, elicits = "accuracy", "accuracy", "decision"

    def _of_rows(self, target: Array, predictions: Array) -> Array:
        return predictions.argmax(axis=2) == target


class BalancedAccuracy(ClassMetric):
    """The mean over classes of their recall."""

    name, label, elicits = "balanced_accuracy", "balanced accuracy", "balanced"

    def _scores(self, target: Array, predictions: Array) -> Array:
        counts = _confusion(target, predictions)
        present = np.unique(target)
        hits = np.diagonal(counts, axis1=1, axis2=2)[:, present]
        return (hits / counts.sum(axis=2)[:, present]).mean(axis=1)

    def _influences(self, target: Array, predictions: Array) -> Array:
        hit, classes = predictions.argmax(axis=2) == target, np.unique(target)
        found = np.zeros(hit.shape)
        for code in classes:
            rows = target == code
            recall = hit[:, rows].mean(axis=1, keepdims=True)
            found[:, rows] = (hit[:, rows] - recall) / (rows.mean() * len(classes))
        return found


class TunedMetric(ClassMetric):
    """A metric of decided classes, where the decision is tuned on other rows."""

    elicits = "decision"
    tuned = True

    @abstractmethod
    def at_thresholds(self, hits: Array, chosen: Array, positives: int, rows: int) -> Array:
        """Return the scores of two classes from counts under each threshold.

        hits: positive rows among those chosen. chosen: rows called positive. positives: of rows.
        """

    def tune(self, target: Array, prediction: Array) -> Array:
        """Return the decision that scores best on these rows, (C,)."""
        return best_decision(target, prediction, self.scores, self.at_thresholds)


class F1(TunedMetric):
    """The harmonic mean of precision and recall of the positive class."""

    name, label, tasks = "f1", "F1", ("binary",)

    def _scores(self, target: Array, predictions: Array) -> Array:
        return _class_f1(target, predictions)[:, 1]

    def _influences(self, target: Array, predictions: Array) -> Array:
        return _f1_influences(target == 1, predictions.argmax(axis=2) == 1)

    def at_thresholds(self, hits: Array, chosen: Array, positives: int, rows: int) -> Array:
        """Return the scores of two classes from counts under each threshold."""
        return _f1(hits, chosen, positives)


class MacroF1(TunedMetric):
    """The mean of F1 over the classes present."""

    name, label = "f1_macro", "macro F1"

    def _scores(self, target: Array, predictions: Array) -> Array:
        return _class_f1(target, predictions)[:, np.unique(target)].mean(axis=1)

    def _influences(self, target: Array, predictions: Array) -> Array:
        chosen, classes = predictions.argmax(axis=2), np.unique(target)
        return np.mean([_f1_influences(target == c, chosen == c) for c in classes], axis=0)

    def at_thresholds(self, hits: Array, chosen: Array, positives: int, rows: int) -> Array:
        """Return the scores of two classes from counts under each threshold."""
        rejected = rows - chosen
        negatives = _f1(rejected - (positives - hits), rejected, rows - positives)
        return _f1(hits, chosen, positives) + negatives


class OneVsRest(ClassMetric):
    """A metric of a class against the others, averaged over the classes present.

    Two classes give one number, that of the positive class. chance: where only one is present.
    """

    elicits = "probabilities"
    chance: float

    @abstractmethod
    def _score_class(self, positive: Array, scores: Array) -> Array:
        """Return the scores of one class, (k,), from k models' probabilities of it."""

    @abstractmethod
    def _influence_class(self, positive: Array, scores: Array) -> Array:
        """Return the influences on them, (k, n)."""

    def _scores(self, target: Array, predictions: Array) -> Array:
        parts = [self._score_class(*part) for part in _against_rest(target, predictions)]
        return np.mean(parts, axis=0) if parts else np.full(len(predictions), self.chance)

    def _influences(self, target: Array, predictions: Array) -> Array:
        parts = [self._influence_class(*part) for part in _against_rest(target, predictions)]
        return np.mean(parts, axis=0) if parts else np.zeros(predictions.shape[:2])


class AUROC(OneVsRest):
    """The area under the ROC curve; its influences are those of DeLong et al. (1988)."""

    name, label, chance = "auroc", "AUROC", 0.5

    def _score_class(self, positive: Array, scores: Array) -> Array:
        hits = np.count_nonzero(positive)
        ranks = rankdata(scores, axis=1)[:, positive].sum(axis=1)
        return (ranks - hits * (hits + 1) / 2) / (hits * (len(positive) - hits))

    def _influence_class(self, positive: Array, scores: Array) -> Array:
        # Each row's share of the other class that it is ranked rightly against.
        found, ranks = np.empty(scores.shape), rankdata(scores, axis=1)
        for side, sign in ((positive, 1), (~positive, -1)):
            others = np.count_nonzero(~side)
            below = (ranks[:, side] - rankdata(scores[:, side], axis=1)) / others
            share = below if sign > 0 else 1 - below
            found[:, side] = (share - share.mean(axis=1, keepdims=True)) / side.mean()
        return found


class AveragePrecision(OneVsRest):
    """The mean over positive rows of the precision down to their score."""

    name, label, chance = "average_precision", "average precision", 0.0

    def _score_class(self, positive: Array, scores: Array) -> Array:
        order = np.argsort(-scores, axis=1, kind="stable")
        hit, scores = positive[order], np.take_along_axis(scores, order, axis=1)
        _, last = _groups(scores)
        precision = np.take_along_axis(hit.cumsum(axis=1), last, axis=1) / (last + 1)
        return (precision * hit).sum(axis=1) / np.count_nonzero(positive)

    def _influence_class(self, positive: Array, scores: Array) -> Array:
        order = np.argsort(-scores, axis=1)
        hit = positive[order].astype(float)
        first, last = _groups(np.take_along_axis(scores, order, axis=1))
        rows = last + 1
        precision = np.take_along_axis(hit.cumsum(axis=1), last, axis=1) / rows
        # A row's weight moves its own term and the precision of every positive row not above it.
        gained = np.take_along_axis(_sums_onward(hit / rows), first, axis=1)
        diluted = np.take_along_axis(_sums_onward(hit * precision / rows), first, axis=1)
        mean = (hit * precision).sum(axis=1, keepdims=True) / hit.sum(axis=1, keepdims=True)
        ordered = (hit * (precision - mean + gained) - diluted) / positive.mean()
        found = np.empty(scores.shape)
        np.put_along_axis(found, order, ordered, axis=1)
        return found


class LogLoss(RowMean, ClassMetric):
    """The mean negative log-probability of the rows' classes."""

    name, label, better, best, elicits = "log_loss", "log loss", "lower", 0.0, "probabilities"

    def _of_rows(self, target: Array, predictions: Array) -> Array:
        chosen = predictions[:, np.arange(len(target)), target].astype(np.float64)
        return -np.log(np.clip(chosen, np.finfo(np.float64).eps, 1))


class Brier(RowMean, ClassMetric):
    """The mean squared distance of probabilities from the rows' classes."""

    name, label, better, best, elicits = "brier", "Brier score", "lower", 0.0, "probabilities"

    def _of_rows(self, target: Array, predictions: Array) -> Array:
        distance = (predictions - np.eye(predictions.shape[2])[target]) ** 2
        return distance[:, :, 1] if distance.shape[2] == 2 else distance.sum(axis=2)


def _confusion(target: Array, predictions: Array) -> Array:
    """Return the counts of each model by true and most probable class, (k, C, C)."""
    models, _, classes = predictions.shape
    pair = target * classes + predictions.argmax(axis=2)
    pair = pair + np.arange(models)[:, None] * classes**2
    return np.bincount(pair.ravel(), minlength=models * classes**2).reshape(
        models, classes, classes
    )


def _class_f1(target: Array, predictions: Array) -> Array:
    counts = _confusion(target, predictions)
    return _f1(np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=1), counts.sum(axis=2))


def _f1(hits: Array, chosen: Array, actual: Array | int) -> Array:
    return 2 * hits / np.maximum(chosen + actual, 1)


def _f1_influences(positive: Array, chosen: Array) -> Array:
    total = positive.mean() + chosen.mean(axis=1, keepdims=True)
    score = 2 * (positive & chosen).mean(axis=1, keepdims=True) / total
    return (2 * (positive & chosen) - score * (positive.astype(float) + chosen)) / total


def _against_rest(target: Array, predictions: Array) -> list[tuple[Array, Array]]:
    """Return of each class that only some rows have: which rows, and its probabilities (k, n)."""
    classes = [1] if predictions.shape[2] == 2 else np.unique(target)
    pairs = [(target == code, predictions[:, :, code]) for code in classes]
    return [pair for pair in pairs if 0 < np.count_nonzero(pair[0]) < len(target)]


def _groups(ordered: Array) -> tuple[Array, Array]:
    """Return where the group of equal scores that each row is in begins and ends."""
    places = np.broadcast_to(np.arange(ordered.shape[1]), ordered.shape)
    edges = np.diff(ordered, axis=1) != 0
    edge = np.ones((len(ordered), 1), bool)
    begins, ends = np.hstack([edge, edges]), np.hstack([edges, edge])
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    last = np.where(ends, places, ordered.shape[1])[:, ::-1]
    return first, np.minimum.accumulate(last, axis=1)[:, ::-1]


def _sums_onward(values: Array) -> Array:
    """Return the sums from each place to the end."""
    return np.cumsum(values[:, ::-1], axis=1)[:, ::-1]


METRICS = (
    Accuracy(),
    BalancedAccuracy(),
    F1(),
    MacroF1(),
    AUROC(),
    AveragePrecision(),
    LogLoss(),
    Brier(),
)
