"""Two classes: one logit a row, or one for each."""

from typing import Any

import numpy as np
from pandas.api import types

from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import percent
from lossmith.study.tasks.base import Array
from lossmith.study.tasks.classes import Classes


class Binary(Classes):
    """The probability of the positive class, which has code 1."""

    name, start, least, most = "binary", "binary_cross_entropy", 1, 2

    def arranged(self, codes: Array, labels: Array, name: str, said: Any) -> tuple[Array, Array]:
        """Return codes and labels; the positive class, the rarer one unless said, has code 1."""
        if positive_code(labels, np.bincount(codes), said) == 0:
            return 1 - codes, labels[::-1]
        return codes, labels

    def notes(self, labels: Array, codes: Array) -> list[str]:
        """Return which class is the positive one."""
        return [f"the positive class is {str(labels[1])!r}, {percent(np.mean(codes))} of the rows"]


def positive_code(labels: Any, counts: Array, positive: Any) -> int:
    """Return the place of the label that is called positive, of the rarer one for None."""
    if positive is None:
        return int(counts[1] <= counts[0])
    numeric = types.is_numeric_dtype(labels)
    for code, label in enumerate(labels):
        if str(positive) == str(label) or (numeric and _equal_numbers(positive, label)):
            return code
    classes = " and ".join(map(str, labels))
    raise InputError(f"--positive is {str(positive)!r}, but the classes are {classes}")


def _equal_numbers(one: Any, other: Any) -> bool:
    """Tell 2.0 from a file or a command, which may be the class 2."""
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return False
