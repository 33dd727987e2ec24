"""Class labels of every kind as plain JSON, and back from it."""

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lossmith.study.base.errors import InputError

PLAIN = (str, bool, int)  # what JSON has; so it has the finite ones of float


class _Kind(NamedTuple):
    of: type
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _timestamp(written: list) -> pd.Timestamp:
    value, unit, zone = written
    naive = pd.Timestamp(np.datetime64(value, unit))
    return naive if zone is None else naive.tz_localize("UTC").tz_convert(zone)


def _ticks(value: Any) -> int:
    return int(value.asm8.astype(np.int64))


# A label of one of these kinds is written as {kind: what `write` makes of it}.
KINDS = {
    "float": _Kind(float, repr, float),  # infinite
    "complex": _Kind(complex, repr, complex),
    "bytes": _Kind(bytes, bytes.hex, bytes.fromhex),
    "decimal": _Kind(Decimal, str, Decimal),
    "uuid": _Kind(uuid.UUID, str, uuid.UUID),
    "date": _Kind(dt.date, dt.date.isoformat, dt.date.fromisoformat),
    "time": _Kind(dt.time, dt.time.isoformat, dt.time.fromisoformat),
    "datetime": _Kind(dt.datetime, dt.datetime.isoformat, dt.datetime.fromisoformat),
    "duration": _Kind(
        dt.timedelta, lambda d: [d.days, d.seconds, d.microseconds], lambda w: dt.timedelta(*w)
    ),
    "timestamp": _Kind(
        pd.Timestamp, lambda t: [_ticks(t), t.unit, None if t.tz is None else str(t.tz)], _timestamp
    ),
    "timedelta": _Kind(
        pd.Timedelta, lambda d: [_ticks(d), d.unit], lambda w: pd.Timedelta(np.timedelta64(*w))
    ),
    "period": _Kind(
        pd.Period, lambda p: [p.ordinal, p.freqstr], lambda w: pd.Period(ordinal=w[0], freq=w[1])
    ),
    "interval": _Kind(
        pd.Interval,
        lambda i: [*map(_write, (i.left, i.right)), i.closed],
        lambda w: pd.Interval(*map(_read, w[:2]), closed=w[2]),
    ),
    "tuple": _Kind(tuple, lambda t: [*map(_write, t)], lambda w: tuple(map(_read, w))),
    "set": _Kind(
        frozenset, lambda s: [*map(_write, sorted(s, key=str))], lambda w: frozenset(map(_read, w))
    ),
}


def to_json(labels: Iterable[Any]) -> list[Any]:
    """Return labels as plain JSON.

    Raises:
        TypeError: if one is of a kind that is not known here.
    """
    return [_write(label) for label in labels]


def from_json(written: Iterable[Any]) -> np.ndarray:
    """Return the labels that `to_json` wrote, numbers and booleans as arrays of such.

    Raises:
        ValueError: if something is no label.
    """
    labels = [_read(one) for one in written]
    kinds = {type(label) for label in labels}
    if not labels or (len(kinds) == 1 and kinds <= {bool, int, float}):
        return np.array(labels)
    return np.fromiter(labels, dtype=object, count=len(labels))


def as_saved(labels: Iterable[Any], column: str) -> np.ndarray:
    """Return labels as a saved run will give them back, so that both predict the same.

    Raises:
        InputError: if some kind cannot be saved, or two labels are written alike.
    """
    labels = list(labels)
    try:
        found = from_json(json.loads(json.dumps(to_json(labels), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise InputError(f"classes of column {column!r} cannot be saved: {error}") from error
    names = [str(label) for label in found.tolist()]
    for label, name, back in zip(labels, names, found.tolist(), strict=True):
        if not (_plain(label) == back and str(_plain(label)) == name):
            raise InputError(f"class {name!r} of column {column!r} cannot be saved; make it text")
        if names.count(name) > 1:
            raise InputError(
                f"column {column!r} holds two classes that are both written {name!r}; rename one"
            )
    return found


def _plain(label: Any) -> Any:
    """Return a label of NumPy's as one of Python's or of pandas'."""
    if isinstance(label, np.datetime64):
        return pd.Timestamp(label)
    if isinstance(label, np.timedelta64):
        return pd.Timedelta(label)
    return label.item() if isinstance(label, np.generic) else label


def _write(label: Any) -> Any:
    label = _plain(label)
    if type(label) in PLAIN or label is None or (type(label) is float and np.isfinite(label)):
        return label
    for name, kind in KINDS.items():
        if type(label) is kind.of:
            return {name: kind.write(label)}
    raise TypeError(f"they are of type {type(label).__name__}; make them text")


def _read(written: Any) -> Any:
    if type(written) in (*PLAIN, float, type(None)):
        return written
    if type(written) is dict and len(written) == 1:
        name, value = next(iter(written.items()))
        try:
            if name in KINDS:
                return KINDS[name].read(value)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"{value!r:.40} is no label of kind {name}") from error
    raise ValueError(f"{written!r:.40} is no label")
