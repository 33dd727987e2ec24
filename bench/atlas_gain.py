"""What test scores of all candidates say: honest gains, proofs, and ties with the best."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from lossmith.study.base.direction import as_error
from lossmith.study.metrics.study_metric import StudyMetric
from lossmith.study.rules.compare import FoldErrors

Array = np.ndarray
Tested = Sequence[tuple[float, Sequence[float], Array]]  # by repeat: score, of halves, influences


def compared(
    metric: StudyMetric, tested: Mapping[str, Tested], default: str, rows: Sequence[Array]
) -> dict[str, Any]:
    """Return every candidate's scores, the honest gain of the best, and how each compares.

    Args:
        metric: that was scored.
        tested: of each candidate in each repeat the score on all test rows, on either half of
            these, and each row's influence.
        default: the candidate to beat.
        rows: of each repeat, the numbers of its test rows.
    """
    finite = {name: one for name, one in tested.items() if np.isfinite([t[0] for t in one]).all()}
    errors = {name: _errors(metric, one, rows) for name, one in finite.items()}
    best = min(errors, key=lambda name: errors[name].errors.mean())
    names = list(finite)
    halves = [
        as_error(np.array([[t[1][half] for t in finite[name]] for name in names]), metric.better)
        for half in (0, 1)
    ]
    gain, picked = honest_gain(*halves, names.index(default), metric.better == "lower")
    return {
        "scores": {name: [t[0] for t in one] for name, one in finite.items()},
        "failed": [name for name in tested if name not in finite],
        "best": best,
        "gain": gain,
        "picked": {name: round(share, 3) for name, share in zip(names, picked, strict=True) if share},
        "p_values": {n: e.p_value(errors[default]) for n, e in errors.items() if n != default},
        "ties": [n for n, e in errors.items() if n != best and _tie(e, errors[best])],
    }


def _errors(metric: StudyMetric, tested: Tested, rows: Sequence[Array]) -> FoldErrors:
    return FoldErrors(
        errors=np.array([metric.error(score) for score, _, _ in tested]),
        influences=tuple(as_error(own, metric.better) for _, _, own in tested),
        rows=tuple(rows),
        epochs=(1,) * len(tested),
        best_epoch=1,
        by_ratio=metric.by_ratio,
    )


def _tie(one: FoldErrors, best: FoldErrors) -> bool:
    found = one.difference(best)
    return found.low <= 0


def honest_gain(
    first: Array, second: Array, default: int, by_ratio: bool
) -> tuple[float, Array]:
    """Return what the best candidate gains on rows and trainings that did not choose it.

    It is chosen by its mean error on one half of the rows in three repeats of five, and compared
    with the default on the other half of the rows in the other two; the mean over all such choices.

    Args:
        first: errors on one half of the rows, (candidates, repeats); lower is better.
        second: the same on the other half.
        default: the row of the candidate to beat.
        by_ratio: whether a gain is a share of the default's error, else a difference.

    Returns:
        the gain, above 0 where the choice is better than the default; and how often each candidate
        is chosen, (candidates,).

    >>> errors = np.array([[1.0, 1.0, 1.0], [0.8, 0.8, 0.8]])
    >>> honest_gain(errors, errors, 0, by_ratio=True)
    (0.2, array([0., 1.]))
    """
    if by_ratio:
        first, second = np.log(first), np.log(second)
    repeats = range(first.shape[1])
    gains, picked = [], np.zeros(len(first))
    for choosing in combinations(repeats, (len(repeats) + 1) // 2):
        scoring = [one for one in repeats if one not in choosing]
        for own, others in ((first, second), (second, first)):
            best = int(own[:, choosing].mean(axis=1).argmin())
            gains.append((others[default, scoring] - others[best, scoring]).mean())
            picked[best] += 1
    mean = float(np.mean(gains))
    return float(1 - np.exp(-mean)) if by_ratio else mean, picked / len(gains)
