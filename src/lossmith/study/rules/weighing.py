"""How candidates stand against the default on some folds: doubts, and who is proven."""

from collections.abc import Sequence
from dataclasses import dataclass

from lossmith.study.journal.facts import Setting
from lossmith.study.rules.compare import FoldErrors
from lossmith.study.rules.design import LEAST_FOLDS, LEAST_SCORES, Design, Read
from lossmith.study.rules.paired_test import LEVEL, holm
from lossmith.study.rules.sequential import levels


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the folds so far say: errors by candidate, doubts before and after correction.

    corrected: for the number of candidates and for looking early: below 0.05 is proven, where
        there are folds enough.
    bare: whether every training reported one number.
    least: folds that a switch rests on.
    """

    folds: tuple[int, ...]
    settings: dict[str, Setting]
    errors: dict[str, FoldErrors]
    doubts: dict[str, float]
    corrected: dict[str, float]
    proven: list[str]
    default_settings: tuple[Setting, ...]
    bare: bool
    least: int

    def gain(self, name: str) -> float:
        """Return how far a candidate's mean error lies below the default's, below 0 if worse."""
        default = next(iter(self.errors.values()))
        return -self.errors[name].difference(default).mean

    @property
    def leader(self) -> str | None:
        """The rival with the least mean error."""
        return max(self.doubts, key=self.gain, default=None)

    @property
    def selected(self) -> str:
        """The best of those that are proven, or the default."""
        return max(self.proven, key=self.gain, default=next(iter(self.errors)))


def weigh(
    design: Design, settings: Sequence[Setting], folds: Sequence[int], read: Read
) -> Evidence | None:
    """Hold the candidates against the default on some folds; None where the default is missing."""
    own = tuple(s for s in settings if s.candidate == design.default)
    if not own:
        return None
    errors = {s: read(s, folds) for s in settings}
    default = min(own, key=lambda s: float(errors[s].errors.mean()))
    rivals = {s.candidate: s for s in settings if s.candidate != design.default}
    doubts = {name: errors[s].p_value(errors[default]) for name, s in rivals.items()}
    reached = [share for share in design.shares if share <= len(folds) / design.folds]
    level = levels(design.shares)[len(reached) - 1] if reached else 0.0
    adjusted = holm(doubts, comparisons=len(design.candidates) - 1 + design.earlier)
    corrected = {
        name: min(1.0, p_value * (LEVEL / level)) if level > 0 else 1.0
        for name, p_value in adjusted.items()
    }
    bare = all(len(part) == 1 for one in errors.values() for part in one.influences)
    least = LEAST_SCORES if bare else LEAST_FOLDS
    enough = len(folds) >= least
    return Evidence(
        folds=tuple(folds),
        settings={design.default: default, **rivals},
        errors={s.candidate: errors[s] for s in (default, *rivals.values())},
        doubts=doubts,
        corrected=corrected,
        proven=[name for name, p_value in corrected.items() if enough and p_value < LEVEL],
        default_settings=own,
        bare=bare,
        least=least,
    )
