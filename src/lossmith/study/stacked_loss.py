"""Many losses of one structure as one function over stacked outputs."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from lossmith.core.loss import Loss


def structure(loss: Loss) -> str:
    """Name what must be equal for losses to run as one: everything but their numbers."""
    numbers = {name: tuple(buffer.shape) for name, buffer in loss.named_buffers()}
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
    slots = [
        (module, name)
        for module in template.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    names = [name for name, _ in template.named_buffers()]
    moving = any(loss.moves for loss in everyone)
    still = [] if moving else _stacked(everyone, names)
    own = [module._buffers[name] for module, name in slots]

    def one(numbers: Sequence[Tensor], output: Tensor, target: Tensor) -> Tensor:
        _fill(slots, numbers)
        return template(output, target)

    def all_of_them(output: Tensor, target: Tensor) -> Tensor:
        output = output.flatten(0, 1)
        targets = target.repeat_interleave(len(losses), 0)
        numbers = _stacked(everyone, names) if moving else still
        try:
            return vmap(one)(numbers, _single(output), targets)
        finally:
            _fill(slots, own)

    return all_of_them


def _stacked(everyone: Sequence[Loss], names: Sequence[str]) -> list[Tensor]:
    return [torch.stack([loss.get_buffer(name) for loss in everyone]) for name in names]


def _looped(everyone: list[Loss], members: int) -> Callable[[Tensor, Tensor], Tensor]:
    def all_of_them(output: Tensor, target: Tensor) -> Tensor:
        targets = target.repeat_interleave(members, 0)
        parts = zip(everyone, _single(output.flatten(0, 1)), targets, strict=True)
        return torch.stack([loss(one, row) for loss, one, row in parts])

    return all_of_them


def _fill(slots: Sequence[tuple[torch.nn.Module, str]], numbers: Sequence[Any]) -> None:
    # functional_call does the same at twice the time of a whole small loss.
    for (module, name), number in zip(slots, numbers, strict=True):
        module._buffers[name] = number


def _single(output: Tensor) -> Tensor:
    return output.squeeze(-1) if output.shape[-1] == 1 else output


def _parts(key: str, config: dict[str, Any]) -> list[Any]:
    return [key, *((name, _kind(value)) for name, value in sorted(config.items()))]


def _kind(value: Any) -> Any:
    if isinstance(value, dict) and "loss" in value and "arguments" in value:
        return _parts(value["loss"], value["arguments"])
    return value if isinstance(value, (int, str)) or value is None else "number"
