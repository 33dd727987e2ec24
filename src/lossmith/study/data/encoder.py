"""Table columns as numbers for a network: typed by their values, fitted on training rows only."""

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from pandas.api import types
from pandas.tseries.api import guess_datetime_format
from sklearn.preprocessing import OneHotEncoder

from lossmith.core.plain import check_shape
from lossmith.study.base.errors import InputError
from lossmith.study.data.levels import Known, learn_levels, level_numbers
from lossmith.study.data.table import as_text, decoded, leading_zero, nearest

FORMAT = 1
TRUSTED = frozenset(
    {
        "skrub._squashing_scaler.SquashingScaler",
        "skrub._squashing_scaler._MinMaxScaler",
        "skrub._string_encoder.StringEncoder",
        "skrub._to_str.ToStr",
    }
)
STATE = {"kinds": dict, "scaler": object, "categories": object, "spellings": dict, "width": int}
MISSING = "(missing)"
MANY = 40  # distinct texts above which spelling is encoded as well as the frequent ones
FREQUENT = 64  # at most so many columns a category
RARE = 5  # rows below which categories share one column
WORDS = 2000  # distinct texts from which spelling is learnt
SPELLING = 8  # columns that encode spelling
MOSTLY = 0.95  # share of the values that must be numbers or dates for text to be read as such
BOOLEANS = {"True": 1, "False": 0, "true": 1, "false": 0, "TRUE": 1, "FALSE": 0}
LARGEST = 1e38  # magnitude of a number, beyond which squares overflow
DAY = np.timedelta64(1, "D")
ISO_DATE = r"\s*\d{4}-\d{2}-\d{2}(?:[T ].*)?"
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


