"""Whether to go on: training longer, or at learning rates beyond those tried, may still help."""

from collections.abc import Sequence

import numpy as np

TOLERANCE = 0.002  # of the error: what an end or an edge must gain to go on
LONGER = 8  # times the planned epochs, at most
WIDENINGS = 2  # learning rates beyond each edge of the grid, at most


def improving(errors: np.ndarray, epochs: Sequence[int]) -> bool:
    """Tell whether a training is best at its end, and was not nearly so good before.

    errors: at each of the epochs, (epochs,).

    >>> improving(np.array([3.0, 2.0, 1.0]), [5, 10, 20])
    True
    >>> improving(np.array([3.0, 1.001, 1.0]), [5, 10, 20])
    False
    """
    before = [
        error for error, epoch in zip(errors, epochs, strict=True) if 4 * epoch < 3 * epochs[-1]
    ]
    if not before or not np.isfinite(errors[-1]) or errors[-1] > min(errors):
        return False
    return bool(min(before) - errors[-1] > TOLERANCE * abs(min(before)))


def later(epochs: int, longest: int, count: int = 4) -> list[int]:
    """Return the checkpoints of a training that goes on to twice its length; none at the cap.

    >>> later(20, longest=30), later(9, longest=9)
    ([22, 24, 27, 30], [])
    """
    last = min(2 * epochs, longest)
    marks = (round(epochs * (last / epochs) ** (i / count)) for i in range(1, count + 1))
    return sorted({mark for mark in marks if mark > epochs})


def beyond(rate: float, rates: Sequence[float]) -> float | None:
    """Return the learning rate beyond one that is at an edge of three or more tried, else None.

    >>> beyond(0.01, [0.001, 0.003, 0.01]), beyond(0.001, [0.001, 0.003, 0.01])
    (0.03, 0.0003)
    >>> beyond(0.003, [0.001, 0.003, 0.01]), beyond(0.1, [0.01, 0.1])
    (None, None)
    """
    ordered = sorted(rates)
    if len(ordered) < 3 or rate not in (ordered[0], ordered[-1]):
        return None
    first, second = ordered[1:3] if rate == ordered[0] else ordered[-2:-4:-1]
    return float(f"{rate * first / second:.2g}")
