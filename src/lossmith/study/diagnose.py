"""What a table says before any training, and what each fact means for the loss."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from pandas.api import types
from scipy import stats

from lossmith.study.features import Columns, as_numbers, kind
from lossmith.study.result import Finding
from lossmith.study.task import Problem

Array = np.ndarray
FAR = 6.0  # robust standard deviations from the median; 2 in a billion of normal values
SAME = 0.9999  # rank correlation above which a column is the target in another unit
KNOWING = 0.85  # share of the errors of always guessing that a column by itself spares
THOUSANDS = r"\s*-?\d{1,3}(?:,\d{3})+(?:\.\d+)?\s*"  # as in 3,210
PLAIN = r"\s*-?\d+(?:\.\d+)?\s*"
NUMBER = r"(-?\d[\d,]*\.?\d*(?:[eE][+-]?\d+)?)"  # the first number in a text, as in "$1,200"
FEW_ROWS = 20  # of a class whose scores are luck


def diagnose(problem: Problem) -> tuple[Finding, ...]:
    """Return the findings on a problem, in seconds and without training."""
    return tuple(finding for check in CHECKS for finding in check(problem))


def _size(problem: Problem) -> Iterator[Finding]:
    rows, columns = problem.features.shape
    if rows < 500:
        meaning = "few rows: only large differences between losses can be proven"
    else:
        meaning = f"{columns} columns to predict from"
    yield Finding(name="rows", value=float(rows), meaning=meaning)
    if problem.dropped:
        yield Finding(
            name="rows without a target",
            value=float(problem.dropped),
            meaning="left out; where values are missing for a reason, the rest misleads any loss",
        )


def _range(problem: Problem) -> Iterator[Finding]:
    target = _numbers(problem)
    if not len(target):
        return
    low, high = target.min(), target.max()
    if low > 0:
        meaning = "all positive: relative errors and a log-transformed target are open"
    elif low == 0:
        meaning = "none negative: a log1p-transformed target is open, mape is not"
    else:
        meaning = "negative values: no log transform, no relative errors"
    yield Finding(name="range", value=f"{_plain(low)} to {_plain(high)}", meaning=meaning)


def _outliers(problem: Problem) -> Iterator[Finding]:
    target = _numbers(problem)
    if not len(target):
        return
    deviation = np.abs(_robust_z(target))
    far = deviation > FAR
    if not far.any():
        meaning = "none: squared errors are safe as far as the target's own spread goes"
        yield Finding(name="outliers", value=0.0, meaning=meaning)
        return
    scaled = _scaled(target)
    squares = (scaled - np.median(scaled)) ** 2
    share = squares[far].sum() / squares.sum()
    heavy = share > 0.25
    follow = (
        "so squared errors follow them; MAE, Huber or Cauchy do not"
        if heavy
        else ("so squared errors lean on them somewhat")
    )
    yield Finding(
        name="outliers",
        value=f"{_counted(int(far.sum()), 'row')} ({_percent(far.mean())})",
        meaning=(
            f"more than {FAR:g} robust deviations off, up to {deviation.max():.3g}; they carry "
            f"{_percent(share)} of the squared deviations, {follow}"
        ),
        level="warning" if heavy else "info",
    )


def _tail(problem: Problem) -> Iterator[Finding]:
    target = _numbers(problem)
    index = tail_index(target) if len(target) else np.inf
    if not np.isfinite(index):
        return
    if index < 2:
        meaning = "as without a finite variance: means, MSE and R² rest on a few rows"
    elif index < 4:
        meaning = "heavy: squared errors are noisy; robust and Student-t losses are worth a try"
    else:
        meaning = "light: the far tail alone speaks against no loss"
    yield Finding(
        name="tail index",
        value=round(index, 2),
        meaning=meaning,
        level="warning" if index < 2 else "info",
    )


def _skew(problem: Problem) -> Iterator[Finding]:
    target = _numbers(problem)
    if not len(target):
        return
    skew = _skewness(target)
    meaning = "close to symmetric: mean and median agree, so MSE and MAE aim alike"
    if abs(skew) > 1:
        meaning = "mean and median differ, so MSE and MAE aim at different values"
        if target.min() > -1 and abs(logged := _skewness(np.log1p(target))) < abs(skew) / 2:
            meaning += f"; log1p of the target brings the skew to {logged:.2g}"
    elif abs(skew) > 0.5:
        meaning = "moderate: mean and median differ somewhat, as do the aims of MSE and MAE"
    yield Finding(name="skew", value=round(skew, 2), meaning=meaning)


def _repeats(problem: Problem) -> Iterator[Finding]:
    target = _numbers(problem)
    if not len(target):
        return
    if zeros := float((target == 0).mean()):
        yield Finding(
            name="zeros",
            value=_percent(zeros),
            meaning=(
                "the median is 0, which MAE predicts for doubtful rows"
                if np.median(target) == 0
                else "relative errors (mape) are undefined there"
            ),
            level="warning" if zeros > 0.3 else "info",
        )
    values, counts = np.unique(target, return_counts=True)
    top = int(counts.argmax())
    share = counts[top] / len(target)
    if values[top] == 0 or share < 0.05 or len(values) <= 20:
        return
    edge = top in (0, len(values) - 1)
    yield Finding(
        name="repeated value",
        value=f"{values[top]:.6g} ({_percent(share)})",
        meaning=(
            "the lowest or highest value repeats: if values were cut off there, "
            "errors beyond it cannot be seen"
            if edge
            else "if it stands for a default or a missing value, remove those rows"
        ),
        level="warning" if share > 0.1 else "info",
    )


def _classes(problem: Problem) -> Iterator[Finding]:
    if problem.task == "regression":
        return
    counts = np.bincount(problem.target, minlength=len(problem.classes))
    largest, smallest = counts.max() / counts.sum(), counts.min() / counts.sum()
    ratio = counts.max() / counts.min()
    yield Finding(
        name="classes",
        value=float(len(counts)),
        meaning=f"always answering {problem.classes[counts.argmax()]!r} is right in "
        f"{_percent(largest)} of the rows",
    )
    if ratio < 1.5:
        meaning = "balanced enough for plain cross-entropy under every metric"
    else:
        meaning = (
            f"the rarest class has {_percent(smallest)} of the rows; plain cross-entropy serves "
            "accuracy, class-balanced losses serve balanced metrics"
        )
    yield Finding(
        name="imbalance",
        value=f"{ratio:.3g} : 1",
        meaning=meaning,
        level="warning" if ratio >= 10 else "info",
    )
    rare = [name for name, count in zip(problem.classes, counts, strict=True) if count < FEW_ROWS]
    if rare:
        yield Finding(
            name="rare classes",
            value=_listed(rare),
            meaning=f"fewer than {FEW_ROWS} rows: their scores are mostly luck; merge them or "
            "collect more",
            level="warning",
        )


def _duplicates(problem: Problem) -> Iterator[Finding]:
    keys = pd.util.hash_pandas_object(problem.features, index=False).to_numpy()
    rows = pd.DataFrame({"features": keys, "target": problem.target})
    copies = rows.duplicated().mean()
    if copies:
        yield Finding(
            name="duplicated rows",
            value=_percent(copies),
            meaning="copies that fall on both sides of a split make every loss look better",
            level="warning" if copies > 0.01 else "info",
        )
    groups = rows.groupby("features")["target"]
    torn = (groups.transform("nunique") > 1).mean()
    if torn:
        yield Finding(
            name="contradictions",
            value=_percent(torn),
            meaning="rows with equal features and different targets: noise that no loss removes",
            level="warning" if torn > 0.05 else "info",
        )


def _leaks(problem: Problem) -> Iterator[Finding]:
    test = _gives_number if problem.task == "regression" else _gives_class
    leaks = {
        str(name): reason
        for name in problem.features
        if (reason := test(problem.features[name], problem.target))
    }
    for name, reason in leaks.items():
        yield Finding(
            name="leak",
            value=name,
            meaning=f"{reason}; if it is not known when predicting, remove it, "
            "for it hides what the losses differ in",
            level="warning",
        )


def _ids(problem: Problem) -> Iterator[Finding]:
    ids = [str(name) for name in problem.features if _is_id(problem.features[name])]
    if ids:
        yield Finding(
            name="id-like columns",
            value=_listed(ids),
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
        value=_percent(float(shares.mean())),
        meaning=(
            f"marked by columns of their own; most in {worst!r} ({_percent(shares.max())})"
            + (f", {_counted(mostly, 'column')} mostly empty" if mostly else "")
        ),
    )


def _cells(problem: Problem) -> Iterator[Finding]:
    """Tell what cells are not read as what they may be meant for."""
    columns = Columns.of(problem.features)
    for name, words in columns.blanks.items():
        yield Finding(
            name="unreadable cells",
            value=name,
            meaning=f"read as missing among {columns.kinds[name][0]}s: "
            f"{_listed([word[:20] for word in words], 3)}; correct them if they are values",
            level="warning",
        )
    for name, (found, _) in columns.kinds.items():
        if found == "text" and (example := _thousands(problem.features[name])):
            yield Finding(
                name="thousands separators",
                value=name,
                meaning=f"{example!r} is read as a category, not as a number; write numbers with a "
                "decimal point and without separators of thousands",
                level="warning",
            )


CHECKS: tuple[Callable[[Problem], Iterator[Finding]], ...] = (
    _size, _range, _outliers, _tail, _skew, _repeats, _classes,
    _leaks, _duplicates, _ids, _missing, _cells,
)  # fmt: skip


def tail_index(values: Array) -> float:
    """Return Hill's estimate of the tail index of the distances to the median; inf if none.

    Source: Hill, "A simple general approach to inference about the tail of a distribution", 1975.
    """
    scaled = _scaled(values)
    distance = np.sort(np.abs(scaled - np.median(scaled)))[::-1]
    top = int(np.sqrt(len(distance)))
    if top >= len(distance) or distance[top] == 0:
        return np.inf
    excess = np.log(distance[:top] / distance[top]).mean()
    return float(1 / excess) if excess > 0 else np.inf


def _robust_z(values: Array) -> Array:
    """Return deviations from the median in units of the spread of the middle of the values."""
    scaled = _scaled(values)
    off = scaled - np.median(scaled)
    spread = 1.4826 * np.median(np.abs(off))
    if spread == 0:  # more than half of the values are equal: the spread of the others
        others = np.abs(off[off != 0])
        spread = 1.4826 * np.median(others)
    return off / spread


def _skewness(values: Array) -> float:
    return float(stats.skew(_scaled(values)))


def _scaled(values: Array) -> Array:
    """Return values divided by the largest magnitude, so that squares cannot overflow."""
    return values / np.abs(values).max()


def _gives_number(column: pd.Series, target: Array) -> str:
    """Say how a column gives away a numeric target, or nothing."""
    numbers = _read_numbers(column)
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


def _gives_class(column: pd.Series, target: Array) -> str:
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
            f"by itself spares {_percent(spared)} of the errors of guessing"
            if spared > KNOWING
            else ""
        )
    numbers = _read_numbers(column) if wrong == 0 else np.full(len(target), np.nan)
    known = np.isfinite(numbers)
    if known.mean() < 0.5:
        return ""
    ordered = target[known][np.argsort(numbers[known], kind="stable")]
    changes = np.count_nonzero(np.diff(ordered))
    return "gives the target by thresholds" if changes == classes - 1 else ""


def _read_numbers(column: pd.Series) -> Array:
    """Return a column as numbers, those in text with signs around them included."""
    found, _ = kind(column)
    if found == "number":
        return as_numbers(column)
    if found == "date":
        return np.full(len(column), np.nan)
    digits = column.astype(str).str.extract(NUMBER, expand=False)
    return as_numbers(digits.str.replace(",", ""))


def _is_id(column: pd.Series) -> bool:
    """Tell columns that count the rows, and text without blanks that differs in every row."""
    if column.isna().any() or column.nunique() < len(column):
        return False
    if types.is_integer_dtype(column):
        return bool(column.max() - column.min() < 1.5 * len(column))
    if types.is_numeric_dtype(column) or kind(column)[0] != "text":
        return False
    return not column.astype(str).str.strip().str.contains(" ").any()


def _thousands(column: pd.Series) -> str:
    """Return a number with separators from a column of such and of plain numbers, or nothing."""
    text = pd.Series(column.dropna().astype(str).unique(), dtype=str)
    parted = text.str.fullmatch(THOUSANDS)
    if not parted.any() or not (parted | text.str.fullmatch(PLAIN)).all():
        return ""
    return str(text[parted].iloc[0]).strip()


def _numbers(problem: Problem) -> Array:
    return problem.target if problem.task == "regression" else np.empty(0)


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _listed(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
