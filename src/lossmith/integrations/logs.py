"""What a training loop logs of its losses."""

from collections.abc import Callable
from weakref import WeakKeyDictionary

from torch import nn

from lossmith.core.adaptive import Adaptive
from lossmith.core.weighting import Weighting

# What `watch` saw last, of the losses that are watched.
WATCHED: WeakKeyDictionary[nn.Module, Callable[[], dict[str, float]]] = WeakKeyDictionary()


def scalars(loss: nn.Module, prefix: str = "loss") -> dict[str, float]:
    """Return `numbers`, and what is watched of the losses.

    >>> from lossmith import Huber, Linear
    >>> scalars(Huber(delta=Linear(3.0, 1.0)))
    {'loss/delta': 3.0}
    """
    found = numbers(loss, prefix)
    for module in loss.modules():
        if module in WATCHED:
            found.update(WATCHED[module]())
    return found


def numbers(loss: nn.Module, prefix: str = "loss") -> dict[str, float]:
    """Return the present weights of all terms, and all scheduled and learned numbers, by path."""
    found: dict[str, float] = {}
    for path, module in loss.named_modules():
        place = "/".join(part for part in (prefix, *path.split(".")) if part)
        if isinstance(module, Weighting):
            found.update({f"{place}/{n}": float(w) for n, w in module.weights().items()})
        elif isinstance(module, Adaptive):
            moving = [
                *module._schedules,
                *(n for n, p in module._parameters.items() if p is not None),
            ]
            for name in moving:
                number = getattr(module, name)
                if number.numel() == 1:
                    found[f"{place}/{name}"] = float(number.detach())
    return found
