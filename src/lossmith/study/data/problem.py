"""From a table and a target column to a problem: task, classes, features and what was left out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from lossmith.core.card import Task
from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import listed, pluralize
from lossmith.study.data.arrangement import Arrangement, together
from lossmith.study.data.cells import Columns
from lossmith.study.data.event import Event, survival_asked
from lossmith.study.data.folds import Split
from lossmith.study.data.labels import as_saved
from lossmith.study.data.queries import ranking_asked, relevances
from lossmith.study.data.table import (
    cut_short,
    decoded,
    nearest,
    read_as_missing,
    telling_what_is_missing,
)
from lossmith.study.data.target import (
    as_numbers_if_all,
    not_numbers,
    refuse_as_numbers,
    usable,
    values_of,
)
from lossmith.study.data.units import copies, first_rows, same_features, units_by_class
from lossmith.study.metrics import lookup
from lossmith.study.metrics import metric as fitting
from lossmith.study.tasks import TABLE_TASKS
from lossmith.study.tasks.classes import MINIMUM_CLASS_ROWS
from lossmith.study.tasks.ordinal import ranks
from lossmith.study.tasks.survival import events, times

MINIMUM_ROWS = 50  # a test part and five folds that still measure something
MANY_CLASSES = 20  # beyond which each must have rows enough to be learnt
FEW_INTEGERS = 10  # distinct integers that are still read as classes


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a study works on.

    features: (n, columns). target: (n,), float64 numbers in the column's own unit or int64 class
    codes; (n, 2) of times and events, or of relevances and queries. labels: the classes as they
    stood in the column, in the order of their codes; classes: the same as text; both empty where
    there are none. A binary task has code 1 for the positive class. dropped: rows without a
    target. rows: the numbers of those that have one, in the table as it was given. notes:
    decisions the user should know of. arrangement: how the rows belong together.
    """

    task: Task
    name: str
    features: pd.DataFrame
    target: np.ndarray
    rows: np.ndarray
    classes: tuple[str, ...] = ()
    labels: np.ndarray = field(default_factory=lambda: np.empty(0))
    dropped: int = 0
    notes: tuple[str, ...] = ()
    arrangement: Arrangement = field(default_factory=Arrangement)

    @property
    def numbers(self) -> bool:
        """Whether the target is a quantity, and no class."""
        return TABLE_TASKS[self.task].numbers

    @property
    def single(self) -> np.ndarray:
        """The target as one value a row: the first of two."""
        return self.target if self.target.ndim == 1 else self.target[:, 0]

    @cached_property
    def columns(self) -> Columns:
        """How the columns to predict from are read, by the diagnosis and in every training."""
        return Columns.of(self.features, [self.name])

    @cached_property
    def copied(self) -> np.ndarray | None:
        """Which rows are copies of one: a code a row, or None where all differ."""
        return copies(same_features(self.features), self.target)

    @cached_property
    def units(self) -> np.ndarray | None:
        """Which rows are copies of one, or of one group: a code a row, or None where all differ."""
        return together(self.copied, self.arrangement.groups)

    def check_trained(self, split: Split) -> None:
        """Refuse a split that leaves a class without a row that trains, in some fold."""
        for number, fold in enumerate(split.folds, 1):
            lacking = np.setdiff1d(np.arange(len(self.classes)), self.target[fold.train])
            if len(lacking):
                raise InputError(
                    f"none of the rows that train for fold {number} is of class "
                    f"{self.classes[lacking[0]]!r} of column {self.name!r}; merge it with "
                    "another class, or choose other --groups, --time or --seed"
                )


