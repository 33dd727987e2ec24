"""By which numbers a study of a table is cut: named sets of them, and nothing else differs.

`best` trains what may be chosen, `fast` as little as keeps most verdicts; both were chosen by
replaying whole studies. The folds, the test and its correction for all rivals are the same, so
that a switch is as sure under either.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lossmith.study.base.errors import InputError
from lossmith.study.data.table import nearest
from lossmith.study.journal.facts import Setting
from lossmith.study.rules.halving import Check, Futility, Rung


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How much a study of a table trains.

    rates: at how many learning rates a loss starts, those in the middle of the grid; None: at all,
    as the default and the common loss do. rungs, finalists, default_settings: of the screening, as
    `SuccessiveHalving` has them. futility: by which finalists leave.
    """

    rates: int | None
    rungs: tuple[Rung, ...]
    finalists: int
    default_settings: int
    futility: Futility

    def starts(self, setting: Setting, grid: Sequence[float], whole: Collection[str]) -> bool:
        """Tell whether the screening starts a setting; whole: losses that start at every rate."""
        return setting.candidate in whole or setting.learning_rate in self.middle(grid)

    def middle(self, grid: Sequence[float]) -> list[float]:
        """Return the learning rates of most losses, of two as near to the middle the greater.

        >>> PRESETS["best"].middle([0.001, 0.003, 0.01])
        [0.003, 0.01, 0.001]
        """
        ordered = sorted(grid, reverse=True)
        places = sorted(range(len(grid)), key=lambda place: abs(2 * place - len(grid) + 1))
        return [ordered[place] for place in places[: self.rates]]


PRESETS: Mapping[str, Preset] = {
    "best": Preset(
        rates=None,
        rungs=(
            Rung(after=0.05, keep=0.4, most=30, per_candidate=2),
            Rung(after=0.1, keep=0.5, most=15, per_candidate=2),
            Rung(after=0.3, keep=0.5, most=8, per_candidate=2),
            Rung(after=0.6, keep=0.6, most=5, per_candidate=1),
        ),
        finalists=5,
        default_settings=2,
        futility=Futility(
            checks=(
                Check(after=0.1, p_value=0.7),
                Check(after=0.3, p_value=0.5),
                Check(after=0.6, p_value=0.3),
                Check(after=0.8, p_value=0.2),
            ),
            protected=1,
        ),
    ),
    "fast": Preset(
        rates=2,
        rungs=(
            Rung(after=0.05, keep=0.4, most=20, per_candidate=2),
            Rung(after=0.1, keep=0.5, most=10, per_candidate=2),
            Rung(after=0.3, keep=0.5, most=5, per_candidate=1),
            Rung(after=0.6, keep=0.6, most=4, per_candidate=1),
        ),
        finalists=2,
        default_settings=2,
        futility=Futility(
            checks=(
                Check(after=0.1, p_value=0.5),
                Check(after=0.3, p_value=0.3),
                # Not before: a small learning rate is behind at first.
                Check(after=0.6, p_value=0.2, behind=0.8),
                Check(after=0.8, p_value=0.1, behind=0.8),
            ),
            protected=0,
        ),
    ),
}


def check_preset(name: object) -> None:
    """Raise InputError for a name that is no preset's."""
    if not isinstance(name, str) or name not in PRESETS:
        near = nearest(name, [*PRESETS]) if isinstance(name, str) else ""
        raise InputError(f"preset must be {' or '.join(map(repr, PRESETS))}, got {name!r}{near}")
