"""What `select` is given in code: its kinds and numbers, checked before anything is done."""

import inspect
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import torch

from lossmith.study.base.errors import InputError

LARGEST_SEED = 2**31  # of the splits' generator, with room for the repeats


def check_kinds(metric: Any, model: Any, candidates: Any, optimizer: Any) -> None:
    """Raise InputError where something is of another kind than the arguments say."""
    if not (metric is None or isinstance(metric, str) or _texts(metric) or model is not None):
        raise InputError(f"metric must be a name, as 'mae', or one a target; got {metric!r}")
    if not (candidates is None or _texts(candidates) or model is not None):
        raise InputError(f"candidates must be a list of keys, as ['huber']; got {candidates!r}")
    if model is not None and (isinstance(model, torch.nn.Module) or not _takes_a_width(model)):
        raise InputError(
            "model must be a function of the head's width that returns a fresh module, as "
            "lambda n: nn.Linear(8, n)"
        )
    if not (optimizer is None or callable(optimizer)):
        raise InputError(
            "optimizer must be a class or a function, called as optimizer(parameters, lr=rate); "
            f"got a {type(optimizer).__name__}"
        )


def _takes_a_width(model: Any) -> bool:
    """Tell whether a function may be called with one argument, as far as it can be told."""
    try:
        inspect.signature(model).bind(1)
    except TypeError:
        return False
    except ValueError:  # it has no signature
        pass
    return callable(model)


def _texts(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and all(isinstance(one, str) for one in given)


def check_numbers(
    *,
    seed: int,
    learning_rates: Sequence[float],
    budget: float | None = None,
    **counts: int | None,
) -> None:
    """Raise InputError unless all are numbers within their ranges; counts: whole, above 0."""
    check_counts(**counts)
    if not isinstance(seed, Integral):
        raise InputError(f"seed must be a whole number, got {seed!r}")
    if not (budget is None or isinstance(budget, Real)):
        raise InputError(f"budget must be seconds, got {budget!r}")
    if not isinstance(learning_rates, Iterable) or not all(
        isinstance(rate, Real) for rate in learning_rates
    ):
        raise InputError(f"learning_rates must be a list of numbers, got {learning_rates!r}")
    if not 0 <= seed < LARGEST_SEED:
        raise InputError(f"seed must be from 0 to {LARGEST_SEED - 1}, got {seed}")
    if budget is not None and not budget > 0:
        raise InputError(f"budget must be above 0, got {budget}")
    if not len(learning_rates) or not all(0 < rate < math.inf for rate in learning_rates):
        raise InputError(f"learning_rates must be numbers above 0, got {list(learning_rates)}")


def check_counts(**counts: int | None) -> None:
    """Raise InputError unless all are whole and above 0, or None."""
    for name, count in counts.items():
        if not (count is None or isinstance(count, Integral)):
            raise InputError(f"{name} must be a whole number, got {count!r}")
        if count is not None and not count > 0:
            raise InputError(f"{name} must be above 0, got {count}")
