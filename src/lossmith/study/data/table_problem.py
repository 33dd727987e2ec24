"""From a table and its target columns to one problem a target, over the same rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lossmith.core.card import Task
from lossmith.study.base.errors import InputError
from lossmith.study.base.result import Finding
from lossmith.study.data.arrangement import Arrangement, together
from lossmith.study.data.cells import Columns
from lossmith.study.data.event import Event
from lossmith.study.data.folds import FOLDS, Split
from lossmith.study.data.problem import MINIMUM_ROWS, Problem, frame_problem, left_out_note
from lossmith.study.data.table import nearest
from lossmith.study.data.target import given
from lossmith.study.data.units import copies, same_features, units_by_class
from lossmith.study.tasks import TABLE_TASKS

MOST = 8  # targets; beyond it the weights of a combination are no longer tuned honestly


@dataclass(frozen=True, kw_only=True)
class TableProblem:
    """What a study of a table works on: one problem a target, over the same rows and features.

    dropped: rows that lack a value of any target.
    """

    targets: tuple[Problem, ...]
    dropped: int = 0

    @property
    def several(self) -> bool:
        """Whether there is more than one target."""
        return len(self.targets) > 1

    @property
    def name(self) -> str:
        """The targets, as they are written in the command."""
        return ", ".join(one.name for one in self.targets)

    @property
    def rows(self) -> np.ndarray:
        """The numbers of the rows in the table as it was given."""
        return self.targets[0].rows

    @property
    def features(self) -> pd.DataFrame:
        """The columns that predict all targets."""
        return self.targets[0].features

    @property
    def columns(self) -> Columns:
        """How these columns are read."""
        return self.targets[0].columns._replace(targets=[one.name for one in self.targets])

    @cached_property
    def target(self) -> np.ndarray:
        """The target (n,), or several side by side, (n, T), with class codes as whole numbers."""
        if not self.several:
            return self.targets[0].target
        return np.stack([one.target.astype(float) for one in self.targets], axis=1)

    @property
    def task(self) -> Task | str:
        """The target's task; several have no single one."""
        return "joint" if self.several else self.targets[0].task

    def split(self, seed: int) -> Split:
        """Return the rows to train, to validate and to leave untouched, alike for all targets."""
        strata, arrangement = self.strata(), self.targets[0].arrangement
        if strata is None:
            return arrangement.split("regression", self.target, seed, self.units)
        split = arrangement.split("multiclass", strata, seed, self.units)
        for one in self.targets:
            one.check_trained(split)
        return split

    @cached_property
    def units(self) -> np.ndarray | None:
        """Which rows are copies of one, in all features and targets, or of one group."""
        if not self.several:
            return self.targets[0].units
        copied = copies(same_features(self.features), self.target)
        return together(copied, self.targets[0].arrangement.groups)

    def strata(self) -> np.ndarray | None:
        """Return the classes by which rows are dealt out, or None where all targets are numbers.

        That is every combination of classes where each is common enough, else the classes of the
        target with the rarest one.
        """
        found = [TABLE_TASKS[one.task].strata(one.target) for one in self.targets]
        codes = [one for one in found if one is not None]
        if len(codes) < 2:
            return codes[0] if codes else None
        _, joined = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
        counts = units_by_class(joined, self.units)
        if counts.min() >= 2 * FOLDS:
            return joined
        return min(codes, key=lambda one: np.bincount(one).min())

    def prefixed(self, target: Problem, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Return findings, of several targets under the name of the one that they are of."""
        if not self.several:
            return tuple(findings)
        return tuple(replace(one, name=f"{target.name}: {one.name}") for one in findings)


def table_problem(
    frame: pd.DataFrame,
    targets: Sequence[str],
    metrics: Sequence[str],
    tasks: Sequence[str | None],
    positives: Sequence[Any],
    arrangement: Arrangement | None = None,
    orders: Sequence[Any] | None = None,
    event: Event | None = None,
) -> TableProblem:
    """Return the problem of predicting one or several columns of a table from all others.

    Raises:
        InputError: when a column is missing or named twice, when there are not as many metrics
            as targets, or when a target by itself makes no task.
    """
    if len(targets) > 1:
        _check_names(frame, targets)
        if event is not None:
            raise InputError("--event is for one target: times to an event are studied alone")
    orders = [None] * len(targets) if orders is None else orders
    for what, values in (("metric", metrics), ("task", tasks), ("positive", positives)):
        if len(values) != len(targets):
            raise InputError(
                f"there are {len(targets)} targets but {len(values)} of {what}; "
                "give one for each target, in the same order"
            )
    kept = _complete(frame, targets)
    dropped = len(frame) - len(kept)
    arrangement = arrangement or Arrangement()
    if dropped:
        frame, arrangement = frame.iloc[kept].reset_index(drop=True), arrangement.at(kept)
    problems = [
        _one_of(targets, frame, arrangement, event, name, *own)
        for name, *own in zip(targets, metrics, tasks, positives, orders, strict=True)
    ]
    problems = [replace(one, rows=kept[one.rows]) for one in problems]
    alone = [one.task for one in problems if not TABLE_TASKS[one.task].single]
    if alone and len(targets) > 1:
        raise InputError(f"task {alone[0]} is for one target, which is studied alone")
    classes = [one.name for one in problems if not one.numbers]
    notes = [left_out_note(dropped, "every target", frame, classes)] * bool(dropped)
    return TableProblem(
        targets=_noted(problems, notes), dropped=dropped + sum(one.dropped for one in problems)
    )


def _complete(frame: pd.DataFrame, targets: Sequence[str]) -> np.ndarray:
    """Return the numbers of the rows that have every one of several targets."""
    if len(targets) == 1:
        return np.arange(len(frame))  # its own problem leaves out those that lack it
    kept = np.logical_and.reduce([given(frame[name], name) for name in targets])
    if kept.sum() < MINIMUM_ROWS:
        raise InputError(
            f"{int(kept.sum())} rows have a value of every target; "
            f"a study needs at least {MINIMUM_ROWS}"
        )
    return np.flatnonzero(kept)


def _one_of(
    targets: Sequence[str],
    rows: pd.DataFrame,
    arrangement: Arrangement,
    event: Event | None,
    name: str,
    metric: str,
    task: str | None,
    positive: Any,
    order: Any,
) -> Problem:
    """Return the problem of one target; of several, a mistake says whose it is."""
    frame = rows.drop(columns=[other for other in targets if other != name])
    try:
        return frame_problem(frame, name, metric, task, positive, arrangement, order, event)
    except InputError as error:
        if len(targets) == 1 or repr(name) in str(error):
            raise
        raise InputError(f"target {name!r}: {error}") from error


def _noted(problems: Sequence[Problem], more: Sequence[str]) -> tuple[Problem, ...]:
    """Return the problems with the notes that all share, and more, at the first alone."""
    first, *rest = problems
    shared = [note for note in first.notes if all(note in one.notes for one in rest)]
    others = [
        replace(one, notes=tuple(note for note in one.notes if note not in shared)) for one in rest
    ]
    return (replace(first, notes=(*first.notes, *more)), *others)


def _check_names(frame: pd.DataFrame, targets: Sequence[str]) -> None:
    known = [str(name) for name in frame.columns]
    for name in targets:
        if name not in known:
            raise InputError(f"there is no column {name!r}{nearest(name, known)}")
    doubles = sorted({name for name in targets if list(targets).count(name) > 1})
    if doubles:
        raise InputError(f"the target {doubles[0]!r} is named twice")
    if len(targets) > MOST:
        raise InputError(f"{len(targets)} targets are too many for one study; at most {MOST}")
