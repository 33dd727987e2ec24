"""Which times are those of events, as the user says it: a column, or one value a row."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import pandas as pd

from lossmith.core.card import Task
from lossmith.study.base.errors import InputError
from lossmith.study.data.arrangement import column_or_values
from lossmith.study.metrics import lookup


class Event(NamedTuple):
    """One value a row, told of by a name."""

    name: str
    values: pd.Series

    @classmethod
    def of(
        cls, frame: pd.DataFrame, targets: Sequence[str], given: Any
    ) -> tuple[pd.DataFrame, Self | None]:
        """Return which rows have the event, and the table without the column that says so.

        Raises:
            InputError: if a column is not there or is the target, or if values are missing or not
                as many as rows.
        """
        if given is None:
            return frame, None
        what = "a column's name, or one value a row"
        found = cls(*column_or_values(frame, targets, given, "event", what))
        return frame.drop(columns=given) if isinstance(given, str) else frame, found


def survival_asked(metric: str | None, task: str | None, event: Event | None) -> Task | None:
    """Return the task of survival where it is asked for.

    Raises:
        InputError: where only a part of what it takes is given.
    """
    if event is not None:
        if task not in (None, "survival"):
            raise InputError(f"--event is for times to an event, but --task says {task}")
        return "survival"
    named = metric is not None and lookup(metric).tasks == ("survival",)
    if named or task == "survival":
        what = f"metric {metric}" if named else "task survival"
        raise InputError(
            f"{what} is of times to an event, some of them censored: say which column tells the "
            "times of events from those of censoring, as --event died"
        )
    return None
