"""Classes decided from probabilities, and the decision that scores best on given rows.

A decision is subtracted from the log-probabilities before the most probable class is taken.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

Array = np.ndarray
Rule = Literal["mode", "median", "mean"]
AtThresholds = Callable[[Array, Array, int, int], Array]  # see `TunedMetric.at_thresholds`
PARTS = 5  # of a validation set's rows; each is decided as suits the others best
FACTORS = np.linspace(0.0, 1.5, 16)  # of the log of the class frequencies


def shifted(predictions: Array, decision: Array | None) -> Array:
    """Return log-probabilities less the decision, (C,) or one a model, (k, C); None leaves all."""
    if decision is None:
        return predictions
    decision = np.asarray(decision, dtype=np.float64)
    shift = decision[..., None, :] if decision.ndim > 1 else decision
    return _log(predictions) - shift


def decide(prediction: Array, decision: Array | None = None, rule: Rule = "mode") -> Array:
    """Return class codes (n,) from probabilities (n, C) and a tuned decision (C,).

    rule: the likeliest class, or of ordered ones the median or the rounded mean.

    >>> probabilities = np.array([[0.4, 0.1, 0.1, 0.4], [0.1, 0.2, 0.3, 0.4]])
    >>> [decide(probabilities, rule=rule).tolist() for rule in ("mode", "median", "mean")]
    [[0, 3], [1, 2], [2, 2]]
    """
    if rule == "median":
        sums = np.cumsum(prediction, axis=-1)
        return (sums < 0.5 * sums[..., -1:] - 1e-9).sum(axis=-1)
    if rule == "mean":
        total = np.maximum(prediction.sum(axis=-1), np.finfo(np.float32).tiny)
        mean = prediction @ np.arange(prediction.shape[-1]) / total
        return np.rint(mean).astype(np.int64)
    return shifted(prediction, decision).argmax(axis=-1)


def best_decision(
    target: Array,
    prediction: Array,
    scores: Callable[[Array, Array], Array],
    at_thresholds: AtThresholds,
) -> Array:
    """Return the decision that scores best on these rows, (C,).

    For two classes every threshold is tried; for more, the log of the class frequencies times one
    factor, as in logit adjustment.
    """
    classes = prediction.shape[1]
    if not np.isfinite(prediction).all():
        return np.zeros(classes)
    if classes == 2:
        return _best_threshold(target, prediction, at_thresholds)
    frequency = np.maximum(np.bincount(target, minlength=classes), 0.5) / len(target)
    options = FACTORS[:, None] * np.log(frequency)
    repeated = np.repeat(prediction[None], len(FACTORS), axis=0)
    return options[int(np.argmax(scores(target, shifted(repeated, options))))]


def _best_threshold(target: Array, prediction: Array, at_thresholds: AtThresholds) -> Array:
    """Try every threshold on the log-odds of two classes."""
    logs = _log(prediction)
    odds = logs[:, 1] - logs[:, 0]
    order = np.argsort(-odds, kind="stable")
    odds, rows = odds[order], len(odds)
    chosen = np.arange(rows + 1)  # rows called positive under each threshold
    hits = np.concatenate([[0], np.cumsum(target[order] == 1)])
    score = at_thresholds(hits, chosen, hits[-1], rows)
    score[1:-1][odds[1:] == odds[:-1]] = -1  # no threshold parts equal odds
    edges = np.concatenate([[odds[0] + 1], (odds[1:] + odds[:-1]) / 2, [odds[-1] - 1]])
    return np.array([0.0, edges[int(np.argmax(score))]])


def _log(probabilities: Array) -> Array:
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny), dtype=np.float64)
