r"""What is expected of a study's finalists: what it measured, and what other tables say of them.

Let v be a loss's gain on the scale of `even`, on which other tables give it a mean μ and a standard
deviation σ, and r(v) the logarithm of its error over the default's. A study measured that as m with
standard error s. Then

.. math:: p(v) \propto \exp\left(-\frac{(m - r(v))^2}{2 (c s)^2}
    - \frac{(v - \mu)^2}{2 (d \sigma)^2}\right)

which for small gains, where r is linear, is the mean of both weighed by their precisions. c = 1.3
allows for what the test does not see: what is delivered trains on all rows, and others judge it;
d = 1.5 for other tables having been measured otherwise, with shorter trainings and an earlier body.
Both were chosen on one half of [the tables of a draw](../unseen.md) and are judged on the other.

Source: Efron & Morris, Data Analysis Using Stein's Estimator and its Generalizations, 1975.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from lossmith.study.base.result import MOST_HARM, CandidateResult, Expected
from lossmith.study.data.problem import Problem
from lossmith.study.suggest.features import features
from lossmith.study.suggest.knowledge import MOST, SMALL, source

OWN_DOUBT = 1.3  # c above
OTHERS_DOUBT = 1.5  # d above
STEPS = 4001  # of the scale of gains

Array = np.ndarray


def expectations(
    problem: Problem, rows: Array, metric: str, measured: Mapping[str, tuple[float, float]]
) -> dict[str, Expected]:
    """Return what is expected of losses, by name; nothing where no other table tells of the metric.

    Args:
        problem: the table.
        rows: those of the table that were studied.
        metric: of the study.
        measured: the log of each loss's error over the default's, and its standard error.
    """
    found = source(problem.task, metric)
    if found is None or not measured:
        return {}
    point = found.knowledge.point(features(problem, rows))
    return {
        name: expected(*pair, *found.forecast(name, point), found.power)
        for name, pair in measured.items()
    }


def expected(
    measured: float, error: float, mean: float, deviation: float, power: float = 1.0
) -> Expected:
    """Combine what was measured with what other tables say.

    Args:
        measured: log of the loss's error over the default's.
        error: its standard error, above 0.
        mean: what other tables say of the gain, on the scale of `even`.
        deviation: how sure they are, above 0.
        power: of a ratio of recorded errors that a ratio of these errors is.

    >>> one = expected(-0.004, 0.004, 0.0, 10.0)  # other tables say nothing
    >>> round(one.change, 4), round(one.harm, 2)
    (-0.0039, 0.22)
    """
    limit = np.arcsinh(MOST / SMALL)
    scale = np.linspace(-limit, limit, STEPS)
    logs = power * SMALL * np.sinh(scale)
    off = (np.clip(measured, logs[0], logs[-1]) - logs) / (OWN_DOUBT * error)
    unlike = (scale - mean) / (OTHERS_DOUBT * deviation)
    height = -0.5 * (off**2 + unlike**2)
    weight = np.exp(height - height.max())
    weight /= weight.sum()
    below = np.minimum(np.cumsum(weight) - 0.5 * weight, 1.0)  # whatever is rounded
    low, high = np.interp([0.1, 0.9], below, np.expm1(logs))
    return Expected(
        change=float(weight @ np.expm1(logs)),
        low=float(low),
        high=float(high),
        harm=float(1 - np.interp(0.0, logs, below)),
    )


def lean(candidates: Iterable[CandidateResult]) -> str | None:
    """Return the loss of which most is expected, of those that hardly do harm; None without any.

    One that is proven is among them.
    """
    changes = {
        row.name: row.expected.change
        for row in candidates
        if row.expected is not None
        and row.expected.change < 0
        and (row.expected.harm < MOST_HARM or row.status == "selected")
    }
    return min(changes, key=lambda name: changes[name], default=None)
