"""The metrics of a study: what each asks of a prediction, and its exact score for many models."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

from lossmith.core.card import Task
from lossmith.study.errors import InputError

Array = np.ndarray
Elicits = Literal["mean", "median", "quantile", "probabilities", "balanced", "decision"]

REGRESSION: tuple[Task, ...] = ("regression",)
CLASSES: tuple[Task, ...] = ("binary", "multiclass")
LOWEST_PREDICTION = -1 + 1e-6  # of rmsle, whose logarithm ends at -1
TAUS = np.linspace(0.0, 1.5, 16)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric: the tasks it fits, what it rewards, and how it scores predictions.

    Predictions are (n,) numbers in the target's own unit, or (n, C) probabilities, where C is 2
    for a binary task and column 1 is the positive class; targets are (n,) numbers or class codes.
    elicits: the functional of the target that scores best; "decision" is a class read from
    probabilities. level: of a quantile. transform: the scale on which the functional is taken,
    "log1p" of the target, or errors "relative" to it. tuned: classes are decided by `tune`.
    """

    name: str
    tasks: tuple[Task, ...]
    better: Literal["lower", "higher"]
    elicits: Elicits
    function: Callable[[Array, Array], Array]
    level: float | None = None
    transform: Literal["log1p", "relative"] | None = None
    tuned: bool = False

    def __reduce__(self) -> tuple[Callable[[str], "Metric"], tuple[str]]:
        return lookup, (self.name,)

    @property
    def worst(self) -> float:
        """The score of a model that diverged."""
        return np.inf if self.better == "lower" else -np.inf

    def check(self, target: Array) -> None:
        """Raise InputError when the metric is undefined for these targets."""
        if self.name == "rmsle" and target.min() <= -1:
            raise InputError(
                f"rmsle needs targets above -1, but the smallest is {target.min():g}; "
                "use --metric mae or rmse"
            )
        if self.name == "mape" and (target == 0).any():
            raise InputError(
                f"mape divides by the target, which is 0 in {int((target == 0).sum())} rows; "
                "use --metric mae, or rmsle where relative errors matter"
            )

    def score(self, target: Array, prediction: Array, decision: Array | None = None) -> float:
        """Return the score of one model; see `scores`."""
        return float(self.scores(target, prediction[None], decision)[0])

    def scores(self, target: Array, predictions: Array, decision: Array | None = None) -> Array:
        """Return the scores of k models at once, (k,).

        Args:
            target: (n,).
            predictions: (k, n), or (k, n, C) probabilities.
            decision: of a tuned metric, one for all models (C,) or one each (k, C); without it
                the most probable class is decided.

        A model with a prediction that is not finite scores `worst`.
        """
        predictions = np.asarray(predictions)
        dimensions = 2 if self.tasks == REGRESSION else 3
        if predictions.ndim != dimensions or predictions.shape[1] != len(target):
            raise ValueError(
                f"{self.name} needs predictions of shape (k, {len(target)}"
                f"{', C' if dimensions == 3 else ''}), got {predictions.shape}"
            )
        finite = np.isfinite(predictions).all(axis=tuple(range(1, dimensions)))
        if not finite.all():
            predictions = np.where(
                np.expand_dims(finite, tuple(range(1, dimensions))), predictions, 0
            )
        if dimensions == 2:
            predictions = predictions.astype(np.float64, copy=False)
        elif self.tuned and decision is not None:
            predictions = shifted(predictions, decision)
        with np.errstate(over="ignore", invalid="ignore"):
            result = self.function(np.asarray(target), predictions)
        return np.where(finite & ~np.isnan(result), result, self.worst)

    def tune(self, target: Array, prediction: Array) -> Array | None:
        """Return the decision that scores best on these rows, (C,); None if nothing is tuned.

        A decision is subtracted from the log-probabilities before the most probable class is
        taken. For two classes every threshold is tried; for more, the log of the class
        frequencies times one factor, as in logit adjustment.
        """
        if not self.tuned:
            return None
        if not np.isfinite(prediction).all():
            return np.zeros(prediction.shape[1])
        if prediction.shape[1] == 2:
            return _best_threshold(target, prediction, macro=self.name == "f1_macro")
        frequency = np.maximum(np.bincount(target, minlength=prediction.shape[1]), 0.5) / len(
            target
        )
        options = TAUS[:, None] * np.log(frequency)
        scores = self.scores(target, np.repeat(prediction[None], len(TAUS), axis=0), options)
        return options[int(np.argmax(scores))]


