"""What a study of many small models trains next: they advance together, from pause to pause.

Trainings that are one stacked model are cheap, can all pause and are deterministic. So nothing is
probed first, the cuts of the screening are gentler, and the finalists run on all other folds at
once: rivals without prospects leave after a share of the epochs, not of the folds, and the test
comes once, at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lossmith.study.journal.facts import Decision, Facts, Setting, Training
from lossmith.study.rules.halving import Check, Futility, SuccessiveHalving
from lossmith.study.rules.plan import Design, Read, finalists, named

FINALISTS = 5  # beside the default and the common loss


@dataclass(frozen=True, kw_only=True)
class StackedDesign(Design):
    """A study whose trainings advance together.

    starts: what the screening starts, in the order of the stack. marks: the epochs after which
    trainings are scored, the last one included.
    """

    starts: tuple[Setting, ...]
    marks: tuple[int, ...]
    finalists: int = FINALISTS
    probes: ClassVar[bool] = False

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What the screening starts, in this order."""
        return self.starts

    @property
    def first(self) -> tuple[int, ...]:
        """The folds on which every candidate starts: all that choose the finalists."""
        return self.screening

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many folds the evidence is looked at: all."""
        return (self.folds,)

    @property
    def halving(self) -> SuccessiveHalving:
        """The rule by which the screening is cut."""
        return SuccessiveHalving(
            default=self.default,
            common=self.common or self.default,
            least=2 * len(self.learning_rates),
            finalists=self.finalists,
        )

    def rungs(self) -> tuple[int, ...]:
        """Return the epochs after which the screening is cut."""
        return self._first([rung.after for rung in self.halving.rungs])

    def checks(self) -> dict[int, Check]:
        """Return the epochs after which finalists leave that have no prospects."""
        checks = Futility().checks
        return dict(zip(self._first([check.after for check in checks]), checks, strict=False))

    def pauses(self, folds: Sequence[int]) -> tuple[int, ...]:
        """Return the epochs after which trainings on some folds pause, the last one included."""
        found = self.rungs() if folds[0] in self.screening else tuple(self.checks())
        return (*(epoch for epoch in found if epoch < self.epochs), self.epochs)

    def review(self, facts: Facts, read: Read) -> Decision | None:
        """Return which finalists go on, once all have come to a check."""
        still = finalists(facts)
        others = [fold for fold in range(self.folds) if fold not in self.screening]
        checks = self.checks()
        epoch = next((one for one in checks if f"check {one}" not in facts.decisions), None)
        trainings = [Training(setting, fold) for fold in others for setting in still]
        if epoch is None or not others or any(_behind(facts, one, epoch) for one in trainings):
            return None
        kept = self._with_prospects(still, checks[epoch], read)
        paused = [one for one in trainings if facts.records[one].state == "paused"]
        return Decision(
            f"check {epoch}",
            {"kept": named(kept)},
            resume=[one for one in paused if one.setting in kept],
            stop=[(one, "no prospects") for one in paused if one.setting not in kept],
        )

    def _with_prospects(self, still: Sequence[Setting], check: Check, read: Read) -> list[Setting]:
        """Return the default and the finalists that may still be better; all if it diverged."""
        errors = {setting: read(setting, range(self.folds)) for setting in still}
        own = [setting for setting in still if setting.candidate == self.default]
        default = errors[min(own, key=lambda setting: float(errors[setting].errors.mean()))]
        if not np.isfinite(default.errors).all():
            return list(still)
        rivals = [setting for setting in still if setting not in own]
        p_values = [errors[setting].p_value(default) for setting in rivals]
        kept = {rivals[index] for index in Futility().keep(check, p_values)}
        return [setting for setting in still if setting in own or setting in kept]

    def _first(self, shares: Sequence[float]) -> tuple[int, ...]:
        """Return the first mark at or after each share of the epochs, each mark once."""
        found, rest = [], list(self.marks)
        for share in shares:
            rest = [mark for mark in rest if mark / self.epochs >= share]
            found += rest[:1]
            rest = rest[1:]
        return tuple(found)


def _behind(facts: Facts, training: Training, epoch: int) -> bool:
    record = facts.records[training]
    return record.state not in ("paused", "done") or record.epoch < epoch
