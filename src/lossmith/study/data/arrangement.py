"""How rows belong together and follow each other, as the user says it: groups and times."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lossmith.core.card import Task
from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import pluralize
from lossmith.study.data.cells import as_dates, as_numbers, kind
from lossmith.study.data.folds import LEAST_GROUPS, Split, split_by_time, split_rows
from lossmith.study.data.table import as_text, nearest

ANSWERS = "a column's name, one label a row, or False where rows are independent"


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """What is known of how rows belong together.

    groups: a code a row, equal for rows of one group. times: a number a row, by which rows are
    ordered. None where rows are independent, or in no order. told: whether the user said so;
    where not, the diagnosis looks for groups. notes: what the user should know of it.
    """

    groups: np.ndarray | None = None
    times: np.ndarray | None = None
    told: bool = False
    notes: tuple[str, ...] = ()
    name: str = ""

    @classmethod
    def of(
        cls, frame: pd.DataFrame, targets: Sequence[str], groups: Any, time: Any
    ) -> tuple[pd.DataFrame, "Arrangement"]:
        """Return the arrangement, and the table without the column that names the groups.

        A column of times stays: its months and hours may tell of rows to come.

        Raises:
            InputError: if a column is not there or is a target, if values are missing or not as
                many as rows, or if times are none.
        """
        notes, codes, order, by = [], None, None, ""
        if groups is not None and groups is not False:
            by, labels = column_or_values(frame, targets, groups, "groups", ANSWERS)
            codes = _codes(by, labels)
            notes.append(
                f"{codes.max() + 1:,} groups ({by}): rows of one count as one unit in the test"
                + ("" if time is not None else ", and stay together in every split")
            )
        if time is not None:
            what = "a column's name, or one number or date a row"
            name, values = column_or_values(frame, targets, time, "time", what)
            order = _times(name, values)
            notes.append(f"splits follow the order of {name}: each model is judged by later rows")
        if isinstance(groups, str):
            frame = frame.drop(columns=groups)
        told = groups is not None or time is not None
        return frame, cls(groups=codes, times=order, told=told, notes=tuple(notes), name=by)

    def at(self, rows: np.ndarray) -> "Arrangement":
        """Return the arrangement of some rows."""
        groups, times = (None if one is None else one[rows] for one in (self.groups, self.times))
        return replace(self, groups=groups, times=times)

    def check(self) -> None:
        """Raise InputError for groups too few to tell how new ones are predicted."""
        found = LEAST_GROUPS if self.groups is None else len(np.unique(self.groups))
        if found < LEAST_GROUPS:
            raise InputError(
                f"{self.name} has {pluralize(found, 'group')}, and no split of fewer than "
                f"{LEAST_GROUPS} tells how new ones are predicted; if new rows are of the same "
                "groups, say groups=False (--groups none)"
            )

    def split(self, task: Task, target: np.ndarray, seed: int, units: np.ndarray | None) -> Split:
        """Split the rows; units: of groups and copies of rows."""
        if self.times is None:
            return split_rows(task, target, seed, units)
        return split_by_time(self.times, seed, units)


def together(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    """Return a code a row, equal for rows that either code says to be one, or that a chain links.

    >>> together(np.array([0, 0, 1, 2]), np.array([5, 6, 6, 7])).tolist()
    [0, 0, 0, 1]
    """
    if one is None or other is None:
        return other if one is None else one
    first, second = (np.unique(codes, return_inverse=True)[1] for codes in (one, other))
    second = second + first.max() + 1
    size = int(second.max()) + 1
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(size, size))
    return connected_components(graph, directed=False)[1][first]


def column_or_values(
    frame: pd.DataFrame, targets: Sequence[str], given: Any, what: str, kinds: str
) -> tuple[str, pd.Series]:
    """Return values as they are told of, and one a row; none may be missing."""
    if isinstance(given, str):
        if given in targets:
            raise InputError(f"{what} is column {given!r}, which is the target; name another")
        if given not in frame.columns:
            known = [str(name) for name in frame.columns]
            hint = nearest(given, known) or f"; the columns are {', '.join(known[:20])}"
            raise InputError(f"{what} is column {given!r}, which is not there{hint}")
        name, values = f"column {given!r}", frame[given]
    else:
        name, values = what, _listed(given, what, kinds, len(frame))
    missing = int((values.isna() | (as_text(values).str.strip() == "")).sum())
    if missing:
        raise InputError(
            f"{name} has no value in {pluralize(missing, 'row')}; {what} needs one in each: "
            "fill them in or remove these rows"
        )
    return name, values


def _listed(given: Any, what: str, kinds: str, rows: int) -> pd.Series:
    values = given if isinstance(given, pd.Series) else np.asarray(given)
    if values.ndim != 1:
        raise InputError(f"{what} must be {kinds}; got a {type(given).__name__}")
    if len(values) != rows:
        raise InputError(f"{what} has {len(values)} values, but the table has {rows} rows")
    return pd.Series(values).reset_index(drop=True)


def _codes(name: str, labels: pd.Series) -> np.ndarray:
    try:
        codes = pd.factorize(labels)[0]
    except TypeError as error:
        kind_of = type(labels.iloc[0]).__name__
        raise InputError(f"{name} holds values of type {kind_of}, which name no groups") from error
    return codes


def _times(name: str, values: pd.Series) -> np.ndarray:
    found, style = kind(values)
    if found == "text":
        raise InputError(
            f"{name} holds {str(values.iloc[0])!r}, which is neither a number nor a date; rows "
            "can't be ordered by it"
        )
    read = as_numbers(values, style) if found == "number" else as_dates(values, style).to_numpy()
    wrong = pd.isna(read)
    if wrong.any():
        first = str(values[wrong].iloc[0])
        raise InputError(f"{name} holds {first!r} among {found}s; rows can't be ordered by it")
    return np.unique(read, return_inverse=True)[1]
