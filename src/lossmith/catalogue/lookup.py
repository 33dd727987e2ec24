"""Losses by key, by task, and from the plain JSON that `Loss.save` writes."""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_args

import lossmith.weighting  # noqa: F401  # enters its kinds among those that files name
from lossmith.catalogue.names import CLASSES, loss_class, peers
from lossmith.core import serial
from lossmith.core.card import Card, Task
from lossmith.core.docstring import section, summary
from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import Loss
from lossmith.core.plain import check_shape, read_json
from lossmith.core.serial import FORMAT
from lossmith.words import about

# What losses raise where plain data gives them arguments of another kind.
REFUSED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def find(task: str | None = None) -> dict[str, type[Loss]]:
    """Return the classes of the catalogue by key, those of one task or of a few words if given.

    A task may also be called by what it is of: boxes, tokens, forecasting, retrieval. Other words,
    as a field of application, find the losses that tell of them in their names, here and elsewhere,
    their summaries, when they are of use, or their papers' titles.

    Raises:
        ValueError: if there is no such task, and no loss that tells of it.

    >>> "giou" in find("boxes"), "dice" in find("boxes")
    (True, False)
    >>> list(find("face recognition"))[:2]
    ['ada_face', 'arc_face']
    """
    keys = sorted(CLASSES) if task is None else about(task, _by_task(), texts)
    return {key: CLASSES[key] for key in keys}


@cache
def _by_task() -> dict[str, list[str]]:
    tasks = get_args(Task)
    return {one: [k for k, kind in CLASSES.items() if one in kind.card.tasks] for one in tasks}


@cache
def texts() -> dict[str, str]:
    """Return what words are sought in: names, tasks, summary, when it is of use and the source."""
    return {key: " ".join(_told(kind)) for key, kind in CLASSES.items()}


def _told(kind: type[Loss]) -> Iterator[str]:
    yield from (kind.card.key, kind.__name__, *kind.card.tasks, summary(kind))
    yield from (section(kind, name) or "" for name in ("Use when", "Source"))
    yield from (name for _, peer in peers(kind) for name in peer.called)


def cards(task: str | None = None) -> list[Card]:
    """Return the cards of the catalogue, those of one task if given."""
    return [kind.card for kind in find(task).values()]


def get(key: str, **hypers: Any) -> Loss:
    """Return a loss by its key, or by another name for the same loss at the same defaults.

    Raises:
        UnknownLossError: if no loss has that key.
        TypeError: if a hyperparameter is unknown, missing or of the wrong type.
        ValueError: if a hyperparameter is out of range.

    >>> get("huber", delta=1.5)
    Huber(delta=1.5)
    >>> get("l1")
    MAE()
    """
    return loss_class(key)(**hypers)


def from_config(config: Mapping[str, Any]) -> Loss:
    """Build a loss from `{"loss": key, "arguments": {...}}`, nested losses included.

    Raises:
        ValueError: if the mapping does not have that form.
        UnknownLossError, TypeError, ValueError: as `get`.
    """
    loss: Loss = serial.loss_of(config, _kind_of)
    return loss


def built(value: Any) -> Any:
    """Return what plain data stands for: a loss, schedule, weighting, parameter, or itself."""
    return serial.value_of(value, _kind_of)


def _kind_of(key: str) -> type[Loss]:
    return Hybrid if key == Hybrid.card.key else loss_class(key)


def load(path: str | os.PathLike[str]) -> Loss:
    """Read a loss that `Loss.save` wrote; reading runs no code of the file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not a saved loss of a format and a catalogue that this version knows.
    """
    try:
        document = read_json(path)
        check_shape(document, {"lossmith": int}, "it")
    except ValueError as error:
        raise ValueError(f"{path} is not a loss saved by lossmith: {error}") from error
    if document["lossmith"] != FORMAT:
        version = document["lossmith"]
        raise ValueError(f"{path} has format {version}; this lossmith reads format {FORMAT}")
    try:
        return from_config(document)
    except REFUSED as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
