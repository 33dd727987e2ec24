"""What test scores of all candidates say: honest gains, proofs, and ties with the best."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from lossmith.study.base.direction import as_error
from lossmith.study.metrics.study_metric import StudyMetric
from lossmith.study.rules.compare import FoldErrors
from lossmith.study.rules.paired_test import LEVEL

Array = np.ndarray
Tested = Sequence[tuple[float, Sequence[float], Array]]  # by repeat: score, of halves, influences


def compared(
    metric: StudyMetric, tested: Mapping[str, Tested], default: str, rows: Sequence[Array]
) -> dict[str, Any]:
    """Return every candidate's scores by repeat, which is best, what is proven, and what ties.

    Args:
        metric: that was scored.
        tested: of each candidate in each repeat the score on all test rows, on either half of
            these, and each row's influence.
        default: the candidate to beat.
        rows: of each repeat, the numbers of its test rows.

    Returns:
        scores on all test rows and on their halves; failed: the candidates with a score that is
        not finite; p_values of being better than the default, uncorrected, by the test of a study;
        ties: the candidates that this test, two-sided, cannot tell from the best.
    """
    finite = {name: one for name, one in tested.items() if np.isfinite(_numbers(one)).all()}
    errors = {name: _errors(metric, one, rows) for name, one in finite.items()}
    best = min(errors, key=lambda name: errors[name].errors.mean())
    others = [name for name in finite if name != best]
    return {
        "scores": {name: _numbers(one)[0] for name, one in finite.items()},
        "halves": {name: _numbers(one)[1:] for name, one in finite.items()},
        "failed": [name for name in tested if name not in finite],
        "best": best,
        "p_values": {
            name: float(f"{one.p_value(errors[default]):.3g}")
            for name, one in errors.items()
            if name != default
        },
        "ties": [name for name in others if errors[best].p_value(errors[name]) > LEVEL / 2],
    }


def _numbers(tested: Tested) -> list[list[float]]:
    """Return the scores by repeat on all test rows, on the first half of them, on the second."""
    columns = zip(*((score, *halves) for score, halves, _ in tested), strict=True)
    return [[float(f"{one:.6g}") for one in column] for column in columns]


def _errors(metric: StudyMetric, tested: Tested, rows: Sequence[Array]) -> FoldErrors:
    return FoldErrors(
        errors=np.array([metric.error(score) for score, _, _ in tested]),
        influences=tuple(as_error(own, metric.better) for _, _, own in tested),
        rows=tuple(rows),
        epochs=(1,) * len(tested),
        best_epoch=1,
        by_ratio=metric.by_ratio,
    )


def honest_gain(first: Array, second: Array, default: int, by_ratio: bool) -> tuple[float, Array]:
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
