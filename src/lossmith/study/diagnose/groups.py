"""Whether rows seem to belong together: to a patient, a user, a device that several rows are of."""

import re
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from scipy import stats

from lossmith.study.base.formatting import listed, percent
from lossmith.study.base.result import Finding
from lossmith.study.data.cells import as_numbers
from lossmith.study.data.folds import LEAST_GROUPS
from lossmith.study.data.problem import Problem
from lossmith.study.data.units import first_rows, same_features

BELONG = "rows that belong together"
IDS = {"id", "ids", "userid", "custid", "customerid", "patientid", "subjid", "famid", "hhid"}
BEINGS = {
    *("patient", "subject", "subj", "participant", "respondent", "person", "individual"),
    *("animal", "mouse", "specimen", "user", "customer", "client", "student", "employee"),
}
# Words that also name a kind or a number of something: whole numbers in such are ids if many.
OTHERS = {"device", "machine", "session", "case", "household", "family", "firm", "company"}
SUFFIXES = {"no", "nr", "num", "number", "code", "key", "name"}
KINDS = {
    "type",
    "kind",
    "category",
    "class",
    "species",
    "brand",
    "status",
    "level",
}  # no thing's id
LEAST_VALUES = 5
MANY_VALUES = 20  # of whole numbers that could count something
ROWS_EACH = 2  # on average
CHANCE = 0.001  # p-value below which rows of one value share their target
BEYOND = 100  # times as many pairs of equal rows as independent columns make


def of_groups(problem: Problem) -> Iterator[Finding]:
    """Yield the columns that seem to say which rows belong together, or that equal rows do."""
    if problem.arrangement.told:
        return
    rows = first_rows(problem.copied, len(problem.target))  # copies are one unit anyway
    features, target = problem.features.iloc[rows], standard(problem)[rows]
    names = [str(n) for n, column in features.items() if _groups(problem, str(n), column)]
    names = [name for name in names if _alike(pd.factorize(features[name])[0], target)]
    inputs = same_features(features)
    known = "give groups= (--groups COLUMN), or "
    if names:
        value, what = listed(names), "rows of one value"
        if min(features[name].nunique() for name in names) < LEAST_GROUPS:
            known = f"fewer than {LEAST_GROUPS} can't tell how new ones are predicted; give "
    elif _repeated(features, inputs) and _alike(inputs, target):
        share = pd.Series(inputs).duplicated(keep=False).mean()
        value, what = f"{percent(share)} by equal features", "rows of equal features"
    else:
        return
    yield Finding(
        name=BELONG,
        value=value,
        meaning=f"{what} are alike in the target: {known}groups=False (--groups none) if new rows "
        "are of the same ones; until then the default is kept",
        level="warning",
    )


def suspected(findings: Iterable[Finding]) -> str:
    """Return by what rows seem to belong together, or nothing."""
    return next((str(one.value) for one in findings if one.name.endswith(BELONG)), "")


def _groups(problem: Problem, name: str, column: pd.Series) -> bool:
    """Tell a column that by its name and its repeated values says what a row is of."""
    least = _least_values(name, *problem.columns.kinds[name], column)
    counts = column.value_counts()
    return bool(
        least
        and len(counts) >= least
        and counts.sum() >= ROWS_EACH * len(counts)
        and counts.max() <= counts.sum() / 2
    )


def _least_values(name: str, kind: str, style: str | None, column: pd.Series) -> int:
    """Return how many values a column must have to name groups; 0 where it can't by its name.

    The last word counts, one for a number or a name after it aside: patient_age is no patient.
    """
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    while len(words) > 1 and words[-1] in SUFFIXES:
        words.pop()
    numbers = as_numbers(column.dropna(), style) if kind == "number" else np.empty(0)
    if not words or kind == "date" or (numbers % 1 != 0).any():
        return 0
    if words[-1] in IDS:
        return 0 if KINDS & set(words) else LEAST_VALUES
    if words[-1] in BEINGS and len(words) == 1:
        return LEAST_VALUES
    if words[-1] in BEINGS | OTHERS and len(words) <= 2:
        return MANY_VALUES if kind == "number" else LEAST_VALUES
    return 0


def standard(problem: Problem) -> np.ndarray:
    """Return the target as (n, k) of mean 0: ranks of numbers, an indicator of each class."""
    if problem.numbers:
        table = stats.rankdata(problem.single)[:, None]
    else:
        table = np.eye(len(problem.classes))[problem.target]
    return table - table.mean(axis=0)


def _alike(codes: np.ndarray, target: np.ndarray) -> bool:
    """Tell whether rows of one code share their target beyond chance, by analysis of variance."""
    known = codes != -1 if codes.dtype.kind == "i" else np.ones(len(codes), bool)
    number, values = pd.factorize(codes[known])
    target = target[known] - target[known].mean(axis=0)
    groups, columns = len(values), target.shape[1]
    between = sum(
        float((np.bincount(number, column) ** 2 / np.bincount(number)).sum()) for column in target.T
    )
    within = float((target**2).sum()) - between
    free = max(1, columns - 1) if columns > 1 else 1
    first, second = free * (groups - 1), free * (len(number) - groups)
    if first <= 0 or second <= 0:
        return False
    if within <= 1e-9 * between:
        return True
    return bool(stats.f.sf(between / first / (within / second), first, second) < CHANCE)


def _repeated(features: pd.DataFrame, inputs: np.ndarray) -> bool:
    """Tell whether most rows have the features of others, which is no matter of coarse columns.

    One column alone then tells most of the repeated rows apart, and equal rows are far more than
    columns that know nothing of each other would make.
    """
    number, values = pd.factorize(inputs)
    counts = np.bincount(number)
    if len(values) < LEAST_VALUES:
        return False
    twins = counts[counts > 1].sum()
    if twins <= len(inputs) / 2 or counts.max() > len(inputs) / 2:
        return False
    tables = [features[name].value_counts(dropna=False) for name in features]
    if max(len(table) for table in tables) < len(values) / 2:
        return False
    pairs = counts @ (counts - 1)
    shares = [table @ (table - 1) / (len(inputs) * (len(inputs) - 1)) for table in tables]
    return bool(pairs > BEYOND * np.prod(shares) * len(inputs) * (len(inputs) - 1))
