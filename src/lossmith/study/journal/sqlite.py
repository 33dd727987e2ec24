"""A journal in SQLite: one file, many processes of one machine, durable before a call returns.

Write-ahead logging with `synchronous=FULL`: a commit that was acknowledged survives a `kill -9` and
a power cut. It relies on shared memory between processes, so the file must not lie on a network
file system.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lossmith.study.base.errors import StorageError
from lossmith.study.journal.connection import connect, damaged
from lossmith.study.journal.schema import STATES, schema
from lossmith.study.journal.storage import Storage

# What holds of every row, written and read: SQLite looks at it in files that may be written alone.
CHECKS = {
    "fold": "length(units) % 8 = 0",
    "training": STATES,
    "report": "typeof(epoch) = 'integer' AND typeof(score) = 'real' AND typeof(seconds) = 'real'",
    "evidence": "influences IS NULL OR length(influences) % 4 = 0",
}


class Journal(Storage):
    """The facts of one study in a SQLite file, or in memory where path is None.

    write: whether to write; a file that is only read is not changed, whatever it holds.
    durable: whether what is written is to outlive the processes that write it.
    """

    NOW = "((julianday('now') - 2440587.5) * 86400.0)"  # one machine has one clock
    POLL = 0.05
    ROWID = "rowid"

    def __init__(self, path: Path | None, *, write: bool = True, durable: bool = True) -> None:
        super().__init__("study" if path is None else path.parent.name)
        self.path, self.write, self.durable = path, write, durable
        self._owner = -1
        self._connection: sqlite3.Connection | None = None

    def __str__(self) -> str:
        return str(self.path)

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

    @property
    def inside(self) -> bool:
        """Whether this process is within a transaction."""
        return self._database.in_transaction

    def _run(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Execute one statement and return its rows.

        Raises:
            InputError: if the file is no journal, is damaged, or cannot be written.
        """
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error

    def _begin(self, alone: bool) -> None:
        self._run("BEGIN IMMEDIATE" if alone else "BEGIN")

    def _commit(self) -> None:
        self._run("COMMIT")

    def _rollback(self) -> None:
        if self.inside:  # and SQLite did not undo it by itself
            self._run("ROLLBACK")

    def _exists(self) -> bool:
        return bool(self._run("SELECT 1 FROM sqlite_master LIMIT 1"))

    def _make(self) -> None:
        for statement in schema(
            key="INTEGER PRIMARY KEY",
            number="REAL",
            data="BLOB",
            fold=f" CHECK ({CHECKS['fold']})",
            report=f",\n    CHECK ({CHECKS['report']})",
            evidence=f",\n    CHECK ({CHECKS['evidence']})",
            rowid="",
            without=" WITHOUT ROWID",
        ):
            self._run(statement)

    def _check(self) -> None:
        for table, check in CHECKS.items():
            if self._run(f"SELECT 1 FROM {table} WHERE NOT ({check}) LIMIT 1"):
                raise self._damaged(f"CHECK failed in {table}")

    def _damaged(self, error: object) -> StorageError:
        return StorageError(damaged(self.path, error))

    def _written(self) -> Any:
        return self._run("PRAGMA data_version")
