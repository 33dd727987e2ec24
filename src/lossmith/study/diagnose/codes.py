"""Numbers that stand for a missing value, as -999, and were not read as one."""

from collections.abc import Iterator, Mapping

import numpy as np

from lossmith.study.base.formatting import listed, percent
from lossmith.study.base.result import Finding

LEAST_OTHERS = 5  # values beside a code, below which a column is one of codes altogether


def coded(columns: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Yield what columns hold a code for missing values; NaN are missing already."""
    found = {name: code_for_missing(values) for name, values in columns.items()}
    told = [
        f"{name}: {code:.15g} ({percent(float((columns[name] == code).mean()))})"
        for name, code in found.items()
        if code is not None
    ]
    if told:
        yield Finding(
            name="codes for missing values",
            value=listed(told),
            meaning="is read as a number, far from all others: where it stands for a missing "
            "value, empty these cells",
            level="warning",
        )


def code_for_missing(values: np.ndarray) -> float | None:
    """Return a number of nines that recurs and is unlike all others of a column, if there is one.

    It is the lowest or the highest, and the only one of its sign, or farther from the others than
    these are from each other.

    >>> code_for_missing(np.array([12.0, 30.0, -999.0, 25.0, -999.0, 41.0, 38.0]))
    -999.0
    """
    known, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    for place, others in ((0, known[1:]), (-1, known[:-1])):
        if len(others) < LEAST_OTHERS or counts[place] < 2 or not _nines(known[place]):
            continue
        gap = np.abs(others - known[place]).min()
        alone = known[place] < 0 <= others[0]
        if alone or gap > others[-1] - others[0]:
            return float(known[place])
    return None


def _nines(value: float) -> bool:
    """Tell -9, 99, -999 and their like."""
    digits = f"{abs(value):.0f}" if value % 1 == 0 else ""
    return set(digits) == {"9"} and (value < 0 or len(digits) > 1)
