"""What each row adds to a score: the metric's influence function, exact for means of rows.

A score is a mean over rows, or a smooth function of such means. To first order it moves with a
row's weight by the row's influence (Hampel, The Influence Curve and its Role in Robust
Estimation, 1974; of the area under the ROC curve: DeLong et al., 1988), so that the influences,
which sum to zero, carry the sampling error of any metric row by row.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

from lossmith.study.metrics.base import LOWEST_PREDICTION, Metric, shifted

Array = np.ndarray
NEAR = 0.15  # of the ranks on each side of the median, from which its density is taken


def influences(
    metric: Metric, target: Array, predictions: Array, decision: Array | None = None
) -> Array:
    """Return each row's influence on the score of each of k models, (k, n).

    Args:
        metric: what is scored.
        target: (n,).
        predictions: (k, n), or (k, n, C) probabilities; models that are not finite have none.
        decision: as in `Metric.scores`.
    """
    finite = np.isfinite(predictions).all(axis=tuple(range(1, predictions.ndim)))
    safe = np.where(np.expand_dims(finite, tuple(range(1, predictions.ndim))), predictions, 0.0)
    if metric.tuned and decision is not None:
        safe = shifted(safe, decision)
    function = _FUNCTIONS[metric.name.partition("@")[0]]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = function(metric, target, safe)
    found = found - found.mean(axis=1, keepdims=True)  # of rounding, and of single draws
    return np.where(finite[:, None] & np.isfinite(found), found, 0.0)


def _mean(row_scores: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    return lambda metric, target, predictions: row_scores(target, predictions)


def _pinball(metric: Metric, target: Array, predictions: Array) -> Array:
    error, level = target - predictions, metric.level
    assert level is not None
    return np.maximum(level * error, (level - 1) * error)


def _root(squares: Array) -> Array:
    mean = squares.mean(axis=1, keepdims=True)
    return (squares - mean) / (2 * np.sqrt(mean))


def _rmse(metric: Metric, target: Array, predictions: Array) -> Array:
    return _root((target - predictions) ** 2)


def _rmsle(metric: Metric, target: Array, predictions: Array) -> Array:
    logs = np.log1p(np.maximum(predictions, LOWEST_PREDICTION))
    return _root((np.log1p(target) - logs) ** 2)


def _r2(metric: Metric, target: Array, predictions: Array) -> Array:
    squares, spread = (target - predictions) ** 2, (target - target.mean()) ** 2
    ratio = squares.mean(axis=1, keepdims=True) / spread.mean()
    return (ratio * spread - squares) / spread.mean()


def _medae(metric: Metric, target: Array, predictions: Array) -> Array:
    error = np.abs(target - predictions)
    low, middle, high = np.quantile(error, [0.5 - NEAR, 0.5, 0.5 + NEAR], axis=1)[..., None]
    return ((error > middle) - 0.5) * (high - low) / (2 * NEAR)


def _balanced_accuracy(metric: Metric, target: Array, predictions: Array) -> Array:
    hit, classes = predictions.argmax(axis=2) == target, np.unique(target)
    found = np.zeros(hit.shape)
    for code in classes:
        own = target == code
        recall = hit[:, own].mean(axis=1, keepdims=True)
        found[:, own] = (hit[:, own] - recall) / (own.mean() * len(classes))
    return found


def _f1(positive: Array, chosen: Array) -> Array:
    total = positive.mean() + chosen.mean(axis=1, keepdims=True)
    score = 2 * (positive & chosen).mean(axis=1, keepdims=True) / total
    return (2 * (positive & chosen) - score * (positive.astype(float) + chosen)) / total


def _f1_positive(metric: Metric, target: Array, predictions: Array) -> Array:
    return _f1(target == 1, predictions.argmax(axis=2) == 1)


def _f1_macro(metric: Metric, target: Array, predictions: Array) -> Array:
    chosen = predictions.argmax(axis=2)
    return np.mean([_f1(target == code, chosen == code) for code in np.unique(target)], axis=0)


def _one_vs_rest(one: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def average(metric: Metric, target: Array, predictions: Array) -> Array:
        classes = [1] if predictions.shape[2] == 2 else np.unique(target)
        parts = [
            one(target == code, predictions[:, :, code])
            for code in classes
            if 0 < np.count_nonzero(target == code) < len(target)
        ]
        return np.mean(parts, axis=0) if parts else np.zeros(predictions.shape[:2])

    return average


def _auroc(positive: Array, scores: Array) -> Array:
    """Return each row's share of the other class that it is ranked rightly against."""
    found, everyone = np.empty(scores.shape), rankdata(scores, axis=1)
    for side, sign in ((positive, 1), (~positive, -1)):
        others = np.count_nonzero(~side)
        below = (everyone[:, side] - rankdata(scores[:, side], axis=1)) / others
        place = below if sign > 0 else 1 - below
        found[:, side] = (place - place.mean(axis=1, keepdims=True)) / side.mean()
    return found


