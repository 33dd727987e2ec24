"""From a table and several target columns to one problem a target, over the same rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lossmith.study.data.arrangement import Arrangement, together
from lossmith.study.data.encoder import Columns
from lossmith.study.data.folds import FOLDS, Split
from lossmith.study.data.problem import (
    MINIMUM_ROWS,
    Problem,
    frame_problem,
    given,
    left_out_note,
)
from lossmith.study.data.table import nearest
from lossmith.study.data.units import copies, same_features, units_by_class
from lossmith.study.diagnose import diagnose
from lossmith.study.errors import InputError
from lossmith.study.result import Finding

MOST = 8  # targets; beyond it the weights of a combination are no longer tuned honestly


@dataclass(frozen=True, kw_only=True)
class JointProblem:
    """Problems of one table over the same rows and features.

    dropped: rows that lack a value of any target.
    """

    problems: tuple[Problem, ...]
    dropped: int = 0

    @property
    def name(self) -> str:
        """The targets, as they are written in the command."""
        return ", ".join(problem.name for problem in self.problems)

    @property
    def features(self) -> pd.DataFrame:
        """The columns that predict all targets."""
        return self.problems[0].features

    @property
    def columns(self) -> Columns:
        """How these columns are read."""
        return self.problems[0].columns._replace(targets=[one.name for one in self.problems])

    @property
    def target(self) -> np.ndarray:
        """The targets side by side, (n, T); class codes as whole numbers."""
        return np.stack([problem.target.astype(float) for problem in self.problems], axis=1)

    @property
    def task(self) -> str:
        """No single task: each target has its own."""
        return "joint"

    def split(self, seed: int) -> Split:
        """Return the rows to train, to validate and to leave untouched, alike for all targets."""
        strata, arrangement = self.strata(), self.problems[0].arrangement
        if strata is None:
            return arrangement.split("regression", self.target, seed, self.units)
        split = arrangement.split("multiclass", strata, seed, self.units)
        for problem in self.problems:
            problem.check_trained(split)
        return split

    @cached_property
    def units(self) -> np.ndarray | None:
        """Which rows are copies of one, in all features and targets, or of one group."""
        copied = copies(same_features(self.features), self.target)
        return together(copied, self.problems[0].arrangement.groups)

    def strata(self) -> np.ndarray | None:
        """Return the classes by which rows are dealt out, or None where all targets are numbers.

        That is every combination of classes where each is common enough, else the classes of the
        target with the rarest one.
        """
        codes = [p.target for p in self.problems if p.task != "regression"]
        if not codes:
            return None
        _, joined = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
        counts = units_by_class(joined, self.units)
        if counts.min() >= 2 * FOLDS:
            return joined
        return min(codes, key=lambda one: np.bincount(one).min())


def joint_problem(
    frame: pd.DataFrame,
    targets: Sequence[str],
    metrics: Sequence[str],
    tasks: Sequence[str | None],
    positives: Sequence[Any],
    arrangement: Arrangement | None = None,
) -> JointProblem:
    """Return the problem of predicting several columns of a table from all others.

    Raises:
        InputError: when a column is missing or named twice, when there are not as many metrics
            as targets, or when a target by itself makes no task.
    """
    _check_names(frame, targets)
    for what, values in (("metric", metrics), ("task", tasks), ("positive", positives)):
        if len(values) != len(targets):
            raise InputError(
                f"there are {len(targets)} targets but {len(values)} of {what}; "
                "give one for each target, in the same order"
            )
    if len(targets) < 2:
        raise InputError(
            "a study of several targets needs two or more; of one, write target='price', "
            "metric='mae', not lists"
        )
    kept = np.logical_and.reduce([given(frame[name], name) for name in targets])
    if kept.sum() < MINIMUM_ROWS:
        raise InputError(
            f"{int(kept.sum())} rows have a value of every target; "
            f"a study needs at least {MINIMUM_ROWS}"
        )
    rows, arrangement = frame[kept].reset_index(drop=True), (arrangement or Arrangement()).at(kept)
    problems = [
        _one_of_several(
            rows.drop(columns=[other for other in targets if other != name]),
            arrangement,
            name,
            *own,
        )
        for name, *own in zip(targets, metrics, tasks, positives, strict=True)
    ]
    dropped = int((~kept).sum())
    classes = [one.name for one in problems if one.task != "regression"]
    note = left_out_note(dropped, "every target", frame, classes)
    return JointProblem(problems=_noted(problems, [note] * bool(dropped)), dropped=dropped)


def _one_of_several(
    frame: pd.DataFrame,
    arrangement: Arrangement,
    name: str,
    metric: str,
    task: str | None,
    positive: Any,
) -> Problem:
    """Return the problem of one target; a mistake says whose it is."""
    try:
        return frame_problem(frame, name, metric, task, positive, arrangement)
    except InputError as error:
        whose = "" if repr(name) in str(error) else f"target {name!r}: "
        raise InputError(f"{whose}{error}") from error


def _noted(problems: Sequence[Problem], more: Sequence[str]) -> tuple[Problem, ...]:
    """Return the problems with the notes that all share, and more, at the first alone."""
    first, *rest = problems
    shared = [note for note in first.notes if all(note in one.notes for one in rest)]
    others = [
        replace(one, notes=tuple(note for note in one.notes if note not in shared)) for one in rest
    ]
    return (replace(first, notes=(*first.notes, *more)), *others)


def diagnosed(problem: JointProblem) -> tuple[tuple[Finding, ...], ...]:
    """Return each target's findings under its name; what all share stands with the first."""
    found = [diagnose(one) for one in problem.problems]
    shared = [one for one in found[0] if all(one in rest for rest in found[1:])]
    return tuple(
        tuple(one for one in own if number == 0 or one not in shared)
        for number, own in enumerate(found)
    )


def under(problem: Problem, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings under the name of the target that they are of."""
    return tuple(replace(one, name=f"{problem.name}: {one.name}") for one in findings)


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
