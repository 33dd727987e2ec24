"""Losses by key, by task, and from the plain JSON that `Loss.save` writes."""

import difflib
import inspect
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import torch
from torch import nn

from lossmith import losses, weighting
from lossmith.core.card import Card, Task
from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import FORMAT, Loss
from lossmith.core.schedule import schedule_of
from lossmith.core.weighting import Weighting

_CLASSES: dict[str, type[Loss]] = {
    kind.card.key: kind for kind in (getattr(losses, name) for name in losses.__all__)
}

LISTED = 20  # the most names that an error lists


class UnknownLossError(KeyError):
    """No loss of the catalogue has this key."""

    def __str__(self) -> str:
        return str(self.args[0])


def find(task: str | None = None) -> dict[str, type[Loss]]:
    """Return the classes of the catalogue by key, those of one task if given.

    Raises:
        ValueError: if there is no such task.
    """
    if task is not None and task not in get_args(Task):
        raise ValueError(f"no task is called {task!r}; the tasks are {', '.join(get_args(Task))}")
    return {
        key: kind
        for key, kind in sorted(_CLASSES.items())
        if task is None or task in kind.card.tasks
    }


def cards(task: str | None = None) -> list[Card]:
    """Return the cards of the catalogue, those of one task if given."""
    return [kind.card for kind in find(task).values()]


def loss_class(key: str) -> type[Loss]:
    """Return the class of a key.

    Raises:
        UnknownLossError: if there is none; a KeyError that names the nearest keys.
        TypeError: if it is no text.
    """
    if not isinstance(key, str):
        raise TypeError(f"a loss is asked for by its key, as 'huber'; got {key!r}")
    if key in _CLASSES:
        return _CLASSES[key]
    raise UnknownLossError(f"no loss is called {key!r}; {_nearest(key, _CLASSES)}")


def demanded(kind: type[Loss]) -> list[str]:
    """Return the hyperparameters without a default: `for_target` fits them, or they are given."""
    return [
        parameter.name
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        and parameter.default is inspect.Parameter.empty
    ]


def get(key: str, **hypers: Any) -> Loss:
    """Return a loss by its key.

    Raises:
        UnknownLossError: if no loss has that key.
        TypeError: if a hyperparameter is unknown, missing or of the wrong type.
        ValueError: if a hyperparameter is out of range.

    >>> get("huber", delta=1.5)
    Huber(delta=1.5)
    """
    kind = loss_class(key)
    for name in hypers:
        if name not in kind.card.hypers:
            hint = _nearest(name, kind.card.hypers) if kind.card.hypers else "it has none"
            raise TypeError(f"{key} has no hyperparameter {name!r}; {hint}")
    missing = [name for name in demanded(kind) if name not in hypers]
    if missing:
        raise TypeError(
            f"{key} needs {', '.join(missing)}; give them, or fit them to the training targets "
            f"with {kind.__name__}.for_target(target)"
        )
    return kind(**hypers)


def from_config(config: Mapping[str, Any]) -> Loss:
    """Build a loss from `{"loss": key, "arguments": {...}}`, nested losses included.

    Raises:
        ValueError: if the mapping does not have that form.
        UnknownLossError, TypeError, ValueError: as `get`.
    """
    key, given = config.get("loss"), config.get("arguments")
    if not isinstance(key, str) or not isinstance(given, Mapping):
        raise ValueError('a loss is written as {"loss": key, "arguments": {name: value}}')
    arguments = {name: _built(value) for name, value in given.items()}
    loss = _hybrid(arguments) if key == Hybrid.card.key else get(key, **arguments)
    if "state" in config:  # else it starts afresh
        _restore(loss, config["state"])
    return loss


def _built(value: Any) -> Any:
    """Return what plain data stands for: a loss, schedule, weighting, parameter, or itself."""
    if isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
        return [_built(entry) for entry in value]
    if not isinstance(value, Mapping):
        return value
    if "schedule" in value:
        return schedule_of(dict(value))
    if "parameter" in value:
        return nn.Parameter(torch.tensor(value["parameter"]))
    if "weighting" in value:
        return weighting_of(value)
    if "name" in value:  # one term of a hybrid
        return {name: _built(entry) for name, entry in value.items()}
    return from_config(value)


def weighting_of(data: Mapping[str, Any]) -> Weighting:
    """Return the weighting that plain data describes, without its state."""
    name = str(data["weighting"])
    kind = getattr(weighting, name, None) if name in weighting.__all__ else None
    if not (isinstance(kind, type) and issubclass(kind, Weighting)):
        raise ValueError(f"no weighting is called {name!r}; see lossmith.weighting")
    given = dict(data["arguments"])
    if isinstance(given.get("weights"), Mapping):
        given["weights"] = {name: _built(value) for name, value in given["weights"].items()}
    return kind(**given)


def _hybrid(arguments: Mapping[str, Any]) -> Hybrid:
    terms = {one["name"]: (one["loss"], tuple(one["route"]) or None) for one in arguments["terms"]}
    return Hybrid.of(terms, arguments["weighting"])


def _restore(loss: Loss, state: Mapping[str, Any]) -> None:
    """Write learned numbers from plain data into a loss; ValueError where they don't fit."""
    own = loss.learned()
    if set(state) != set(own):
        raise ValueError(f"{loss.card.key} has the state {sorted(own)}, the file {sorted(state)}")
    for name, numbers in state.items():
        value = torch.as_tensor(numbers, dtype=own[name].dtype, device=own[name].device)
        value = value.reshape(1) if own[name].shape == (1,) and not value.ndim else value
        if value.shape != own[name].shape:
            shapes = f"{tuple(own[name].shape)}, the file {tuple(value.shape)}"
            raise ValueError(f"{loss.card.key}: {name} has shape {shapes}")
        own[name].copy_(value)


def load(path: str | os.PathLike[str]) -> Loss:
    """Read a loss that `Loss.save` wrote; reading runs no code of the file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not a saved loss of a format and a catalogue that this version knows.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        version = document["lossmith"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is not a loss saved by lossmith") from error
    if version != FORMAT:
        raise ValueError(f"{path} has format {version!r}; this lossmith reads format {FORMAT}")
    try:
        return from_config(document)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _nearest(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(word.lower(), names, n=3, cutoff=0.6)
    if near:
        return f"did you mean {', '.join(near)}?"
    return f"there are {', '.join(names)}" if len(names) <= LISTED else "lossmith list names all"
