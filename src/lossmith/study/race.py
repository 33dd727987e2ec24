"""The race: every candidate starts, the hopeless leave early, the rest run on all cells."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossmith.core.loss import Loss
from lossmith.study.candidates import Entry, Field
from lossmith.study.clock import Clock, OutOfTimeError
from lossmith.study.compare import Reading, read
from lossmith.study.errors import InputError
from lossmith.study.members import Key, Member
from lossmith.study.scores import Track
from lossmith.study.trainer import Fleet, Trainer

FINALISTS = 5  # beside the default and the naive default
EVIDENCE_ROWS = 1000  # whose raw outputs are kept for the report
DEFAULT_SETTINGS = 2  # at which the default is measured to the end
# Of a screening: after which share of the epochs, what share of its members goes on, at most how
# many, so that a larger catalogue costs little more, and at how many settings of a candidate.
CUTS = ((0.1, 0.4, 30, 2), (0.3, 0.4, 12, 2), (0.6, 0.6, 7, 1))
SCREENING_SHARE = 0.4  # of the race's time, for the progress display
# Of the finalists: after which share of the epochs they leave, at what doubt of being better. What
# is proven in the end is hardly in doubt by then; the best rivals leave only when surely worse.
REVIEWS = ((0.3, 0.5), (0.6, 0.3))
BEST, SURELY_WORSE = 3, 0.95


@dataclass
class Race:
    """One race over a trainer's cells; its tracks hold everything that was measured."""

    trainer: Trainer
    entries: Field
    scorer: Any
    rates: Sequence[float]
    clock: Clock
    screened: int = 0  # rivals among which earlier races chose; the test corrects for them too
    tracks: dict[Key, Track] = field(default_factory=dict)
    running: list[Key] = field(default_factory=list)  # members measured last
    finalists: list[Key] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)  # that finalists were measured on
    notes: dict[str, str] = field(default_factory=dict)  # why a candidate is not in the race
    trainings: int = 0
    finished: bool = False
    stopped: bool = False

    def __post_init__(self) -> None:
        self.metric = self.scorer.metric

    def run(self) -> bool:
        """Run to the end; return False when it was stopped by the user or by the clock."""
        try:
            self.screen()
            self._confirm(self.trainer.rounds[1])
            self.finished = True
        except (KeyboardInterrupt, OutOfTimeError):
            self.stop()
        return self.finished

    def stop(self) -> None:
        """End where it stands, with finalists if anything was measured."""
        self.stopped = True
        if self.running and not self.finalists:
            self._settle(self.trainer.rounds[0])

    def reading(self, track: Track, cells: Sequence[int] | None = None) -> Reading:
        """Return what a track says on some cells, or on all those so far."""
        cells = self.cells if cells is None else cells
        split = self.trainer.split
        rows = {
            cell: split.units(split.cells[cell].valid[self.scorer.judged.get(cell, slice(None))])
            for cell in cells
        }
        return read(track, cells, self.metric, rows)

    def epochs(self, track: Track) -> int:
        """Return how long to train finally: to the best epoch, or on where a stop cut it off."""
        best = self.reading(track).epoch
        last = track.table(self.cells)[1][-1]
        return best if self.finished or best < last else self.trainer.budget.epochs

    @property
    def mature(self) -> bool:
        """Whether the finalists trained long enough for a fast start not to decide."""
        _, epochs = self.default_track().table(self.cells)
        started = len(self.cells) > len(self.trainer.rounds[0])
        return started and epochs[-1] >= REVIEWS[-1][0] * self.trainer.budget.epochs

    @property
    def default(self) -> Entry:
        """The candidate to beat."""
        return self.entry(self.entries.default)

    def entry(self, name: str) -> Entry:
        """Return the candidate of a name."""
        return next(one for one in self.entries.candidates if one.name == name)

    def default_track(self) -> Track:
        """Return the default at its best setting."""
        return self.final_tracks()[self.entries.default]

    def final_tracks(self) -> dict[str, Track]:
        """Return the finalists' tracks, the default's at the better of its settings."""
        sign = 1 if self.metric.better == "lower" else -1
        found: dict[str, Track] = {}
        for key in self.finalists:
            track, rival = self.tracks[key], found.get(key.candidate)
            mean = sign * float(self.reading(track).scores.mean())
            if rival is None or mean < sign * float(self.reading(rival).scores.mean()):
                found[key.candidate] = track
        return found

    def screen(self) -> None:
        """Start every candidate on the first cells; the hopeless leave, the best are finalists."""
        cells = self.trainer.rounds[0]
        members = [
            _member(Key(candidate.name, rate, number), losses)
            for candidate in self.entries.candidates
            for number, variant in enumerate(candidate.variants)
            if (losses := self.fitted(variant, cells)) is not None
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
                fleet.keep(self._survivors(fleet, cells, *cuts.pop(0)[1:]))
            running = len({member.candidate for member in fleet.members})
            self.clock.tick(SCREENING_SHARE * share, f"screening {running} losses")
        self._settle(cells)

    def _settle(self, cells: Sequence[int]) -> None:
        """End the screening: choose the finalists by what was measured last."""
        self.finalists = self._finalists(cells)
        self.cells = list(cells)

    def _confirm(self, cells: Sequence[int]) -> None:
        fitting = {candidate.name: candidate for candidate in self.entries.candidates}
        members = [
            _member(key, self.trainer.losses(fitting[key.candidate].variants[key.variant], cells))
            for key in self.finalists
        ]
        fleet = self._start(cells, members)
        reviews = list(REVIEWS)
        for done, epoch in self._checkpoints():
            fleet.advance(epoch - done)
            self._record(fleet, cells, epoch)
            self.cells = [*self.trainer.rounds[0], *cells]
            share = epoch / self.trainer.budget.epochs
            if reviews and share >= reviews[0][0]:
                self._review(fleet, cells, reviews.pop(0)[1])
            text = f"measuring {len(fleet.members)} losses on {len(self.cells)} folds"
            self.clock.tick(SCREENING_SHARE + (1 - SCREENING_SHARE) * share, text)
        self.scorer.find_gross(cells)

    def _start(self, cells: Sequence[int], members: list[Member]) -> Fleet:
        for member in members:
            if member.key not in self.tracks:
                self.tracks[member.key] = self.scorer.track(member.key)
        self.trainings += len(members) * len(cells)
        return self.trainer.fleet(cells, members)

    def _checkpoints(self) -> list[tuple[int, int]]:
        marks = self.trainer.budget.checkpoints()
        return list(zip([0, *marks], marks, strict=False))

    def fitted(self, candidate: Entry, cells: Sequence[int]) -> tuple[Loss, ...] | None:
        """Return a candidate's losses, one a cell, or None with a note where it does not fit.

        Raises:
            InputError: if the default does not.
        """
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
        tracks = [self.tracks[member.key] for member in fleet.members]
        predictions = {
            cell: self.scorer.read(
                [member.losses[position] for member in fleet.members],
                [raw[position] for raw in outputs],
            )
            for position, cell in enumerate(cells)
        }
        self.scorer.record(tracks, predictions, epoch)
        default = next(m for m in fleet.members if m.candidate == self.entries.default)
        self.trainer.probe(default.losses[0])
        self.running = [track.key for track in tracks]
        if cells[0] == self.trainer.rounds[0][0]:
            for track, member, raw in zip(tracks, fleet.members, outputs, strict=True):
                loss = member.losses[0]
                loss = copy.deepcopy(loss) if _changes(loss) else loss  # as it is at this epoch
                track.outputs[epoch] = loss, raw[0][:EVIDENCE_ROWS]

    def _survivors(
        self, fleet: Fleet, cells: Sequence[int], share: float, most: int, settings: int
    ) -> list[int]:
        """Return the members that go on: the best, and both defaults whatever they score."""
        keys = [member.key for member in fleet.members]
        standing = [self._standing(key, cells) for key in keys]
        count = min(most, max(round(share * len(keys)), 2 * len(self.rates)))
        kept: list[int] = []
        for index in np.argsort(standing, kind="stable").tolist():
            name = keys[index].candidate
            same = sum(keys[other].candidate == name for other in kept)
            passed = len(kept) < count and same < settings
            shown = name == self.entries.naive and same == 0  # what people start with, fairly
            finite = np.isfinite(standing[index])
            if ((passed or shown) and finite) or name == self.entries.default:
                kept.append(index)
        return kept

    def _standing(self, key: Key, cells: Sequence[int]) -> float:
        track = self.tracks[key]
        if track.diverged:  # however well it did before
            return np.inf
        table, _ = track.table(cells)
        return float((table if self.metric.better == "lower" else -table).mean(axis=0).min())

    def _finalists(self, cells: Sequence[int]) -> list[Key]:
        """Return the best others at their best setting, and the default at its best two.

        Two folds settle a learning rate only roughly; the doubt goes to the default's favour.
        The naive default is always among them, so that what people start with is shown fairly.
        """
        standing = {key: self._standing(key, cells) for key, t in self.tracks.items() if t.scores}
        ranked = sorted(
            (k for k, s in standing.items() if np.isfinite(s)), key=standing.__getitem__
        )
        if not ranked:
            raise InputError(
                "every loss diverged; check the features and the target for extreme values"
            )
        default = [key for key in ranked if key.candidate == self.entries.default][
            :DEFAULT_SETTINGS
        ]
        if not default:
            raise InputError(
                f"the default loss {self.entries.default} diverged at every learning rate; "
                "try smaller ones"
            )
        others: dict[str, Key] = {}
        for key in ranked:
            if key in self.running and key.candidate != self.entries.default:
                others.setdefault(key.candidate, key)
        chosen = dict(list(others.items())[:FINALISTS])
        for key in ranked:
            if key.candidate == self.entries.naive != self.entries.default:
                chosen.setdefault(key.candidate, key)
        return default + list(chosen.values())

    def _review(self, fleet: Fleet, cells: Sequence[int], most: float) -> None:
        """Drop the finalists of which it is too doubtful that they are better than the default."""
        self.scorer.find_gross(cells)
        if self.default_track().diverged:
            return
        default = self.reading(self.default_track())
        doubts = {
            key: self.reading(self.tracks[key]).doubt(default)
            for key in self.finalists
            if key.candidate != self.entries.default
        }
        ranked = sorted(doubts, key=doubts.__getitem__)
        hopeless = {
            key
            for place, key in enumerate(ranked)
            if doubts[key] > (SURELY_WORSE if place < BEST else most)
        }
        self.finalists = [key for key in self.finalists if key not in hopeless]
        fleet.keep(
            [index for index, member in enumerate(fleet.members) if member.key not in hopeless]
        )


def _member(key: Key, losses: tuple[Loss, ...]) -> Member:
    """Return a member with losses of its own where training changes them."""
    own = copy.deepcopy(losses) if _changes(losses[0]) else losses
    return Member(
        candidate=key.candidate, learning_rate=key.learning_rate, losses=own, variant=key.variant
    )


def _changes(loss: Loss) -> bool:
    return loss.moves or any(True for _ in loss.parameters())
