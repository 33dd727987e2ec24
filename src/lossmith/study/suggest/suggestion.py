"""What is expected of losses on a table, and how it is told."""

from dataclasses import asdict, dataclass
from typing import Any

from lossmith.printable import printable
from lossmith.study.base.formatting import listed, signed
from lossmith.study.metrics import error_name

LIKELY = 0.75  # probability from which a loss is likely to beat the default
WORTH = 0.01  # share of the default's error that it must take off besides
LISTED = 8  # losses shown of those that are not likely to beat it


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What is expected of one loss: relative changes of the default's error, negative is better.

    change: in the middle. low, high: of the 80 % interval. probability: to beat the default.
    """

    name: str
    change: float
    low: float
    high: float
    probability: float

    @property
    def likely(self) -> bool:
        """Whether the loss is likely to beat the default by anything that counts."""
        return self.probability >= LIKELY and self.change <= -WORTH


@dataclass(frozen=True, kw_only=True)
class Alike:
    """A recorded table and how it is like this one, from 0 to 1; change: of the first loss there.

    likeness: None of a cell of the atlas. low, high: 80 % interval of what was measured.
    """

    name: str
    target: str
    condition: str
    likeness: float | None
    change: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """The losses that are worth a study, the most promising first.

    target: empty where no table was given. default: the loss to beat. losses: all that the table
    admits and that are known. unknown: those that are not. alike: recorded tables, or cells of the
    atlas. outside: in what the table is like none of them. study: the command that proves it.
    """

    target: str
    metric: str
    task: str
    default: str
    losses: tuple[Prospect, ...]
    unknown: tuple[str, ...]
    alike: tuple[Alike, ...]
    outside: tuple[str, ...]
    study: str

    @property
    def likely(self) -> tuple[Prospect, ...]:
        """The losses that are likely to beat the default."""
        return tuple(one for one in self.losses if one.likely)

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        if not self.likely:
            return f"Nothing is likely to beat {self.default} here: keep it."
        first, *others = self.likely
        return (
            f"{first.name} is likely to beat {self.default}: error {signed(first.change)} "
            f"[{signed(first.low)}, {signed(first.high)}], probability "
            f"{first.probability:.0%}" + _also([one.name for one in others]) + "."
        )

    @property
    def caution(self) -> str:
        """What the figures are, and what only a study can say."""
        return (
            "Expected on rows whose targets are right, from other data and before any training, "
            f"with 80 % intervals; only a study proves it: {self.study}"
        )

    @property
    def shown(self) -> tuple[Prospect, ...]:
        """The losses that are shown: those that are likely, and a few more."""
        return self.losses[: max(LISTED, len(self.likely))]

    @property
    def heading(self) -> str:
        """What is expected, of which table."""
        of = error_name(self.metric)
        what = f"{self.target}: {self.task}" if self.target else self.task
        return f"{what}, {of} of each loss against {self.default}"

    def as_plain(self) -> dict[str, Any]:
        """Return everything as plain data."""
        more = {"sentence": self.sentence, "likely": [one.name for one in self.likely]}
        return asdict(self) | more

    def __str__(self) -> str:
        rows = [
            f"  {one.name:<44} {signed(one.change):>9} "
            f"[{signed(one.low)}, {signed(one.high)}]  {one.probability:.0%}"
            for one in self.shown
        ]
        lines = [self.heading, *rows, self.sentence, *self.notes, self.caution]
        return "\n".join(map(printable, lines))

    @property
    def notes(self) -> tuple[str, ...]:
        """What limits the answer, a line each."""
        notes = list(self.outside)
        if self.unknown:
            notes.append(f"Nothing is known of {listed(list(self.unknown))}.")
        return tuple(notes)


def _also(names: list[str]) -> str:
    return f"; so {'is' if len(names) == 1 else 'are'} {listed(names, 3)}" if names else ""
