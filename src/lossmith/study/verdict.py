"""Is a candidate better than the default beyond doubt? Paired, for overlapping folds, for many.

The scores of two candidates on the same cells are paired. Cells share most of their training
rows, so the variance of their mean is larger than the plain t-test believes; the corrected
resampled t-test (Nadeau and Bengio, Inference for the Generalization Error, 2003; for repeated
folds: Bouckaert and Frank, Evaluating the Replicability of Significance Tests for Comparing
Learning Algorithms, 2004) multiplies it by 1 + n · valid / train. The p-values of all candidates
are corrected together (Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over cells with its interval, and the one-sided p-value of lying below zero."""

    mean: float
    low: float
    high: float
    p_value: float


def estimate(values: np.ndarray, overlap: float) -> Estimate:
    """Estimate the mean of one value a cell by the corrected resampled t-test.

    Args:
        values: one a cell; paired differences, negative where the candidate is better.
        overlap: validation rows of a cell divided by its training rows.
    """
    count = len(values)
    mean = float(values.mean())
    if count < 2:
        return Estimate(mean=mean, low=-np.inf, high=np.inf, p_value=1.0)
    error = float(np.sqrt((1 / count + overlap) * values.var(ddof=1)))
    if error == 0:
        # Equal differences, of a coarse metric, prove no more than their signs do.
        return Estimate(mean=mean, low=mean, high=mean, p_value=0.5**count if mean < 0 else 1.0)
    margin = float(stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1)) * error
    return Estimate(
        mean=mean,
        low=mean - margin,
        high=mean + margin,
        p_value=float(stats.t.cdf(mean / error, count - 1)),
    )


def holm(p_values: Mapping[str, float], comparisons: int) -> dict[str, float]:
    """Correct p-values for a number of comparisons, those dropped before the end included."""
    corrected, running = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        running = max(running, min(1.0, p_values[name] * (comparisons - rank)))
        corrected[name] = running
    return corrected
