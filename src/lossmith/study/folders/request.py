"""What a study of a folder is asked, and what it chooses by the number of images."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.parameter import is_lazy

from lossmith.core.card import Task
from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import pluralize
from lossmith.study.base.named import function_at
from lossmith.study.base.result import Finding
from lossmith.study.base.settings import check_counts, check_kinds
from lossmith.study.folders.bodies import MakeBody, OfPictures, small_network, u_net
from lossmith.study.folders.data import FolderData
from lossmith.study.metrics.catalogue import METRICS, lookup, names
from lossmith.study.tasks.segmentation import Segmentation
from lossmith.study.training.budget import Budget

# Pictures that a training sees; a mask teaches by every pixel, and a U-Net takes longer.
SEEN, SEEN_WITH_MASKS = 32_000, 8_000
LEAST_EPOCHS, MOST_EPOCHS = 12, 120
BATCH_OF_MASKS = 16
TRAINS = 0.64  # share of the images that trains in a fold
CLASSES: tuple[Task, ...] = ("binary", "multiclass")
SMALL = "small"  # the body of this package


@dataclass(frozen=True, kw_only=True)
class FolderRequest:
    """What is asked of a folder of images.

    model: module:function of a body of the user's own. ways: of augmentation.
    """

    root: Path
    metric: str
    masks: Path | None = None
    model: str | None = None
    size: int | None = None
    epochs: int | None = None
    ways: tuple[str, ...] = ()
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
    name = request.metric.strip().lower()
    masks = tuple(Segmentation.defaults)
    if request.masks is not None:
        if name not in masks:
            raise InputError(f"masks are judged by {', '.join(masks)}, not by {request.metric}")
        return
    if name in masks:
        raise InputError(f"{name} judges masks: give --masks DIR")
    if name.partition("@")[0] in METRICS and set(lookup(name).tasks) & set(CLASSES):
        return
    known = dict.fromkeys(one for task in CLASSES for one in names(task))
    raise InputError(f"images by class are judged by {', '.join(known)}, not by {request.metric}")


def body_of(place: str, masked: bool, channels: int, size: int) -> MakeBody:
    """Return what makes the body of a name, for pictures given as bytes.

    Raises:
        InputError: if there is no such function.
    """
    if place == SMALL:
        make = u_net(channels) if masked else small_network(channels, size)
    else:
        _, make = function_at(place)
        check_kinds(None, make, None, None)
    return lambda width: OfPictures(make(width))


def check_body(request: FolderRequest, data: FolderData, make: MakeBody) -> None:
    """Raise InputError where a body of the user's own does not take the pictures.

    It is made and run once, and leaves the state of random numbers as it was.
    """
    if request.model is None:
        return
    width, seen = len(data.labels), data.pictures[:2]
    wanted = (len(seen), width, *(seen.shape[2:] if data.masked else ()))
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            body = make(width).eval()
            lazy = any(map(is_lazy, body.parameters()))
            found = tuple(body(seen).shape)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{request.model}({width}) fails on images {tuple(seen.shape)}: "
            f"{type(error).__name__}: {reason}"
        ) from error
    if lazy:
        raise InputError(f"{request.model} has lazy layers; give them their sizes")
    if found != wanted:
        raise InputError(
            f"{request.model}({width}) gives {found} of images {tuple(seen.shape)}; it must give "
            f"{wanted}"
        )


def budget_of(request: FolderRequest, data: FolderData) -> Budget:
    """Return for how many epochs, and of how many images a step, a training lasts."""
    check_counts(epochs=request.epochs)
    rows = round(TRAINS * len(data.names))
    seen, batch = (SEEN_WITH_MASKS, BATCH_OF_MASKS) if data.masked else (SEEN, None)
    epochs = min(max(round(seen / rows), LEAST_EPOCHS), MOST_EPOCHS)
    return Budget.for_rows(rows, epochs=request.epochs or epochs, batch=batch)


def findings_of(request: FolderRequest, data: FolderData, budget: Budget) -> tuple[Finding, ...]:
    """Return how the losses are compared: on which body, for how long, with which augmentation."""
    kind = "a U-Net of three halvings" if data.masked else "three convolutions and a linear head"
    body = request.model or kind
    moves = {"shift": "moved by up to an eighth of the side", "flip": "mirrored left to right"}
    seen = " and ".join(moves[way] for way in request.ways) or "as they are"
    return (
        Finding(
            name="body",
            value="",
            meaning=f"{body}, trained from nothing for {pluralize(budget.epochs, 'epoch')} of "
            f"batches of {budget.batch}; a loss is chosen for it, not for a larger network",
        ),
        Finding(name="augmentation", value="", meaning=f"images are trained on {seen}"),
    )
