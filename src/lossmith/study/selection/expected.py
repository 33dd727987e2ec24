"""What is expected of the finalists of a table's study."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lossmith.study.base.result import CandidateResult
from lossmith.study.data.problem import Problem
from lossmith.study.metrics import Metric
from lossmith.study.metrics.base import relative_to_best
from lossmith.study.rules.compare import FoldErrors
from lossmith.study.rules.measurements import Measurements
from lossmith.study.rules.paired_test import Estimate
from lossmith.study.suggest.expectation import expectations

WIDTH = 2 * 1.959964  # of the 95 % interval of a normal estimate, in standard errors


def with_expectations(
    rows: Sequence[CandidateResult],
    measurements: Measurements,
    problem: Problem,
    studied: np.ndarray,
    metric: Metric,
) -> tuple[CandidateResult, ...]:
    """Return the losses of a study with what is expected of each, where other tables tell of it.

    studied: the rows of the table that the study is of.
    """
    pairs = measured(measurements, metric, len(studied))
    found = expectations(problem, studied, metric.name, pairs)
    return tuple(replace(row, expected=found.get(row.name)) for row in rows)


def measured(
    measurements: Measurements, metric: Metric, rows: int
) -> dict[str, tuple[float, float]]:
    """Return the log of each finalist's error over the default's, with its standard error.

    Those whose difference has no error are left out: equal, or seen once. rows: that are studied.
    """
    (_, default), *rivals = measurements.weighed().errors.items()
    pairs = {name: ratio(one, default, metric, rows) for name, one in rivals}
    return {name: pair for name, pair in pairs.items() if 0 < pair[1] < np.inf}


def ratio(one: FoldErrors, default: FoldErrors, metric: Metric, rows: int) -> tuple[float, float]:
    """Return the log of an error over the default's, and its standard error.

    It is what the test compares: where higher is better the difference, in units of the error.
    """
    logs = one.log_ratio(default)
    if logs is not None:
        return logs.mean, standard_error(logs)
    scores = [metric.error(float(own.errors.mean())) for own in (one, default)]
    own, base = (relative_to_best(metric, score, rows) for score in scores)
    return float(np.log(own / base)), standard_error(one.difference(default)) / own


def standard_error(estimate: Estimate) -> float:
    """Return that of a normal estimate with the same interval, wider where few rows decide."""
    return (estimate.high - estimate.low) / WIDTH
