"""A few rows of what a model predicts, as people look at them: small enough to keep of every epoch.

Each function takes targets and predictions as a metric does, and returns arrays by name. `rows` are
the places of what is shown among the rows that are given.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.metrics.overlap import without_channel
from lossmith.study.metrics.reading import IGNORED, decided, has_classes
from lossmith.study.metrics.retrieval import relevances

Array = np.ndarray
NUMBERS = 2048  # of each array
PICTURES, SIDE = 4, 48  # masks, and their largest side in pixels
QUERIES, PLACES = 8, 10
PATHS, STEPS = 6, 96
SPANS = 60
BOXES = 6


def numbers(target: Array, prediction: Array) -> dict[str, Array]:
    """Return targets and predictions of as many rows, all elements of each."""
    if prediction.size != target.size:
        raise InputError("there is one prediction of each number")
    rows = spread(len(target), NUMBERS // max(target[0].size, 1))
    parts = {"target": target, "prediction": prediction}
    return {name: one[rows].ravel()[:NUMBERS] for name, one in parts.items()}


def paths(target: Array, prediction: Array) -> dict[str, Array]:
    """Return rows of several numbers, (n, H) each, or of quantiles (n, 2 or 3, H), thinned out."""
    rows, steps = spread(len(target), PATHS), spread(target.shape[1], STEPS)
    found = prediction[rows][..., steps]
    found = found if found.ndim == 2 else found[:, _ends(found.shape[1])]
    return {"target": target[rows][:, steps], "prediction": found, "rows": rows, "steps": steps + 1}


def spans(target: Array, prediction: Array) -> dict[str, Array]:
    """Return targets (n,) from the lowest to the highest, with quantiles of each, (n, 2 or 3)."""
    prediction = prediction.reshape(len(target), -1)
    rows = np.argsort(target, kind="stable")[spread(len(target), SPANS)]
    return {"target": target[rows], "prediction": prediction[rows][:, _ends(prediction.shape[1])]}


def classes(target: Array, prediction: Array) -> dict[str, Array]:
    """Return each element's class, the one that is decided, and how probable the model finds it.

    Of a single class and the rest it is the probability of the class; decisions have none. `count`
    is of the classes.
    """
    rows = _counted(target)
    target, prediction = target[rows].astype(np.int64), prediction[rows]
    taken, many = decided("classes", target, prediction), has_classes(target, prediction)
    held = target >= 0
    parts = {"target": target, "taken": taken}
    kept = {name: one[held][:NUMBERS].astype(np.int32) for name, one in parts.items()}
    count = prediction.shape[1] if many else 1 + max(1, *(int(one.max()) for one in kept.values()))
    if prediction.dtype.kind == "f":
        of_class = prediction if not many else prediction[:, 1] if count == 2 else None
        stated = prediction.max(axis=1) if of_class is None else of_class
        kept["stated"] = stated[held][:NUMBERS].astype(np.float32)
    return {**kept, "count": np.array(count)}


def masks(target: Array, prediction: Array) -> dict[str, Array]:
    """Return classes of a few images' pixels, of volumes in a middle slice, thinned out."""
    target, prediction = without_channel("masks", target, prediction)
    rows = spread(len(target), PICTURES)
    taken = decided("masks", target[rows], prediction[rows])
    return {"target": _thin(target[rows]), "taken": _thin(taken), "rows": rows}


def lists(target: Array, prediction: Array) -> dict[str, Array]:
    """Return a few queries' relevances from the first place on, and as they are at best.

    Args:
        target: (Q, I) relevances, negative for no item; or (Q,) the places of the relevant items.
        prediction: (Q, I) scores.
    """
    target = relevances("lists", target, prediction)
    held = np.flatnonzero((target > 0).any(axis=1))
    rows = held[spread(len(held), QUERIES)]
    relevance, scores = target[rows], np.where(target[rows] < 0, -np.inf, prediction[rows])
    order = np.lexsort((relevance, -scores), axis=1)[:, :PLACES]  # as the metrics do
    best = -np.sort(-relevance, axis=1)[:, :PLACES]
    return {"target": best, "shown": np.take_along_axis(relevance, order, axis=1), "rows": rows}


