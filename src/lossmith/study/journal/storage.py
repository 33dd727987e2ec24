"""The facts of one study in a database: what is written and read, stated once for all databases.

A database says how it connects, begins and ends a transaction and tells the time; the statements
are the same. Writers take turns, so each transaction finds all that came before it. Every write
gives the training that it changes the next version, so that a reader asks only for what is newer
than what it knows.
"""

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

import numpy as np

from lossmith.study.base.errors import InputError, StorageError
from lossmith.study.journal.arrays import packed, unpacked
from lossmith.study.journal.facts import Claim, Decision, Facts, Report, State, Training
from lossmith.study.journal.known import Known, training_of
from lossmith.study.journal.schema import FORMAT, WHICH
from lossmith.study.journal.workers import lives

# Seconds that a training may be silent before others take it over: while none has reported in the
# study; then so many times the longest wait for a report, and at least so many until its first
# report, which may take a download or a compilation, and until a later one.
UNKNOWN, TIMES, STARTING, LEAST = 24 * 3600.0, 10.0, 900.0, 60.0
EVERYTHING = 2**31 - 1  # rows

T = TypeVar("T")
P = ParamSpec("P")


def atomic(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Let a method be one transaction, or part of the one that it is called in."""

    @wraps(method)
    def whole(self: "Storage", *args: P.args, **more: P.kwargs) -> T:
        return self.atomically(lambda: method(self, *args, **more))

    return whole


class Storage(ABC):
    """The facts of one study. Every method is durable when it returns."""

    NOW: ClassVar[str]  # an expression: the database's own clock, in seconds since the Unix epoch
    POLL: ClassVar[float]  # seconds between two looks at whether others have written
    ROWID: ClassVar[str]

    def __init__(self, name: str) -> None:
        self.name = name  # of the study
        self._spec: dict[str, Any] | None = None
        self._folds: list[np.ndarray] | None = None
        self._known = Known()

    # What a database adds.

    @abstractmethod
    def close(self) -> None:
        """Let go of the database; it is opened again where it is needed."""

    @property
    @abstractmethod
    def inside(self) -> bool:
        """Whether this process is within a transaction."""

    @abstractmethod
    def _run(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Execute one statement and return its rows."""

    @abstractmethod
    def _begin(self, alone: bool) -> None:
        """Begin a transaction: that writes, alone, or that reads at one moment."""

    @abstractmethod
    def _commit(self) -> None: ...

    @abstractmethod
    def _rollback(self) -> None: ...

    @abstractmethod
    def _exists(self) -> bool:
        """Tell whether the study's tables are there."""

    @abstractmethod
    def _make(self) -> None:
        """Make the study's tables."""

    @abstractmethod
    def _damaged(self, error: object) -> StorageError:
        """Return what is said of a journal that cannot be read or written."""

    def _check(self) -> None:  # noqa: B027
        """Raise InputError where a row is not as a study wrote it."""

    # What all of them do.

    def atomically(self, work: Callable[[], T], *, alone: bool = True) -> T:
        """Do some work as one transaction: what it wrote counts whole or not at all.

        Where the database went away meanwhile the work is done again, so it should change nothing
        but the journal.

        Args:
            work: what to do; within another transaction it is part of that.
            alone: whether no other process may write meanwhile; else it only reads, at one moment.
        """
        if self.inside:
            return work()
        self._begin(alone)
        try:
            done = work()
            self._commit()
        except BaseException:
            self._known = Known()  # which may hold what is undone now
            self._rollback()
            raise
        return done

    @atomic
    def create(self, spec: Mapping[str, Any], units: Iterable[np.ndarray]) -> bool:
        """Begin a study: what it is, and which units each fold validates on; False if it exists."""
        if self.spec() is not None:
            return False
        self._make()
        text = json.dumps(spec)
        self._run(
            f"INSERT INTO study VALUES (?, ?, ?, {self.NOW}, 0)", (FORMAT, text, _digest(text))
        )
        for number, part in enumerate(units):
            self._run("INSERT INTO fold VALUES (?, ?)", (number, part.astype("<i8").tobytes()))
        return True

    def spec(self) -> dict[str, Any] | None:
        """Return what the study is, or None before it was created.

        Raises:
            InputError: if this is no journal, or one of another format.
        """
        if self._spec is None and self._exists():  # and it never changes
            rows = self._run("SELECT * FROM study")
            version, text, digest = rows[0][:3] if len(rows) == 1 else (FORMAT, "", "")
            if version != FORMAT:
                raise InputError(f"{self} has format {version}; this version reads {FORMAT}")
            if digest != _digest(text):
                raise self._damaged("its description was changed")
            self._check()
            self._spec = self._read(text)
        return self._spec

    @property
    def identity(self) -> str:
        """A word for this study, another for one that is begun anew under its name."""
        ((digest, created),) = self._run("SELECT digest, created FROM study")
        return _digest(f"{digest} {created}")[:12]

    def units(self) -> list[np.ndarray]:
        """Return the units that each fold validates on, by fold."""
        if self._folds is None:  # and they never change
            rows = self._run("SELECT units FROM fold ORDER BY number")
            self._folds = [np.frombuffer(blob, "<i8") for (blob,) in rows]
        return list(self._folds)

    def facts(self) -> Facts:
        """Return all that is known at one moment, whoever writes meanwhile."""
        # Else a training could have ended, and its last report lack.
        return self.atomically(self._facts, alone=False)

    def _facts(self) -> Facts:
        ((version, now),) = self._run(f"SELECT version, {self.NOW} FROM study")
        if version < self._known.version:  # another's, or brought back older
            self._known = Known()
        if version > self._known.version:
            self._known.learn(self._run, self._read, self.ROWID, version)
        return self._known.facts(now)

    def decisions(self) -> dict[str, Any]:
        """Return what was decided, in order."""
        return dict(self.facts().decisions)

    @atomic
    def decide(self, decision: Decision) -> bool:
        """Write a decision down and do what it says; False where another process already has."""
        if not self._run(
            f"INSERT INTO decision (name, outcome, at) VALUES (?, ?, {self.NOW}) "
            "ON CONFLICT DO NOTHING RETURNING name",
            (decision.name, json.dumps(decision.outcome)),
        ):
            return False
        version = self._next()
        for wanted in decision.plan:
            self._run(
                f"INSERT INTO training ({WHICH}, state, version) VALUES (?, ?, ?, ?, ?, 'planned', "
                "?) ON CONFLICT DO NOTHING",
                (*wanted.setting, wanted.fold, int(wanted.twin), version),
            )
        for training in decision.resume:
            self._change(self._id(training), state="planned", note="", again=True)
        for training, note in decision.stop:
            self._change(self._id(training), state="stopped", note=note, again=True)
        return True

    def _next(self) -> int:
        ((version,),) = self._run("UPDATE study SET version = version + 1 RETURNING version")
        return int(version)

    def _change(self, key: int, *, again: bool = False, more: str = "", **values: Any) -> None:
        """Change a training; again: as another attempt; more: what else, as an expression."""
        parts = [*(f"{name} = ?" for name in values), *([more] if more else [])]
        parts += ["attempt = attempt + 1"] if again else []
        self._run(
            f"UPDATE training SET {', '.join(parts)}, version = ? WHERE id = ?",
            (*values.values(), self._next(), key),
        )

    def claim(self, worker: str, most: int | None = 1) -> list[Claim]:
        """Take the first trainings that are planned, all of them where most is None.

        One transaction: of two workers one has them all.
        """
        if not self._run("SELECT 1 FROM training WHERE state = 'planned' LIMIT 1"):
            return []  # without waiting for those who write
        return self._claim(worker, EVERYTHING if most is None else most)

    @atomic
    def _claim(self, worker: str, most: int) -> list[Claim]:
        rows = self._run(
            "SELECT id, attempt + 1, "
            "(SELECT coalesce(max(epoch), 0) FROM report WHERE training = id), "
            f"{WHICH} FROM training WHERE state = 'planned' ORDER BY id LIMIT ?",
            (most,),
        )
        until = f"expires = {self.NOW} + {self.patience(STARTING)!r}"
        for key, *_ in rows:
            self._change(key, state="running", worker=worker, again=True, more=until)
        return [
            Claim(key, training_of(*which), attempt, epoch) for key, attempt, epoch, *which in rows
        ]

    @atomic
    def report(
        self,
        claim: Claim,
        said: Report,
        influences: np.ndarray | None,
        detail: Mapping[str, np.ndarray] | None = None,
    ) -> bool:
        """Write what a training said; False where it was taken over, and nothing is written.

        The same report again changes nothing. Patience follows the longest wait for a report.

        Args:
            influences: what each unit adds to the score, or None where that is formed later.
            detail: other arrays by name, to be read by whoever knows them.
        """
        if not self.holds(claim):
            return False
        epoch, *numbers = said
        blob = None if influences is None else influences.astype("<f4").tobytes()
        self._run(
            "INSERT INTO report VALUES (?, ?, ?, ?, ?) ON CONFLICT (training, epoch) DO UPDATE "
            "SET score = excluded.score, seconds = excluded.seconds, at = excluded.at",
            (claim.id, int(epoch), *map(float, numbers)),
        )
        self._run(
            "INSERT INTO evidence VALUES (?, ?, ?, ?) ON CONFLICT (training, epoch) DO UPDATE "
            "SET influences = excluded.influences, detail = excluded.detail",
            (claim.id, int(epoch), blob, packed(detail) if detail else None),
        )
        self._change(claim.id, more=f"expires = {self.NOW} + {self.patience(LEAST)!r}")
        return True

    @atomic
    def end(self, claim: Claim, state: State, note: str = "") -> bool:
        """Say that an attempt ended or paused; False where it was taken over."""
        if not self.holds(claim):
            return False
        self._change(claim.id, state=state, note=note, worker=None, expires=None)
        return True

    def influences(self, training: Training, epoch: int) -> np.ndarray | None:
        """Return what each unit adds to a reported score, or None where it was not yet formed."""
        rows = self._of_report("influences", training, epoch)
        return np.frombuffer(rows[0][0], "<f4") if rows and rows[0][0] is not None else None

    def detail(self, training: Training, epoch: int) -> dict[str, np.ndarray]:
        """Return the other arrays of a report by name.

        Raises:
            InputError: if they cannot be read.
        """
        ((blob,),) = self._of_report("detail", training, epoch)
        try:
            return {} if blob is None else unpacked(bytes(blob))
        except ValueError as error:
            raise self._damaged(error) from error

    def _of_report(self, column: str, training: Training, epoch: int) -> list[Any]:
        return self._run(
            f"SELECT {column} FROM evidence WHERE training = ? AND epoch = ?",
            (self._id(training), epoch),
        )

    @atomic
    def keep_influences(self, training: Training, epoch: int, influences: np.ndarray) -> None:
        """Add what was formed later."""
        self._run(
            "UPDATE evidence SET influences = ? WHERE training = ? AND epoch = ?",
            (influences.astype("<f4").tobytes(), self._id(training), epoch),
        )

    def patience(self, least: float) -> float:
        """Return how long a training may be silent, by the longest wait for a report."""
        ((longest,),) = self._run("SELECT max(seconds) FROM report")
        return UNKNOWN if longest is None else max(least, TIMES * float(longest))

    def release(self) -> list[Training]:
        """Plan anew the trainings whose process died or whose patience is spent; return them."""
        if not self._lost():
            return []  # without waiting for those who write
        return self._release()

    @atomic
    def _release(self) -> list[Training]:
        lost = self._lost()
        for key in lost:
            self._change(key, state="planned", again=True)
        return list(lost.values())

    def _lost(self) -> dict[int, Training]:
        running = self._run(
            f"SELECT id, worker, expires < {self.NOW}, {WHICH} FROM training "
            "WHERE state = 'running' ORDER BY id"
        )
        return {
            key: training_of(*which)
            for key, worker, spent, *which in running
            if spent or not lives(worker)
        }

    def wait(self, seconds: float) -> None:
        """Return when another process has written something, or after some seconds."""
        before, until = self._written(), time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._written() == before:
            time.sleep(min(self.POLL, left))

    def _written(self) -> Any:
        return self._run("SELECT version FROM study")

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
            (*training.setting, training.fold, int(training.twin)),
        )
        return int(key)

    def _read(self, text: Any) -> Any:
        try:
            return json.loads(text)
        except (TypeError, ValueError) as error:
            raise self._damaged(error) from error


def _digest(text: Any) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()