def shifted(predictions: Array, decision: Array) -> Array:
    """Return log-probabilities less the decision, which is (C,) or one a model, (k, C)."""
    decision = np.asarray(decision, dtype=np.float64)
    shift = decision[..., None, :] if decision.ndim > 1 else decision
    return _log(predictions) - shift


def decide(prediction: Array, decision: Array | None = None) -> Array:
    """Return class codes (n,) from probabilities (n, C) and the decision that `tune` returned."""
    return (prediction if decision is None else shifted(prediction, decision)).argmax(axis=-1)


def _log(probabilities: Array) -> Array:
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny), dtype=np.float64)


def _best_threshold(target: Array, prediction: Array, *, macro: bool) -> Array:
    """Try every threshold on the log-odds of two classes; return the decision of the best F1."""
    logs = _log(prediction)
    odds = logs[:, 1] - logs[:, 0]
    order = np.argsort(-odds, kind="stable")
    odds, rows = odds[order], len(odds)
    chosen = np.arange(rows + 1)  # rows called positive under each threshold
    hits = np.concatenate([[0], np.cumsum(target[order] == 1)])
    positives = hits[-1]
    score = _f1(hits, chosen, positives)
    if macro:
        rejected = rows - chosen
        score = score + _f1(rejected - (positives - hits), rejected, rows - positives)
    score[1:-1][odds[1:] == odds[:-1]] = -1  # no threshold parts equal odds
    best = int(np.argmax(score))
    edges = np.concatenate([[odds[0] + 1], (odds[1:] + odds[:-1]) / 2, [odds[-1] - 1]])
    return np.array([0.0, edges[best]])


def _f1(hits: Array, chosen: Array, actual: Array) -> Array:
    return 2 * hits / np.maximum(chosen + actual, 1)


def _confusion(target: Array, predictions: Array) -> Array:
    """Return the counts of each model by true and most probable class, (k, C, C)."""
    models, _, classes = predictions.shape
    cell = target * classes + predictions.argmax(axis=2)
    cell = cell + np.arange(models)[:, None] * classes**2
    return np.bincount(cell.ravel(), minlength=models * classes**2).reshape(
        models, classes, classes
    )


def _balanced_accuracy(target: Array, predictions: Array) -> Array:
    counts = _confusion(target, predictions)
    present = np.unique(target)
    hits = np.diagonal(counts, axis1=1, axis2=2)[:, present]
    return (hits / counts.sum(axis=2)[:, present]).mean(axis=1)


def _class_f1(target: Array, predictions: Array) -> Array:
    counts = _confusion(target, predictions)
    return _f1(np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=1), counts.sum(axis=2))


def _f1_macro(target: Array, predictions: Array) -> Array:
    return _class_f1(target, predictions)[:, np.unique(target)].mean(axis=1)


def _one_vs_rest(one: Callable[[Array, Array], Array], chance: float) -> Callable[..., Array]:
    """Average a metric of (positive, scores) over the classes present; two classes give one."""

    def average(target: Array, predictions: Array) -> Array:
        classes = [1] if predictions.shape[2] == 2 else np.unique(target)
        parts = [
            one(target == code, predictions[:, :, code])
            for code in classes
            if 0 < np.count_nonzero(target == code) < len(target)
        ]
        return np.mean(parts, axis=0) if parts else np.full(len(predictions), chance)

    return average


def _auroc(positive: Array, scores: Array) -> Array:
    hits = np.count_nonzero(positive)
    ranks = rankdata(scores, axis=1)[:, positive].sum(axis=1)
    return (ranks - hits * (hits + 1) / 2) / (hits * (len(positive) - hits))


def _average_precision(positive: Array, scores: Array) -> Array:
    order = np.argsort(-scores, axis=1, kind="stable")
    hit, scores = positive[order], np.take_along_axis(scores, order, axis=1)
    rows = scores.shape[1]
    last = np.concatenate(
        [scores[:, 1:] != scores[:, :-1], np.ones((len(scores), 1), bool)], axis=1
    )
    end = np.where(last, np.arange(rows), rows - 1)  # of each run of equal scores
    end = np.minimum.accumulate(end[:, ::-1], axis=1)[:, ::-1]
    precision = np.take_along_axis(hit.cumsum(axis=1), end, axis=1) / (end + 1)
    return (precision * hit).sum(axis=1) / np.count_nonzero(positive)


def _r2(target: Array, predictions: Array) -> Array:
    residual = ((target - predictions) ** 2).sum(axis=1)
    total = ((target - target.mean()) ** 2).sum()
    return 1 - residual / total if total > 0 else np.where(residual > 0, 0.0, 1.0)


