"""Is a candidate better than the default beyond doubt? Paired, by rows and by trainings, for many.

Two candidates are compared row by row on the same folds. Their mean difference errs for two
reasons: the rows are a sample, and so are the trainings, whose luck all rows of a fold share. A
row recurs in every repeat, so neither may be counted as if the values were independent. Clustering
by both (Cameron, Gelbach and Miller, Robust Inference With Multiway Clustering, 2011) adds the
variance of sums over rows and that of sums over folds, less what both count. For single
trainings of each fold it is the interval of Bayle, Bayle, Janson and Mackey (Cross-validation
Confidence Intervals for Test Error, 2020) and more, by what trainings differ. The degrees of
freedom are Satterthwaite's (1946), from the fourth moment: few where few rows carry the variance.
The p-values of all candidates are corrected together (Holm, 1979).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95

ROUNDING = 1e-9  # of the mean: a standard error below it is what differences are rounded by

LEVEL = 0.05  # corrected p-value below which a difference is beyond doubt


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over folds with its interval, and the one-sided p-value of lying below zero."""

    mean: float
    low: float
    high: float
    p_value: float

    def in_metric_direction(self, turn: Callable[[float], float]) -> "Estimate":
        """Return an estimate of errors as one of scores, by what turns one into the other."""
        low, high = sorted((turn(self.low), turn(self.high)))
        return replace(self, mean=turn(self.mean), low=low, high=high)


def estimate(
    values: Sequence[np.ndarray], rows: Sequence[np.ndarray], overlap: float = 0.0
) -> Estimate:
    """Estimate the mean over folds of the mean over a fold's rows.

    Args:
        values: of each fold, one value a row; differences are negative where the candidate is
            better.
        rows: of each fold, the numbers of the units that its rows are, the same in every fold.
        overlap: validation rows for each training row. It counts where folds have one value each,
            a bare score: then only folds are evidence, which are alike because they train on the
            same rows (Nadeau and Bengio, Inference for the Generalization Error, 2003).
    """
    means = np.array([fold.mean() for fold in values])
    mean, count = float(means.mean()), len(means)
    if count < 2 or not np.isfinite(mean):
        return Estimate(mean=mean, low=-np.inf, high=np.inf, p_value=1.0)
    if all(len(fold) == 1 for fold in values):
        error = float(means.std(ddof=1)) * (1 / count + overlap) ** 0.5
        freedom = count - 1.0
    else:
        parts = [(fold - mean) / (count * len(fold)) for fold in values]
        error, freedom = _standard_error(parts, rows)
    if error <= ROUNDING * abs(mean):
        # Equal differences, of a coarse metric, prove no more than their signs do.
        return Estimate(mean=mean, low=mean, high=mean, p_value=0.5**count if mean < 0 else 1.0)
    margin = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) * error
    return Estimate(
        mean=mean,
        low=mean - margin,
        high=mean + margin,
        p_value=float(stats.t.cdf(mean / error, freedom)),
    )


def _standard_error(parts: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the error of the sum of all parts, clustered by row and by fold, and its freedom."""
    number = np.unique(np.concatenate(rows), return_inverse=True)[1]
    by_row = np.bincount(number, weights=np.concatenate(parts))
    by_fold = np.array([part.sum() for part in parts])
    pairs = zip(parts, rows, strict=True)
    both = sum(float((np.bincount(pd.factorize(own)[0], part) ** 2).sum()) for part, own in pairs)
    of_rows = float((by_row**2).sum()) * len(by_row) / (len(by_row) - 1)
    of_folds = float((by_fold**2).sum()) * len(by_fold) / (len(by_fold) - 1)
    variance = of_rows + max(0.0, of_folds - both)
    if variance <= np.finfo(float).tiny:
        return 0.0, 1.0
    square = float((by_row**4).sum()) + of_folds**2 / (len(by_fold) - 1)
    return variance**0.5, max(1.0, variance**2 / square)


def holm(p_values: Mapping[str, float], comparisons: int) -> dict[str, float]:
    """Correct p-values for a number of comparisons, those dropped before the end included."""
    corrected, running = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        running = max(running, min(1.0, p_values[name] * (comparisons - rank)))
        corrected[name] = running
    return corrected
