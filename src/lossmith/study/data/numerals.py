"""Numbers as people write them: with a sign of currency or per cent, in groups of thousands."""

import re

import numpy as np
import pandas as pd

CURRENCIES = "$€£¥₹"
SIGNS = CURRENCIES + "%"
WHOLE = r"(?:\d+|\d{1,3}(?:,\d{3})+)"
NUMERAL = rf"\s*[-+]?\s*([{SIGNS}]?)\s*[-+]?{WHOLE}(?:\.\d+)?\s*([{SIGNS}]?)\s*"
GROUPS = r".*,\d{3}(?:,|\.).*"  # as in 1,234,567 and 1,234.5, where no comma is decimal
POINTED = (
    r"[-+]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,\d+)?"  # as 1.234 and 1.234,56 where 1,5 is a half
)
MOSTLY = 0.95  # share of the values that must be numbers or dates for text to be read as such


def marks(texts: pd.Series) -> str | None:
    """Return the signs and separators beside the numbers of texts; None where they are no numbers.

    1,234 alone may be a number of one or of thousands, which an amount of money tells, for that has
    two decimals.

    >>> marks(pd.Series(["$1,200", "$35.50"])), marks(pd.Series(["12 %", "3.5 %"]))
    ('$,', '%')
    >>> marks(pd.Series(["1,200", "35"])), marks(pd.Series(["1,200,000", "35"]))
    (None, ',')
    """
    found = texts.str.extract(f"^{NUMERAL}$")
    read = found.notna().all(axis=1)
    signs = sorted(set(found[read].to_numpy().ravel()) - {""})
    if not len(texts) or read.mean() < MOSTLY or len(signs) > 1:
        return None
    grouped = texts[read & texts.str.contains(",", regex=False)]
    sign = "".join(signs)
    if not len(grouped):
        return sign or None
    sure = bool(sign) and sign in CURRENCIES
    return f"{sign}," if sure or grouped.str.fullmatch(GROUPS).any() else None


def with_points_of_thousands(comma: pd.DataFrame, point: pd.DataFrame) -> pd.DataFrame:
    """Return a table that was read with decimal commas, points between thousands left out.

    They are that only in a file that has a decimal comma somewhere.

    Args:
        comma: the table as read with decimal commas.
        point: the same as read with decimal points.
    """
    read = comma.select_dtypes("number").columns
    texts = {
        name: comma[name].dropna().astype(str).str.strip() for name in comma if name not in read
    }
    pointed = {
        name: one
        for name, one in texts.items()
        if one.str.fullmatch(POINTED).all() and one.str.contains(".", regex=False).any()
    }
    if not (
        len(read.difference(point.select_dtypes("number").columns))
        or any(one.str.contains(",", regex=False).any() for one in pointed.values())
    ):
        return comma
    found = comma.copy(deep=False)
    for name, one in pointed.items():
        plain = one.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
        found[name] = pd.to_numeric(plain).reindex(comma.index)
    return found


def without(texts: pd.Series, taken: str) -> pd.Series:
    """Return texts without such signs and separators, NaN for those that are no numeral."""
    numeral = texts.str.fullmatch(NUMERAL).to_numpy(bool)
    plain = texts.str.replace(f"[{re.escape(taken)}\\s]", "", regex=True)
    return plain.where(numeral, np.nan)
