"""The cells of a table as numbers and texts, by what its columns hold."""

import warnings
from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from pandas.api import types
from pandas.tseries.api import guess_datetime_format

from lossmith.study.base.errors import InputError
from lossmith.study.data.numerals import MOSTLY, marks, without
from lossmith.study.data.table import as_text, decoded, leading_zero, nearest

MISSING = "(missing)"
BOOLEANS = {"True": 1, "False": 0, "true": 1, "false": 0, "TRUE": 1, "FALSE": 0}
LARGEST = 1e38  # magnitude of a number, beyond which squares overflow
DAY = np.timedelta64(1, "D")
ISO_DATE = r"\s*\d{4}-\d{2}-\d{2}(?:[T ].*)?"
SHORT_YEARS = ("%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d-%b-%y")  # which pandas does not guess
EMPTY_WORDS = ["", "na", "n/a", "nan", "nat", "none", "null", "<na>", "#na", "#n/a"]


class Columns(NamedTuple):
    """How the columns of a table are read.

    kinds: see `kind`. blanks: the texts among numbers or dates that are read as missing, by column.
    targets: the columns that the others are to predict.
    """

    kinds: dict[str, tuple[str, str | None]]
    blanks: dict[str, list[str]]
    targets: list[str]

    @classmethod
    def of(cls, table: pd.DataFrame, targets: Iterable[str] = ()) -> Self:
        """Type the columns of a table by their values."""
        kinds = {str(name): kind(table[name]) for name in table.columns}
        blanks = {name: _unreadable(table[name], *found) for name, found in kinds.items()}
        return cls(kinds, {name: words for name, words in blanks.items() if words}, [*targets])

    def named(self, kind: str) -> list[str]:
        """Return the columns of a kind."""
        return [name for name, (found, _) in self.kinds.items() if found == kind]

    def read(self, frame: pd.DataFrame) -> "Cells":
        """Return what the columns of a table hold; other columns are ignored.

        Raises:
            InputError: if a column is missing, or holds what is neither missing nor of its kind.
        """
        self._check_names(frame)
        frame = pd.DataFrame({name: _readable(frame[name], name) for name in self.kinds})
        for name in self.kinds:
            self._check_cells(frame[name], name)
        dates = [as_dates(frame[name], self.kinds[name][1]) for name in self.named("date")]
        blocks = [np.empty((len(frame), 0))]
        numeric = [(frame[name], self.kinds[name][1]) for name in self.named("number")]
        blocks += [as_numbers(*one)[:, None] for one in numeric]
        blocks += [_date_parts(one) for one in dates]
        numbers = np.clip(np.concatenate(blocks, axis=1), -LARGEST, LARGEST)
        texts = np.empty((len(frame), len(self.named("text"))), object)
        for place, name in enumerate(self.named("text")):
            texts[:, place] = _as_text(frame[name])
        return Cells(numbers, texts)

    def _check_names(self, frame: pd.DataFrame) -> None:
        known = [str(name) for name in frame.columns]
        missing = [name for name in self.kinds if name not in known]
        if missing:
            free = [name for name in known if name not in (*self.kinds, *self.targets)]
            raise InputError(
                f"column{'s' * (len(missing) > 1)} {', '.join(map(repr, missing))} "
                f"of the training table missing{nearest(missing[0], free)}"
            )
        if not len(frame):
            raise InputError("the table has no rows; give at least one to predict")

    def _check_cells(self, column: pd.Series, name: str) -> None:
        found, style = self.kinds[name]
        known = self.blanks.get(name, ())
        wrong = [word for word in _unreadable(column, found, style) if word not in known]
        if wrong:
            raise InputError(
                f"column {name!r} holds {wrong[0]!r}, but the model was trained on {found}s there: "
                f"write {_pattern(found, style)}, or leave the cell empty if the value is missing"
            )


class Cells(NamedTuple):
    """Rows of a table: numbers and parts of dates, NaN where missing; texts, with a word for it."""

    numbers: np.ndarray
    texts: np.ndarray

    def at(self, rows: np.ndarray) -> "Cells":
        """Return some of the rows."""
        return Cells(self.numbers[rows], self.texts[rows])


def kind(column: pd.Series) -> tuple[str, str | None]:
    """Return "number", "date" or "text", and how text is to be read.

    Of dates it is their format, of numbers the signs and separators beside them.
    """
    if types.is_numeric_dtype(column) or types.is_timedelta64_dtype(column):
        return "number", None
    if types.is_datetime64_any_dtype(column):
        return "date", None
    values = pd.Series(column.dropna().unique())
    values = values[as_text(values).str.strip() != ""]
    if not len(values) or leading_zero(values):
        return "text", None
    if np.isfinite(as_numbers(values)).mean() >= MOSTLY:
        return "number", None
    if beside := marks(as_text(values)):
        return "number", beside
    styles = _date_styles(as_text(values).iloc[0].strip())
    shares = {style: float(as_dates(values, style).notna().mean()) for style in styles}
    style = max(shares, key=lambda one: shares[one], default=None)  # the first of equals
    return ("date", style) if style and shares[style] >= MOSTLY else ("text", None)


