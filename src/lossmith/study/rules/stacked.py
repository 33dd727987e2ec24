"""What a study of many small models trains next: they advance together, from pause to pause.

Trainings that are one stacked model are cheap, can all pause and are deterministic. So nothing is
probed first, the cuts of the screening are gentler, and the finalists run on all other folds at
once: rivals without prospects leave after a share of the epochs, not of the folds, and the test
comes once, at the end.

A study goes on while that helps those that may be chosen (`further`). The screening is widened by
learning rates beyond the edge of the grid, which leave where they are worse than the edge was by
then, and lengthened before finalists are chosen; the finalists are lengthened on all folds. How
long trainings are is what was decided last: `epochs` and `marks` are those planned at first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.journal.facts import Decision, Facts, Setting, Training
from lossmith.study.rules.convergence import WIDENINGS, later
from lossmith.study.rules.design import Design, Read
from lossmith.study.rules.further import further_rates, rank_error, still_improving
from lossmith.study.rules.halving import Check, Futility, SuccessiveHalving
from lossmith.study.rules.plan import finalists, named, promoted, screened
from lossmith.study.rules.presets import PRESETS, Preset

SETTLED = 0.3  # share of the epochs from which on learning rates are held to each other
WIDENING, LENGTHENING = "widening ", "lengthening "  # how decisions are called that a study goes on


@dataclass(frozen=True, kw_only=True)
class StackedDesign(Design):
    """A study whose trainings advance together.

    starts: what the screening starts, in the order of the stack. marks: the epochs after which
    trainings are scored, the last one included. longest: epochs to which a training may go on;
    widen: whether learning rates beyond the grid may be tried. preset: by whose numbers it is cut.
    """

    starts: tuple[Setting, ...]
    marks: tuple[int, ...]
    longest: int = 0
    widen: bool = False
    preset: str = "best"
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
    def numbers(self) -> Preset:
        """The numbers of its preset."""
        return PRESETS[self.preset]

    @property
    def halving(self) -> SuccessiveHalving:
        """The rule by which the screening is cut."""
        return SuccessiveHalving(
            default=self.default,
            common=self.common or self.default,
            least=2 * len(self.learning_rates),
            rungs=self.numbers.rungs,
            finalists=self.numbers.finalists,
            default_settings=self.numbers.default_settings,
        )

    @property
    def futility(self) -> Futility:
        """The rule by which finalists leave."""
        return self.numbers.futility

    def rungs(self) -> tuple[int, ...]:
        """Return the epochs after which the screening is cut."""
        return _first(self.marks, [rung.after for rung in self.halving.rungs])

    def length(self, decisions: Mapping[str, Any]) -> int:
        """Return how many epochs trainings last by what was decided."""
        return max([self.epochs, *(one["epochs"] for one in _lengthenings(decisions))])

    def reached(self, facts: Facts) -> int:
        """Return the last length to which all came that were to train so long."""
        ends = [
            outcome["epochs"]
            for outcome in _lengthenings(facts.decisions)
            if all(facts.records[one].epoch >= outcome["epochs"] for one in _resumed(outcome))
        ]
        return max([self.epochs, *ends])

    def scored_after(self, length: int) -> tuple[int, ...]:
        """Return the epochs after which trainings are scored, up to a length."""
        found = self.marks
        while found[-1] < length:
            found += tuple(later(found[-1], self.longest))
        return found

    def checks(self, decisions: Mapping[str, Any]) -> dict[int, Check]:
        """Return the epochs after which finalists leave that have no prospects."""
        marks, checks = self.scored_after(self._confirmed_to(decisions)), self.futility.checks
        return dict(zip(_first(marks, [one.after for one in checks]), checks, strict=False))

    def stack_of(self, training: Training, decisions: Mapping[str, Any]) -> str:
        """Return the decision that planned a training: what was planned at once is one model."""
        if training.fold not in self.screening:
            return "finalists"
        widenings = _widenings(decisions)
        return next((n for n, own in widenings.items() if training.setting in own), "screening")

    def pauses(self, stack: str, decisions: Mapping[str, Any]) -> tuple[int, ...]:
        """Return the epochs after which a stack pauses, the last one included."""
        end, found = self.epochs, self.rungs()
        if stack == "finalists":
            end, found = self._confirmed_to(decisions), tuple(self.checks(decisions))
        elif stack != "screening":
            found = self._early()
        later_ends = [o["epochs"] for o in _lengthenings(decisions) if o["epochs"] > end]
        return (*(epoch for epoch in found if epoch < end), end, *later_ends)

    def left(self, facts: Facts) -> set[Setting] | None:
        """Return what the latest cut left, with what the screening was widened by since."""
        still = super().left(facts)
        for further in _widenings(facts.decisions).values():
            still = still if still is None else still | set(further)
        for outcome in _lengthenings(facts.decisions):
            still = {Setting(*one) for one in outcome["kept"]}
        return still

    def extend(self, facts: Facts) -> Decision | None:
        """Return how the screening goes on: at further learning rates, then for longer."""
        if any(not record.ended for _, record in screened(self, facts)):
            return self._review_further(facts)
        try:
            chosen = promoted(self, facts)
        except InputError:
            return None  # which ends the study
        return self._widening(facts, chosen) or self._lengthening(facts, chosen, self.screening)

    def review(self, facts: Facts, read: Read) -> Decision | None:
        """Return which finalists go on at a check, or for how much longer after the last."""
        still, checks = finalists(facts), self.checks(facts.decisions)
        others = [fold for fold in range(self.folds) if fold not in self.screening]
        trainings = [Training(setting, fold) for fold in others for setting in still]
        epoch = next((one for one in checks if f"check {one}" not in facts.decisions), None)
        if not others or any(_behind(facts, one, epoch or 0) for one in trainings):
            return None
        if epoch is None:
            return self._lengthening(facts, still, range(self.folds))
        kept = self._with_prospects(still, checks[epoch], read)
        paused = [one for one in trainings if facts.records[one].state == "paused"]
        return Decision(
            f"check {epoch}",
            {"kept": named(kept)},
            resume=[one for one in paused if one.setting in kept],
            stop=[(one, "no prospects") for one in paused if one.setting not in kept],
        )

    def _widening(self, facts: Facts, chosen: Sequence[Setting]) -> Decision | None:
        """Return which learning rates beyond the grid are tried next, and beside which."""
        before = len(_widenings(facts.decisions))
        if not self.widen or before == WIDENINGS or _lengthenings(facts.decisions):
            return None
        further = further_rates(self, facts, chosen, self.screening)
        if not further:
            return None
        return Decision(
            f"{WIDENING}{before + 1}",
            [named(pair) for pair in further.items()],
            plan=[Training(one, fold) for fold in self.screening for one in further.values()],
        )

    def _review_further(self, facts: Facts) -> Decision | None:
        """Return which further learning rates go on: those no worse than where they came from."""
        widenings = _widenings(facts.decisions)
        if not widenings:
            return None
        origins = list(widenings.values())[-1]
        open_ = {
            Training(one, fold): facts.records[Training(one, fold)]
            for fold in self.screening
            for one in origins
            if not facts.records[Training(one, fold)].ended
        }
        if any(record.state != "paused" for record in open_.values()):
            return None
        epoch = min((record.epoch for record in open_.values()), default=self.epochs)
        if epoch not in self._early():
            return None  # it was lengthened since
        kept = [
            one
            for one in dict.fromkeys(training.setting for training in open_)
            if rank_error(self, facts, one, self.screening)
            <= rank_error(self, facts, origins[one], self.screening, epoch)
        ]
        why = f"the learning rate beside it did better by epoch {epoch}"
        return Decision(
            f"rates {len(widenings)} after epoch {epoch}",
            named(kept),
            resume=[one for one in open_ if one.setting in kept],
            stop=[(one, why) for one in open_ if one.setting not in kept],
        )

    def _lengthening(
        self, facts: Facts, chosen: Sequence[Setting], folds: Sequence[int]
    ) -> Decision | None:
        """Let those chosen train on while that helps any of them, up to the cap."""
        trainings = [Training(setting, fold) for fold in folds for setting in chosen]
        length = self.length(facts.decisions)
        further = later(length, self.longest)
        done = all(facts.records[one].ended for one in trainings)
        if not done or not further or not still_improving(self, facts, chosen, folds):
            return None
        before = len(_lengthenings(facts.decisions))
        return Decision(
            f"{LENGTHENING}{before + 1}",
            {"epochs": further[-1], "kept": named(chosen), "folds": list(folds)},
            resume=trainings,
        )

    def _early(self) -> tuple[int, ...]:
        """Return the epochs after which further learning rates are held to those beside them."""
        return tuple(m for m in self.marks if SETTLED * self.epochs <= m < self.epochs)

    def _confirmed_to(self, decisions: Mapping[str, Any]) -> int:
        """Return the epochs that finalists train on the other folds, before they are lengthened."""
        names = [*decisions]
        before = names[: names.index("finalists")] if "finalists" in names else names
        return self.length({name: decisions[name] for name in before})

    def _with_prospects(self, still: Sequence[Setting], check: Check, read: Read) -> list[Setting]:
        """Return the default and the finalists that may still be better; all if it diverged."""
        errors = {setting: read(setting, range(self.folds)) for setting in still}
        own = [setting for setting in still if setting.candidate == self.default]
        best = min(own, key=lambda setting: float(errors[setting].errors.mean()))
        default = errors[best]
        if not np.isfinite(default.errors).all():
            return list(still)
        rivals = [setting for setting in still if setting not in own]
        p_values = [errors[setting].p_value(default) for setting in rivals]
        kept = {rivals[index] for index in self.futility.keep(check, p_values)}
        kept |= {s for s in own if s == best or not errors[s].p_value(default) > check.behind}
        return [setting for setting in still if setting in kept]


def _first(marks: Sequence[int], shares: Sequence[float]) -> tuple[int, ...]:
    """Return the first mark at or after each share of the epochs, each mark once."""
    found, rest = [], list(marks)
    for share in shares:
        rest = [mark for mark in rest if mark / marks[-1] >= share]
        found += rest[:1]
        rest = rest[1:]
    return tuple(found)


def _widenings(decisions: Mapping[str, Any]) -> dict[str, dict[Setting, Setting]]:
    """Return for each widening its learning rates, with the setting that each is beside."""
    return {
        name: {Setting(*further): Setting(*origin) for origin, further in outcome}
        for name, outcome in decisions.items()
        if name.startswith(WIDENING)
    }


def _lengthenings(decisions: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [outcome for name, outcome in decisions.items() if name.startswith(LENGTHENING)]


def _resumed(outcome: Mapping[str, Any]) -> list[Training]:
    """Return the trainings that a lengthening went on with."""
    return [Training(Setting(*one), fold) for fold in outcome["folds"] for one in outcome["kept"]]


def _behind(facts: Facts, training: Training, epoch: int) -> bool:
    record = facts.records[training]
    return record.state not in ("paused", "done") or record.epoch < epoch