class Encoder:
    """Turns a table into a finite float32 matrix; every number in it was learnt by `fit`.

    Numbers, booleans, and text that holds either are scaled robustly and squashed into [-3, 3]
    (skrub's SquashingScaler), a missing value becomes the median with a column that marks it.
    Dates become days, and month, weekday and hour as circles. Other text becomes one column a
    frequent category; where there are many categories their spelling is encoded too (skrub's
    StringEncoder). Categories not seen by `fit` count as rare ones. Where a column has many levels
    that tell of the target, `fit_transform` adds what each one's rows have as target.
    """

    def __init__(self) -> None:
        # An encoder that an older version saved keeps these.
        self.blanks: dict[str, list[str]] = {}
        self.targets: list[str] = []
        self.levels: dict[str, Known] = {}

    def fit(self, frame: pd.DataFrame, columns: Columns | None = None) -> Self:
        """Learn from the training rows how each column is encoded.

        columns: of the whole table, where some of its rows are for training; by it the encoder
        can read all of them.
        """
        from skrub import SquashingScaler, StringEncoder  # brings pyplot along

        self.kinds, self.blanks, self.targets = columns or Columns.of(frame)
        numbers = self._numbers(frame)
        spread = np.array([len(np.unique(column)) > 1 for column in numbers.T], dtype=bool)
        self.kept = np.flatnonzero(spread)
        numbers = numbers[:, self.kept]
        self.scaler = SquashingScaler().fit(numbers) if self.kept.size else None
        self.gaps = _distinct_columns(np.isnan(numbers))
        texts = self._texts(frame)
        self.categories = _one_hot(len(frame)).fit(texts) if texts.shape[1] else None
        self.spellings = {
            name: StringEncoder(SPELLING, random_state=0).fit(pd.Series(words, name=name))
            for name, column in zip(self._named("text"), texts.T, strict=True)
            if len(words := _words(column)) > MANY
        }
        self.width = self.transform(frame.iloc[:1]).shape[1]
        return self

    def fit_transform(
        self,
        frame: pd.DataFrame,
        target: np.ndarray,
        columns: Columns | None = None,
        units: np.ndarray | None = None,
    ) -> np.ndarray:
        """Learn from the training rows and their target; return them as (n, width) float32.

        units: a code a row; of rows of one code none tells another's target (see `levels`).
        """
        self.fit(frame, columns)
        encoded = self.transform(frame)
        units = np.arange(len(frame)) if units is None else units
        self.levels, own = learn_levels(self._levelled(frame), target, units)
        self.width += own.shape[1]
        return np.concatenate([encoded, own], axis=1, dtype=np.float32)

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the rows as (n, width) float32; other columns than the fitted ones are ignored.

        Raises:
            InputError: if a column that `fit` saw is missing, or holds what is neither missing nor
                of the column's kind.
        """
        self._check_names(frame)
        frame = pd.DataFrame({name: _readable(frame[name], name) for name in self.kinds})
        for name in self.kinds:
            self._check_cells(frame[name], name)
        blocks = [np.empty((len(frame), 0), np.float32)]
        if self.scaler is not None:
            numbers = self._numbers(frame)[:, self.kept]
            with np.errstate(all="ignore"):  # of numbers far beyond the training rows
                blocks.append(np.nan_to_num(self.scaler.transform(numbers)))
            blocks.append(np.isnan(numbers[:, self.gaps]))
        texts = self._texts(frame)
        if self.categories is not None:
            blocks.append(self.categories.transform(texts))
        for name, column in zip(self._named("text"), texts.T, strict=True):
            if name in self.spellings:
                rows, words = pd.factorize(column)
                encoded = self.spellings[name].transform(pd.Series(words, name=name))
                blocks.append(encoded.to_numpy()[rows])
        levelled = self._levelled(frame) if self.levels else {}
        blocks += [level_numbers(levelled[name], known) for name, known in self.levels.items()]
        return np.concatenate(blocks, axis=1, dtype=np.float32)

    def blank(self) -> pd.DataFrame:
        """Return a row of the columns of `fit` in which every value is missing."""
        return pd.DataFrame({name: [None] for name in self.kinds}, dtype=object)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the encoder as a skops file."""
        import skops.io  # which imports all of scikit-learn

        skops.io.dump({"format": FORMAT, **vars(self)}, Path(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an encoder that `save` wrote; a file with types beyond the known ones is refused.

        Raises:
            InputError: if the file is not such an encoder, or holds a type that is not trusted.
        """
        import skops.io

        try:
            foreign = set(skops.io.get_untrusted_types(file=Path(path))) - TRUSTED
            if foreign:
                raise InputError(f"{path} holds types not trusted: {', '.join(sorted(foreign))}")
            state = skops.io.load(Path(path), trusted=sorted(TRUSTED))
        except (OSError, zipfile.BadZipFile, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is not an encoder saved by lossmith") from error
        if not isinstance(state, dict) or state.pop("format", None) != FORMAT:
            raise InputError(f"{path} is not an encoder of format {FORMAT}")
        try:
            check_shape(state, STATE, Path(path).name)
            check_shape([*state["kinds"].values()], [tuple], Path(path).name)
        except ValueError as error:
            raise InputError(f"{path} is not an encoder saved by lossmith: {error}") from error
        encoder = cls()
        vars(encoder).update(state)
        return encoder

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

    def _named(self, kind: str) -> list[str]:
        return [name for name, (found, _) in self.kinds.items() if found == kind]

    def _numbers(self, frame: pd.DataFrame) -> np.ndarray:
        """Return numbers and the parts of dates, (n, columns) float64 with NaN where missing."""
        blocks = [np.empty((len(frame), 0))]
        blocks += [as_numbers(frame[name])[:, None] for name in self._named("number")]
        blocks += [
            _date_parts(as_dates(frame[name], self.kinds[name][1])) for name in self._named("date")
        ]
        return np.clip(np.concatenate(blocks, axis=1), -LARGEST, LARGEST)

    def _levelled(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        """Return the columns that may have levels: texts and numbers, not dates."""
        texts = zip(self._named("text"), self._texts(frame).T, strict=True)
        return dict(texts) | {n: as_numbers(frame[n]) for n in self._named("number")}

    def _texts(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the text columns, (n, columns) of str with a word for what is missing."""
        columns = [_as_text(frame[name]) for name in self._named("text")]
        return np.stack(columns, axis=1) if columns else np.empty((len(frame), 0), object)


def kind(column: pd.Series) -> tuple[str, str | None]:
    """Return "number", "date" with its format where it is text, or "text"."""
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
    first = as_text(values).iloc[0]
    for dayfirst in (False, True):
        style = guess_datetime_format(first, dayfirst=dayfirst)
        if style and as_dates(values, style).notna().mean() >= MOSTLY:
            return "date", style
    return "text", None


def _readable(column: pd.Series, name: str) -> pd.Series:
    """Return a column with bytes as text; InputError where they are none."""
    found = decoded(column)
    if found is None:
        raise InputError(f"column {name!r} holds bytes that are no text; write text or numbers")
    return found


def as_numbers(column: pd.Series) -> np.ndarray:
    """Return a column as float64, with NaN for what is no number."""
    if types.is_timedelta64_dtype(column):
        return (column / DAY).to_numpy(np.float64)
    if not types.is_numeric_dtype(column):
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
    read = as_numbers(words) if kind == "number" else as_dates(words, style)
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
    return text.where(text != "", MISSING).to_numpy(object)


def _words(column: np.ndarray) -> np.ndarray:
    """Return the distinct texts, an even choice of them where there are very many."""
    words = np.sort(pd.unique(column))
    return words[np.linspace(0, len(words) - 1, min(len(words), WORDS)).astype(int)]


def _one_hot(rows: int) -> OneHotEncoder:
    return OneHotEncoder(
        min_frequency=min(RARE, max(1, rows // 20)),
        max_categories=FREQUENT,
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
        dtype=np.float32,
    )


def _distinct_columns(marks: np.ndarray) -> np.ndarray:
    """Return the indices of columns that are neither constant nor equal to an earlier one."""
    _, first = np.unique(marks, axis=1, return_index=True)
    return np.array([index for index in np.sort(first) if len(set(marks[:, index])) > 1], dtype=int)
