"""The race: every candidate starts, the hopeless leave early, the rest run on all cells."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from lossmith.core.card import Task
from lossmith.core.loss import Loss
from lossmith.study.candidates import Candidate, Field
from lossmith.study.errors import InputError
from lossmith.study.members import Budget, Member
from lossmith.study.metrics import Metric
from lossmith.study.model import Model
from lossmith.study.scores import Scorer, Track, predict
from lossmith.study.split import Split
from lossmith.study.verdict import estimate

FINALISTS = 5  # beside the default
EVIDENCE_ROWS = 1000  # whose raw outputs are kept for the report
DEFAULT_RATES = 2  # learning rates at which the default is measured to the end
DOUBT = 0.05  # a finalist this surely worse than the default leaves before the last cells
# Share of a training's epochs after which only a share of a screening's members goes on.
CUTS = ((0.1, 0.4), (0.3, 0.4))
SCREENING_SHARE = 0.4  # of the race's time, for the progress display
REVIEWS = (0.3, 0.6)  # shares of the epochs after which hopeless finalists leave


class Fleet(Protocol):
    """Members in training over the same cells."""

    members: list[Member]

    def advance(self, epochs: int) -> None:
        """Train every member for some epochs."""

    def outputs(self) -> list[list[Tensor]]:
        """Return each member's raw outputs on each cell's validation rows."""

    def keep(self, kept: Sequence[int]) -> None:
        """Go on with some of the members only."""


class Trainer(Protocol):
    """What trains members: stacked for tables, one after the other for any model."""

    task: Task
    split: Split
    budget: Budget
    overlap: float
    ensemble: int  # trainings of a final model
    rounds: tuple[Sequence[int], Sequence[int]]  # cells: for screening, and all others

    def losses(self, candidate: Candidate, cells: Sequence[int]) -> tuple[Loss, ...]:
        """Return the candidate fitted to the training targets of each cell."""

    def fleet(self, cells: Sequence[int], members: Sequence[Member]) -> Fleet:
        """Return members ready to train on cells."""

    def valid_target(self, cell: int) -> np.ndarray:
        """Return the targets of a cell's validation rows."""

    def valid_targets_tensor(self, cell: int) -> Tensor:
        """Return the same as a tensor."""

    def siblings(self, cell: int, cells: Sequence[int]) -> list[int]:
        """Return the other cells that share no validation row with a cell."""

    def final(self, candidate: Candidate, rate: float, epochs: int) -> Model:
        """Train a candidate on all rows but the test rows."""

    def test_target(self) -> np.ndarray:
        """Return the targets of the untouched rows."""

    def predict_test(self, model: Any) -> np.ndarray:
        """Return a final model's predictions of the untouched rows."""

    def default_seconds(self, track: Track, epochs: int, rates: Sequence[float]) -> float:
        """Return what evaluating the default alone takes by plain sequential training."""


class OutOfTimeError(Exception):
    """The study's time is used up."""


@dataclass
class Clock:
    """The study's time, and where its progress goes."""

    limit: float | None
    report: Callable[[float, str], None]
    start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.start

    def tick(self, share: float, text: str) -> None:
        """Report progress; raise OutOfTimeError when the time is used up."""
        self.report(share, text)
        if self.limit is not None and self.seconds > self.limit:
            raise OutOfTimeError


