"""Tables from files and from memory, as one pandas DataFrame with unique text column names."""

import csv
import difflib
import io
import os
import re
import shlex
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api import types
from pyarrow import feather

from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import pluralize
from lossmith.study.data import files
from lossmith.study.data.numerals import with_points_of_thousands

SEPARATORS = {".csv": ",;\t|", ".tsv": "\t"}  # of these the one that a header has most of
LEADING_ZERO = r"\s*0\d+\s*"
LEADING_ZERO_CELL = re.compile(rb'[,;\t"\s]0\d+\s*(?:[,;\t"\r\n]|$)')
SURROGATE = re.compile("[\ud800-\udfff]")
READ_AS_MISSING = "lossmith: read as missing"  # in a table's attrs, its texts by column
SHORT = "lossmith: short rows"  # in a table's attrs, the numbers of rows that lack cells


@runtime_checkable
class _Arrow(Protocol):
    """A table that exports itself as Arrow: of Polars, PyArrow, DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a CSV, TSV, Parquet, Feather or XLSX file, told by its suffix, also out of an archive.

    A .csv is read with the commas, semicolons, tabs or bars that its header holds most of, with
    semicolons also with decimal commas where that makes more columns numeric, and then with points
    between thousands. A column with a leading zero, as in 007, is read as text. The texts that were
    read as missing values are kept for `missing_words`.

    Raises:
        InputError: if the file is missing, empty, without rows, not UTF-8, not readable as what
            its suffix says, or has two columns of one name.
    """
    path = Path(path)
    _check_file(path)
    file = files.read(path)
    frame = (_read_text if file.suffix in files.TEXT else _read_arrow)(file, path)
    frame.columns = [str(name) for name in frame.columns]
    _check_names(list(frame.columns), str(path))
    if not len(frame):
        raise InputError(f"{path} has a header but no rows")
    return frame.reset_index(drop=True)


def as_frame(data: Any, target: Any) -> tuple[pd.DataFrame, str]:
    """Return a table in memory as a DataFrame, with the name of its target column.

    Args:
        data: a pandas or Polars DataFrame, any table that exports Arrow, or a 2-d array, whose
            columns are then called x0, x1 ….
        target: a column's name, a column's index in an array, or one value a row.

    Raises:
        InputError: for another kind of data, or a target of another length.
    """
    frame = plain_frame(data)
    if isinstance(target, str):
        return frame, target
    if isinstance(target, (int, np.integer)):
        if not -frame.shape[1] <= target < frame.shape[1]:
            raise InputError(f"target is column {target}, but there are {frame.shape[1]} columns")
        return frame, str(frame.columns[int(target)])
    named = getattr(target, "name", None)
    name = named if isinstance(named, str) and named else "target"
    values = pd.Series(target if isinstance(target, pd.Series) else np.asarray(target).squeeze())
    if len(values) != len(frame):
        several = bool(values.isin(frame.columns).all())
        hint = "; several targets need as many metrics: metric=['mae', 'auroc']" if several else ""
        raise InputError(
            f"target has {len(values)} values, but the table has {len(frame)} rows{hint}"
        )
    if name in frame.columns:
        raise InputError(f"the table already has a column {name!r}; rename it or the target")
    return frame.assign(**{name: values.to_numpy()}), name


def missing_words(frame: pd.DataFrame, name: str) -> list[str]:
    """Return the distinct texts, such as NA, that a column of a file holds for missing values."""
    return frame.attrs.get(READ_AS_MISSING, {}).get(name, [])


def cut_short(frame: pd.DataFrame) -> list[str]:
    """Return a note on the rows of a file that have fewer cells than the header has names."""
    rows = frame.attrs.get(SHORT, [])
    if not rows:
        return []
    some = f"row {rows[0]}" if len(rows) == 1 else f"{len(rows)} rows, the first of them {rows[0]},"
    ends = "ends" if len(rows) == 1 else "end"
    return [f"{some} {ends} before the header does: what they lack was read as missing"]


def read_as_missing(frame: pd.DataFrame, names: Iterable[str]) -> str:
    """Return what is told of texts of columns that were read as missing, or nothing."""
    words = dict.fromkeys(word for name in names for word in missing_words(frame, name))
    if not words:
        return ""
    return f" (read as missing: {', '.join(map(repr, words))}; rename the class if it is one)"


