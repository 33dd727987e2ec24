"""What the columns say: what gives the target away, what names the rows, what is not read."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from pandas.api import types
from scipy import stats

from lossmith.study.base.formatting import listed, percent, pluralize
from lossmith.study.base.result import Finding
from lossmith.study.data.cells import as_numbers, other_reading
from lossmith.study.data.problem import Problem
from lossmith.study.data.table import as_text
from lossmith.study.data.units import same_features
from lossmith.study.diagnose.codes import coded

Array = np.ndarray
Kind = tuple[str, str | None]  # see `lossmith.study.data.cells.kind`
SAME = 0.9999  # rank correlation above which a column is the target in another unit
KNOWING = 0.85  # share of the errors of always guessing that a column by itself spares
# As in 3,210 and 3,5, 3 210 and 3'210, (5) and −5.
SEPARATED = r"\s*[-+−]?\(?[-−]?\d+(?:[.,'’\u00a0\u202f ]\d+)*\)?\s*"
MARKED = r"[,'’\u00a0\u202f(−]|\d (?=\d{3}(?!\d))"
MEASURED = r"\s*-?\d+(?:[.,]\d+)*\s*([^\d\s.,:/-]\D*)"  # as in 12 kg
MANY = 20  # texts that may be numbers; fewer may be names of categories
NUMBER = r"(-?\d[\d,]*\.?\d*(?:[eE][+-]?\d+)?)"  # the first number in a text, as in "$1,200"


def of_columns(problem: Problem) -> Iterator[Finding]:
    """Yield what the columns to predict from say."""
    for check in (_leaks, _duplicates, _ids, _missing, _codes, _cells):
        yield from check(problem)


def _leaks(problem: Problem) -> Iterator[Finding]:
    test = _gives_number if problem.numbers else _gives_class
    for name, kind in problem.columns.kinds.items():
        if reason := test(problem.features[name], kind, problem.single):
            yield Finding(
                name="leak",
                value=name,
                meaning=f"{reason}; if it is not known when predicting, remove it, "
                "for it hides what the losses differ in",
                level="warning",
            )


def _duplicates(problem: Problem) -> Iterator[Finding]:
    inputs = same_features(problem.features)
    yield from duplicates(inputs, problem.target, problem.copied)
    groups = pd.Series(problem.single).groupby(inputs)
    torn = (groups.transform("nunique") > 1).mean()
    if torn:
        yield Finding(
            name="contradictions",
            value=percent(torn),
            meaning="rows with equal features and different targets: noise that no loss removes",
            level="warning" if torn > 0.05 else "info",
        )


def duplicates(inputs: Array, target: Array, units: Array | None) -> Iterator[Finding]:
    """Say what is made of copies; inputs: a code a row, equal where all features are."""
    rows = pd.DataFrame(target.reshape(len(inputs), -1)).assign(inputs=inputs)
    repeated = rows.duplicated().mean()
    if not repeated:
        return
    meaning = "features of few values make rows equal by chance: each counts by itself"
    if units is not None:
        meaning = (
            "rows of equal features and target are one unit: they stay together in every split, "
            "and the test counts them once"
        )
    yield Finding(
        name="duplicated rows",
        value=percent(repeated),
        meaning=meaning,
        level="warning" if repeated > 0.01 else "info",
    )


def _ids(problem: Problem) -> Iterator[Finding]:
    kinds = problem.columns.kinds
    columns = [(name, problem.features[name], kind) for name, (kind, _) in kinds.items()]
    ids = [n for n, one, kind in columns if _is_id(one, kind) and not _as_number(one, kind)]
    if ids:
        yield Finding(
            name="id-like columns",
            value=listed(ids),
            meaning="one value a row: they name or count the rows and explain nothing; remove them",
            level="warning",
        )


def _missing(problem: Problem) -> Iterator[Finding]:
    shares = problem.features.isna().mean()
    if not shares.any():
        return
    worst = str(shares.idxmax())
    mostly = int((shares > 0.5).sum())
    yield Finding(
        name="missing values",
        value=percent(float(shares.mean())),
        meaning=(
            f"marked by columns of their own; most in {worst!r} ({percent(shares.max())})"
            + (f", {pluralize(mostly, 'column')} mostly empty" if mostly else "")
        ),
    )


def _codes(problem: Problem) -> Iterator[Finding]:
    numbers = {
        name: as_numbers(problem.features[name], style)
        for name, (kind, style) in problem.columns.kinds.items()
        if kind == "number"
    }
    yield from coded(numbers)


def _cells(problem: Problem) -> Iterator[Finding]:
    """Tell what cells are not read as what they may be meant for."""
    kinds, blanks, _ = problem.columns
    for name, words in blanks.items():
        yield Finding(
            name="unreadable cells",
            value=name,
            meaning=f"read as missing among {kinds[name][0]}s: "
            f"{listed([word[:20] for word in words], 3)}; correct them if they are values",
            level="warning",
        )
    for name, (kind, style) in kinds.items():
        if kind == "number" and style:
            yield Finding(
                name="signs beside numbers",
                value=name,
                meaning=f"read as numbers without {' and '.join(style)}",
            )
        elif kind == "date" and (other := other_reading(problem.features[name], style)):
            yield Finding(
                name="dates of two readings",
                value=name,
                meaning=f"read as {style}, though {other} fits as well; if that is meant, write "
                "dates such as 2024-01-31",
                level="warning",
            )
        elif example := _as_number(problem.features[name], kind):
            yield Finding(
                name="numbers as text",
                value=name,
                meaning=f"{example!r} is read as a category, not as a number; write numbers with a "
                "decimal point, without separators of thousands and without units",
                level="warning",
            )


def _gives_number(column: pd.Series, kind: Kind, target: Array) -> str:
    """Say how a column gives away a numeric target, or nothing."""
    numbers = _read_numbers(column, *kind)
    known = np.isfinite(numbers)
    if known.mean() < 0.5 or len(np.unique(numbers[known])) < 3:
        return _gives_by_name(column, target)
    if np.array_equal(numbers[known], target[known]):
        return "equals the target"
    if len(np.unique(target[known])) < 3:
        return ""
    correlation = stats.spearmanr(numbers[known], target[known]).statistic
    return "is a monotone function of the target, or nearly" if abs(correlation) > SAME else ""


def _gives_by_name(column: pd.Series, target: Array) -> str:
    """Say whether text and numeric target stand one to one, with repeats that prove it."""
    codes, names = pd.factorize(column)
    distinct = len(np.unique(target))
    if len(names) != distinct or distinct < 3 or distinct > 0.9 * len(target):
        return ""
    pairs = len(pd.DataFrame({"a": codes, "b": target}).drop_duplicates())
    return "stands one to one for the target" if pairs == distinct else ""


def _gives_class(column: pd.Series, kind: Kind, target: Array) -> str:
    """Say how a column gives away the class, or nothing."""
    codes, names = pd.factorize(column, use_na_sentinel=False)
    classes = len(np.unique(target))
    cells = pd.DataFrame({"value": codes, "class": target}).value_counts()
    wrong = len(target) - cells.groupby("value").max().sum()  # of the likeliest class by value
    if wrong == 0 and len(names) == classes:
        return "stands one to one for the target"
    if len(names) <= len(target) / 10:
        spared = 1 - wrong / (len(target) - np.bincount(target).max())
        return (
            f"by itself spares {percent(spared)} of the errors of guessing"
            if spared > KNOWING
            else ""
        )
    numbers = _read_numbers(column, *kind) if wrong == 0 else np.full(len(target), np.nan)
    known = np.isfinite(numbers)
    if known.mean() < 0.5:
        return ""
    ordered = target[known][np.argsort(numbers[known], kind="stable")]
    changes = np.count_nonzero(np.diff(ordered))
    return "gives the target by thresholds" if changes == classes - 1 else ""


def _read_numbers(column: pd.Series, kind: str, style: str | None) -> Array:
    """Return a column as numbers, those in text with signs around them included."""
    if kind == "number":
        return as_numbers(column, style)
    if kind == "date":
        return np.full(len(column), np.nan)
    digits = as_text(column).str.extract(NUMBER, expand=False)
    return as_numbers(digits.str.replace(",", ""))


def _is_id(column: pd.Series, kind: str) -> bool:
    """Tell columns that count the rows, and text without blanks that differs in every row."""
    if column.isna().any() or column.nunique() < len(column):
        return False
    if types.is_integer_dtype(column):
        return bool(column.max() - column.min() < 1.5 * len(column))
    return kind == "text" and not as_text(column).str.strip().str.contains(" ").any()


def _as_number(column: pd.Series, kind: str) -> str:
    """Return a text that seems to be meant for a number, of a column of such; or nothing."""
    if kind != "text":
        return ""
    text = pd.Series(as_text(column.dropna()).unique(), dtype=str)
    marked = text.str.contains(MARKED)
    if marked.any() and text.str.fullmatch(SEPARATED).all():
        return str(text[marked].iloc[0]).strip()
    units = text.str.extract(f"^{MEASURED}$", expand=False).str.strip()
    measured = len(text) >= MANY and units.notna().all() and units.nunique() == 1
    return str(text.iloc[0]).strip() if measured else ""
