"""Losses by key, by task, and from the plain JSON that `Loss.save` writes."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import torch
from torch import nn

from lossmith import losses, weighting
from lossmith.catalogue.from_torch import own_key, peer_of
from lossmith.core.arguments import nearest
from lossmith.core.card import Card, Task
from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import Loss
from lossmith.core.plain import check_shape, read_json
from lossmith.core.schedule import schedule_of
from lossmith.core.serial import FORMAT
from lossmith.core.weighting import Weighting

_CLASSES: dict[str, type[Loss]] = {
    kind.card.key: kind for kind in (getattr(losses, name) for name in losses.__all__)
}

# What losses raise where plain data gives them arguments of another kind.
REFUSED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


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
    peer = peer_of(key)
    hint = peer.hint(peer.key) if peer else nearest(key.removesuffix("_loss"), _CLASSES)
    raise UnknownLossError(f"no loss is called {key!r}; {hint or 'lossmith list names all'}")


def misnamed(name: str, known: Iterable[str]) -> str:
    """Return what an attribute that the package lacks may be meant to be, of those known."""
    peer = peer_of(name)
    if peer:
        return peer.hint(f"lossmith.{_CLASSES[peer.key].__name__}" if peer.key else "")
    return nearest(name.removesuffix("Loss"), known) or "lossmith list names all losses"


def get(key: str, **hypers: Any) -> Loss:
    """Return a loss by its key, or by torch's name for the same loss.

    Raises:
        UnknownLossError: if no loss has that key.
        TypeError: if a hyperparameter is unknown, missing or of the wrong type.
        ValueError: if a hyperparameter is out of range.

    >>> get("huber", delta=1.5)
    Huber(delta=1.5)
    >>> get("l1")
    MAE()
    """
    return loss_class(own_key(key) if isinstance(key, str) else key)(**hypers)


def from_config(config: Mapping[str, Any]) -> Loss:
    """Build a loss from `{"loss": key, "arguments": {...}}`, nested losses included.

    Raises:
        ValueError: if the mapping does not have that form.
        UnknownLossError, TypeError, ValueError: as `get`.
    """
    key, given = config.get("loss"), config.get("arguments")
    if not isinstance(key, str) or not isinstance(given, Mapping):
        raise ValueError('a loss is written as {"loss": key, "arguments": {name: value}}')
    arguments = {name: built(value) for name, value in given.items()}
    loss = _hybrid(arguments) if key == Hybrid.card.key else get(key, **arguments)
    if "state" in config:  # else it starts afresh
        _restore(loss, config["state"])
    return loss


def built(value: Any) -> Any:
    """Return what plain data stands for: a loss, schedule, weighting, parameter, or itself."""
    if isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
        return [built(entry) for entry in value]
    if not isinstance(value, Mapping):
        return value
    if "schedule" in value:
        return schedule_of(dict(value))
    if "parameter" in value:
        return nn.Parameter(_numbers(value["parameter"]))
    if "weighting" in value:
        return weighting_of(value)
    if "name" in value:  # one term of a hybrid
        return {name: built(entry) for name, entry in value.items()}
    return from_config(value)


def _numbers(value: Any, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Return a tensor of numbers in nested lists; ValueError where they are none."""
    try:
        return torch.tensor(value, dtype=dtype)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{value!r:.60} is neither a number nor lists of numbers") from error


def weighting_of(data: Mapping[str, Any]) -> Weighting:
    """Return the weighting that plain data describes, without its state."""
    name = str(data["weighting"])
    kind = getattr(weighting, name, None) if name in weighting.__all__ else None
    if not (isinstance(kind, type) and issubclass(kind, Weighting)):
        raise ValueError(f"no weighting is called {name!r}; see lossmith.weighting")
    given = dict(data["arguments"])
    if isinstance(given.get("weights"), Mapping):
        given["weights"] = {name: built(value) for name, value in given["weights"].items()}
    return kind(**given)


def _hybrid(arguments: Mapping[str, Any]) -> Hybrid:
    terms = {one["name"]: (one["loss"], tuple(one["route"]) or None) for one in arguments["terms"]}
    return Hybrid.of(terms, arguments["weighting"])


def _restore(loss: Loss, state: Mapping[str, Any]) -> None:
    """Write learned numbers from plain data into a loss; ValueError where they don't fit."""
    own = loss.learned()
    check_shape(state, dict, f"{loss.card.key}, state")
    if set(state) != set(own):
        raise ValueError(f"{loss.card.key} has the state {sorted(own)}, the file {sorted(state)}")
    for name, numbers in state.items():
        value = _numbers(numbers, own[name].dtype).to(own[name].device)
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
