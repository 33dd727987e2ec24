"""What the target says: its range, its tails, its repeated values, its classes."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from lossmith.study.base.formatting import listed, percent, pluralize
from lossmith.study.base.result import Finding
from lossmith.study.data.problem import Problem
from lossmith.study.diagnose.censored import of_times
from lossmith.study.diagnose.codes import code_for_missing, coded
from lossmith.study.diagnose.queries import of_queries

Array = np.ndarray
FAR = 6.0  # robust standard deviations from the median; 2 in a billion of normal values
NEARLY_ALL = 0.9  # share of one value, beyond which there is little else to learn
FEW_ROWS = 20  # of a class whose scores are luck


def of_target(problem: Problem) -> Iterator[Finding]:
    """Yield what a target of numbers, of classes, times to an event or relevances says."""
    if problem.task == "survival":
        yield from of_times(problem.target)
    elif problem.task == "ranking":
        yield from of_queries(problem.target)
    elif problem.numbers:
        yield from coded({problem.name: problem.single})
        for check in (_range, _outliers, _tail, _skew, _zeros, _repeats):
            yield from check(problem.target)
    else:
        yield from _classes(problem)
        yield from _spelt_alike(problem)


def _range(target: Array) -> Iterator[Finding]:
    low, high = target.min(), target.max()
    if low > 0:
        meaning = "all positive: relative errors and a log-transformed target are open"
    elif low == 0:
        meaning = "none negative: a log1p-transformed target is open, mape is not"
    else:
        meaning = "negative values: no log transform, no relative errors"
    yield Finding(name="range", value=f"{_plain(low)} to {_plain(high)}", meaning=meaning)


def _outliers(target: Array) -> Iterator[Finding]:
    deviation = np.abs(_robust_z(target))
    far = deviation > FAR
    if not far.any():
        meaning = "none: squared errors are safe as far as the target's own spread goes"
        yield Finding(name="outliers", value=0.0, meaning=meaning)
        return
    squares = off_median(target) ** 2
    share = squares[far].sum() / squares.sum()
    heavy = share > 0.25
    follow = (
        "so squared errors follow them; MAE, Huber or Cauchy do not"
        if heavy
        else ("so squared errors lean on them somewhat")
    )
    yield Finding(
        name="outliers",
        value=f"{pluralize(int(far.sum()), 'row')} ({percent(far.mean())})",
        meaning=(
            f"more than {FAR:g} robust deviations off, up to {deviation.max():.3g}; they carry "
            f"{percent(share)} of the squared deviations, {follow}"
        ),
        level="warning" if heavy else "info",
    )


def _tail(target: Array) -> Iterator[Finding]:
    index = tail_index(target)
    if not np.isfinite(index):
        return
    if index < 2:
        meaning = "as without a finite variance: means, MSE and R² rest on a few rows"
    elif index < 4:
        meaning = "heavy: squared errors are noisy; robust and Student-t losses are worth a try"
    else:
        meaning = "light: the far tail alone speaks against no loss"
    yield Finding(
        name="tail index",
        value=round(index, 2),
        meaning=meaning,
        level="warning" if index < 2 else "info",
    )


def _skew(target: Array) -> Iterator[Finding]:
    skew = _skewness(target)
    meaning = "close to symmetric: mean and median agree, so MSE and MAE aim alike"
    if abs(skew) > 1:
        meaning = "mean and median differ, so MSE and MAE aim at different values"
        if target.min() > -1 and abs(logged := _skewness(np.log1p(target))) < abs(skew) / 2:
            meaning += f"; log1p of the target brings the skew to {logged:.2g}"
    elif abs(skew) > 0.5:
        meaning = "moderate: mean and median differ somewhat, as do the aims of MSE and MAE"
    yield Finding(name="skew", value=round(skew, 2), meaning=meaning)


def _zeros(target: Array) -> Iterator[Finding]:
    if zeros := float((target == 0).mean()):
        yield Finding(
            name="zeros",
            value=percent(zeros),
            meaning=(
                "the median is 0, which MAE predicts for doubtful rows"
                if np.median(target) == 0
                else "relative errors (mape) are undefined there"
            ),
            level="warning" if zeros > 0.3 else "info",
        )


def _repeats(target: Array) -> Iterator[Finding]:
    values, counts = np.unique(target, return_counts=True)
    top = int(counts.argmax())
    share = counts[top] / len(target)
    if values[top] == 0 or share < 0.05 or (len(values) <= 20 and share < NEARLY_ALL):
        return
    if values[top] == code_for_missing(target):
        return  # told of as such
    if share >= NEARLY_ALL:
        meaning = "nearly all rows have it, so scores rest on the few others"
    elif top in (0, len(values) - 1):
        meaning = (
            "the lowest or highest value repeats: if values were cut off there, "
            "errors beyond it cannot be seen"
        )
    else:
        meaning = "if it stands for a default or a missing value, remove those rows"
    yield Finding(
        name="repeated value",
        value=f"{values[top]:.6g} ({percent(share)})",
        meaning=meaning,
        level="warning" if share > 0.1 else "info",
    )


def _classes(problem: Problem) -> Iterator[Finding]:
    counts = np.bincount(problem.target, minlength=len(problem.classes))
    largest, smallest = counts.max() / counts.sum(), counts.min() / counts.sum()
    ratio = counts.max() / counts.min()
    yield Finding(
        name="classes",
        value=float(len(counts)),
        meaning=f"always answering {problem.classes[counts.argmax()]!r} is right in "
        f"{percent(largest)} of the rows",
    )
    if ratio < 1.5:
        meaning = "balanced enough for plain cross-entropy under every metric"
    else:
        meaning = (
            f"the rarest class has {percent(smallest)} of the rows; plain cross-entropy serves "
            "accuracy, class-balanced losses serve balanced metrics"
        )
    yield Finding(
        name="imbalance",
        value=f"{ratio:.3g} : 1",
        meaning=meaning,
        level="warning" if ratio >= 10 else "info",
    )
    rare = [name for name, count in zip(problem.classes, counts, strict=True) if count < FEW_ROWS]
    if rare:
        yield Finding(
            name="rare classes",
            value=listed(rare),
            meaning=f"fewer than {FEW_ROWS} rows: their scores are mostly luck; merge them or "
            "collect more",
            level="warning",
        )


def _spelt_alike(problem: Problem) -> Iterator[Finding]:
    spelt = pd.Series(problem.classes).str.split().str.join(" ").str.casefold()
    if alike := [repr(problem.classes[place]) for place in np.flatnonzero(spelt.duplicated(False))]:
        yield Finding(
            name="classes spelt alike",
            value=listed(alike),
            meaning="differ in blanks or capitals alone, yet are learnt as different: write one "
            "class one way",
            level="warning",
        )


def tail_index(values: Array) -> float:
    """Return Hill's estimate of the tail index of the distances to the median; inf if none.

    Source: Hill, "A simple general approach to inference about the tail of a distribution", 1975.
    """
    distance = np.sort(np.abs(off_median(values)))[::-1]
    top = int(np.sqrt(len(distance)))
    if top >= len(distance) or distance[top] == 0:
        return np.inf
    excess = np.log(distance[:top] / distance[top]).mean()
    return float(1 / excess) if excess > 0 else np.inf


def _robust_z(values: Array) -> Array:
    """Return deviations from the median in units of the spread of the middle of the values."""
    off = off_median(values)
    spread = 1.4826 * np.median(np.abs(off))
    if spread == 0:  # more than half of the values are equal: the spread of the others
        others = np.abs(off[off != 0])
        spread = 1.4826 * np.median(others)
    return off / spread


def _skewness(values: Array) -> float:
    return float(stats.skew(off_median(values)))


def off_median(values: Array) -> Array:
    """Return distances to the median, in units that keep moments finite.

    Values are divided by the largest magnitude, so that squares cannot overflow, and lose their
    middle, beside which moments lose all digits and are NaN.
    """
    scaled = values / max(float(np.abs(values).max()), float(np.finfo(float).tiny))
    return scaled - np.median(scaled)


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"
