"""The concordance of risks with censored times."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.metrics.study_metric import StudyMetric, mapped, to_array
from lossmith.study.metrics.units import of_units

Array = np.ndarray
BLOCK = 1 << 22  # pairs at once


class Concordance(StudyMetric):
    r"""The share of pairs whose first to have its event has the higher risk; equal risks are half.

    .. math:: m = \frac{A}{B} \qquad A = \sum_{ij} c_{ij} (1[x_i > x_j] + \tfrac12 1[x_i = x_j])
        \qquad B = \sum_{ij} c_{ij} \qquad r_i = \frac{N}{B} (A_i - m B_i)

    c is 1 where i has its event before j's time, or at the time at which j is censored; A_i and
    B_i are the sums over the pairs that i is in.

    Shapes: targets a dict of `time` and `event`, (N,) each, or both in an array (N, 2);
    predictions (N,) of risks, such as log hazards, higher where the event is sooner.

    Source: Harrell, Califf, Pryor, Lee & Rosati, Evaluating the Yield of Medical Tests, 1982;
    influences by Hoeffding's projection, 1948.
    """

    name, label, better, mappings = "concordance", "concordance", "higher", True

    def check(self, target: Any) -> None:
        """Raise InputError for targets that are no times and events."""
        super().check(target)
        _times(mapped(to_array, target))

    def _score(self, target: Any, prediction: Array) -> float:
        agreed, pairs = _pairs(*_times(target), _risks(prediction))
        return float(agreed.sum() / pairs.sum()) if pairs.any() else np.nan

    def _influences(self, target: Any, prediction: Array, codes: Array, index: Array) -> Array:
        agreed, pairs = _pairs(*_times(target), _risks(prediction))
        if not pairs.any():
            return np.zeros(len(codes))
        score, total = agreed.sum() / pairs.sum(), pairs.sum() / 2
        return of_units(len(index) / total * (agreed - score * pairs), index, len(codes))


def _times(target: Any) -> tuple[Array, Array]:
    """Return times and events, (N,) each."""
    if isinstance(target, Mapping):
        if set(target) != {"time", "event"}:
            raise InputError(f"concordance needs a dict of time and event, got {sorted(target)}")
        time, event = target["time"], target["event"]
    elif target.ndim == 2 and target.shape[1] == 2:
        time, event = target.T
    else:
        raise InputError(
            "concordance needs targets with time and event, as a dict or in columns, got shape "
            f"{target.shape}"
        )
    if not np.isin(event, (0, 1)).all():
        raise InputError("concordance needs events of 0, censored, or 1")
    return time, event.astype(bool)


def _risks(prediction: Any) -> Array:
    found = prediction.squeeze() if isinstance(prediction, np.ndarray) else np.zeros((0, 0))
    if found.ndim != 1:
        raise InputError("concordance needs predictions (N,) of one risk a row")
    return found


def _pairs(time: Array, event: Array, risk: Array) -> tuple[Array, Array]:
    """Return the concordant and the comparable pairs that each row is in, (N,) each."""
    rows = len(time)
    agreed, pairs = np.zeros(rows), np.zeros(rows)
    first = np.flatnonzero(event)
    for some in np.array_split(first, 1 + len(first) * rows // BLOCK):
        own, risks = time[some, None], risk[some, None]
        comparable = (own < time) | ((own == time) & ~event)
        right = comparable * ((risks > risk) + 0.5 * (risks == risk))
        for sums, part in ((agreed, right), (pairs, comparable)):
            sums += part.sum(axis=0)
            sums[some] += part.sum(axis=1)
    return agreed, pairs
