"""Where a run is written: checked before anything is trained, and nothing of others is touched."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lossmith.core.plain import check_shape, read_json
from lossmith.study.base.errors import InputError

FILES = (
    "report.html",
    "result.json",
    "loss.json",
    "predictions.csv",
    "model.json",
    "model.safetensors",
    "encoder.skops",
)
ROOM = 8 * 2**20  # bytes that must be free before a study starts; a run takes about one million
RESULT = {"verdict": str, "sentence": str, "command": str, "versions": {"lossmith": str}}

Place = str | os.PathLike[str]


def is_run(path: Place) -> bool:
    """Tell whether a folder holds a run: a result that lossmith wrote."""
    file = Path(path) / "result.json"
    try:
        if file.is_symlink() or not file.is_file():
            return False
        check_shape(read_json(file), RESULT, "it")
    except (OSError, ValueError):
        return False
    return True


def check_out(out: Place, *, force: bool = False, source: Place | None = None) -> None:
    """Refuse a folder that a run must not or cannot be written to; nothing is made yet.

    Args:
        force: whether a run of lossmith may be replaced.
        source: the file that the study reads.

    Raises:
        InputError: if the folder holds a run and there is no force, if it holds a file of a run's
            names that no run wrote, a link or a folder of such a name, or the source; if it can't
            be made or written, or too little room is left.
    """
    path = Path(out)
    with writing_to(path):
        taken = [name for name in FILES if os.path.lexists(path / name)]
        odd = [n for n in taken if (path / n).is_symlink() or not (path / n).is_file()]
        if odd:
            kind = "a link" if (path / odd[0]).is_symlink() else "no file"
            raise InputError(f"{path / odd[0]} is {kind}; remove it or choose another --out")
        if taken and not is_run(path):
            raise InputError(
                f"{path} holds {taken[0]}, which no run of lossmith wrote; choose another --out"
            )
        if source is not None and any(_same(path / name, source) for name in taken):
            raise InputError(f"{path} holds the input {source}; choose another --out")
        if taken and not force:
            command = read_json(path / "result.json")["command"]
            whose = f" ({command})" if command else ""
            raise InputError(
                f"{path} holds a finished study{whose}; choose another --out, or replace it with "
                "--force"
            )
        _rehearse(path)


def check_predictions(out: Place, run: Place, source: Place) -> None:
    """Refuse to write predictions over a file of this or another run, or over their own input.

    Raises:
        InputError: if they must not or cannot be written there.
    """
    with writing_to(Path(out)):
        path = Path(os.path.realpath(out))
        if _same(path, source):
            raise InputError(f"{out} is the input itself; choose another --out")
        own = any(_same(path, Path(run) / name) for name in FILES)
        here = _same(path.parent, run) or is_run(path.parent)
        if own or (here and path.name.lower() in FILES):
            raise InputError(f"{out} is a file of a run; choose another --out")


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError) as error:
        if not isinstance(error, (OSError, UnicodeError)) and "null" not in str(error):
            raise  # no matter of a path, which may hold a NUL or no Unicode
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write to {path}: {reason}; choose another --out") from error


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def _rehearse(path: Path) -> None:
    """Make the folder, write into it what a run may take, and leave everything as it was."""
    made = [place for place in (path, *path.absolute().parents) if not place.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path, prefix=".lossmith-") as trial:
            file = Path(trial) / max(FILES, key=len)
            file.write_bytes(bytes(ROOM))
    finally:
        for place in made:
            if place.is_dir():
                place.rmdir()


def _same(one: Place, other: Place) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there
        return False