@contextmanager
def telling_what_is_missing(frame: pd.DataFrame, name: str) -> Iterator[None]:
    """Add to an error about a column's classes the texts that were read as missing."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{error}{read_as_missing(frame, [name])}") from error


def leading_zero(column: pd.Series) -> str | None:
    """Return the first code such as 007, which a number would change, if there is one."""
    if types.is_numeric_dtype(column):
        return None
    text = as_text(column.dropna())
    return next(iter(text[text.str.fullmatch(LEADING_ZERO)]), None)


def as_text(column: pd.Series) -> pd.Series:
    """Return values as Python writes them; pandas would read bytes as text."""
    if column.dtype == object:
        return pd.Series([str(value) for value in column], column.index, dtype=str)
    return column.astype(str)


def decoded(column: pd.Series) -> pd.Series | None:
    """Return a column with its bytes, if any, read as UTF-8; None if they are no text."""
    if column.dtype != object or not any(isinstance(value, bytes) for value in column):
        return column
    try:
        return column.map(lambda value: value.decode() if isinstance(value, bytes) else value)
    except UnicodeDecodeError:
        return None


def nearest(name: str, known: list[str]) -> str:
    """Return "; did you mean 'x'?" for the nearest of the known names, or nothing."""
    by_case = {item.lower(): item for item in known}
    near = difflib.get_close_matches(name.lower(), by_case, n=1, cutoff=0.5)
    return f"; did you mean {by_case[near[0]]!r}?" if near else ""


def plain_frame(data: Any) -> pd.DataFrame:
    """Return a table in memory as a DataFrame; see `as_frame`."""
    if isinstance(data, pd.DataFrame):
        frame = data.reset_index(drop=True)
    elif isinstance(data, _Arrow) and len(getattr(data, "shape", (0, 0))) == 2:
        frame = pa.table(data).to_pandas()
    else:
        values = np.asarray(data)
        if values.ndim != 2 or values.dtype.names is not None:
            hint = "; one row of a table is frame.iloc[[0]]" if isinstance(data, pd.Series) else ""
            raise InputError(
                "the data must be a pandas or Polars DataFrame or a 2-d array, "
                f"got {type(data).__name__} of shape {values.shape}{hint}"
            )
        frame = pd.DataFrame(values, columns=[f"x{index}" for index in range(values.shape[1])])
    frame.columns = [str(name) for name in frame.columns]
    _check_names(list(frame.columns), "the table")
    _check_texts(frame)
    return frame


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file ({files.kinds()})")
    if not path.exists():
        folder = path.parent
        known = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        raise InputError(f"there is no file {path}{nearest(path.name, known)}")
    if not files.suffix_of(path):
        raise InputError(f"{path} has the suffix {path.suffix or '(none)'}; give {files.kinds()}")


def _check_texts(frame: pd.DataFrame) -> None:
    """Refuse text that no file can hold: half of a pair that stands for one character."""
    for name in frame:
        column = frame[name]
        texts = (name, *column) if column.dtype == object else (name,)
        if any(isinstance(text, str) and SURROGATE.search(text) for text in texts):
            raise InputError(f"column {name!r} holds text that is no Unicode; correct it")


def _check_names(names: list[str], where: str) -> None:
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise InputError(
            f"{where} has more than one column called {', '.join(map(repr, doubles))}; rename them"
        )


def _read_arrow(file: files.File, path: Path) -> pd.DataFrame:
    parquet, content = file.suffix in files.PARQUET, io.BytesIO(file.content)
    try:
        table = pq.ParquetFile(content).read() if parquet else feather.read_table(content)
        return table.to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        kind = "Parquet" if parquet else "Feather"
        raise InputError(f"{path} cannot be read as {kind}: {reason}") from error


def _read_text(file: files.File, path: Path) -> pd.DataFrame:
    try:
        header, separator = _header(file)
        if not header:
            raise InputError(f"{path} is empty")
        _check_names([name for name in header if name.strip()], str(path))
        return _read_separated(file.content, separator)
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(_encoding_message(file.content, path)) from error
    except (pd.errors.ParserError, csv.Error, ValueError) as error:
        reason = " ".join(str(error).split())
        kind = file.suffix[1:].upper()
        raise InputError(f"{path} cannot be read as {kind}: {reason}") from error


def _read_separated(content: bytes, separator: str) -> pd.DataFrame:
    more = _beyond_header(content, separator)

    def read(**options: Any) -> pd.DataFrame:
        text, options = io.BytesIO(content), more | options
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # of blank cells at the end
            return pd.read_csv(
                text, sep=separator, encoding="utf-8-sig", low_memory=False, **options
            )

    frame = read()
    if separator == ";":
        comma = with_points_of_thousands(read(decimal=","), frame)
        frame = max(frame, comma, key=lambda table: table.select_dtypes("number").shape[1])
    codes = LEADING_ZERO_CELL.search(content) is not None
    doubtful = [
        name
        for name in frame
        if frame[name].isna().any() or (codes and types.is_numeric_dtype(frame[name]))
    ]
    if doubtful:  # alone, for a second reading as text takes longer than the first
        raw = read(dtype=dict.fromkeys(doubtful, str), keep_default_na=False)
        raw.index = frame.index
        _keep_texts(frame, raw, doubtful)
    if frame.shape[1] and frame.iloc[:, -1].isna().any():
        _, *cells = (len(row) for _, row in _rows(content, separator))
        frame.attrs[SHORT] = [row for row, found in enumerate(cells) if found < frame.shape[1]]
    return frame


def _rows(content: bytes, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank and their lines, up to a cell longer than csv reads."""
    reader = csv.reader(_lines(content), delimiter=separator)
    with suppress(csv.Error):
        for row in reader:
            if row:
                yield reader.line_num, row


