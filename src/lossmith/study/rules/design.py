"""What a study compares, and by which numbers it is planned: plain data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar

from lossmith.study.base.direction import Better
from lossmith.study.journal.facts import Decision, Facts, Setting
from lossmith.study.rules.compare import FoldErrors
from lossmith.study.rules.halving import Rung, SuccessiveHalving
from lossmith.study.rules.sequential import looks

SCREENING = 2  # folds that choose the finalists
TWIN_REPORTS = 2  # after which the default's second run has told what it can
# A training of one's own costs more than one of a stack, and is cut more tightly.
RUNGS = (
    Rung(after=0.1, keep=0.25, most=15, per_candidate=2),
    Rung(after=0.3, keep=0.4, most=6, per_candidate=2),
    Rung(after=0.6, keep=0.6, most=4, per_candidate=1),
)
LEAST_EPOCHS, LEAST_TRAININGS = 3, 4  # before the first rung, and that always pass one
# Where trainings cannot pause: after the first fold, when less is known.
AFTER_A_FOLD = Rung(after=1.0, keep=0.5, most=16, per_candidate=2)

# Folds that a switch rests on at least: of values by unit, and of bare scores.
LEAST_FOLDS, LEAST_SCORES = 3, 5

Read = Callable[[Setting, Sequence[int]], FoldErrors]


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a study compares, as plain data; the whole of what its plan depends on."""

    candidates: tuple[str, ...]
    default: str
    common: str | None  # the loss that people start with; shown fairly
    learning_rates: tuple[float, ...]
    epochs: int
    folds: int
    better: Better
    finalists: int = 3  # beside the default and the common loss
    earlier: int = 0  # comparisons of earlier studies, for which the test corrects too
    probes: ClassVar[bool] = True  # whether the default runs first, and twice

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What the screening starts, in this order: the default first, others are held to it."""
        names = sorted(self.candidates, key=lambda name: name != self.default)
        return tuple(Setting(name, rate) for name in names for rate in self.learning_rates)

    @property
    def screening(self) -> tuple[int, ...]:
        """The folds that choose the finalists."""
        return tuple(range(min(SCREENING, self.folds)))

    @property
    def first(self) -> tuple[int, ...]:
        """The folds on which every candidate starts; who passes the first cut goes on to others."""
        return self.screening[:1]

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many folds the evidence is looked at."""
        return looks(self.folds, len(self.screening))

    @property
    def shares(self) -> tuple[float, ...]:
        """The looks as shares of all folds."""
        return tuple(look / self.folds for look in self.looks)

    def review(self, facts: Facts, read: "Read") -> Decision | None:
        """Return what is decided while the finalists train: nothing before a look."""
        return None

    def length(self, decisions: Mapping[str, Any]) -> int:
        """Return how many epochs trainings last by what was decided."""
        return self.epochs

    def extend(self, facts: Facts) -> Decision | None:
        """Return how the screening goes on before finalists are chosen: not at all."""
        return None

    def left(self, facts: Facts) -> set[Setting] | None:
        """Return what the latest cut left, or None before the first.

        A quick worker may have ended a training that the cut would have stopped: it is out too.
        """
        cuts = [
            name for name in facts.decisions if name == "first fold" or name.startswith("rung ")
        ]
        return {Setting(*one) for one in facts.decisions[cuts[-1]]} if cuts else None

    def rungs(self) -> tuple[int, ...]:
        """Return the epochs after which a screening that can pause is cut."""
        return tuple(
            min(self.epochs, max(LEAST_EPOCHS, ceil(self.epochs * rung.after))) for rung in RUNGS
        )

    @property
    def halving(self) -> SuccessiveHalving:
        """The rule by which the screening is cut."""
        return SuccessiveHalving(
            default=self.default,
            common=self.common or self.default,
            least=max(LEAST_TRAININGS, 2 * len(self.learning_rates)),
            rungs=RUNGS,
            finalists=self.finalists,
        )