def frame_problem(
    frame: pd.DataFrame,
    target: str,
    metric: str | None = None,
    task: str | None = None,
    positive: Any = None,
    arrangement: Arrangement | None = None,
    order: Any = None,
    event: Event | None = None,
) -> Problem:
    """Return the problem of predicting one column of a table from the others.

    The task is `task` if given; else text, booleans, categories and two distinct values are
    classes, and so are at most 10 distinct integers unless `metric` is one for regression.
    positive: the positive class of a binary task, the rarer one if None. arrangement: of the
    table's rows. order: of an ordinal task's grades from low to high; told by the column if None.
    event: which times are those of events, whose label is then the positive one.

    Raises:
        InputError: when the target, the features or the metric do not make a task.
    """
    if target not in frame.columns:
        known = [str(name) for name in frame.columns]
        if all(part.strip() in known for part in target.split(",")):
            raise InputError(
                f"there is no column {target!r}; several targets need as many metrics: "
                "--metric mae,auroc"
            )
        hint = nearest(target, known) or f"; the columns are {', '.join(known[:20])}"
        raise InputError(f"there is no column {target!r}{hint}")
    notes = cut_short(frame)
    column = usable(frame[target], target)
    kept = column.notna()
    column = column[kept]
    numbers = as_numbers_if_all(column)
    arrangement = arrangement or Arrangement()
    asked = survival_asked(metric, task, event) or ranking_asked(metric, task, arrangement)
    with telling_what_is_missing(frame, target):
        found = asked or _task(numbers, target, metric, task, notes)
    if found != "ranking":  # whose groups are queries, which are what is counted
        arrangement.check()
    if found == "regression" or not any(isinstance(value, Decimal) for value in column):
        if numbers is not column:
            notes.insert(0, f"column {target!r} holds numbers as text; they are read as numbers")
        column = numbers
    if metric is not None:
        _check_metric(metric, found, inferred=task is None and asked is None)
    if len(column) < MINIMUM_ROWS:
        raise InputError(
            f"column {target!r} has {len(column)} rows with a value; "
            f"a study needs at least {MINIMUM_ROWS}"
        )
    features = _features(frame.loc[kept].drop(columns=target).reset_index(drop=True), notes)
    dropped = int((~kept).sum())
    if positive is not None and found not in ("binary", "survival"):
        raise InputError(f"--positive is for two classes, but the task of {target!r} is {found}")
    if order is not None and found != "ordinal":
        raise InputError(f"--order is for grades, but the task of {target!r} is {found}")
    if event is not None:
        happened, note = events(event.values[kept.to_numpy()], event.name, positive)
        values, labels = np.stack([times(column, target), happened], axis=1), np.empty(0)
        TABLE_TASKS[found].check(values)
        notes.append(note)
    elif found == "ranking":
        values, labels = relevances(column, target, arrangement.at(kept.to_numpy())), np.empty(0)
        TABLE_TASKS[found].check(values)
    elif found == "regression":
        values, labels = values_of(column, target), np.empty(0)
    else:
        listed = order if order is not None else ranks(frame[target])
        said = positive if found == "binary" else listed
        with telling_what_is_missing(frame, target):
            values, labels = _codes(column, target, found, said)
        notes += TABLE_TASKS[found].notes(labels, values)
    if metric is not None:
        lookup(metric).check(values)
    arrangement = arrangement.at(kept.to_numpy())
    notes += arrangement.notes
    if dropped:
        classes = [] if TABLE_TASKS[found].numbers else [target]
        notes.append(left_out_note(dropped, repr(target), frame, classes))
    problem = Problem(
        task=found,
        name=target,
        features=features,
        target=values,
        rows=np.flatnonzero(kept),
        classes=tuple(map(str, labels.tolist())),
        labels=labels,
        dropped=dropped,
        notes=tuple(notes),
        arrangement=arrangement,
    )
    _check_units(problem)
    return problem


def _check_units(problem: Problem) -> None:
    """Refuse a table whose rows are enough only because they are copies of a few."""
    rows = len(problem.target)
    first = first_rows(problem.copied, rows)
    if len(first) < MINIMUM_ROWS:
        raise InputError(
            f"the table has {rows} rows, but only {len(first)} differ; "
            f"a study needs at least {MINIMUM_ROWS} that do"
        )
    if problem.classes and problem.units is not None:
        counts = units_by_class(problem.target, problem.units)
        what = "different row" if problem.arrangement.groups is None else "group"
        _check_classes(problem.name, problem.task, list(problem.classes), counts, what)


def left_out_note(dropped: int, of: str, frame: pd.DataFrame, classes: Iterable[str]) -> str:
    """Return what is told of rows left out, with the texts that might be classes' names."""
    left = "was" if dropped == 1 else "were"
    note = f"{pluralize(dropped, 'row')} without a value of {of} {left} left out"
    return note + read_as_missing(frame, classes)


def _task(
    column: pd.Series, name: str, metric: str | None, task: str | None, notes: list[str]
) -> Task:
    """Return the task that was asked for, or the one that the values and the metric suggest."""
    numeric = types.is_numeric_dtype(column) and not types.is_bool_dtype(column)
    distinct = int(column.nunique())
    if task is not None:
        found = _named_task(task, distinct, name)
    elif metric is not None and "regression" in lookup(metric).tasks:
        found = "regression"
    elif metric is not None and lookup(metric).tasks == ("ordinal",):
        found = _named_task("ordinal", distinct, name)
    elif not numeric or metric is not None or distinct == 2:
        found = "binary" if distinct <= 2 else "multiclass"
    elif distinct <= FEW_INTEGERS and (column % 1 == 0).all():
        found = "multiclass"
        notes.append(
            f"the {distinct} distinct integers of {name!r} are read as classes; "
            "set --task regression if they are quantities"
        )
    else:
        found = "regression"
    if found == "regression" and not numeric:
        refuse_as_numbers(column, name)
    return found


