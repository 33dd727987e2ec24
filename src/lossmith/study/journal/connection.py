"""Opening the file of a journal."""

import os
import sqlite3
from pathlib import Path

from lossmith.study.base.errors import StorageError
from lossmith.study.journal.network import check_local

BUSY = 60.0  # seconds that a process waits for another's transaction
CHECKED = 2**26  # bytes; damage to a larger file shows where it is read


def connect(path: Path | None, write: bool, durable: bool) -> sqlite3.Connection:
    """Return a connection to a file, or to memory where path is None.

    Each transaction reaches the disk before it ends, if it is to be durable.

    Raises:
        StorageError: if the file is no journal, is damaged, or cannot be written.
    """
    if path is not None and write:
        check_local(path.parent)
    place, reads = ":memory:" if path is None else str(path), path is not None and not write
    if path is not None and not write:
        # Beside a folder that can't be written to, nobody can write to the journal either.
        mode = "mode=ro" if os.access(path.parent, os.W_OK) else "mode=ro&immutable=1"
        place = f"{path.resolve().as_uri()}?{mode}"
    try:
        database = sqlite3.connect(place, timeout=BUSY, isolation_level=None, uri=reads)
        if not reads:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        small = path is None or path.stat().st_size < CHECKED
        found = database.execute("PRAGMA quick_check(1)").fetchone()[0] if small else "ok"
    except sqlite3.DatabaseError as error:
        raise StorageError(damaged(path, error)) from error
    if found != "ok":
        raise StorageError(damaged(path, found))
    return database


def damaged(path: Path | None, error: object) -> str:
    """Return what is said of a file that cannot be read or written."""
    why = " ".join(str(error).split())
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return f"{path} cannot be written ({why}); make room, and go on: no report is lost"
    return (
        f"{path} is no journal of a study, is damaged or cannot be written ({why}); choose "
        "another folder, or bring back a copy"
    )
