"""What a study of candidates measured, as it is handed to those who decide and conclude."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from lossmith.study.base.direction import Better, as_error
from lossmith.study.candidates import CandidateSet
from lossmith.study.journal.facts import Facts, Record, Setting, Training
from lossmith.study.journal.storage import Storage
from lossmith.study.rules.compare import FoldErrors
from lossmith.study.rules.design import Read
from lossmith.study.rules.evidence import Shape, errors_by_epoch
from lossmith.study.rules.further import diverged, further_rates, rank_error, still_improving
from lossmith.study.rules.plan import finalists
from lossmith.study.rules.stacked import StackedDesign
from lossmith.study.rules.weighing import Evidence, weigh


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


class OfTarget(NamedTuple):
    """One target's error on a fold, what its rows add to it, and the decision of a tuned metric."""

    error: float
    influences: np.ndarray
    decision: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """The facts of a study with its candidates.

    notes: why a candidate was not tried. trainings: of earlier studies too. excluded: share of the
    validation rows that are outliers and not scored.
    """

    design: StackedDesign
    facts: Facts
    storage: Storage
    read: Read
    shape: Shape
    candidates: CandidateSet
    measure: Measure
    notes: Mapping[str, str]
    trainings: int
    excluded: float

    @property
    def finished(self) -> bool:
        """Whether all was measured that the plan asks for."""
        return "end" in self.facts.decisions and not self.facts.decisions["end"].get("stopped")

    @cached_property
    def finalists(self) -> list[Setting]:
        """The settings that were not given up."""
        return finalists(self.facts)

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """All folds, or those of the screening where not all finalists were scored on others."""
        everywhere = tuple(range(self.design.folds))
        scored = [self._scores(setting, everywhere) for setting in self.finalists]
        whole = all(set.intersection(*map(set, own)) for own in scored) and scored
        return everywhere if whole else self.design.screening

    @property
    def past_last_check(self) -> bool:
        """Whether the finalists trained long enough for a fast start not to decide."""
        started = len(self.folds) > len(self.design.screening)
        last = self.design.futility.checks[-1].after * self.epochs
        return started and self.errors_by_epoch(self.default)[1][-1] >= last

    def evaluate(self, setting: Setting, folds: Sequence[int] | None = None) -> FoldErrors:
        """Return a setting's errors on some folds, or on all that the finalists have."""
        return self.read(setting, self.folds if folds is None else folds)

    def errors_by_epoch(
        self, setting: Setting, folds: Sequence[int] | None = None
    ) -> tuple[np.ndarray, list[int]]:
        """Return errors as (folds, epochs), with the epochs that all folds have."""
        folds = self.folds if folds is None else folds
        return errors_by_epoch(self.facts, setting, folds, self.design.better)

    def weighed(self) -> Evidence:
        """Return the finalists held against the default on the folds that all have."""
        default = self.design.default
        whole = [s for s in self.finalists if s.candidate == default or not self.diverged(s)]
        found = weigh(self.design, whole, self.folds, self.read)
        assert found is not None  # the default is among the finalists
        return found

    @cached_property
    def settings(self) -> dict[str, Setting]:
        """The finalists' settings by candidate, the default's at the better of its own."""
        own = [s for s in self.finalists if s.candidate == self.design.default]
        best = min(own, key=lambda setting: float(self.evaluate(setting).errors.mean()))
        return {s.candidate: s for s in self.finalists if s not in own or s == best}

    @property
    def default(self) -> Setting:
        """The default's best setting."""
        return self.settings[self.design.default]

    def training_epochs(self, setting: Setting) -> int:
        """Return how long to train finally: to the best epoch, or on where a stop cut it off."""
        best = self.evaluate(setting).best_epoch
        last = self.errors_by_epoch(setting)[1][-1]
        return best if self.finished or best < last else self.epochs

    def rank_error(self, setting: Setting, folds: Sequence[int], until: float = np.inf) -> float:
        """Return a setting's mean error at the best epoch up to one; infinite if it diverged."""
        return rank_error(self.design, self.facts, setting, folds, until)

    @property
    def epochs(self) -> int:
        """How many epochs the longest trainings have, of those that were not stopped."""
        return self.design.reached(self.facts)

    @property
    def still_improving(self) -> tuple[str, ...]:
        """Of the default and the finalists no worse than it, those best at the end of training."""
        found = still_improving(self.design, self.facts, self.finalists, self.folds)
        return tuple(setting.candidate for setting in found)

    @property
    def at_edge(self) -> tuple[str, ...]:
        """Of the same, those that a learning rate beyond those they tried may still help."""
        found = further_rates(self.design, self.facts, self.finalists, self.folds)
        return tuple(setting.candidate for setting in found)

    def of_candidate(self, name: str) -> dict[Setting, list[int]]:
        """Return each setting at which a candidate was started, with the folds it has scores of."""
        found: dict[Setting, list[int]] = {}
        for training, record in self.facts.records.items():
            if training.setting.candidate == name:
                found.setdefault(training.setting, [])
                found[training.setting] += [training.fold] if record.reports else []
        return found

    def records(self, setting: Setting) -> dict[int, Record]:
        """Return what is known of a setting, by fold."""
        found = self.facts.records.items()
        return {training.fold: record for training, record in found if training.setting == setting}

    def diverged(self, setting: Setting) -> bool:
        """Tell whether any of a setting's scores is not finite."""
        return diverged(self.facts, setting)

    def detail(self, setting: Setting, fold: int, epoch: int) -> dict[str, np.ndarray]:
        """Return what is kept beside a score, as arrays by name."""
        return self.storage.detail(Training(setting, fold), epoch)

    def of_target(self, setting: Setting, fold: int, epoch: int, place: int) -> "OfTarget":
        """Return what one target's own metric says, of a single target what all says."""
        kept, prefix = self.detail(setting, fold, epoch), f"{place}."
        if f"{prefix}error" in kept:
            error, influences = kept[f"{prefix}error"], kept[f"{prefix}influences"]
            return OfTarget(float(error), influences, kept.get(f"{prefix}decision"))
        training, better = Training(setting, fold), self.design.better
        added = self.storage.influences(training, epoch)
        assert added is not None  # reported with the score
        score = self.facts.records[training].scores[epoch]
        return OfTarget(as_error(score, better), as_error(added, better), kept.get("decision"))

    def _scores(self, setting: Setting, folds: Sequence[int]) -> list[Mapping[int, float]]:
        records = [self.facts.records.get(Training(setting, fold)) for fold in folds]
        return [{} if record is None else record.scores for record in records]