def other_reading(column: pd.Series, style: str | None) -> str | None:
    """Return the style by which a column's dates may be read as well, day and month exchanged."""
    if types.is_datetime64_any_dtype(column) or not style or style.startswith("%Y"):
        return None
    other = style.replace("%d", "?").replace("%m", "%d").replace("?", "%m")
    days = as_dates(pd.Series(column.dropna().unique()), style)
    swapped = pd.to_datetime(days.dt.strftime(style), format=other, errors="coerce")
    distinct = other != style and not (days.dt.day == days.dt.month).all()
    return other if distinct and swapped[days.notna()].notna().all() else None


def _date_styles(text: str) -> list[str]:
    """Return how a date may be read, the likeliest first: between points the day comes first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a day that can be no month
        orders = (True, False) if "." in text else (False, True)
        styles = [guess_datetime_format(text, dayfirst=dayfirst) for dayfirst in orders]
    known = [style for style in styles if style]
    return list(dict.fromkeys(known or [one for one in SHORT_YEARS if one[2] in text]))


def _readable(column: pd.Series, name: str) -> pd.Series:
    """Return a column with bytes as text; InputError where they are none."""
    found = decoded(column)
    if found is None:
        raise InputError(f"column {name!r} holds bytes that are no text; write text or numbers")
    return found


def as_numbers(column: pd.Series, style: str | None = None) -> np.ndarray:
    """Return a column as float64, with NaN for what is no number.

    style: signs and separators beside the numbers of text; see `marks`.
    """
    if types.is_timedelta64_dtype(column):
        return (column / DAY).to_numpy(np.float64)
    if not types.is_numeric_dtype(column):
        if style is not None:
            column = without(as_text(column), style)
        plain = column.astype(object).map(lambda value: BOOLEANS.get(value, value))
        column = pd.to_numeric(plain, errors="coerce")
    return column.to_numpy(np.float64, na_value=np.nan)


def as_dates(column: pd.Series, style: str | None) -> pd.Series:
    """Return a column as dates, text by its format or as ISO, with NaT for what is no date."""
    if types.is_datetime64_any_dtype(column):
        return column.dt.tz_localize(None) if column.dt.tz is None else column.dt.tz_convert(None)
    text = as_text(column)
    iso = text.where(text.str.fullmatch(ISO_DATE))
    dates = pd.to_datetime(iso, format="ISO8601", errors="coerce", utc=True)
    if style is not None:
        styled = pd.to_datetime(text, format=style, errors="coerce", utc=True)
        dates = styled.fillna(dates)
    return dates.dt.tz_convert(None)


def _unreadable(column: pd.Series, kind: str, style: str | None) -> list[str]:
    """Return the distinct cells, as text, that are neither missing nor of the column's kind."""
    plain = types.is_numeric_dtype(column) or types.is_timedelta64_dtype(column)
    if kind == "text" or (plain if kind == "number" else types.is_datetime64_any_dtype(column)):
        return []
    words = pd.Series(as_text(column.dropna()).unique(), dtype=str)
    words = words[~words.str.strip().str.lower().isin(EMPTY_WORDS)]
    read = as_numbers(words, style) if kind == "number" else as_dates(words, style)
    return words[pd.isna(read)].tolist()


def _pattern(kind: str, style: str | None) -> str:
    """Return what a cell of a kind looks like."""
    if kind == "number":
        return "a number such as 1234.5 (True and False are numbers)"
    day = pd.Timestamp("2024-01-31")
    other = "" if style is None else day.strftime(f" or {style}, as in training")
    return f"a date such as {day:%Y-%m-%d}{other}"


def _date_parts(dates: pd.Series) -> np.ndarray:
    """Return days since 1970, then month, weekday and hour as points on a circle, (n, 7)."""
    days = (dates.to_numpy("datetime64[s]") - np.datetime64(0, "s")) / DAY
    parts = [days]
    for turn in (dates.dt.month / 12, dates.dt.day_of_week / 7, days % 1):
        angle = 2 * np.pi * np.asarray(turn, dtype=np.float64)
        parts += [np.sin(angle), np.cos(angle)]
    return np.stack(parts, axis=1)


def _as_text(column: pd.Series) -> np.ndarray:
    if types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")  # codes that a missing value turned into 1.0, 2.0
    text = as_text(column.astype(object).where(column.notna(), MISSING)).str.strip()
    codes, words = pd.factorize(text.where(text != "", MISSING).to_numpy(object))
    return words[codes]  # one object a word, which takes less memory and compares faster
