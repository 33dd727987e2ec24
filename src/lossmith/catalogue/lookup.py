"""Losses by key, by task, and from the plain JSON that `Loss.save` writes."""

import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lossmith import losses
from lossmith.core.card import Card
from lossmith.core.loss import FORMAT, Loss

_CLASSES: dict[str, type[Loss]] = {
    kind.card.key: kind for kind in (getattr(losses, name) for name in losses.__all__)
}


def find(task: str | None = None) -> dict[str, type[Loss]]:
    """Return the classes of the catalogue by key, those of one task if given."""
    return {
        key: kind
        for key, kind in sorted(_CLASSES.items())
        if task is None or task in kind.card.tasks
    }


def cards(task: str | None = None) -> list[Card]:
    """Return the cards of the catalogue, those of one task if given."""
    return [kind.card for kind in find(task).values()]


def loss_class(key: str) -> type[Loss]:
    """Return the class of a key; KeyError names the nearest keys when there is none."""
    if key in _CLASSES:
        return _CLASSES[key]
    near = difflib.get_close_matches(key.lower(), _CLASSES, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "see `lossmith list`"
    raise KeyError(f"no loss is called {key!r}; {hint}")


def get(key: str, **hypers: Any) -> Loss:
    """Return a loss by its key.

    >>> get("huber", delta=1.5)
    Huber(delta=1.5)
    """
    return loss_class(key)(**hypers)


def from_config(config: Mapping[str, Any]) -> Loss:
    """Build a loss from `{"loss": key, "arguments": {...}}`, nested losses included."""
    arguments = {
        name: from_config(value) if isinstance(value, Mapping) and "loss" in value else value
        for name, value in config["arguments"].items()
    }
    return get(config["loss"], **arguments)


def load(path: str | os.PathLike[str]) -> Loss:
    """Read a loss that `Loss.save` wrote; reading runs no code of the file.

    Raises:
        ValueError: if the file is not a saved loss of a format this version knows.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        version = document["lossmith"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a loss saved by lossmith") from error
    if version != FORMAT:
        raise ValueError(f"{path} has format {version}; this lossmith reads format {FORMAT}")
    return from_config(document)