def risks(target: Mapping[str, Array], prediction: Array) -> dict[str, Array]:
    """Return times, events and risks of as many rows; of curves, how little survives on average."""
    rows = spread(len(prediction), NUMBERS)
    parts = {**target, "risk": -prediction.mean(axis=1) if prediction.ndim > 1 else prediction}
    return {name: np.asarray(one).reshape(len(prediction))[rows] for name, one in parts.items()}


def boxes(target: Array, prediction: Array) -> dict[str, Array]:
    """Return a few rows' boxes, (n, 4) each."""
    rows = spread(len(target), BOXES)
    return {"target": target[rows], "taken": prediction[rows], "rows": rows}


SAMPLES: Mapping[str, Callable[[Any, Any], dict[str, Array]]] = {
    "numbers": numbers,
    "paths": paths,
    "spans": spans,
    "classes": classes,
    "masks": masks,
    "lists": lists,
    "risks": risks,
    "boxes": boxes,
}


def pictures(images: Array, rows: Array, space: int) -> Array:
    """Return what a few rows look like, (n, H, W) or (n, H, W, 3), of volumes a middle slice.

    Args:
        images: (N, …), (N, C, …) or (N, …, C) of one channel or three.
        rows: of these images.
        space: dimensions of an image beside its channels.

    Raises:
        InputError: for other shapes, or where there is not one image a row.
    """
    kinds: dict[int, int | None] = {space + 1: None}  # of how many dimensions, channels where
    if images.ndim == space + 2:
        channels = [axis for axis in (1, -1) if images.shape[axis] in (1, 3)]
        kinds = {space + 2: channels[0]} if channels else {}
    if images.ndim not in kinds or len(images) <= rows.max(initial=0):
        volume = "H, W" if space == 2 else "D, H, W"
        raise InputError(
            f"images= must be one a row of the target, (N, {volume}), (N, 3, {volume}) or "
            f"(N, {volume}, 3); got shape {images.shape}"
        )
    found, channel = images[rows], kinds[images.ndim]
    found = found if channel is None else np.moveaxis(found, channel, -1)
    found = _middle(found, space - 2)
    return found[..., 0] if channel is not None and found.shape[-1] == 1 else found


def spread(rows: int, count: int) -> Array:
    """Return a few of some row numbers, at least one, evenly over all.

    >>> spread(9, 3).tolist(), spread(2, 3).tolist()
    ([0, 4, 8], [0, 1])
    """
    return np.unique(np.linspace(0, rows - 1, min(max(count, 1), rows)).astype(int))


def _ends(levels: int) -> list[int]:
    """Return the places of the lowest, the middle, where there is one, and the highest level."""
    return [0, levels // 2, levels - 1] if levels % 2 else [0, levels - 1]


def _counted(target: Array) -> slice:
    """Return rows that hold about as many elements as are kept, some of which count."""
    held = (target >= 0).reshape(len(target), -1)
    first = int(held.any(axis=1).argmax())
    return slice(first, None, max(1, int(held.sum()) // NUMBERS))  # a view: vocabularies are large


def _middle(images: Array, depth: int) -> Array:
    """Return the middle slice of images along as many dimensions after the first."""
    for _ in range(depth):
        images = images[:, images.shape[1] // 2]
    return images


def _thin(codes: Array) -> Array:
    codes = _middle(codes, codes.ndim - 3)
    step = -(-max(codes.shape[1:]) // SIDE)
    codes = codes[:, ::step, ::step].astype(np.int64)
    ignored = (codes < 0) | (codes == IGNORED)
    return np.where(ignored, IGNORED, np.minimum(codes, IGNORED - 1)).astype(np.uint8)
