"""A journal in PostgreSQL, for processes of several machines; SQLAlchemy reaches the server.

A study is a schema of its own, so that studies share a database and neither tables nor locks, and
`DROP SCHEMA "lossmith_NAME" CASCADE` removes one. Leases follow the server's clock. A server that
went away is waited for and the transaction done again; one whose commit had no answer is asked
whether that counts, so nothing is written twice.
"""

import os
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from lossmith.study.base.errors import StorageError
from lossmith.study.journal.schema import schema
from lossmith.study.journal.storage import Storage

AWAY = 600.0  # seconds that a process waits for a server that it has reached before
PAUSES = 0.1, 2.0  # seconds between two tries, at first and at most
TOO_MANY = "too many"  # clients, says a server that has no connection left
# A machine that is gone holds no lock for longer, and its own calls end.
SESSION = {"idle_in_transaction_session_timeout": "30s", "synchronous_commit": "on"}
LINK = {  # as libpq calls it
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30000,
}

T = TypeVar("T")


class LostError(Exception):
    """The server went away; a transaction that was not committed is undone."""


class PostgresqlJournal(Storage):
    """The facts of one study in a schema of a PostgreSQL database.

    write: whether to write, else only to look.
    """

    NOW = "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
    POLL = 0.25
    ROWID = "number"

    def __init__(self, url: URL, name: str, *, write: bool = True) -> None:
        super().__init__(name)
        self.url, self.write, self.schema = url, write, f"lossmith_{name}"
        self._owner = -1
        self._connection: Connection | None = None
        self._inherited: list[Connection] = []
        self._reached = self._begun = False
        self._number: int | None = None

    def __str__(self) -> str:
        return f"study {self.name} in {self.url.render_as_string(hide_password=True)}"

    @property
    def _database(self) -> Connection:
        if self._connection is not None and self._owner != os.getpid():
            # A connection must not cross a fork: a process makes its own, and leaves its parent's.
            self._inherited.append(self._connection)
            self._connection, self._begun = None, False
        if self._connection is None:
            self._connection = self._connected()
            self._owner, self._reached = os.getpid(), True
        return self._connection

    def _connected(self) -> Connection:
        engine = create_engine(
            self.url,
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
            connect_args=dict(LINK if "psycopg" in self.url.drivername else {}, **self.url.query),
        )
        try:
            connection = engine.connect()
            settings = SESSION | {"search_path": f'"{self.schema}"'}
            for name, value in settings.items():
                connection.exec_driver_sql("SELECT set_config(%s, %s, false)", (name, value))
        except (DBAPIError, OSError) as error:
            if self._reached or TOO_MANY in str(error):
                raise LostError(error) from error
            raise StorageError(f"cannot reach {self}: {_told(error)}") from error
        return connection

    def close(self) -> None:
        """Let go of the server; it is reached again where it is needed."""
        if self._connection is not None and self._owner == os.getpid():
            self._connection.close()
        self._connection, self._begun = None, False

    def _drop(self) -> None:
        """Forget a connection that is lost, and the transaction that it was in."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
        self._connection, self._begun = None, False

    @property
    def inside(self) -> bool:
        """Whether this process is within a transaction."""
        return self._begun and self._owner == os.getpid()

    def _run(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        if self.inside:
            return self._directly(statement, values)
        return self._patiently(lambda: self._directly(statement, values))

    def _directly(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Execute one statement and return its rows.

        Raises:
            LostError: if the server went away.
            StorageError: if it refuses the statement.
        """
        try:
            cursor = self._database.exec_driver_sql(statement.replace("?", "%s"), tuple(values))
            return [tuple(row) for row in cursor] if cursor.returns_rows else []
        except DBAPIError as error:
            if error.connection_invalidated:
                self._drop()  # and with it the transaction
                raise LostError(error) from error
            raise self._damaged(error) from error

    def _patiently(self, work: Callable[[], T]) -> T:
        """Do something, again while the server is away.

        Raises:
            StorageError: if it stays away.
        """
        until, (pause, longest) = time.monotonic() + AWAY, PAUSES
        while True:
            try:
                return work()
            except LostError as error:
                if time.monotonic() > until:
                    raise StorageError(f"{self} went away: {_told(error)}") from error
            time.sleep(pause * random.Random().uniform(0.5, 1.0))  # not the seeded one of training
            pause = min(longest, 2 * pause)

    def atomically(self, work: Callable[[], T], *, alone: bool = True) -> T:
        """Do some work as one transaction, again where the server went away; see `Storage`."""
        if self.inside:
            return work()
        once = super().atomically
        return self._patiently(lambda: once(work, alone=alone))

    def _begin(self, alone: bool) -> None:
        # Whoever waits for the lock must see what its holder wrote: READ COMMITTED looks anew at
        # each statement, and nobody else writes meanwhile.
        level = "READ COMMITTED" if alone else "REPEATABLE READ"
        mode = "READ WRITE" if alone and self.write else "READ ONLY"
        self._directly(f"BEGIN ISOLATION LEVEL {level} {mode}")
        self._begun, self._number = True, None
        if alone:
            ((_, self._number),) = self._directly(
                "SELECT pg_advisory_xact_lock(hashtextextended(?, 0)), txid_current()",
                (self.schema,),
            )

    def _commit(self) -> None:
        try:
            self._directly("COMMIT")
            self._begun = False
        except LostError:
            if self._number is None or not self._counts(self._number):
                raise

    def _counts(self, number: int) -> bool:
        """Tell whether a transaction whose commit had no answer was committed."""
        while True:
            ((status,),) = self._run("SELECT txid_status(?)", (number,))
            if status != "in progress":
                return bool(status == "committed")
            time.sleep(PAUSES[0])

    def _rollback(self) -> None:
        if self.inside:
            with suppress(LostError):  # which undoes it, too
                self._directly("ROLLBACK")
            self._begun = False

    def _exists(self) -> bool:
        # Of the catalog's rows: functions that look a name up may not see what others just made.
        return bool(
            self._run(
                "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = ? AND tablename = 'study'",
                (self.schema,),
            )
        )

    def _make(self) -> None:
        self._run(f'CREATE SCHEMA IF NOT EXISTS "{self.schema}"')
        for statement in schema(
            key="INTEGER PRIMARY KEY GENERATED ALWAYS AS IDENTITY",
            number="DOUBLE PRECISION",
            data="BYTEA",
            rowid="number INTEGER NOT NULL UNIQUE GENERATED ALWAYS AS IDENTITY, ",
            without="",
        ):
            self._run(statement)

    def _damaged(self, error: object) -> StorageError:
        return StorageError(f"{self} cannot be read or written: {_told(error)}")


def _told(error: object) -> str:
    """Return what an error says, in one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())
