"""What a study of a folder is asked, and what it chooses by the number of files."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.parameter import is_lazy

from lossmith.core.card import Task
from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import pluralize
from lossmith.study.base.result import Finding
from lossmith.study.base.settings import check_counts
from lossmith.study.folders.augment import WAYS
from lossmith.study.folders.bodies import MakeBody
from lossmith.study.folders.data import FolderData
from lossmith.study.metrics.catalogue import METRICS, lookup, names, parsed
from lossmith.study.tasks.segmentation import Segmentation
from lossmith.study.training.budget import Budget

# Files that a training sees; a mask teaches by every pixel, and a U-Net takes longer.
SEEN, SEEN_WITH_MASKS = 32_000, 8_000
LEAST_EPOCHS, MOST_EPOCHS = 12, 120
BATCH_OF_MASKS = 16
TRAINS = 0.64  # share of the files that trains in a fold
CLASSES: tuple[Task, ...] = ("binary", "multiclass")


@dataclass(frozen=True, kw_only=True)
class FolderRequest:
    """What is asked of a folder of images, or of texts.

    model: module:function of a body of the user's own. ways: of augmentation; None for all that
    there are.
    """

    root: Path
    metric: str
    masks: Path | None = None
    model: str | None = None
    size: int | None = None
    epochs: int | None = None
    ways: tuple[str, ...] | None = None
    groups: str | None = None
    positive: str | None = None
    candidates: list[str] | None = None
    seed: int = 0
    budget: float | None = None
    out: Path | None = None
    force: bool = False
    command: str = ""


def check_metric(request: FolderRequest) -> None:
    """Raise InputError for a metric that does not judge classes, or masks."""
    name = parsed(request.metric)[0]
    masks = tuple(Segmentation.defaults)
    if request.masks is not None:
        if name not in masks:
            raise InputError(f"masks are judged by {', '.join(masks)}, not by {request.metric}")
        return
    if name in masks:
        raise InputError(f"{name} judges masks: give --masks DIR")
    if name in METRICS and set(lookup(request.metric).tasks) & set(CLASSES):
        return
    known = dict.fromkeys(one for task in CLASSES for one in names(task))
    raise InputError(f"classes are judged by {', '.join(known)}, not by {request.metric}")


def ways_for(request: FolderRequest, data: FolderData) -> tuple[str, ...]:
    """Return the ways of augmentation.

    Raises:
        InputError: if some are asked for, and the files are texts.
    """
    moved = data.inputs.word == "image"
    if request.ways is None:
        return WAYS if moved else ()
    if request.ways and not moved:
        raise InputError(f"--augment moves images, and {request.root} holds texts; leave it out")
    return request.ways


def check_body(request: FolderRequest, data: FolderData, make: MakeBody) -> None:
    """Raise InputError where a body of the user's own does not take what is read.

    It is made and run once, and leaves the state of random numbers as it was.
    """
    if request.model is None:
        return
    width, seen, word = len(data.labels), data.seen[:2], data.inputs.word
    wanted = (len(seen), width, *(seen.shape[2:] if data.inputs.masked else ()))
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            body = make(width).eval()
            lazy = any(map(is_lazy, body.parameters()))
            found = tuple(body(seen).shape)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{request.model}({width}) fails on {word}s {tuple(seen.shape)}: "
            f"{type(error).__name__}: {reason}"
        ) from error
    if lazy:
        raise InputError(f"{request.model} has lazy layers; give them their sizes")
    if found != wanted:
        raise InputError(
            f"{request.model}({width}) gives {found} of {word}s {tuple(seen.shape)}; it must "
            f"give {wanted}"
        )


def budget_of(request: FolderRequest, data: FolderData) -> Budget:
    """Return for how many epochs, and of how many files a step, a training lasts."""
    check_counts(epochs=request.epochs)
    rows = round(TRAINS * len(data.names))
    seen, batch = (SEEN_WITH_MASKS, BATCH_OF_MASKS) if data.inputs.masked else (SEEN, None)
    epochs = min(max(round(seen / rows), LEAST_EPOCHS), MOST_EPOCHS)
    return Budget.for_rows(rows, epochs=request.epochs or epochs, batch=batch)


def findings_of(
    request: FolderRequest, data: FolderData, budget: Budget, ways: tuple[str, ...]
) -> tuple[Finding, ...]:
    """Return how the losses are compared: on which body, for how long, with which augmentation."""
    body = Finding(
        name="body",
        value="",
        meaning=f"{request.model or data.inputs.body}, trained from nothing for "
        f"{pluralize(budget.epochs, 'epoch')} of batches of {budget.batch}; a loss is chosen for "
        "it, not for a larger network",
    )
    if data.inputs.word == "text":
        return (body,)
    moves = {"shift": "moved by up to an eighth of the side", "flip": "mirrored left to right"}
    seen = " and ".join(moves[way] for way in ways) or "as they are"
    return (body, Finding(name="augmentation", value="", meaning=f"images are trained on {seen}"))
