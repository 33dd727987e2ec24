"""What a candidate's track says on some cells, and how two candidates compare row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lossmith.study.scores import Measure, Track
from lossmith.study.verdict import Estimate, estimate


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A candidate's scores, one a cell, with what each of the cell's rows adds to them.

    Each cell is scored at the epoch that is best on the other cells, so that no score is the
    best of several on its own rows. epoch: the best on all cells together.
    """

    scores: np.ndarray
    influences: tuple[np.ndarray, ...]
    rows: tuple[np.ndarray, ...]
    chosen: tuple[int, ...]  # epochs, of each cell
    epoch: int
    lower: bool  # is better

    @property
    def level(self) -> Estimate:
        """The mean score with its interval."""
        return estimate(self._values(), self.rows)

    def difference(self, other: "Reading") -> Estimate:
        """Estimate how far this score lies from another, negative where this one is better."""
        sign = 1 if self.lower else -1
        pairs = zip(self._values(), other._values(), strict=True)
        return estimate([sign * (ours - theirs) for ours, theirs in pairs], self.rows)

    def doubt(self, other: "Reading") -> float:
        """Return the one-sided p-value of being better than another.

        Errors of different cells differ by factors, so they are compared by the logarithm of
        their ratio; scores where higher is better by their difference.
        """
        if not self.lower or min(self.scores.min(), other.scores.min()) <= 0:
            return self.difference(other).p_value
        pairs = zip(self._logs(), other._logs(), strict=True)
        return estimate([ours - theirs for ours, theirs in pairs], self.rows).p_value

    def _values(self) -> list[np.ndarray]:
        return [s + own for s, own in zip(self.scores, self.influences, strict=True)]

    def _logs(self) -> list[np.ndarray]:
        return [np.log(s) + own / s for s, own in zip(self.scores, self.influences, strict=True)]


def read(
    track: Track, cells: Sequence[int], metric: Measure, rows: Mapping[int, np.ndarray]
) -> Reading:
    """Read a track on some cells; rows: of each cell, the units of those that count."""
    chosen, best = _epochs(track, cells, metric)
    return read_at(track, cells, metric, rows, chosen, best)


def read_at(
    track: Track,
    cells: Sequence[int],
    metric: Measure,
    rows: Mapping[int, np.ndarray],
    chosen: Sequence[int],
    best: int,
) -> Reading:
    """Read a track at a given epoch of each cell; best: that of all cells together."""
    pairs = list(zip(cells, chosen, strict=True))
    return Reading(
        scores=np.array([track.scores[cell][epoch] for cell, epoch in pairs]),
        influences=tuple(track.influences[cell][epoch] for cell, epoch in pairs),
        rows=tuple(rows[cell] for cell in cells),
        chosen=tuple(chosen),
        epoch=best,
        lower=metric.better == "lower",
    )


def _epochs(track: Track, cells: Sequence[int], metric: Measure) -> tuple[list[int], int]:
    """Return for each cell the epoch that is best on the other cells, and the best on all."""
    table, epochs = track.table(cells)
    signed = table if metric.better == "lower" else -table
    places = np.arange(len(table))
    others = [places[places != place] if len(places) > 1 else places for place in places]
    chosen = [epochs[int(signed[rest].sum(axis=0).argmin())] for rest in others]
    return chosen, epochs[int(signed.sum(axis=0).argmin())]