def _average_precision(positive: Array, scores: Array) -> Array:
    order = np.argsort(-scores, axis=1)
    hit = positive[order].astype(float)
    first, last = _groups(np.take_along_axis(scores, order, axis=1))
    place = last + 1
    precision = np.take_along_axis(hit.cumsum(axis=1), last, axis=1) / place
    # A row's weight moves its own term and the precision of every positive row not above it.
    gained = np.take_along_axis(_onward(hit / place), first, axis=1)
    diluted = np.take_along_axis(_onward(hit * precision / place), first, axis=1)
    mean = (hit * precision).sum(axis=1, keepdims=True) / hit.sum(axis=1, keepdims=True)
    ordered = (hit * (precision - mean + gained) - diluted) / positive.mean()
    found = np.empty(scores.shape)
    np.put_along_axis(found, order, ordered, axis=1)
    return found


def _groups(ordered: Array) -> tuple[Array, Array]:
    """Return where the group of equal scores that each row is in begins and ends."""
    places = np.broadcast_to(np.arange(ordered.shape[1]), ordered.shape)
    edges = np.diff(ordered, axis=1) != 0
    edge = np.ones((len(ordered), 1), bool)
    begins, ends = np.hstack([edge, edges]), np.hstack([edges, edge])
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    last = np.where(ends, places, ordered.shape[1])[:, ::-1]
    return first, np.minimum.accumulate(last, axis=1)[:, ::-1]


def _onward(values: Array) -> Array:
    """Return the sums from each place to the end."""
    return np.cumsum(values[:, ::-1], axis=1)[:, ::-1]


def _log_loss(target: Array, predictions: Array) -> Array:
    chosen = predictions[:, np.arange(len(target)), target].astype(np.float64)
    return -np.log(np.clip(chosen, np.finfo(np.float64).eps, 1))


def _brier(target: Array, predictions: Array) -> Array:
    distance = (predictions - np.eye(predictions.shape[2])[target]) ** 2
    return distance[:, :, 1] if distance.shape[2] == 2 else distance.sum(axis=2)


_FUNCTIONS: dict[str, Callable[[Metric, Array, Array], Array]] = {
    "rmse": _rmse,
    "mae": _mean(lambda y, p: np.abs(y - p)),
    "medae": _medae,
    "mape": _mean(lambda y, p: np.abs((y - p) / y)),
    "rmsle": _rmsle,
    "r2": _r2,
    "pinball": _pinball,
    "accuracy": _mean(lambda y, p: (p.argmax(axis=2) == y).astype(float)),
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1_positive,
    "f1_macro": _f1_macro,
    "auroc": _one_vs_rest(_auroc),
    "average_precision": _one_vs_rest(_average_precision),
    "log_loss": _mean(_log_loss),
    "brier": _mean(_brier),
}
