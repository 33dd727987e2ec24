"""The address of a study: its folder, or the URL of a database and the study's name in it."""

import re
from pathlib import Path

from lossmith.study.base.errors import InputError
from lossmith.study.journal.sqlite import Journal
from lossmith.study.journal.storage import Storage

JOURNAL = "journal.sqlite"
SCHEMES = "postgresql", "postgres"
NAME = re.compile(r"[A-Za-z0-9_.-]{1,50}")


def is_url(address: str | Path) -> bool:
    """Tell whether an address is that of a database, not of a folder."""
    return isinstance(address, str) and "://" in address


def open_journal(address: str | Path, *, write: bool = True, durable: bool = True) -> Storage:
    """Return the journal at an address, which may not hold a study yet.

    Args:
        address: a folder, whose journal is a SQLite file; or `postgresql://user@host/db?study=NAME`.
        write: whether to write, else only to look.
        durable: whether what is written is to outlive the processes that write it.

    Raises:
        InputError: if the URL is none, or the database cannot be reached.
    """
    if not is_url(address):
        return Journal(Path(address) / JOURNAL, write=write, durable=durable)
    scheme = str(address).partition("://")[0].partition("+")[0]
    if scheme not in SCHEMES:
        raise InputError(
            f"a study is kept in a folder or at postgresql://user@host/database?study=NAME, got an "
            f"address that begins with {scheme}://"
        )
    return _of_postgresql(str(address), write)


def _of_postgresql(address: str, write: bool) -> Storage:
    try:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        from lossmith.study.journal.postgresql import PostgresqlJournal
    except ModuleNotFoundError as error:
        raise InputError(
            f"a study in PostgreSQL needs {error.name}; install it with: "
            "pip install 'lossmith[postgresql]'"
        ) from error
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise InputError(f"the address of the study is no URL: {error}") from error
    name = url.query.get("study")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InputError(
            "name the study at the end of the address: postgresql://user@host/database?study=NAME, "
            "of letters, digits, dots, dashes and underscores, at most 50"
        )
    driver = url.drivername.partition("+")[2] or "psycopg"
    url = url.set(drivername=f"postgresql+{driver}").difference_update_query(["study"])
    return PostgresqlJournal(url, name, write=write)
