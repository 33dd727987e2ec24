"""Files of tables as their bytes: out of an archive, out of a workbook."""

import bz2
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from lossmith.study.base.errors import InputError

TEXT = (".csv", ".tsv")
PARQUET = (".parquet", ".pq")
SUFFIXES = (*TEXT, *PARQUET, ".feather", ".xlsx")
PACKED = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}
ARCHIVES = (*PACKED, ".zip")
DAMAGED = (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)


class File(NamedTuple):
    """What a table is read from: bytes, and the suffix that says of what kind."""

    content: bytes
    suffix: str


def kinds() -> str:
    """Return the suffixes of files that can be read, as an error names them."""
    return f"{', '.join(SUFFIXES)}, also as {', '.join(ARCHIVES)}"


def plain_name(path: Any) -> str:
    """Return a file's name without the suffixes of its kind and of an archive.

    >>> plain_name("data/houses.csv.gz")
    'houses'
    """
    name = PurePath(path)
    if name.suffix.lower() in ARCHIVES:
        name = PurePath(name.stem)
    return name.stem.strip(".") or "table"


def suffix_of(path: Path) -> str:
    """Return the suffix that says what a file is, its archive's left out, or "" if none does.

    A zip archive's is that of its member, read by `read`.
    """
    last = path.suffix.lower()
    if last in PACKED:
        last = Path(path.stem).suffix.lower()
    return last if last in (*SUFFIXES, ".zip") else ""


def read(path: Path) -> File:
    """Read a file; a workbook is given as text between tabs.

    Raises:
        InputError: if an archive is damaged or does not hold one table, or a workbook one sheet.
    """
    try:
        file = File(path.read_bytes(), suffix_of(path))
        if path.suffix.lower() in PACKED:
            file = file._replace(content=PACKED[path.suffix.lower()](file.content))
        if file.suffix == ".zip":
            file = _member(file.content, path)
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (*DAMAGED, lzma.LZMAError) as error:
        raise InputError(f"{path} cannot be unpacked: {error}") from error
    if not file.content:
        raise InputError(f"{path} is empty")
    return File(_sheet(file.content, path), ".tsv") if file.suffix == ".xlsx" else file


def _member(content: bytes, path: Path) -> File:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [
            name
            for name in archive.namelist()
            if not name.endswith("/") and not name.startswith("__MACOSX/")
        ]
        if len(names) != 1:
            raise InputError(f"{path} holds {len(names)} files; give an archive of one table")
        suffix = suffix_of(Path(names[0]))
        if suffix in ("", ".zip") or PurePath(names[0]).suffix.lower() in PACKED:
            raise InputError(f"{path} holds {names[0]}; give one of {', '.join(SUFFIXES)} in it")
        return File(archive.read(names[0]), suffix)


def _sheet(content: bytes, path: Path) -> bytes:
    """Return the one sheet of a workbook as text between tabs."""
    try:
        import openpyxl
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path}: reading .xlsx needs openpyxl; install it with: pip install 'lossmith[xlsx]', "
            "or save the sheet as .csv"
        ) from error
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = {sheet.title: _rows(sheet) for sheet in book.worksheets}
    except Exception as error:  # whatever a parser meets in a stranger's file
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read as XLSX: {reason}") from error
    filled = {title: rows for title, rows in sheets.items() if rows}
    if len(filled) > 1:
        raise InputError(f"{path} has cells in the sheets {', '.join(filled)}; keep one of them")
    if not filled:
        raise InputError(f"{path} is empty")
    text = io.StringIO()
    csv.writer(text, delimiter="\t").writerows(*filled.values())
    return text.getvalue().encode()


def _rows(sheet: Any) -> list[list[Any]]:
    """Return the rows of a sheet that hold something, without the columns that hold nothing."""
    sheet.reset_dimensions()  # which other programs write wrongly
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    rows = [row for row in rows if any(cell is not None for cell in row)]
    width = max(map(len, rows), default=0)
    rows = [row + [None] * (width - len(row)) for row in rows]
    kept = [place for place in range(width) if any(row[place] is not None for row in rows)]
    return [[row[place] for place in kept] for row in rows]
