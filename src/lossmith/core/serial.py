"""Losses, schedules, weightings and tensors as plain data for JSON, and back.

Reading builds what the data names of the kinds that are known; it runs no code of a file.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lossmith.core.adaptive import Adaptive
from lossmith.core.plain import check_shape
from lossmith.core.schedule import Schedule, schedule_of

FORMAT = 1  # of the files that `Loss.save` writes
WEIGHTINGS: dict[str, type] = {}  # by name, each entered where it is defined

KindOf = Callable[[str], Any]  # the class of a loss's key


def plain(value: Any) -> Any:
    """Return losses, schedules, parameters and tensors as plain data for JSON."""
    if isinstance(value, Adaptive):
        return _plain_loss(value)
    if isinstance(value, Schedule):
        return value.to_dict()
    if isinstance(value, nn.Parameter):
        return {"parameter": value.tolist()}
    return value.tolist() if isinstance(value, Tensor) else value


def document_of(loss: Any) -> dict[str, Any]:
    """Return what a file holds of a loss.

    Raises:
        TypeError: if a loss in it has the card of its base, as which it would be read back.
    """
    for kind in {type(part): None for part in loss.modules() if hasattr(part, "card")}:
        if "card" not in vars(kind):
            raise TypeError(
                f"{kind.__name__} has the card of another loss, {kind.card.key}, as which it would "
                "be read back; give it one with a key of its own"
            )
    return {"lossmith": FORMAT, **_plain_loss(loss)}


def _plain_loss(loss: Any) -> dict[str, Any]:
    state = {name: _entries(tensor) for name, tensor in loss.extra_state().items()}
    known = {"loss": loss.card.key, "arguments": loss.config()}
    return {**known, "state": state} if state else known


def _entries(state: Tensor) -> Any:
    """Return state as plain data: one number where there is but one, whatever its shape."""
    return state.item() if state.shape == (1,) else state.tolist()


def loss_of(config: Mapping[str, Any], kind_of: KindOf) -> Any:
    """Return the loss of `{"loss": key, "arguments": {...}}`, with its state where it has one.

    Raises:
        ValueError: if the mapping does not have that form, or the state is another loss's.
        Also what `kind_of` and the constructor raise.
    """
    key, given = config.get("loss"), config.get("arguments")
    if not isinstance(key, str) or not isinstance(given, Mapping):
        raise ValueError('a loss is written as {"loss": key, "arguments": {name: value}}')
    loss = kind_of(key).of_plain({name: value_of(one, kind_of) for name, one in given.items()})
    if "state" in config:  # else it starts afresh
        _restore(loss, config["state"])
    return loss


def value_of(value: Any, kind_of: KindOf) -> Any:
    """Return what plain data stands for: a loss, schedule, weighting, parameter, or itself."""
    if isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
        return [value_of(entry, kind_of) for entry in value]
    if not isinstance(value, Mapping):
        return value
    if "schedule" in value:
        return schedule_of(dict(value))
    if "parameter" in value:
        return nn.Parameter(_numbers(value["parameter"]))
    if "weighting" in value:
        return _weighting_of(value, kind_of)
    if "name" in value:  # one term of a hybrid
        return {name: value_of(entry, kind_of) for name, entry in value.items()}
    return loss_of(value, kind_of)


def _weighting_of(data: Mapping[str, Any], kind_of: KindOf) -> Any:
    """Return the weighting that plain data describes, without its state."""
    name, given = str(data["weighting"]), dict(data["arguments"])
    if name not in WEIGHTINGS:
        raise ValueError(f"no weighting is called {name!r}; see lossmith.weighting")
    if isinstance(given.get("weights"), Mapping):
        given["weights"] = {n: value_of(one, kind_of) for n, one in given["weights"].items()}
    return WEIGHTINGS[name](**given)


def _numbers(value: Any, dtype: torch.dtype | None = None) -> Tensor:
    """Return a tensor of numbers in nested lists; ValueError where they are none."""
    try:
        return torch.tensor(value, dtype=dtype)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{value!r:.60} is neither a number nor lists of numbers") from error


def _restore(loss: Any, state: Mapping[str, Any]) -> None:
    """Write learned numbers from plain data into a loss; ValueError where they don't fit."""
    own, key = loss.extra_state(), loss.card.key
    check_shape(state, dict, f"{key}, state")
    if set(state) != set(own):
        raise ValueError(f"{key} has the state {sorted(own)}, the file {sorted(state)}")
    for name, numbers in state.items():
        value = _numbers(numbers, own[name].dtype).to(own[name].device)
        value = value.reshape(1) if own[name].shape == (1,) and not value.ndim else value
        if value.shape != own[name].shape:
            shapes = f"{tuple(own[name].shape)}, the file {tuple(value.shape)}"
            raise ValueError(f"{key}: {name} has shape {shapes}")
        own[name].copy_(value)
