"""Places where a study may be kept, for tests that hold of all of them."""

import os
import uuid
from pathlib import Path

import pytest

SERVER = os.environ.get("LOSSMITH_POSTGRESQL", "")  # see .ci/postgresql
needs_postgresql = pytest.mark.skipif(
    not SERVER, reason="no PostgreSQL: run the tests by .ci/postgresql COMMAND"
)
KINDS = ["sqlite", pytest.param("postgresql", marks=needs_postgresql)]


def address_of(kind: str, folder: Path) -> str:
    """Return where a new study may be kept."""
    return str(folder / "study") if kind == "sqlite" else f"{SERVER}?study=t{uuid.uuid4().hex}"
