"""Many losses of one structure as one function over stacked outputs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.func import vmap

from lossmith.core.adaptive import Adaptive
from lossmith.core.bases import Pointwise
from lossmith.core.loss import Loss
from lossmith.core.reduce import combine_weights, nonzero
from lossmith.core.serial import plain
from lossmith.losses import TransformedTarget

Total = Callable[[Tensor, Tensor], Tensor]  # of outputs and targets, model by model
Slots = list[tuple[dict[str, Any], str]]  # dicts of tensors, and names in them


def structure(loss: Loss) -> str:
    """Name what must be equal for losses to run as one: everything but their numbers."""
    numbers = {name: tuple(number.shape) for name, number in loss.state_dict().items()}
    return f"{_parts(loss.card.key, loss.config())} {sorted(numbers.items())}"


def stack_key(losses: Sequence[Loss]) -> str:
    """Name the trials that run as one with a trial of these losses, one a fold.

    Those of the same losses, where a loss is the same in every fold; else those of one structure.
    """
    alike = _common(losses) is not None
    return str([plain(loss) for loss in losses]) if alike else structure(losses[0])


def stacked_loss(
    losses: Sequence[Sequence[Loss]], target: Tensor
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function from (folds, trials, rows, outputs) to the sum of the models' losses.

    Its second argument says which rows of the target the outputs are of, (folds, rows).

    Args:
        losses: of one `stack_key`, by trial and fold.
        target: of each fold, (folds, rows) and maybe more.
    """
    everyone = [trial[fold] for fold in range(len(target)) for trial in losses]
    common = _common(losses[0])
    if common is not None:
        target = torch.stack([_encoded(*pair) for pair in zip(losses[0], target, strict=True)])
        total = _at_once(common)
    elif all(part.card.vmap for part in everyone[0].modules() if isinstance(part, Loss)):
        total = _vmapped(everyone)
    else:
        total = _looped(everyone)
    folds = torch.arange(len(target)).unsqueeze(1)

    def all_of_them(output: Tensor, chosen: Tensor) -> Tensor:
        targets = target[folds, chosen].repeat_interleave(len(losses), 0)
        return total(_single(output.flatten(0, 1)), targets)

    return all_of_them


def _common(losses: Sequence[Loss]) -> Pointwise | None:
    """Return what a trial's losses are in every fold but for encoding targets, if they are one.

    Its rows must not depend on each other, so that those of many models are rows of one batch.
    """
    one, *others = [loss.loss if _encodes(loss) else loss for loss in losses]
    if not isinstance(one, Pointwise):
        return None
    learns = any(True for _ in one.parameters())
    alike = all(plain(other) == plain(one) for other in others)
    return one if alike and not learns else None


def _encodes(loss: Loss) -> TypeGuard[TransformedTarget]:
    """Tell whether a loss is another one of encoded targets, of which it needs no more."""
    if not isinstance(loss, TransformedTarget) or loss.relative:
        return False
    return not (loss._schedules or any(True for _ in loss.parameters(recurse=False)))


def _encoded(loss: Loss, target: Tensor) -> Tensor:
    return loss.encode(target) if _encodes(loss) else target


def _at_once(loss: Pointwise) -> Total:
    def total(output: Tensor, target: Tensor) -> Tensor:
        models, rows = target.shape[:2]
        output, target = output.flatten(0, 1), target.flatten(0, 1)
        own = loss.weights(target)
        each = own is not None and own.ndim == output.ndim  # one an output, not one a row
        weight = combine_weights(output if each or output.ndim == 1 else output[:, 0], own)
        if weight is None:
            return models * loss(output, target)
        mass = weight.reshape(models, -1).sum(1).repeat_interleave(rows)
        return loss(output, target, weight=1 / nonzero(mass), denominator=1.0)

    return total


def _vmapped(everyone: Sequence[Loss]) -> Total:
    template, slots = everyone[0], [_slots(loss) for loss in everyone]
    own = _numbers(slots[0])
    fixed = not any(loss.moves or any(True for _ in loss.parameters()) for loss in everyone)
    still = _stacked(slots) if fixed else []

    def one(numbers: Sequence[Tensor], output: Tensor, target: Tensor) -> Tensor:
        _fill(slots[0], numbers)
        return template(output, target)

    def total(output: Tensor, target: Tensor) -> Tensor:
        numbers = [_beside(output, many) for many in (still if fixed else _stacked(slots))]
        try:
            return vmap(one)(numbers, output, target).sum()
        finally:
            _fill(slots[0], own)

    return total


def _looped(everyone: Sequence[Loss]) -> Total:
    def total(output: Tensor, target: Tensor) -> Tensor:
        parts = zip(everyone, output, target, strict=True)
        return torch.stack([loss(*rows) for loss, *rows in parts]).sum()

    return total


def _slots(loss: Loss) -> Slots:
    """Return where a loss keeps its numbers, and the parameters that train with the model."""
    return [
        (place, name)
        for module in loss.modules()
        for place, names in _places(module)
        for name in names
        if place[name] is not None
    ]


def _places(module: nn.Module) -> Iterator[tuple[dict[str, Any], list[str]]]:
    yield from ((place, list(place)) for place in (module._buffers, module._parameters))
    if isinstance(module, Adaptive):
        yield vars(module), list(module._numbers)


def _beside(output: Tensor, numbers: Tensor) -> Tensor:
    """Return numbers, one a model and no longer one alone, where the outputs are."""
    real = numbers.is_floating_point() and output.device.type == "mps"  # it has no float64
    return numbers.to(output.device, torch.float32 if real else numbers.dtype)


def _numbers(slots: Slots) -> list[Tensor]:
    return [place[name] for place, name in slots]


def _stacked(slots: Sequence[Slots]) -> list[Tensor]:
    """Return each number of all losses as one tensor; gradients reach the parameters of each."""
    return [torch.stack(same) for same in zip(*map(_numbers, slots), strict=True)]


def _fill(slots: Slots, numbers: Sequence[Any]) -> None:
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
