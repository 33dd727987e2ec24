"""What a table says of itself in numbers, by which tables are compared."""

import numpy as np
import pandas as pd
from scipy import stats

from lossmith.study.data.problem import Problem
from lossmith.study.data.units import same_features
from lossmith.study.diagnose.target import FAR, off_median, tail_index
from lossmith.study.tasks.sample import spread

Array = np.ndarray
ROWS = 1200  # that are compared with each other, of larger tables an even choice
NEIGHBOURS = 10
LOGS = {"rows", "columns", "distinct", "classes", "imbalance"}  # kept as logarithms


def features(problem: Problem, rows: Array | None = None) -> dict[str, float]:
    """Return the numbers of some rows of a table: how many, their target and their like rows.

    rows: numbers of them; all if None.
    """
    rows = np.arange(len(problem.target)) if rows is None else rows
    chosen, target = rows[spread(len(rows), ROWS)], problem.target[rows]
    found = {"rows": np.log(len(rows)), "columns": np.log(problem.features.shape[1])}
    found["contradictions"] = _contradictions(problem.features.iloc[rows], target)
    near, sample = _near(problem, chosen), problem.target[chosen]
    if problem.numbers:
        found |= _of_numbers(target)
        found |= _of_residuals(sample, sample[near])
    else:
        found |= _of_classes(target)
        found |= _of_votes(sample, sample[near])
    return {name: float(np.round(value, 8)) for name, value in found.items()}


def _of_numbers(target: Array) -> dict[str, float]:
    """Return how a target of numbers is spread."""
    found = {f"target {name}": value for name, value in _shape(target).items()}
    values, counts = np.unique(target, return_counts=True)
    found["zeros"] = (target == 0).mean()
    found["repeated"] = counts.max() / len(target)
    found["distinct"] = np.log(len(values) / len(target))
    found["positive"] = float(target.min() >= 0)
    return found


def _of_residuals(target: Array, near: Array) -> dict[str, float]:
    """Return how targets are spread about the middle of those of like rows."""
    off = target - np.median(near, axis=1)
    found = {f"residual {name}": value for name, value in _shape(off).items()}
    ranks = stats.rankdata(target)
    means = stats.rankdata(np.median(near, axis=1))
    found["told by neighbours"] = _correlation(ranks, means)
    size = np.abs(off)
    found["errors grow"] = _correlation(stats.rankdata(size), means)
    return found


def _shape(values: Array) -> dict[str, float]:
    """Return outliers, tail and skew of values; zeros where all are equal."""
    off = off_median(values)
    middle = np.abs(off)
    if middle.max() == 0:
        return dict.fromkeys(("outliers", "outliers' squares", "tail", "skew", "kurtosis"), 0.0)
    scale = 1.4826 * (np.median(middle) or np.median(middle[middle > 0]))
    far = middle > FAR * scale
    squares = off**2
    return {
        "outliers": far.mean(),
        "outliers' squares": squares[far].sum() / squares.sum(),
        "tail": 1 / max(tail_index(values), 0.5),
        "skew": np.arcsinh(stats.skew(off)),
        "kurtosis": np.arcsinh(stats.kurtosis(off)),
    }


def _of_classes(target: Array) -> dict[str, float]:
    """Return how many classes there are and how unequal."""
    counts = np.bincount(target)
    counts = counts[counts > 0]
    return {
        "classes": np.log(len(counts)),
        "imbalance": np.log(counts.max() / counts.min()),
        "largest": counts.max() / counts.sum(),
    }


def _of_votes(target: Array, near: Array) -> dict[str, float]:
    """Return how well the classes of like rows tell a row's class."""
    classes = np.unique(target)
    votes = np.stack([(near == code).mean(axis=1) for code in classes], axis=1)
    right = classes[votes.argmax(axis=1)] == target
    base = np.bincount(target).max() / len(target)
    own = votes[np.arange(len(target)), np.searchsorted(classes, target)]
    recall = np.mean([right[target == code].mean() for code in classes])
    return {
        "told by neighbours": (right.mean() - base) / max(1 - base, 1e-9),
        "recall by neighbours": (recall - 1 / len(classes)) / (1 - 1 / len(classes)),
        "alone": (own == 0).mean(),
        "doubt": -np.mean(np.sum(votes * np.log(np.maximum(votes, 1e-9)), axis=1)),
    }


def _contradictions(features: pd.DataFrame, target: Array) -> float:
    """Return the share of rows with the features of others and another target."""
    inputs = np.unique(same_features(features), return_inverse=True)[1]
    low = np.full(inputs.max() + 1, np.inf)
    high = -low
    np.minimum.at(low, inputs, target)
    np.maximum.at(high, inputs, target)
    return float((low < high)[inputs].mean())


def _near(problem: Problem, chosen: Array) -> Array:
    """Return each chosen row's nearest others by Gower's distance, as places, (n, k).

    Source: Gower, A General Coefficient of Similarity and Some of Its Properties, 1971; numbers by
    their ranks, a missing one as the middle.
    """
    numbers, texts = problem.columns.read(problem.features.iloc[chosen])
    apart = np.zeros((len(chosen), len(chosen)), np.float32)
    for column in numbers.T:
        ranks = np.full(len(column), 0.5, np.float32)
        known = np.isfinite(column)
        ranks[known] = stats.rankdata(column[known]) / max(1, known.sum())
        apart += np.abs(ranks[:, None] - ranks)
    for column in texts.T:
        codes = np.unique(column.astype(str), return_inverse=True)[1]
        apart += codes[:, None] != codes
    np.fill_diagonal(apart, np.inf)
    count = min(NEIGHBOURS, len(chosen) - 1)
    return np.argpartition(apart, count - 1, axis=1)[:, :count]


def _correlation(one: Array, other: Array) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
