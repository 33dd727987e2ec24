"""A journal in SQLite: one file, many processes of one machine, durable before a call returns.

Write-ahead logging with `synchronous=FULL`: a commit that was acknowledged survives a `kill -9` and
a power cut. It relies on shared memory between processes, so the file must not lie on a network
file system.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from lossmith.study.base.errors import InputError
from lossmith.study.journal.connection import connect, damaged
from lossmith.study.journal.facts import (
    Claim,
    Decision,
    Facts,
    Record,
    Report,
    Setting,
    State,
    Training,
)
from lossmith.study.journal.workers import lives

FORMAT = 2
POLL = 0.05  # seconds between two looks at whether others have written
# Seconds that a training may be silent before others take it over: at first, and then at least so
# many, or so many times the longest wait for a report.
FIRST, LEAST, TIMES = 24 * 3600.0, 60.0, 10.0
WHICH = "candidate, learning_rate, variant, fold, twin"  # a training, by its columns
# What holds of every row, written and read: SQLite looks at it in files that may be written alone.
CHECKS = {
    "fold": "length(units) % 8 = 0",
    "training": "state IN ('planned', 'running', 'paused', 'done', 'stopped', 'failed')",
    "report": "typeof(epoch) = 'integer' AND typeof(score) = 'real' AND typeof(seconds) = 'real' "
    "AND (influences IS NULL OR length(influences) % 4 = 0)",
}
SCHEMA = f"""
CREATE TABLE study (
    format INTEGER NOT NULL, spec TEXT NOT NULL, digest TEXT NOT NULL, created REAL NOT NULL
);
CREATE TABLE fold (number INTEGER PRIMARY KEY, units BLOB NOT NULL CHECK ({CHECKS["fold"]}));
CREATE TABLE training (
    id INTEGER PRIMARY KEY,
    candidate TEXT NOT NULL,
    learning_rate REAL NOT NULL,
    variant INTEGER NOT NULL,
    fold INTEGER NOT NULL,
    twin INTEGER NOT NULL,
    state TEXT NOT NULL CHECK ({CHECKS["training"]}),
    attempt INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    expires REAL,
    note TEXT NOT NULL DEFAULT '',
    UNIQUE (candidate, learning_rate, variant, fold, twin)
);
CREATE TABLE report (
    training INTEGER NOT NULL REFERENCES training (id),
    epoch INTEGER NOT NULL,
    score REAL NOT NULL,
    seconds REAL NOT NULL,
    at REAL NOT NULL,
    influences BLOB,  -- last, so that what stands before is read without them
    detail BLOB,
    PRIMARY KEY (training, epoch),
    CHECK ({CHECKS["report"]})
) WITHOUT ROWID;
CREATE INDEX waits ON report (seconds);
CREATE TABLE decision (name TEXT PRIMARY KEY, outcome TEXT NOT NULL, at REAL NOT NULL);
"""


class Journal:
    """The facts of one study in a SQLite file, or in memory where path is None.

    write: whether to write; a file that is only read is not changed, whatever it holds.
    durable: whether what is written is to outlive the processes that write it.
    """

    def __init__(self, path: Path | None, *, write: bool = True, durable: bool = True) -> None:
        self.path, self.write, self.durable = path, write, durable
        self._owner = -1
        self._connection: sqlite3.Connection | None = None
        self._spec: dict[str, Any] | None = None

    @property
    def _database(self) -> sqlite3.Connection:
        # A connection must not cross a fork: a process makes its own.
        if self._connection is None or (self._owner != os.getpid() and self.path is not None):
            self._connection = connect(self.path, self.write, self.durable)
            self._owner = os.getpid()
        return self._connection

    def close(self) -> None:
        """Let go of the file; it opens again where it is needed."""
        if self._connection is not None and self.path is not None:
            self._connection.close()
            self._connection = None

    def _run(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Execute one statement and return its rows.

        Raises:
            InputError: if the file is no journal, is damaged, or cannot be written.
        """
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise InputError(damaged(self.path, error)) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Let this process alone write for a while; what it wrote counts whole or not at all."""
        with self._within("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def _within(self, begin: str) -> Iterator[None]:
        if self._database.in_transaction:  # within another of the same process
            yield
            return
        self._run(begin)
        try:
            yield
        except BaseException:
            if self._database.in_transaction:
                self._run("ROLLBACK")
            raise
        self._run("COMMIT")

    def create(self, spec: Mapping[str, Any], units: Iterable[np.ndarray]) -> bool:
        """Begin a study: what it is, and which units each fold validates on; False if it exists."""
        with self.transaction():
            if self.spec() is not None:
                return False
            for statement in SCHEMA.split(";"):
                self._run(statement)
            text = json.dumps(spec)
            row = (FORMAT, text, _digest(text), time.time())
            self._run("INSERT INTO study VALUES (?, ?, ?, ?)", row)
            for number, part in enumerate(units):
                self._run("INSERT INTO fold VALUES (?, ?)", (number, part.astype("<i8").tobytes()))
        return True

    def spec(self) -> dict[str, Any] | None:
        """Return what the study is, or None before it was created.

        Raises:
            InputError: if the file is no journal, or one of a newer format.
        """
        if self._spec is not None:  # which never changes
            return self._spec
        if not self._run("SELECT 1 FROM sqlite_master LIMIT 1"):
            return None
        rows = self._run("SELECT format, spec, digest FROM study")
        version, text, digest = rows[0] if len(rows) == 1 else (FORMAT, "", "")
        if version != FORMAT:
            raise InputError(f"{self.path} has format {version}; this version reads {FORMAT}")
        if digest != _digest(text):
            raise InputError(damaged(self.path, "its description was changed"))
        for table, check in CHECKS.items():
            if self._run(f"SELECT 1 FROM {table} WHERE NOT ({check}) LIMIT 1"):
                raise InputError(damaged(self.path, f"CHECK failed in {table}"))
        self._spec = self._read(text)
        return self._spec

    def units(self) -> list[np.ndarray]:
        """Return the units that each fold validates on, by fold."""
        rows = self._run("SELECT units FROM fold ORDER BY number")
        return [np.frombuffer(blob, "<i8") for (blob,) in rows]

    def facts(self) -> Facts:
        """Return all that is known at one moment, whoever writes meanwhile."""
        with self._within("BEGIN"):  # else a training could have ended, and its last report lack
            return self._facts()

    def _facts(self) -> Facts:
        reports: dict[int, list[Report]] = {}
        for training, *report in self._run(
            "SELECT training, epoch, score, seconds, at FROM report ORDER BY training, epoch"
        ):
            reports.setdefault(training, []).append(Report(*report))
        records = {
            _training(*which): Record(
                id=key,
                state=state,
                attempt=attempt,
                reports=tuple(reports.get(key, ())),
                note=note,
                worker=worker or "",
                expires=expires or 0.0,
            )
            for key, state, attempt, note, worker, expires, *which in self._run(
                f"SELECT id, state, attempt, note, worker, expires, {WHICH} "
                "FROM training ORDER BY id"
            )
        }
        return Facts(records=records, decisions=self.decisions())

    def decide(self, decision: Decision) -> bool:
        """Write a decision down and do what it says; False where another process already has."""
        with self.transaction():
            self._run(
                "INSERT OR IGNORE INTO decision VALUES (?, ?, ?)",
                (decision.name, json.dumps(decision.outcome), time.time()),
            )
            if self._run("SELECT changes()") == [(0,)]:
                return False
            for wanted in decision.plan:
                self._run(
                    f"INSERT OR IGNORE INTO training ({WHICH}, state) "
                    "VALUES (?, ?, ?, ?, ?, 'planned')",
                    (*wanted.setting, wanted.fold, wanted.twin),
                )
            for training in decision.resume:
                self._set(training, "planned", "")
            for training, note in decision.stop:
                self._set(training, "stopped", note)
        return True

    def decisions(self) -> dict[str, Any]:
        """Return what was decided, in order."""
        rows = self._run("SELECT name, outcome FROM decision ORDER BY rowid")
        return {name: self._read(text) for name, text in rows}

    def _read(self, text: str) -> Any:
        try:
            return json.loads(text)
        except (TypeError, ValueError) as error:
            raise InputError(damaged(self.path, error)) from error

    def _set(self, training: Training, state: State, note: str) -> None:
        self._run(
            "UPDATE training SET state = ?, note = ?, attempt = attempt + 1 WHERE id = ?",
            (state, note, self._id(training)),
        )

    def claim(self, worker: str, patience: float, most: int | None = 1) -> list[Claim]:
        """Take the first trainings that are planned, all of them where most is None.

        One transaction: of two workers one has them all. patience: seconds that they may be silent.
        """
        with self.transaction():
            rows = self._run(
                "SELECT id, attempt + 1, "
                "(SELECT coalesce(max(epoch), 0) FROM report WHERE training = id), "
                f"{WHICH} FROM training WHERE state = 'planned' ORDER BY id LIMIT ?",
                (-1 if most is None else most,),
            )
            for key, attempt, *_ in rows:
                self._run(
                    "UPDATE training SET state = 'running', attempt = ?, worker = ?, expires = ? "
                    "WHERE id = ?",
                    (attempt, worker, time.time() + patience, key),
                )
        return [
            Claim(key, _training(*which), attempt, epoch) for key, attempt, epoch, *which in rows
        ]

    def report(
        self,
        claim: Claim,
        said: Report,
        influences: np.ndarray | None,
        detail: Mapping[str, np.ndarray] | None = None,
    ) -> bool:
        """Write what a training said; False where it was taken over, and nothing is written.

        From the second report on, patience follows the longest gap between reports.

        Args:
            influences: what each unit adds to the score, or None where that is formed later.
            detail: other arrays by name, to be read by whoever knows them.
        """
        blob = None if influences is None else influences.astype("<f4").tobytes()
        more = save(dict(detail)) if detail else None
        with self.transaction():
            if not self.holds(claim):
                return False
            self._run(
                "INSERT OR REPLACE INTO report VALUES (?, ?, ?, ?, ?, ?, ?)",
                (claim.id, *said, blob, more),
            )
            self._run(
                "UPDATE training SET expires = ? WHERE id = ?",
                (said.at + self.patience(), claim.id),
            )
        return True

    def end(self, claim: Claim, state: State, note: str = "") -> bool:
        """Say that an attempt ended or paused; False where it was taken over."""
        with self.transaction():
            if not self.holds(claim):
                return False
            self._run(
                "UPDATE training SET state = ?, note = ?, worker = NULL, expires = NULL "
                "WHERE id = ?",
                (state, note, claim.id),
            )
        return True

    def influences(self, training: Training, epoch: int) -> np.ndarray | None:
        """Return what each unit adds to a reported score, or None where it was not yet formed."""
        rows = self._run(
            "SELECT influences FROM report WHERE training = ? AND epoch = ?",
            (self._id(training), epoch),
        )
        return np.frombuffer(rows[0][0], "<f4") if rows and rows[0][0] is not None else None

    def detail(self, training: Training, epoch: int) -> dict[str, np.ndarray]:
        """Return the other arrays of a report by name.

        Raises:
            InputError: if they cannot be read.
        """
        ((blob,),) = self._run(
            "SELECT detail FROM report WHERE training = ? AND epoch = ?",
            (self._id(training), epoch),
        )
        try:
            return load(blob) if blob is not None else {}
        except (SafetensorError, TypeError, ValueError) as error:
            raise InputError(damaged(self.path, error)) from error

    def keep_influences(self, training: Training, epoch: int, influences: np.ndarray) -> None:
        """Add what was formed later."""
        with self.transaction():
            self._run(
                "UPDATE report SET influences = ? WHERE training = ? AND epoch = ?",
                (influences.astype("<f4").tobytes(), self._id(training), epoch),
            )

    def patience(self) -> float:
        """Return how long a training may be silent, by the longest wait for a report."""
        ((longest,),) = self._run("SELECT max(seconds) FROM report")
        return FIRST if longest is None else max(LEAST, TIMES * longest)

    def release(self) -> list[Training]:
        """Plan anew the trainings whose process died or whose patience is spent; return them."""
        with self.transaction():
            running = self._run(
                f"SELECT id, worker, expires, {WHICH} FROM training WHERE state = 'running'"
            )
            freed = []
            for key, worker, expires, *which in running:
                if expires < time.time() or not lives(worker):
                    self._run(
                        "UPDATE training SET state = 'planned', attempt = attempt + 1 WHERE id = ?",
                        (key,),
                    )
                    freed.append(_training(*which))
        return freed

    def wait(self, seconds: float) -> None:
        """Return when another process has written something, or after some seconds."""
        ((before,),) = self._run("PRAGMA data_version")
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._run("PRAGMA data_version") == [(before,)]:
            time.sleep(POLL)

    def holds(self, claim: Claim) -> bool:
        """Tell whether a training is still this attempt's."""
        return bool(
            self._run(
                "SELECT 1 FROM training WHERE id = ? AND attempt = ? AND state = 'running'",
                (claim.id, claim.attempt),
            )
        )

    def _id(self, training: Training) -> int:
        ((key,),) = self._run(
            "SELECT id FROM training WHERE candidate = ? AND learning_rate = ? AND variant = ? "
            "AND fold = ? AND twin = ?",
            (*training.setting, training.fold, training.twin),
        )
        return int(key)


def _training(candidate: str, rate: float, variant: int, fold: int, twin: int) -> Training:
    return Training(Setting(candidate, rate, variant), fold, bool(twin))


def _digest(text: str) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()
