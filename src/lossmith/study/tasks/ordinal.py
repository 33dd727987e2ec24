"""Ordered classes: grades, of which a near mistake is a small one."""

import csv
import io
import re
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lossmith.study.base.errors import InputError
from lossmith.study.tasks.base import Array
from lossmith.study.tasks.classes import Classes

# Scales in words, from low to high, as columns hold them.
SCALES = (
    ("none", "minimal", "very mild", "mild", "moderate", "severe", "very severe", "extreme"),
    ("very low", "low", "medium", "high", "very high"),
    ("tiny", "small", "medium", "large", "huge"),
    ("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl"),
    ("very bad", "bad", "poor", "fair", "average", "good", "very good", "excellent", "ideal"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("never", "rarely", "seldom", "sometimes", "often", "usually", "always"),
    ("unacc", "acc", "good", "vgood"),
)
NUMBERED = r"^(\D*)(\d[\d,]*(?:\.\d+)?)"  # as grade 2, 2. high school, 18-24
SHOWN = 12  # grades that an error names


class Ordinal(Classes):
    """A probability a grade, of which each metric decides the grade that it asks for."""

    name, start, least, most = "ordinal", "cross_entropy", 3, np.inf

    def arranged(self, codes: Array, labels: Array, name: str, said: Any) -> tuple[Array, Array]:
        """Return codes and labels from low to high: as said, or as numbers or words say it.

        Raises:
            InputError: where the order can't be told, or what is said are not the labels.
        """
        order = _order([str(label) for label in labels.tolist()], name, said)
        return np.argsort(order)[codes], labels[order]

    def notes(self, labels: Array, codes: Array) -> list[str]:
        """Return the order that grades are in."""
        return [f"the grades from low to high: {' < '.join(map(str, labels.tolist()))}"]


def ranks(column: pd.Series) -> list[Any] | None:
    """Return the values of an ordered category from low to high; None of any other column."""
    if not (isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered):
        return None
    return column.cat.remove_unused_categories().cat.categories.tolist()


def _order(written: list[str], name: str, said: Sequence[Any] | None) -> list[int]:
    """Return the places of labels, as they are written, from low to high."""
    if said is not None:
        return _places(written, [str(one).strip() for one in said], name)
    numbers = pd.to_numeric(pd.Series(written, dtype=object), errors="coerce")
    if numbers.notna().all():
        return numbers.argsort().tolist()
    parts = pd.Series(written, dtype=str).str.extract(NUMBERED)
    if parts[0].nunique(dropna=False) == 1 and parts[1].is_unique and parts[1].notna().all():
        return pd.to_numeric(parts[1].str.replace(",", "")).argsort().tolist()
    low = [re.sub(r"[\s_-]+", " ", one.strip().lower()) for one in written]
    for scale in SCALES:
        if set(low) <= set(scale) and len(set(low)) == len(low):
            return [low.index(one) for one in scale if one in low]
    line = io.StringIO()  # as --order reads it
    csv.writer(line, lineterminator="").writerow(written[:SHOWN])
    raise InputError(
        f"the order of {', '.join(map(repr, written[:SHOWN]))} in column {name!r} can't be told; "
        f"give it from low to high: --order {shlex.quote(line.getvalue())}"
    )


def _places(written: list[str], order: list[str], name: str) -> list[int]:
    if sorted(order) != sorted(written):
        strange = next((one for one in order if one not in written), None)
        lacking = next((one for one in written if one not in order), None)
        what = f"holds no {strange!r}" if strange else f"also holds {lacking!r}"
        what = what if strange or lacking else "has each grade once"
        raise InputError(f"--order must name each grade of column {name!r} once; it {what}")
    return [written.index(one) for one in order]
