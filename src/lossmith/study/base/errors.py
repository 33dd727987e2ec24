"""The one error that means: the user's input needs a change; and how other errors are told."""

import sysconfig
import traceback
from pathlib import Path

OURS = Path(__file__).parents[2], Path(sysconfig.get_path("stdlib"))  # no code of the user's
LONGEST = 300  # characters of an error that are told in a line


class InputError(ValueError):
    """Input that cannot be studied; its one line says what was wrong and what to do."""


class StorageError(InputError):
    """A journal cannot be read or written now, for which no training is to blame."""


def told(error: BaseException) -> str:
    """Return an error as one line: what it is, and the line of the user's code that it came from.

    >>> told(KeyError("feature_7")), told(InputError("say default="))
    ("KeyError: 'feature_7'", 'say default=')
    """
    text = " ".join(str(error).split())
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    kind = type(error).__name__
    what = text if isinstance(error, InputError) else f"{kind}: {text}" if text else kind
    place = _place(error)
    return f"{what} ({place})" if place else what


def told_in_full(error: BaseException) -> str:
    """Return an error with its traceback, of which the last line is `told`."""
    lines = traceback.format_exception(error)
    return "".join(lines[: -len(traceback.format_exception_only(error))]) + told(error)


def _place(error: BaseException) -> str:
    """Return the innermost line of neither this package nor an installed one, as file and line."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        installed = {"site-packages", "dist-packages"} & set(path.parts)
        if path.suffix == ".py" and not installed and not set(OURS) & set(path.parents):
            return f"{path.name}, line {frame.lineno}"
    return ""
