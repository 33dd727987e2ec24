"""Relevances of rows that are items of queries."""

import numpy as np
import pandas as pd
from pandas.api import types

from lossmith.core.card import Task
from lossmith.study.base.errors import InputError
from lossmith.study.data.arrangement import Arrangement
from lossmith.study.metrics import lookup


def ranking_asked(metric: str | None, task: str | None, arrangement: Arrangement) -> Task | None:
    """Return the task of ranking where it is asked for.

    Raises:
        InputError: where it is not said which rows are items of one query.
    """
    named = metric is not None and lookup(metric).tasks == ("ranking",)
    if not named and task != "ranking":
        return None
    if task not in (None, "ranking"):
        raise InputError(f"metric {metric} is for ranking, but --task says {task}")
    if arrangement.groups is None:
        what = f"metric {metric}" if named else "task ranking"
        raise InputError(
            f"{what} is of the items of queries: say which column tells the rows of one query, "
            "user or session, as --groups query"
        )
    return "ranking"


def relevances(column: pd.Series, name: str, arrangement: Arrangement) -> np.ndarray:
    """Return the relevances of a column beside the queries of its rows, (n, 2).

    Raises:
        InputError: for what is no number, or below 0.
    """
    if not types.is_numeric_dtype(column):
        read = pd.to_numeric(column.astype(str), errors="coerce")
        wrong = column[read.isna()].tolist() or column.tolist()
        raise InputError(
            f"column {name!r} holds {str(wrong[0])!r}, which is no relevance: a number, 0 for none"
        )
    found = column.to_numpy(np.float64)
    if found.min() < 0:
        raise InputError(f"column {name!r} holds {found.min():g}; relevances are 0 or above")
    assert arrangement.groups is not None
    return np.stack([found, arrangement.groups.astype(np.float64)], axis=1)
