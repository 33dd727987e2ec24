"""A recorded study, decided again while simulated workers train it: discrete events, real rules."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lossmith.study.journal import Decision, Facts, Record, Report, Storage, Training
from lossmith.study.rules.design import TWIN_REPORTS, Design
from lossmith.study.rules.evidence import Shape, reader
from lossmith.study.rules.plan import due, pause_after
from lossmith.study.trials.place import read_place
from lossmith.study.trials.spec import design_of


class Recorded:
    """What a study measured that trainings could pause in: every curve, with each unit's part."""

    def __init__(self, folder: Path) -> None:
        self.journal: Storage = read_place(folder)
        spec = self.journal.spec() or {}
        self.design: Design = design_of(spec)
        self.shape = Shape(self.journal.units(), spec["overlap"])
        facts = self.journal.facts()
        self.decisions = dict(facts.decisions)
        self.records = dict(facts.records)
        self._influences: dict[tuple[Training, int], np.ndarray | None] = {}

    def whole(self, training: Training) -> Record:
        """Return a training as it was recorded; of one ahead of the study's end, one like it."""
        own = self.records.get(training)
        if own is not None and (own.state != "stopped" or training.fold in self.design.screening):
            return own
        alike = (Training(training.setting, fold) for fold in self.design.screening)
        return next(one for t in alike if (one := self.records[t]).state == "done")

    def influences(self, training: Training, epoch: int) -> np.ndarray | None:
        """Return what each unit adds to a score."""
        key = training, epoch
        if key not in self._influences:
            self._influences[key] = self.journal.influences(training, epoch)
        return self._influences[key]

    @property
    def seconds(self) -> float:
        """How long all its trainings took."""
        return sum(r.seconds for record in self.records.values() for r in record.reports)


@dataclass
class Replay:
    """Workers that train a recorded study.

    seconds: of a training's next report, by its recorded seconds and the worker.
    reporting, asking: seconds for which the journal is held to write a report, or to decide and
        claim; one at a time.
    """

    recorded: Recorded
    workers: int
    seconds: Callable[[float, int], float]
    reporting: float = 0.0
    asking: float = 0.0
    records: dict[Training, Record] = field(default_factory=dict)
    decisions: dict[str, Any] = field(default_factory=dict)
    now: float = 0.0
    busy: float = 0.0  # seconds that workers trained
    operations: int = 0
    held: float = 0.0  # seconds for which the journal was
    queued: float = 0.0  # seconds that workers waited for the journal
    _free: float = 0.0  # when the journal is

    def run(self) -> "Replay":
        """Replay it to its end."""
        events: list[tuple[float, int, Training]] = []
        idle = list(range(self.workers))
        self._decide()
        while True:
            waiting = iter([t for t, r in self.records.items() if r.state == "planned"])
            while idle and (training := next(waiting, None)) is not None:
                worker = idle.pop(0)
                self.records[training] = replace(self.records[training], state="running")
                self._next(events, self._locked(self.asking), worker, training)
            if not events:
                assert "end" in self.decisions, "nothing is planned, and nothing runs"
                return self
            self.now, worker, training = heapq.heappop(events)
            if self.records[training].state == "stopped" or self._reported(training):
                idle.append(worker)
                self._decide()
            else:
                self._next(events, self._locked(self.reporting), worker, training)

    def _next(self, events: list[Any], start: float, worker: int, training: Training) -> None:
        said = self._upcoming(training)
        lasts = self.seconds(said.seconds, worker)
        self.busy += lasts
        heapq.heappush(events, (start + lasts, worker, training))

    def _locked(self, seconds: float) -> float:
        """Hold the journal for a while, when it is free; return until when."""
        begin = max(self.now, self._free)
        self.queued += begin - self.now
        self.operations += 1
        self.held += seconds
        self._free = begin + seconds
        return self._free

    def _upcoming(self, training: Training) -> Report:
        return self.recorded.whole(training).reports[len(self.records[training].reports)]

    def _reported(self, training: Training) -> bool:
        """Write the next report; tell whether the training leaves its worker."""
        record, design = self.records[training], self.recorded.design
        said = self._upcoming(training)
        record = replace(record, reports=(*record.reports, said))
        whole = self.recorded.whole(training)
        rung = pause_after(design, self.decisions)
        screens = training.fold in design.screening and not training.twin
        if whole.state == "failed" and len(record.reports) == len(whole.reports):
            state = "failed"
        elif said.epoch == design.epochs or (training.twin and len(record.reports) == TWIN_REPORTS):
            state = "done"
        elif screens and rung is not None and said.epoch >= rung:
            state = "paused"
        else:
            state = "running"
        self.records[training] = replace(record, state=state)  # type: ignore[arg-type]
        return state != "running"

    def _decide(self) -> None:
        while True:
            facts = Facts(records=self.records, decisions=self.decisions)
            recorded = self.recorded
            read = reader(recorded.design, facts, recorded, recorded.shape, _unformed)  # type: ignore[arg-type]
            decision = due(recorded.design, facts, read)
            if decision is None:
                return
            self._apply(decision)

    def _apply(self, decision: Decision) -> None:
        self.decisions[decision.name] = decision.outcome
        for training in decision.plan:
            self.records.setdefault(training, Record(id=len(self.records), state="planned"))
        for training in decision.resume:
            self.records[training] = replace(self.records[training], state="planned")
        for training, why in decision.stop:
            self.records[training] = replace(self.records[training], state="stopped", note=why)


def _unformed(training: Training, epoch: int) -> np.ndarray:
    raise AssertionError(f"{training} has no influences at epoch {epoch}")
