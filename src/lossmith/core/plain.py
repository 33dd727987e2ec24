"""Plain data from files, held against the shape it must have; values as errors show them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHOWN = 80  # the most letters that an error shows of what it was given
DEEPEST = 100  # levels of nesting; what a study or a loss writes has under twenty
_NAMES = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return what a JSON file holds.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not JSON, or nested deeper than anything that is written here.
    """
    name = Path(path).name
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        document = None
    except ValueError as error:
        raise ValueError(f"{name} is not JSON: {error}") from error
    if document is None or not _shallow(document):
        raise ValueError(f"{name} holds nothing, or is nested deeper than {DEEPEST} levels")
    return document


def check_shape(value: Any, shape: Any, where: str) -> None:
    """Raise ValueError unless plain data has a shape.

    Args:
        shape: a type (a float may be written as an int; `object` is anything); a list of one shape,
            which every entry of a list has; a dict of shapes, whose keys an object must have; a
            tuple of shapes, one of which fits.
        where: what the value is called.

    >>> check_shape({"a": [1, "x"]}, {"a": [int]}, "it")
    Traceback (most recent call last):
    ValueError: it, a, entry 1 must be a whole number, got text
    """
    if isinstance(shape, tuple):
        _check_any(value, shape, where)
    elif isinstance(shape, dict):
        _check_type(value, dict, where)
        for key, one in shape.items():
            if key not in value:
                raise ValueError(f"{where} lacks {key!r}")
            check_shape(value[key], one, f"{where}, {key}")
    elif isinstance(shape, list):
        _check_type(value, list, where)
        for number, entry in enumerate(value):
            check_shape(entry, shape[0], f"{where}, entry {number}")
    else:
        _check_type(value, shape, where)


def _check_any(value: Any, shapes: tuple[Any, ...], where: str) -> None:
    """Raise what the last of the shapes has to say, if none fits."""
    for shape in shapes[:-1]:
        try:
            return check_shape(value, shape, where)
        except ValueError:
            pass
    return check_shape(value, shapes[-1], where)


def _check_type(value: Any, kind: type, where: str) -> None:
    whole = type(value) is int and kind is float and abs(value) < 10**300
    if kind is object or type(value) is kind or whole:
        return
    got = _NAMES.get(type(value), type(value).__name__)
    raise ValueError(f"{where} must be {_NAMES.get(kind, kind.__name__)}, got {got}")


def _shallow(document: Any) -> bool:
    """Tell whether a document stays within the nesting allowed, without recursion."""
    level = [document]
    for _ in range(DEEPEST):
        level = (
            [
                entry
                for one in level
                for entry in (one.values() if isinstance(one, Mapping) else one)
                if isinstance(entry, (list, dict))
            ]
            if level and isinstance(level[0], (list, dict))
            else []
        )
        if not level:
            return True
    return False


def shown(value: Any) -> str:
    """Return a value as an error shows it: on one line, and not all of what is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"
