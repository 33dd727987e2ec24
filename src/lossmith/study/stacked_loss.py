"""Many losses of one structure as one function over stacked outputs."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from lossmith.core.loss import Loss


def structure(loss: Loss) -> str:
    """Name what must be equal for losses to run as one: everything but their numbers."""
    numbers = {
        name: tuple(number.shape)
        for name, number in (*loss.named_buffers(), *loss.named_parameters())
    }
    return f"{_parts(loss.card.key, loss.config())} {sorted(numbers.items())}"


def stacked_loss(losses: Sequence[Sequence[Loss]]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function from (cells, members, rows, outputs) and (cells, rows) to one loss a model.

    Args:
        losses: of one structure, by member and cell.
    """
    everyone = [member[cell] for cell in range(len(losses[0])) for member in losses]
    template = everyone[0]
    if not all(part.card.vmap for part in template.modules() if isinstance(part, Loss)):
        return _looped(everyone, len(losses))
    slots = _slots(template)
    own = [place[name] for place, name in slots]
    fixed = not any(loss.moves or any(True for _ in loss.parameters()) for loss in everyone)
    still = _stacked(everyone) if fixed else []

    def one(numbers: Sequence[Tensor], output: Tensor, target: Tensor) -> Tensor:
        _fill(slots, numbers)
        return template(output, target)

    def all_of_them(output: Tensor, target: Tensor) -> Tensor:
        output = output.flatten(0, 1)
        targets = target.repeat_interleave(len(losses), 0)
        numbers = still if fixed else _stacked(everyone)
        try:
            return vmap(one)(numbers, _single(output), targets)
        finally:
            _fill(slots, own)

    return all_of_them


def _slots(loss: Loss) -> list[tuple[dict[str, Any], str]]:
    """Return where a loss keeps its numbers: buffers, and parameters that train with the model."""
    return [
        (place, name)
        for module in loss.modules()
        for place in (module._buffers, module._parameters)
        for name, number in place.items()
        if number is not None
    ]


def _stacked(everyone: Sequence[Loss]) -> list[Tensor]:
    """Return each number of all losses as one tensor; gradients reach the parameters of each."""
    numbers = [[place[name] for place, name in _slots(loss)] for loss in everyone]
    return [torch.stack(same) for same in zip(*numbers, strict=True)]


def _looped(everyone: list[Loss], members: int) -> Callable[[Tensor, Tensor], Tensor]:
    def all_of_them(output: Tensor, target: Tensor) -> Tensor:
        targets = target.repeat_interleave(members, 0)
        parts = zip(everyone, _single(output.flatten(0, 1)), targets, strict=True)
        return torch.stack([loss(one, row) for loss, one, row in parts])

    return all_of_them


def _fill(slots: Sequence[tuple[dict[str, Any], str]], numbers: Sequence[Any]) -> None:
    # functional_call does the same at twice the time of a whole small loss.
    for (place, name), number in zip(slots, numbers, strict=True):
        place[name] = number


def _single(output: Tensor) -> Tensor:
    return output.squeeze(-1) if output.shape[-1] == 1 else output


def _parts(key: str, config: dict[str, Any]) -> list[Any]:
    return [key, *((name, _kind(value)) for name, value in sorted(config.items()))]


def _kind(value: Any) -> Any:
    if isinstance(value, dict) and "loss" in value and "arguments" in value:
        return _parts(value["loss"], value["arguments"])
    if isinstance(value, dict) and "weighting" in value and "arguments" in value:
        return _parts(value["weighting"], value["arguments"])
    if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
        return [_parts("term", entry) for entry in value]
    return value if isinstance(value, (int, str)) or value is None else "number"
