"""A few rows of what a model predicts, as people look at them: small enough to keep of every epoch.

Each function takes targets and predictions as a metric does, and returns arrays by name.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lossmith.study.metrics.overlap import IGNORED
from lossmith.study.metrics.reading import decided, has_classes

Array = np.ndarray
NUMBERS = 4096  # of each array
PICTURES, SIDE = 4, 48  # masks, and their largest side in pixels
QUERIES, PLACES = 8, 10
PATHS = 6


def numbers(target: Array, prediction: Array) -> dict[str, Array]:
    """Return targets and predictions of as many rows, all elements of each."""
    rows = max(1, NUMBERS // max(target[0].size, 1))
    return {"target": target[:rows].ravel(), "prediction": prediction[:rows].ravel()}


def paths(target: Array, prediction: Array) -> dict[str, Array]:
    """Return rows of several numbers, (n, H) each, spread over all rows."""
    rows = spread(len(target), PATHS)
    return {"target": target[rows], "prediction": prediction[rows], "rows": rows}


def classes(target: Array, prediction: Array) -> dict[str, Array]:
    """Return each element's class, the one that is decided, and how probable the model finds it.

    Of a single class and the rest it is the probability of the class.
    """
    rows = max(1, NUMBERS // max(target[0].size, 1))
    target, prediction = target[:rows].astype(np.int64), prediction[:rows]
    taken = decided("classes", target, prediction)
    if not has_classes(target, prediction):
        stated = prediction.astype(float)
    elif prediction.shape[1] == 2:
        stated = prediction[:, 1]
    else:
        stated = prediction.max(axis=1)
    held = target >= 0
    return {"target": target[held], "taken": taken[held], "stated": stated[held]}


def masks(target: Array, prediction: Array) -> dict[str, Array]:
    """Return classes of a few images' pixels, of volumes in a middle slice, thinned out."""
    rows = spread(len(target), PICTURES)
    taken = decided("masks", target[rows], prediction[rows])
    return {"target": _thin(target[rows]), "taken": _thin(taken), "rows": rows}


def lists(target: Array, prediction: Array) -> dict[str, Array]:
    """Return a few queries' relevances from the first place on, and as they are at best.

    Args:
        target: (Q, I) relevances, negative for no item.
        prediction: (Q, I) scores.
    """
    rows = spread(len(target), QUERIES)
    relevance, scores = target[rows], np.where(target[rows] < 0, -np.inf, prediction[rows])
    order = np.argsort(-scores, axis=1, kind="stable")[:, :PLACES]
    best = -np.sort(-relevance, axis=1)[:, :PLACES]
    return {"target": best, "shown": np.take_along_axis(relevance, order, axis=1), "rows": rows}


def risks(target: Mapping[str, Array], prediction: Array) -> dict[str, Array]:
    """Return times, events and risks of as many rows."""
    parts = {**target, "risk": prediction}
    return {name: np.asarray(one)[:NUMBERS] for name, one in parts.items()}


SAMPLES: Mapping[str, Callable[[Any, Any], dict[str, Array]]] = {
    "numbers": numbers,
    "paths": paths,
    "classes": classes,
    "masks": masks,
    "lists": lists,
    "risks": risks,
}


def spread(rows: int, count: int) -> Array:
    """Return a few of some row numbers, evenly over all.

    >>> spread(9, 3).tolist(), spread(2, 3).tolist()
    ([0, 4, 8], [0, 1])
    """
    return np.unique(np.linspace(0, rows - 1, min(count, rows)).astype(int))


def _thin(codes: Array) -> Array:
    while codes.ndim > 3:
        codes = codes[:, codes.shape[1] // 2]
    step = -(-max(codes.shape[1:]) // SIDE)
    codes = codes[:, ::step, ::step]
    return np.where(codes == IGNORED, IGNORED, np.minimum(codes, IGNORED - 1)).astype(np.uint8)