def _rmsle(target: Array, predictions: Array) -> Array:
    logs = np.log1p(np.maximum(predictions, LOWEST_PREDICTION))
    return np.sqrt(((np.log1p(target) - logs) ** 2).mean(axis=1))


def _pinball(level: float) -> Callable[[Array, Array], Array]:
    def mean(target: Array, predictions: Array) -> Array:
        error = target - predictions
        return np.maximum(level * error, (level - 1) * error).mean(axis=1)

    return mean


def _log_loss(target: Array, predictions: Array) -> Array:
    chosen = predictions[:, np.arange(len(target)), target].astype(np.float64)
    return -np.log(np.clip(chosen, np.finfo(np.float64).eps, 1)).mean(axis=1)


def _brier(target: Array, predictions: Array) -> Array:
    distance = (predictions - np.eye(predictions.shape[2])[target]) ** 2
    return (
        distance[:, :, 1].mean(axis=1) if distance.shape[2] == 2 else distance.sum(2).mean(axis=1)
    )


def _regression(name: str, elicits: Elicits, function: Callable[..., Array], **more: Any) -> Metric:
    return Metric(
        name=name,
        tasks=REGRESSION,
        elicits=elicits,
        function=function,
        **{"better": "lower"} | more,
    )


def _classes(name: str, elicits: Elicits, function: Callable[..., Array], **more: Any) -> Metric:
    defaults = {"better": "higher", "tasks": CLASSES}
    return Metric(name=name, elicits=elicits, function=function, **defaults | more)


_METRICS = {
    item.name: item
    for item in (
        _regression("rmse", "mean", lambda y, p: np.sqrt(((y - p) ** 2).mean(axis=1))),
        _regression("mae", "median", lambda y, p: np.abs(y - p).mean(axis=1)),
        _regression("medae", "median", lambda y, p: np.median(np.abs(y - p), axis=1)),
        _regression(
            "mape", "median", lambda y, p: np.abs((y - p) / y).mean(axis=1), transform="relative"
        ),
        _regression("rmsle", "mean", _rmsle, transform="log1p"),
        _regression("r2", "mean", _r2, better="higher"),
        _regression("pinball", "quantile", _pinball(0.5), level=0.5),
        _classes("accuracy", "decision", lambda y, p: (p.argmax(axis=2) == y).mean(axis=1)),
        _classes("balanced_accuracy", "balanced", _balanced_accuracy),
        _classes(
            "f1", "decision", lambda y, p: _class_f1(y, p)[:, 1], tasks=("binary",), tuned=True
        ),
        _classes("f1_macro", "decision", _f1_macro, tuned=True),
        _classes("auroc", "probabilities", _one_vs_rest(_auroc, chance=0.5)),
        _classes(
            "average_precision", "probabilities", _one_vs_rest(_average_precision, chance=0.0)
        ),
        _classes("log_loss", "probabilities", _log_loss, better="lower"),
        _classes("brier", "probabilities", _brier, better="lower"),
    )
}


def names(task: Task | None = None) -> list[str]:
    """Return the names of all metrics, those of one task if given."""
    return [
        "pinball@0.9" if name == "pinball" else name
        for name, item in _METRICS.items()
        if task is None or task in item.tasks
    ]


def lookup(name: str) -> Metric:
    """Return a metric by its name, whatever the task.

    Raises:
        InputError: for an unknown name, with the nearest ones, or a level outside (0, 1).

    >>> lookup("pinball@0.9").level
    0.9
    """
    base, _, level = name.strip().lower().partition("@")
    if base == "pinball":
        return _quantile(name, level)
    if base in _METRICS and not level:
        return _METRICS[base]
    near = difflib.get_close_matches(base, _METRICS, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names())}"
    raise InputError(f"no metric is called {name!r}; {hint}")


def metric(name: str, task: Task) -> Metric:
    """Return a metric by its name for a task.

    >>> metric("mae", "regression").elicits
    'median'

    Raises:
        InputError: for an unknown name, or a metric that does not fit the task.
    """
    found = lookup(name)
    if task not in found.tasks:
        raise InputError(
            f"metric {found.name} is for {' or '.join(found.tasks)}, but the task is {task}; "
            f"metrics for {task}: {', '.join(names(task))}"
        )
    return found


def _quantile(name: str, text: str) -> Metric:
    try:
        level = float(text)
    except ValueError:
        level = 0.0
    if not 0 < level < 1:
        raise InputError(f"{name!r} needs a level between 0 and 1, for example pinball@0.9")
    return replace(
        _METRICS["pinball"], name=f"pinball@{level:g}", level=level, function=_pinball(level)
    )
