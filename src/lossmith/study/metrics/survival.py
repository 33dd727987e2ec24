"""How well predictions order censored times, and how probable they make what happened."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from torch import Tensor

from lossmith.core.card import Task
from lossmith.core.tree import tree_map
from lossmith.study.base.direction import Better
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.censored import MINIMUM_EVENTS, Steps, horizons, times_and_events
from lossmith.study.metrics.study_metric import StudyMetric, to_array
from lossmith.study.metrics.sums import SumMetric, ratio
from lossmith.study.metrics.units import of_units

Array = np.ndarray
BLOCK = 1 << 22  # pairs at once


class Censored(StudyMetric):
    """A metric of times to an event, some of them censored.

    Shapes: targets a dict of `time` and `event`, (N,) each, or both in an array (N, 2). In a
    table, predictions are (N, 1 + H): a risk, and beside it the probability to survive each of H
    horizons.
    """

    tasks: tuple[Task, ...] = ("survival",)
    mappings = True
    of_table = False

    def check(self, target: Any) -> None:
        """Raise InputError for targets that are no times and events."""
        super().check(target)
        self._times(tree_map(to_array, target))

    def in_table(self) -> Self:
        """Return the metric as it reads a table's predictions."""
        self.of_table = True
        return self

    def _times(self, target: Any) -> tuple[Array, Array]:
        return times_and_events(self.name, target)