def _named_task(task: str, distinct: int, name: str) -> Task:
    if task not in TABLE_TASKS:
        *some, last = TABLE_TASKS
        raise InputError(f"a study's task is {', '.join(some)} or {last}, not {task!r}")
    if task == "binary" and distinct > 2:
        raise InputError(
            f"column {name!r} has {distinct} distinct values; --task binary needs two, "
            "use --task multiclass"
        )
    if task == "ordinal" and distinct < 3:
        raise InputError(
            f"column {name!r} has {distinct} distinct values; grades are three at least, "
            "use --task binary"
        )
    return "binary" if task == "multiclass" and distinct == 2 else task  # type: ignore[return-value]


def _check_metric(metric: str, task: Task, *, inferred: bool) -> None:
    try:
        fitting(metric, task)
    except InputError as error:
        hint = " (the task was inferred from the target; --task sets it)" if inferred else ""
        raise InputError(f"{error}{hint}") from None


def _features(features: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Drop the columns that tell nothing: empty ones, constant ones, and bytes that are no text."""
    if not features.shape[1]:
        raise InputError("the target is the only column; a study needs columns to predict it from")
    readable = {str(name): decoded(features[name]) for name in features}
    raw = [name for name, column in readable.items() if column is None]
    features = pd.DataFrame({n: column for n, column in readable.items() if column is not None})
    dull = [str(name) for name in features if not _varies(features[name])]
    if len(dull) == features.shape[1]:
        kinds = "empty, constant or bytes" if raw else "empty or constant"
        raise InputError(f"every column but the target is {kinds}; nothing predicts it")
    for what, names in (("empty or constant columns", dull), ("columns of bytes", raw)):
        if names:
            notes.append(f"{what} were left out: {', '.join(names)}")
    return features.drop(columns=dull)


def _varies(column: pd.Series) -> bool:
    try:
        return column.nunique(dropna=False) > 1
    except TypeError as error:
        kind = type(column.dropna().iloc[0]).__name__
        raise InputError(
            f"column {column.name!r} holds values of type {kind}; "
            "a table needs numbers, text, booleans or dates: remove or expand it"
        ) from error


def _codes(column: pd.Series, name: str, task: Task, said: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return codes and labels in the order of the task."""
    if types.is_float_dtype(column) and (column % 1 == 0).all():
        column = column.astype(np.int64)  # 0.0 and 1.0 come from a column with missing values
    codes, labels = pd.factorize(column, sort=types.is_numeric_dtype(column))
    if not types.is_numeric_dtype(column):
        order = sorted(range(len(labels)), key=lambda index: str(labels[index]))
        codes, labels = np.argsort(order)[codes], labels[order]
    labels = as_saved(labels.tolist(), name)
    counts = np.bincount(codes)
    _check_classes(name, task, [str(label) for label in labels], counts)
    codes, labels = TABLE_TASKS[task].arranged(codes, labels, name, said)
    return codes.astype(np.int64), labels


def _check_classes(
    name: str, task: Task, labels: list[str], counts: np.ndarray, what: str = "row"
) -> None:
    if len(labels) == 1:
        raise InputError(
            f"column {name!r} is {labels[0]!r} in every row; a study needs two classes"
        )
    if len(labels) > MANY_CLASSES and counts.sum() < 2 * MINIMUM_CLASS_ROWS * len(labels):
        strange = not_numbers(labels)
        but = f" (all but {strange[0]!r} are numbers)" if len(strange) == 1 else ""
        raise InputError(
            f"column {name!r} has {len(labels)} classes in {counts.sum()} rows, too many to "
            f"learn{but}; for a quantity set --task regression, and a column of ids is no target"
        )
    rarest, *others = (place for place in np.argsort(counts, kind="stable"))
    if counts[rarest] < MINIMUM_CLASS_ROWS:
        rare = [repr(labels[one]) for one in others if counts[one] < MINIMUM_CLASS_ROWS]
        raise InputError(
            f"class {labels[rarest]!r} of column {name!r} has "
            f"{pluralize(int(counts[rarest]), what)}, a study needs at least {MINIMUM_CLASS_ROWS}"
            + (f", and {listed(rare)} too few as well" if rare else "")
            + "; remove such rows or merge them with another class"
        )
