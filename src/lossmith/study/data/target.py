"""The column to predict: what no task can predict of it, and its values as numbers."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from pandas.api import types

from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import pluralize
from lossmith.study.data.table import leading_zero

NUMBERS = (str, Real, Decimal)  # what a number may be written as
DATES = (dt.date, dt.time, dt.timedelta, np.datetime64, np.timedelta64, pd.Period)


def given(column: pd.Series, name: str) -> np.ndarray:
    """Return which rows have a value of a target, blank text not counted."""
    return usable(column, name).notna().to_numpy()


def usable(column: pd.Series, name: str) -> pd.Series:
    """Return the target with blank text as missing; refuse what no task can predict."""
    if types.is_complex_dtype(column):
        raise InputError(f"column {name!r} holds complex numbers; choose one part of them")
    if not types.is_numeric_dtype(column):
        plain = column.astype(object)
        column = plain.mask(plain.map(lambda value: isinstance(value, str) and not value.strip()))
    if not column.notna().any():
        raise InputError(f"column {name!r} has no values; choose another --target")
    if types.is_float_dtype(column) and np.isinf(column.to_numpy(float, na_value=np.nan)).any():
        count = int(np.isinf(column.to_numpy(float, na_value=np.nan)).sum())
        raise InputError(
            f"column {name!r} is infinite in {pluralize(count, 'row')}; correct or remove them"
        )
    try:
        column.nunique()
    except TypeError as error:
        kind = type(column.dropna().iloc[0]).__name__
        raise InputError(f"column {name!r} holds values of type {kind}, not plain ones") from error
    return column


def as_numbers_if_all(column: pd.Series) -> pd.Series:
    """Return numbers where every value is a number, though kept as text or objects."""
    if types.is_numeric_dtype(column) or leading_zero(column):
        return column
    if any(isinstance(value, bool) or not isinstance(value, NUMBERS) for value in column):
        return column
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if np.isfinite(numbers.to_numpy(float)).all() else column


def refuse_as_numbers(column: pd.Series, name: str) -> NoReturn:
    """Say which value of a column is no number, and of how many rows that is so.

    Raises:
        InputError: always.
    """
    if all(isinstance(value, DATES) for value in column):
        raise InputError(f"column {name!r} holds dates; make it a number, for example of days")
    code = leading_zero(column)
    wrong = not_numbers(column) or [code]
    why = "is text for its leading zero" if code else "is not a number"
    rows = f", and so in {len(wrong)} of {len(column)} rows" if 1 < len(wrong) < len(column) else ""
    raise InputError(
        f"column {name!r} holds {code or wrong[0]!r}, which {why}{rows}; regression needs numbers "
        "such as 1234.5: correct the column, empty the cells of missing values, or choose a metric "
        "for classes"
    )


def not_numbers(values: Iterable[Any]) -> list[Any]:
    """Return those that are no finite numbers, nor texts of such."""
    found = pd.Series([*values], dtype=object)
    plain = found.map(lambda value: isinstance(value, NUMBERS) and not isinstance(value, bool))
    read = pd.to_numeric(found.where(plain.astype(bool)), errors="coerce").to_numpy(float)
    return found[~np.isfinite(read)].tolist()


def values_of(column: pd.Series, name: str) -> np.ndarray:
    """Return the values of a column of numbers; refuse one value alone."""
    values = column.to_numpy(np.float64)
    if (values == values[0]).all():
        raise InputError(
            f"column {name!r} is {values[0]:g} in every row; there is nothing to learn"
        )
    return values
