"""Where a study is kept: its own, or refused; opened again only for the same study."""

import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.base.result import IN_MEMORY
from lossmith.study.journal import JOURNAL, Storage, is_url, open_journal

WITHIN = "study"  # the folder of a study within that of a run of `select`


def open_study(
    address: str | Path,
    spec: Mapping[str, Any],
    units: Sequence[np.ndarray],
    *,
    durable: bool = True,
    folder: str | Path | None = None,
) -> tuple[Storage, Path]:
    """Return the journal at an address, begun anew where there is none, and where files lie.

    durable: or soon forgotten. folder: of the files of a study in a database.

    Raises:
        InputError: if the folder holds other things, another study, or cannot be written.
    """
    if not is_url(address):
        if folder is not None:
            raise InputError(f"the study's folder is {address}: folder= is for one in a database")
        return open_place(Path(address), spec, units, durable=durable), Path(address)
    journal = open_journal(address)
    _begin(journal, spec, units)
    name = f"{journal.name}-{journal.identity}"  # a study that is begun anew finds no old files
    return journal, _cache() / "studies" / name if folder is None else Path(folder) / name


def forgotten_with(study: Any) -> str:
    """Return the folder of a study in memory, which is removed when the study is."""
    parent = tempfile.mkdtemp(prefix="lossmith-")
    weakref.finalize(study, shutil.rmtree, parent, ignore_errors=True)
    return str(Path(parent) / IN_MEMORY)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lossmith"


def open_place(
    folder: Path, spec: Mapping[str, Any], units: Sequence[np.ndarray], *, durable: bool = True
) -> Storage:
    """Return the journal of a folder, begun anew where there is none; durable: or soon forgotten.

    Raises:
        InputError: if the folder holds other things, another study, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = [place.name for place in folder.iterdir()]
    except (OSError, ValueError) as error:
        raise InputError(f"cannot use {folder} as a study's folder: {error}") from error
    if foreign and JOURNAL not in foreign:
        raise InputError(
            f"{folder} holds {sorted(foreign)[0]}, which is no study; choose another folder"
        )
    journal = open_journal(folder, durable=durable)
    _begin(journal, spec, units)
    return journal


def _begin(journal: Storage, spec: Mapping[str, Any], units: Sequence[np.ndarray]) -> None:
    """Begin a study, or raise InputError where another was begun.

    A study that is there is only read, so that a worker who joins waits for nobody.
    """
    if journal.spec() is None:
        journal.create(spec, units)
    _check_same(str(journal), journal.spec() or {}, json.loads(json.dumps(spec)))


def clear_place(folder: Path) -> None:
    """Remove a study from its folder, where there is one, to begin anew in it."""
    if not (folder / JOURNAL).is_file():
        return
    for name in (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "trials", ignore_errors=True)
    (folder / JOURNAL).touch()  # the folder is a study's still


def read_place(address: str | Path) -> Storage:
    """Return the journal at an address, to look at and never to write.

    Raises:
        InputError: if there is none.
    """
    if is_url(address):
        journal = open_journal(address, write=False)
        if journal.spec() is None:
            raise InputError(f"there is no {journal}")
        return journal
    folder = Path(address)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    if not (folder / JOURNAL).is_file():
        # Of several targets each has a study, and the last is of all together.
        within = [*sorted((folder / WITHIN).glob(f"*/{JOURNAL}")), folder / WITHIN / JOURNAL]
        folder = next((place.parent for place in within[::-1] if place.is_file()), folder)
    if not (folder / JOURNAL).is_file():
        run = (folder / "model.json").is_file() and (folder / "report.html").is_file()
        hint = "; it is a run of lossmith select: open its report.html" if run else ""
        raise InputError(f"{folder} holds no study (no {JOURNAL}){hint}")
    journal = open_journal(folder, write=False)
    if journal.spec() is None:
        raise InputError(f"{folder / JOURNAL} is empty")
    return journal


def _check_same(place: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise InputError with the first thing in which a study differs from the one that is kept."""
    for name in new:
        if name != "source" and old.get(name) != new[name]:
            raise InputError(
                f"{place} holds a study with another {_WORDS.get(name, name)}"
                f"{_difference(old.get(name), new[name])}; choose another folder, or the same "
                "arguments to go on; select begins anew with --force, force=True"
            )


_WORDS = {
    "folds": "split of the rows",
    "shape": "number of folds, or seed",
    "losses": "set of losses",
    "longest": "number of epochs that it may go on to",
    "ensemble": "kind of ensemble",
    "widen": "say on further learning rates",
}


def _difference(old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        if len(names) == 1 and names[0] in old and names[0] in new:
            return f" ({names[0]}: {old[names[0]]!r}, now {new[names[0]]!r})"
        return f" ({', '.join(sorted(names)[:5])})"
    return f" ({old!r}, now {new!r})" if len(repr(old)) + len(repr(new)) < 120 else ""
