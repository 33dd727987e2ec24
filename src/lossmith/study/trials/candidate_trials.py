"""The trials of a study's candidates: each at every rate, its losses fitted fold by fold."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from lossmith.core.loss import Loss
from lossmith.study.base.errors import InputError
from lossmith.study.candidates import CandidateSet, CandidateSpec
from lossmith.study.journal import Setting
from lossmith.study.training.budget import TrialSpec
from lossmith.study.trials.measured import changes
from lossmith.study.trials.trainer import Trainer


@dataclass(frozen=True)
class CandidateTrials:
    """Makes trials of candidates over a trainer's folds; notes say which do not fit, and why."""

    trainer: Trainer
    candidates: CandidateSet
    notes: dict[str, str]

    def everyone(self, learning_rates: Sequence[float]) -> list[TrialSpec]:
        """Return the trials of all that fit, on the folds of the screening.

        Raises:
            InputError: if the default does not fit.
        """
        return [
            _trial(Setting(candidate.name, rate, number), losses)
            for candidate in self.candidates.candidates
            for number, variant in enumerate(candidate.variants)
            if (losses := self._fitted(variant)) is not None
            for rate in learning_rates
        ]

    def _fitted(self, candidate: CandidateSpec) -> tuple[Loss, ...] | None:
        """Return a candidate's losses, one a fold, or None with a note where it does not fit.

        Raises:
            InputError: if the default does not.
        """
        try:
            return self.trainer.losses(candidate, self.trainer.split.screening_folds)
        except ValueError as error:
            if candidate.name == self.candidates.default:
                raise InputError(f"the default loss {candidate.name}: {error}") from error
            self.notes[candidate.name] = str(error)
            return None

    def of(self, setting: Setting, folds: Sequence[int]) -> TrialSpec:
        """Return the trial of a setting on some folds."""
        variant = self.candidates[setting.candidate].variants[setting.variant]
        return _trial(setting, self.trainer.losses(variant, folds))


def _trial(key: Setting, losses: tuple[Loss, ...]) -> TrialSpec:
    """Return a trial with losses of its own where training changes them."""
    own = copy.deepcopy(losses) if changes(losses[0]) else losses
    return TrialSpec(
        candidate=key.candidate, learning_rate=key.learning_rate, losses=own, variant=key.variant
    )
