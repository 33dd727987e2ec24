"""Would it help to follow the largest gain to be expected, where it is not proven?

The gains of a study's finalists are shrunk towards what finalists gained on the other tables, as
far as they err (DerSimonian and Laird, Meta-analysis in Clinical Trials, 1986, give the prior's
variance). `lean` is the loss with the largest expected gain, if its chance of being worse than the
default is below a bound. It is judged on the rows set aside.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

MOST_HARM = 0.1  # chance of being worse above which nothing is followed
Gains = dict[str, tuple[float, float]]  # of a candidate: gain and its standard error


def prior(studies: Sequence[Gains]) -> tuple[float, float]:
    """Return the mean and the variance of true gains over candidates of several studies.

    >>> mean, variance = prior([{"a": (0.1, 0.01), "b": (-0.1, 0.01)}])
    >>> round(mean, 3), round(variance, 3)
    (0.0, 0.02)
    """
    pairs = [pair for study in studies for pair in study.values() if 0 < pair[1] < np.inf]
    gains, errors = np.array(pairs).T
    weights = errors**-2.0
    mean = float((weights * gains).sum() / weights.sum())
    spread = float((weights * (gains - mean) ** 2).sum()) - (len(gains) - 1)
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    variance = max(0.0, spread / scale) if scale > 0 else 0.0
    weights = 1 / (errors**2 + variance)
    return float((weights * gains).sum() / weights.sum()), variance


def lean(gains: Gains, mean: float, variance: float) -> tuple[str, float, float] | None:
    """Return the loss to follow with its expected gain and its chance of harm, or None.

    >>> lean({"a": (0.05, 0.02), "b": (0.2, 0.5)}, 0.0, 0.01)[0]
    'a'
    >>> lean({"a": (0.05, 0.2)}, 0.0, 0.0001) is None
    True
    """
    found = []
    for name, (gain, error) in gains.items():
        if not 0 < error < np.inf or variance == 0:
            continue
        share = variance / (variance + error**2)
        expected = mean + share * (gain - mean)
        harm = float(norm.cdf(-expected / (share * error**2) ** 0.5))
        if harm < MOST_HARM and expected > 0:
            found.append((name, expected, harm))
    return max(found, key=lambda one: one[1], default=None)
