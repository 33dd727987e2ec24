"""Which way a metric improves: the one place where it matters, so that all else reads errors."""

from typing import Literal, TypeVar

import numpy as np

Better = Literal["lower", "higher"]
Value = TypeVar("Value", float, np.ndarray)


def as_error(score: Value, better: Better) -> Value:
    """Return scores, or influences on them, such that lower is better; twice gives them back.

    >>> as_error(2.0, "lower"), as_error(0.5, "higher"), as_error(-0.5, "higher")
    (2.0, -0.5, 0.5)
    """
    return score if better == "lower" else -score
