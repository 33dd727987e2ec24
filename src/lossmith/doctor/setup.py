"""What is looked at: a model, a loss and some batches, with what trains them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

MOST_BATCHES = 8  # read of a loader
PAIR = "a batch is (input, target), or a mapping with 'labels'"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A training set-up: `check_setup`'s arguments, with its batches read.

    batches: pairs (input, target), the first few of a loader. valid: those of validation.
    """

    model: Any
    loss: Any
    batches: Sequence[tuple[Any, Any]]
    metric: Any = None
    optimizers: Sequence[torch.optim.Optimizer] = ()
    loader: Any = None
    sampler: Any = None
    valid: Sequence[tuple[Any, Any]] = ()
    valid_loader: Any = None
    accumulate: int = 1


def loader_of(*given: Any) -> DataLoader | None:
    """Return the first loader among some things."""
    return next((one for one in given if isinstance(one, DataLoader)), None)


def generators_of(*loaders: Any) -> list[Any]:
    """Return the generators that reading loaders moves."""
    parts = [part for one in loaders for part in (one, *_samplers(one))]
    return [getattr(part, "generator", None) for part in parts]


def _samplers(loader: Any) -> list[Any]:
    batches = getattr(loader, "batch_sampler", None)
    return [getattr(loader, "sampler", None), batches, getattr(batches, "sampler", None)]


def read(batch: Any) -> list[tuple[Any, Any]]:
    """Return pairs (input, target) from a batch, a list of batches or a loader.

    Raises:
        TypeError: if a batch is no pair and no mapping with "labels".

    >>> len(read([(torch.zeros(2, 1), torch.zeros(2)), (torch.zeros(1, 1), torch.zeros(1))]))
    2
    """
    if batch is None:
        return []
    if isinstance(batch, (tuple, Mapping)) or not isinstance(batch, Iterable) or _one(batch):
        return [_pair(batch)]
    return [_pair(one) for one in islice(batch, MOST_BATCHES)]


def _one(batch: Any) -> bool:
    """Return whether a list is one batch, as a loader gives it, and not several."""
    whole = isinstance(batch, list) and len(batch) in (1, 2)
    several = whole and all(isinstance(part, (list, tuple)) for part in batch)
    return isinstance(batch, Tensor) or (whole and not several)


def _pair(batch: Any) -> tuple[Any, Any]:
    if isinstance(batch, Mapping):
        if "labels" in batch:
            return {n: one for n, one in batch.items() if n != "labels"}, batch["labels"]
        raise TypeError(f"{PAIR}; got a mapping with {', '.join(map(repr, batch))}")
    if isinstance(batch, Tensor):
        return batch, None
    if isinstance(batch, Sequence) and len(batch) in (1, 2):
        return (batch[0], batch[1]) if len(batch) == 2 else (batch[0], None)
    size = f" of {len(batch)}" if isinstance(batch, Sequence) else ""
    raise TypeError(f"{PAIR}; got {type(batch).__name__}{size}")


def changed(function: Callable[[Tensor], Tensor], data: Any) -> Any:
    """Return data with each tensor put through a function, also within dicts and lists."""
    if isinstance(data, Tensor):
        return function(data)
    if isinstance(data, dict):
        return {name: changed(function, part) for name, part in data.items()}
    if isinstance(data, (list, tuple)) and not hasattr(data, "_fields"):
        return type(data)(changed(function, part) for part in data)
    return data


def device_of(modules: Sequence[nn.Module]) -> torch.device:
    """Return where the first parameter is."""
    found = (one.device for module in modules for one in module.parameters())
    return next(found, torch.device("cpu"))


def outputs_of(model: Any, input: Any) -> Any:
    """Return what a model gives for a batch; the logits of a model of Transformers."""
    while isinstance(model, nn.parallel.DistributedDataParallel):
        model = model.module
    named = isinstance(input, Mapping) and _takes_names(model)
    output = model(**input) if named else model(input)
    return getattr(output, "logits", output)


def _takes_names(model: Any) -> bool:
    """Return whether a model takes a batch's parts by name, as those of Transformers do."""
    return any(kind.__module__.startswith("transformers.") for kind in type(model).__mro__)