class Concordance(Censored):
    r"""The share of pairs whose first to have its event has the higher risk; equal risks are half.

    .. math:: m = \frac{A}{B} \qquad
        A = \sum_{ij} w_i c_{ij} (1[x_i > x_j] + \tfrac12 1[x_i = x_j])
        \qquad B = \sum_{ij} w_i c_{ij} \qquad r_i = \frac{N}{B} (A_i - m B_i)

    c is 1 where i has its event before j's time, or at the time at which j is censored; w is 1;
    A_i and B_i are the sums over the pairs that i is in.

    Shapes: targets a dict of `time` and `event`, (N,) each, or both in an array (N, 2);
    predictions (N,) of risks, such as log hazards, higher where the event is sooner.

    Source: Harrell, Califf, Pryor, Lee & Rosati, Evaluating the Yield of Medical Tests, 1982;
    influences by Hoeffding's projection, 1948.
    """

    name, label = "concordance", "concordance"
    better: Better = "higher"
    best = 1.0

    def constant_score(self, target: Any) -> float:
        """Return the score of equal risks."""
        return 0.5

    def _score(self, target: Any, prediction: Array) -> float:
        agreed, pairs = self._pairs(target, prediction)
        return float(agreed.sum() / pairs.sum()) if pairs.any() else np.nan

    def _influences(self, target: Any, prediction: Array, codes: Array, index: Array) -> Array:
        agreed, pairs = self._pairs(target, prediction)
        if not pairs.any():
            return np.zeros(len(codes))
        score, total = agreed.sum() / pairs.sum(), pairs.sum() / 2
        return of_units(len(index) / total * (agreed - score * pairs), index, len(codes))

    def _weights(self, target: Any, time: Array) -> Array:
        """Return what the pairs weigh whose first each row is."""
        return np.ones(len(time))

    def _pairs(self, target: Any, prediction: Any) -> tuple[Array, Array]:
        """Return the concordant and the comparable pairs that each row is in, (N,) each."""
        time, event = self._times(target)
        weights, risk = self._weights(target, time), self._risks(prediction)
        agreed, pairs, rows = np.zeros(len(time)), np.zeros(len(time)), len(time)
        first = np.flatnonzero(event & (weights > 0))
        for some in np.array_split(first, 1 + len(first) * rows // BLOCK):
            own, risks = time[some, None], risk[some, None]
            comparable = weights[some, None] * ((own < time) | ((own == time) & ~event))
            right = comparable * ((risks > risk) + 0.5 * (risks == risk))
            for sums, part in ((agreed, right), (pairs, comparable)):
                sums += part.sum(axis=0)
                sums[some] += part.sum(axis=1)
        return agreed, pairs

    def _risks(self, prediction: Any) -> Array:
        if self.of_table:
            return prediction[:, 0]
        found = prediction.squeeze() if isinstance(prediction, np.ndarray) else np.zeros((0, 0))
        if found.ndim != 1:
            raise InputError(f"{self.name} needs predictions (N,) of one risk a row")
        return found


class UnoConcordance(Concordance):
    r"""Concordance whose limit does not depend on who was censored, of events before a time.

    .. math:: w_i = 1[t_i < \tau] \, / \, \hat G(t_i)^2

    beside what `Concordance` says, with G the share not censored by Kaplan & Meier, taken as
    known by the influences. Name and time: concordance_uno@365. Without a time it is the last
    horizon of the study, the 95 % quantile of the times of events. G and horizon are those of all
    rows that a study may train on, else of the rows that are scored.

    Source: Uno, Cai, Pencina, D'Agostino & Wei, On the C-statistics for Evaluating Overall
    Adequacy of Risk Prediction Procedures with Censored Survival Data, 2011.
    """

    name, label = "concordance_uno", "Uno's concordance"

    def __init__(self, tau: float | None = None, kept: Steps | None = None) -> None:
        self.tau, self.kept = tau, kept

    @classmethod
    def parse(cls, argument: str) -> Self:
        """Return the metric up to a time."""
        found = cls(_positive(cls.name, argument) if argument else None)
        if argument:
            found.name, found.label = f"{cls.name}@{argument}", f"{cls.label} until {argument}"
        return found

    def at(self, level: str) -> Self:
        """Return the metric of a table up to a time."""
        return type(self).parse(level).in_table()

    def fitted(self, target: Any) -> Self:
        """Return the metric with what the targets of a study say of horizon and censoring.

        Raises:
            InputError: where hardly an event comes before the time given.
        """
        time, event = self._times(tree_map(to_array, target))
        if self.tau is not None:
            least = MINIMUM_EVENTS if self.of_table else 1
            early = int((event & (time < self.tau)).sum())
            if early < least:
                raise InputError(
                    f"{self.name} is of events before {self.tau:g}, and {early} of {event.sum()} "
                    f"are; it needs {least}: give a later time, or none"
                )
        return self._of(time, event)

    def _of(self, time: Array, event: Array) -> Self:
        found = type(self)(self.tau or horizons(time, event)[-1], Steps.uncensored(time, event))
        found.name, found.label, found.of_table = self.name, self.label, self.of_table
        return found

    def _weights(self, target: Any, time: Array) -> Array:
        known = self if self.kept is not None else self._of(time, self._times(target)[1])
        assert known.kept is not None
        assert known.tau is not None
        share = known.kept.at(time)
        return (time < known.tau) * (share > 0) / np.where(share > 0, share, 1.0) ** 2


class IntegratedBrier(Censored, SumMetric):
    r"""The squared error of survival probabilities, over a range of time.

    .. math:: r_i = \int_{h_1}^{h_H} \frac{S_i(t)^2 1[t_i \le t] d_i}{\hat G(t_i)} + \frac{(1 -
        S_i(t))^2 1[t_i > t]}{\hat G(t)} \; \frac{dt}{h_H - h_1}

    by trapezoids over the horizons h, with G the share not censored by Kaplan & Meier, taken as
    known by the influences; the score is the mean over rows.

    Shapes: targets a dict of `time` and `event`, (N,) each, or both in an array (N, 2);
    predictions (N, H) of the probability to survive each horizon. The horizons are 5 %, 10 %, …
    95 % quantiles of the times of events, and like G those of all rows that a study may train on,
    else of the rows that are scored.

    Source: Graf, Schmoor, Sauerbrei & Schumacher, Assessment and Comparison of Prognostic
    Classification Schemes for Survival Data, 1999.
    """

    name, label = "integrated_brier", "integrated Brier score"
    better: Better = "lower"

    def __init__(self, horizons: Sequence[float] | None = None, kept: Steps | None = None) -> None:
        self.horizons, self.kept = horizons, kept

    def fitted(self, target: Any) -> Self:
        """Return the metric with what the targets of a study say of horizons and censoring."""
        time, event = self._times(tree_map(to_array, target))
        found = type(self)(self.horizons or horizons(time, event), Steps.uncensored(time, event))
        found.of_table = self.of_table
        return found

    def constant_score(self, target: Any) -> float:
        """Return the score of the survival that Kaplan & Meier find for all rows alike."""
        known, (time, event) = self.fitted(target), self._times(target)
        curve = Steps.surviving(time, event).at(known.horizons)
        return known.score(
            target, np.tile(np.append(0.0, curve)[1 - self.of_table :], (len(time), 1))
        )

    def statistics(self, target: Any, prediction: Array) -> Array:
        """Return each row's error, and 1."""
        known = self if self.kept is not None else self.fitted(target)
        assert known.kept is not None
        assert known.horizons is not None
        (time, event), ends = self._times(target), np.asarray(known.horizons)
        curve = prediction[:, 1:] if self.of_table else prediction
        if curve.shape != (len(time), len(ends)):
            raise InputError(
                f"{self.name} needs the probability to survive each of the {len(ends)} horizons, "
                f"({len(time)}, {len(ends)}), got shape {curve.shape}"
            )
        fallen = ((time[:, None] <= ends) & event[:, None]) * _inverse(known.kept.at(time))[:, None]
        alive = (time[:, None] > ends) * _inverse(known.kept.at(ends))
        errors = curve**2 * fallen + (1 - curve) ** 2 * alive
        rows = np.trapezoid(errors, ends, axis=1) / (ends[-1] - ends[0])
        return np.stack([rows, np.ones(len(rows))], axis=1)

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean."""
        return ratio(sums[0], sums[1])


def _inverse(share: Array) -> Array:
    """Return 1 / share, and 0 where that is 0."""
    return np.divide(1.0, share, out=np.zeros_like(share), where=share > 0)


def _positive(name: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = np.nan
    if not 0 < found < np.inf:
        raise InputError(f"{name}@{text} needs a time above 0, as in {name}@365")
    return found


METRICS = tuple(kind().in_table() for kind in (Concordance, UnoConcordance, IntegratedBrier))