@dataclass
class Race:
    """One race over a trainer's cells; its tracks hold everything that was measured."""

    trainer: Trainer
    entries: Field
    metric: Metric
    rates: Sequence[float]
    clock: Clock
    exclude_gross: bool = True
    tracks: dict[tuple[str, float], Track] = field(default_factory=dict)
    finalists: list[tuple[str, float]] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)  # that finalists were measured on
    notes: dict[str, str] = field(default_factory=dict)  # why a candidate is not in the race
    trainings: int = 0

    def __post_init__(self) -> None:
        self.scorer = Scorer(self.metric, self.trainer, self.exclude_gross)

    def run(self) -> bool:
        """Run to the end; return False when it was stopped by the user or by the clock."""
        try:
            self._screen(self.trainer.rounds[0])
            self._confirm(self.trainer.rounds[1])
        except (KeyboardInterrupt, OutOfTimeError):
            return False
        return True

    def best(self, track: Track) -> tuple[np.ndarray, int]:
        """Return a track's scores, one a cell, and its best epoch.

        Each cell is scored at the epoch that is best on the other cells, so that no score is
        the best of several on its own rows.
        """
        table, epochs = track.table(self.cells)
        signed = table if self.metric.better == "lower" else -table
        cells = np.arange(len(table))
        others = [cells[cells != cell] if len(cells) > 1 else cells for cell in cells]
        chosen = [int(signed[rows].sum(axis=0).argmin()) for rows in others]
        return table[cells, chosen], epochs[int(signed.sum(axis=0).argmin())]

    @property
    def mature(self) -> bool:
        """Whether the finalists trained long enough for a fast start not to decide."""
        _, epochs = self.default_track().table(self.cells)
        return epochs[-1] >= REVIEWS[-1] * self.trainer.budget.epochs

    def improvement(self, track: Track, other: Track) -> np.ndarray:
        """Return paired differences, one a cell, negative where track is better."""
        difference = self.best(track)[0] - self.best(other)[0]
        return difference if self.metric.better == "lower" else -difference

    def doubt(self, track: Track, other: Track) -> float:
        """Return the one-sided p-value of track being better than other.

        Errors of different cells differ by factors, so they are compared by the logarithm of
        their ratio; scores where higher is better by their difference.
        """
        ours, theirs = self.best(track)[0], self.best(other)[0]
        values = self.improvement(track, other)
        if self.metric.better == "lower" and min(ours.min(), theirs.min()) > 0:
            values = np.log(ours / theirs)
        return estimate(values, self.trainer.overlap).p_value

    def default_track(self) -> Track:
        """Return the default at its best learning rate."""
        return self.final_tracks()[self.entries.default]

    def final_tracks(self) -> dict[str, Track]:
        """Return the finalists' tracks, the default's at the better of its learning rates."""
        sign = 1 if self.metric.better == "lower" else -1
        found: dict[str, Track] = {}
        for key in self.finalists:
            track, rival = self.tracks[key], found.get(key[0])
            if rival is None or sign * (self.best(track)[0] - self.best(rival)[0]).mean() < 0:
                found[key[0]] = track
        return found

    def _screen(self, cells: Sequence[int]) -> None:
        members = [
            Member(candidate=candidate.name, learning_rate=rate, losses=losses)
            for candidate in self.entries.candidates
            if (losses := self._fitted(candidate, cells)) is not None
            for rate in self.rates
        ]
        fleet = self._start(cells, members)
        cuts = list(CUTS)
        for done, epoch in self._checkpoints():
            fleet.advance(epoch - done)
            self._record(fleet, cells, epoch)
            share = epoch / self.trainer.budget.epochs
            if cuts and share >= cuts[0][0]:
                self.scorer.find_gross(cells)
                fleet.keep(self._survivors(fleet, cells, cuts.pop(0)[1]))
            running = len({member.candidate for member in fleet.members})
            self.clock.tick(SCREENING_SHARE * share, f"screening {running} losses")
        self.finalists = self._finalists(fleet, cells)
        self.cells = list(cells)

    def _confirm(self, cells: Sequence[int]) -> None:
        fitting = {candidate.name: candidate for candidate in self.entries.candidates}
        members = [
            Member(
                candidate=name,
                learning_rate=rate,
                losses=self.trainer.losses(fitting[name], cells),
            )
            for name, rate in self.finalists
        ]
        fleet = self._start(cells, members)
        reviews = list(REVIEWS)
        for done, epoch in self._checkpoints():
            fleet.advance(epoch - done)
            self._record(fleet, cells, epoch)
            self.cells = [*self.trainer.rounds[0], *cells]
            share = epoch / self.trainer.budget.epochs
            if reviews and share >= reviews[0]:
                reviews.pop(0)
                self._review(fleet, cells)
            text = f"measuring {len(fleet.members)} losses on {len(self.cells)} folds"
            self.clock.tick(SCREENING_SHARE + (1 - SCREENING_SHARE) * share, text)
        self.scorer.find_gross(cells)

    def _start(self, cells: Sequence[int], members: list[Member]) -> Fleet:
        for member in members:
            key = member.candidate, member.learning_rate
            self.tracks.setdefault(key, Track(*key))
        self.trainings += len(members) * len(cells)
        return self.trainer.fleet(cells, members)

    def _checkpoints(self) -> list[tuple[int, int]]:
        marks = self.trainer.budget.checkpoints()
        return list(zip([0, *marks], marks, strict=False))

    def _fitted(self, candidate: Candidate, cells: Sequence[int]) -> tuple[Loss, ...] | None:
        try:
            return self.trainer.losses(candidate, cells)
        except ValueError as error:
            if candidate.name == self.entries.default:
                raise InputError(f"the default loss {candidate.name}: {error}") from error
            self.notes[candidate.name] = str(error)
            return None

    def _record(self, fleet: Fleet, cells: Sequence[int], epoch: int) -> None:
        """Score every member on every cell."""
        outputs = fleet.outputs()
        tracks = [self.tracks[m.candidate, m.learning_rate] for m in fleet.members]
        predictions = [
            np.stack(
                [
                    predict(member.losses[position], raw[position])
                    for member, raw in zip(fleet.members, outputs, strict=True)
                ]
            )
            for position in range(len(cells))
        ]
        self.scorer.record(tracks, dict(zip(cells, predictions, strict=True)), epoch)
        if cells[0] == self.trainer.rounds[0][0]:
            for track, member, raw in zip(tracks, fleet.members, outputs, strict=True):
                track.outputs[epoch] = member.losses[0], raw[0][:EVIDENCE_ROWS]

    def _survivors(self, fleet: Fleet, cells: Sequence[int], share: float) -> list[int]:
        """Return the members that go on: the best share, and the default whatever it scores."""
        standing = [self._standing(member, cells) for member in fleet.members]
        order = [int(i) for i in np.argsort(standing, kind="stable")]
        count = max(round(share * len(order)), 2 * len(self.rates))
        return [
            index
            for rank, index in enumerate(order)
            if (np.isfinite(standing[index]) and rank < count)
            or fleet.members[index].candidate == self.entries.default
        ]

    def _standing(self, member: Member, cells: Sequence[int]) -> float:
        track = self.tracks[member.candidate, member.learning_rate]
        if track.diverged:  # however well it did before
            return np.inf
        table, _ = track.table(cells)
        return float((table if self.metric.better == "lower" else -table).mean(axis=0).min())

    def _finalists(self, fleet: Fleet, cells: Sequence[int]) -> list[tuple[str, float]]:
        """Return the best others at their best learning rate, and the default at its best two.

        Two folds settle a learning rate only roughly; the doubt goes to the default's favour.
        """
        ranked = sorted(fleet.members, key=lambda member: self._standing(member, cells))
        if not np.isfinite(self._standing(ranked[0], cells)):
            raise InputError(
                "every loss diverged; check the features and the target for extreme values"
            )
        keys = [
            (member.candidate, member.learning_rate)
            for member in ranked
            if np.isfinite(self._standing(member, cells))
        ]
        default = [key for key in keys if key[0] == self.entries.default][:DEFAULT_RATES]
        if not default:
            raise InputError(
                f"the default loss {self.entries.default} diverged at every learning rate; "
                "try smaller ones"
            )
        others: dict[str, float] = {}
        for name, rate in keys:
            others.setdefault(name, rate)
        others.pop(self.entries.default)
        return default + list(others.items())[:FINALISTS]

    def _review(self, fleet: Fleet, cells: Sequence[int]) -> None:
        """Drop the finalists that are surely worse than the default so far."""
        self.scorer.find_gross(cells)
        default = self.default_track()
        hopeless = {
            key
            for key in self.finalists
            if key[0] != self.entries.default and self.doubt(self.tracks[key], default) > 1 - DOUBT
        }
        self.finalists = [key for key in self.finalists if key not in hopeless]
        fleet.keep(
            [
                index
                for index, member in enumerate(fleet.members)
                if (member.candidate, member.learning_rate) not in hopeless
            ]
        )
