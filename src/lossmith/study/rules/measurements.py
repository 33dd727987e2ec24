"""What a search measured, as it is handed to those who decide and conclude."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lossmith.study.base.direction import Better
from lossmith.study.candidates import CandidateSet
from lossmith.study.rules.compare import FoldErrors, evaluate_at_best_epoch
from lossmith.study.rules.convergence import TOLERANCE, beyond, improving
from lossmith.study.rules.history import TrialHistory, TrialKey


class Measure(Protocol):
    """What trials are compared by: one metric, or one number made of several."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def better(self) -> Better:
        """Which way it improves."""

    @property
    def by_ratio(self) -> bool:
        """Whether errors compare by their ratio."""

    def error(self, score: float) -> float:
        """Return a score such that lower is better; twice gives it back."""


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """The histories of all trials, and how far the search came.

    folds: that the finalists were measured on; rows: of every fold, the
    units of those that are scored.
    epochs: of the longest training. running: trials measured last. notes: why a candidate was
    not tried. n_earlier_comparisons: rivals among which earlier searches chose; the test corrects
    for them too. last_check: the share of the epochs before which
    nothing is decided. excluded: share of the validation rows that are outliers and not scored.
    """

    candidates: CandidateSet
    measure: Measure
    histories: Mapping[TrialKey, TrialHistory]
    finalists: tuple[TrialKey, ...]
    running: tuple[TrialKey, ...]
    folds: tuple[int, ...]
    screening_folds: tuple[int, ...]
    rows: Mapping[int, np.ndarray]
    epochs: int
    learning_rates: tuple[float, ...]
    notes: Mapping[str, str]
    trainings: int
    n_earlier_comparisons: int
    last_check: float
    finished: bool
    excluded: float

    def evaluate(self, history: TrialHistory, folds: Sequence[int] | None = None) -> FoldErrors:
        """Return a trial's errors on some folds, or on all that the finalists were measured on."""
        folds = self.folds if folds is None else folds
        return evaluate_at_best_epoch(history, folds, self.rows, self.measure.by_ratio)

    @property
    def past_last_check(self) -> bool:
        """Whether the finalists trained long enough for a fast start not to decide."""
        started = len(self.folds) > len(self.screening_folds)
        last = self.default_history().errors_by_epoch(self.folds)[1][-1]
        return started and last >= self.last_check * self.epochs

    def training_epochs(self, history: TrialHistory) -> int:
        """Return how long to train finally: to the best epoch, or on where a stop cut it off."""
        best = self.evaluate(history).best_epoch
        last = history.errors_by_epoch(self.folds)[1][-1]
        return best if self.finished or best < last else self.epochs

    @property
    def still_improving(self) -> tuple[str, ...]:
        """Of the default and the finalists no worse than it, those best at the end of training."""
        curves = {name: history.errors_by_epoch(self.folds) for name, history in self._contending()}
        return tuple(n for n, (table, epochs) in curves.items() if improving(table.mean(0), epochs))

    @property
    def at_edge(self) -> tuple[str, ...]:
        """Of the same, those that a learning rate beyond those they tried may still help."""
        return tuple(key.candidate for key in self.further_rates())

    def further_rates(self) -> dict[TrialKey, float]:
        """Return the rate beyond for each of them whose own is at an edge and gains there.

        All rates were measured on the screening folds.
        """
        found = {}
        for _, history in self._contending():
            key = history.key
            others = [h for h in self.of_candidate(key.candidate) if h.key.variant == key.variant]
            errors = {h.key.learning_rate: h.rank_error(self.screening_folds) for h in others}
            own = errors[key.learning_rate]
            worse = [error for rate, error in errors.items() if rate != key.learning_rate]
            further = beyond(key.learning_rate, list(errors))
            if further is not None and min(worse) - own > TOLERANCE * abs(own):
                found[key] = further
        return found

    def _contending(self) -> list[tuple[str, TrialHistory]]:
        """Return the default and the finalists that are no worse, as far as was measured."""
        alive = {n: h for n, h in self.final_histories().items() if not h.diverged}
        errors = {name: history.rank_error(self.folds) for name, history in alive.items()}
        level = errors.get(self.candidates.default, np.inf)
        return [(name, history) for name, history in alive.items() if errors[name] <= level]

    def of_candidate(self, name: str) -> list[TrialHistory]:
        """Return the histories of all of a candidate's trials."""
        return [history for key, history in self.histories.items() if key.candidate == name]

    def default_history(self) -> TrialHistory:
        """Return the default's history at its best setting."""
        return self.final_histories()[self.candidates.default]

    def final_histories(self) -> dict[str, TrialHistory]:
        """Return the finalists' histories, the default's at the better of its settings."""
        found: dict[str, TrialHistory] = {}
        means: dict[str, float] = {}
        for key in self.finalists:
            mean = float(self.evaluate(self.histories[key]).errors.mean())
            if key.candidate not in found or mean < means[key.candidate]:
                found[key.candidate], means[key.candidate] = self.histories[key], mean
        return found