def _lines(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")


def _beyond_header(content: bytes, separator: str) -> dict[str, Any]:
    """Return how to read rows of more cells than the header has names.

    Where only blank cells follow, separators end the rows. One cell more in each row is the row's
    name, as R writes it; pandas takes that of the first row for one, whatever the others hold.

    Raises:
        ValueError: if rows are longer than the header in another way.
    """
    rows = _rows(content, separator)
    _, header = next(rows)
    first = next(rows, None)
    if first is None or len(first[1]) <= len(header):
        return {}  # pandas itself refuses a later row that is longer
    rest = [first, *rows]
    if not any(cell.strip() for _, row in rest for cell in row[len(header) :]):
        return {"index_col": False}
    if any(len(row) != len(header) + 1 for _, row in rest):
        raise ValueError(
            f"the header has {pluralize(len(header), 'name')}, but line {first[0]} has "
            f"{len(first[1])} cells; give each row as many cells as there are names, and let the "
            "header come first"
        )
    return {}


def _keep_texts(frame: pd.DataFrame, raw: pd.DataFrame, doubtful: list[str]) -> None:
    """Put back what reading took from the texts of a file: leading zeros, and NA as a word."""
    words = {}
    for name in doubtful:
        missing = frame[name].isna()
        if types.is_numeric_dtype(frame[name]) and leading_zero(raw[name]):
            frame[name] = raw[name].mask(missing)
        found = raw[name][missing].dropna().unique()
        words[str(name)] = [word for word in found if word.strip()]
    frame.attrs[READ_AS_MISSING] = words


def _header(file: files.File) -> tuple[list[str], str]:
    """Return the column names, none of an empty file, and the separator between them."""
    text = _lines(file.content)
    first = next((line for line in text if line.strip()), None)
    if first is None:
        return [], ""
    separator = max(SEPARATORS[file.suffix], key=first.count)
    text.seek(0)
    return next(row for row in csv.reader(text, delimiter=separator) if row), separator


def _encoding_message(content: bytes, path: Path) -> str:
    found = ""
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f" (byte 0x{content[error.start]:02x} at offset {error.start}, line {line})"
    guess = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "WINDOWS-1252"
    name = path.name if path.suffix.lower() in files.TEXT else path.stem  # unpacked
    command = f"iconv -f {guess} -t UTF-8 {shlex.quote(name)} > utf8.csv"
    return f"{path} is not UTF-8{found}; save it as such, in Excel as CSV UTF-8, or: {command}"
