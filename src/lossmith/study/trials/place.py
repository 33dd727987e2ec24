"""The folder of a study: its own, or refused; opened again only for the same study."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.journal import Journal

JOURNAL = "journal.sqlite"
WITHIN = "study"  # the folder of a study within that of a run of `select`


def open_place(
    folder: Path, spec: Mapping[str, Any], units: Sequence[np.ndarray], *, durable: bool = True
) -> Journal:
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
    journal = Journal(folder / JOURNAL, durable=durable)
    journal.create(spec, units)
    _check_same(folder, journal.spec() or {}, json.loads(json.dumps(spec)))
    return journal


def clear_place(folder: Path) -> None:
    """Remove a study from its folder, where there is one, to begin anew in it."""
    if not (folder / JOURNAL).is_file():
        return
    for name in (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm"):
        (folder / name).unlink(missing_ok=True)
    for name in ("trials", "outputs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / JOURNAL).touch()  # the folder is a study's still


def read_place(folder: Path) -> Journal:
    """Return the journal of a study's folder, to look at and never to write.

    Raises:
        InputError: if there is none.
    """
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
    journal = Journal(folder / JOURNAL, write=False)
    if journal.spec() is None:
        raise InputError(f"{folder / JOURNAL} is empty")
    return journal


def _check_same(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise InputError with the first thing in which a study differs from the one that is kept."""
    for name in new:
        if old.get(name) != new[name]:
            raise InputError(
                f"{folder} holds a study with another {_WORDS.get(name, name)}"
                f"{_difference(old.get(name), new[name])}; choose another folder, or the same "
                "arguments to go on; select begins anew with --force, force=True"
            )


_WORDS = {
    "folds": "split of the rows",
    "shape": "number of folds, or seed",
    "losses": "set of losses",
    "longest": "number of epochs that it may go on to",
    "widen": "say on further learning rates",
}


def _difference(old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        if len(names) == 1 and names[0] in old and names[0] in new:
            return f" ({names[0]}: {old[names[0]]!r}, now {new[names[0]]!r})"
        return f" ({', '.join(sorted(names)[:5])})"
    return f" ({old!r}, now {new!r})" if len(repr(old)) + len(repr(new)) < 120 else ""
