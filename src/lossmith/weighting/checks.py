"""Arguments and signals that weightings check alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def number(owner: str, name: str, value: float, *, least: float, open: bool = True) -> float:
    """Return a number that is finite and above (or at) a least; ValueError otherwise."""
    fine = (value > least if open else value >= least) and value < float("inf")
    if not fine:
        raise ValueError(
            f"{owner}: {name} must be {'above' if open else 'at least'} {least:g} and finite, "
            f"got {value}"
        )
    return float(value)


def vector(owner: str, signal: str, given: Any, names: Sequence[str], like: Tensor) -> Tensor:
    """Return a signal of one number a term as float64, in the order of the names.

    Raises:
        TypeError: if it is no mapping.
        ValueError: if a name is missing.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"{owner}: {signal} must be a dict by term, got {type(given).__name__}")
    missing = [name for name in names if name not in given]
    if missing:
        raise ValueError(f"{owner}: {signal} lacks {', '.join(missing)}")
    return torch.stack([torch.as_tensor(given[name]).detach().to(like) for name in names])


def positive(owner: str, signal: str, numbers: Tensor) -> Tensor:
    """Return the numbers; ValueError where one is 0 or below."""
    if (numbers <= 0).any():
        raise ValueError(f"{owner} needs positive terms; {signal} is {numbers.tolist()}")
    return numbers
