"""What a process has read of a journal, so that it reads only what is newer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lossmith.study.journal.facts import Facts, Record, Report, Setting, Training
from lossmith.study.journal.schema import WHICH


@dataclass
class Known:
    """What was read of a journal, up to a version."""

    version: int = -1
    records: dict[Training, Record] = field(default_factory=dict)
    decisions: dict[str, Any] = field(default_factory=dict)
    last: int = 0  # row of the last decision

    def facts(self, now: float) -> Facts:
        """Return what is known, which will change no more."""
        return Facts(records=dict(self.records), decisions=dict(self.decisions), at=now)

    def learn(
        self,
        run: Callable[..., list[Any]],
        read: Callable[[str], Any],
        rowid: str,
        version: int,
    ) -> None:
        """Read what is newer, up to a version, by what runs a statement and reads an outcome."""
        reports: dict[int, list[Report]] = {}
        for key, *report in run(
            "SELECT training, epoch, score, seconds, at FROM report WHERE training IN "
            "(SELECT id FROM training WHERE version > ?) ORDER BY training, epoch",
            (self.version,),
        ):
            reports.setdefault(key, []).append(Report(*report))
        for key, state, attempt, note, worker, expires, *which in run(
            f"SELECT id, state, attempt, note, worker, expires, {WHICH} FROM training "
            "WHERE version > ? ORDER BY id",
            (self.version,),
        ):
            self.records[training_of(*which)] = Record(
                id=key,
                state=state,
                attempt=attempt,
                reports=tuple(reports.get(key, ())),
                note=note,
                worker=worker or "",
                expires=expires or 0.0,
            )
        for row, name, outcome in run(
            f"SELECT {rowid}, name, outcome FROM decision WHERE {rowid} > ? ORDER BY {rowid}",
            (self.last,),
        ):
            self.decisions[name], self.last = read(outcome), row
        self.version = version


def training_of(candidate: str, rate: float, variant: int, fold: int, twin: int) -> Training:
    """Return a training from its columns."""
    return Training(Setting(candidate, rate, variant), fold, bool(twin))
