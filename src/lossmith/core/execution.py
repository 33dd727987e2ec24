"""How a loss is computed: in one operation, block by block, plainly, or over all ranks.

The four functions below are the four reductions, `terms` of the four kinds of losses. Each path
gives the same number; `lossmith.kernels.choice.explain` says which one a call took.
"""

from __future__ import annotations

import inspect
import math
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lossmith.core.left_out import without_ignored, without_left_out
from lossmith.core.ranks import Gather, several
from lossmith.core.reduce import joint, mass_of, or_one, reduce
from lossmith.core.tree import mapped
from lossmith.functional.checks import at_hand
from lossmith.kernels.blocks import blockwise, choose_blocks, worth_blocks
from lossmith.kernels.choice import transformed

if TYPE_CHECKING:
    from lossmith.core.loss import Coupled, Loss, Pointwise, SetLoss, Statistic

Terms = dict[str, Tensor]
OF_THE_CALL = ("own", "weight")  # what a function takes that is no attribute of the loss


def is_finite(value: Tensor) -> bool:
    """Return whether a loss is finite as far as Python may look without waiting for a device."""
    return not at_hand(value) or math.isfinite(value.item())


def weighted_mean(loss: Pointwise, input: Any, target: Any, weight: Any, denominator: Any) -> Terms:
    """Return the weighted mean of values of independent rows, by name."""
    if weight is not None:
        input, target, weight = without_left_out(input, target, weight)
    if worth_blocks(input):
        mean = _by_blocks(loss, input, target, weight, denominator)
        if mean is not None:
            return {loss.card.key: mean}
    elif weight is None and denominator is None:
        mean = at_once(loss, input, target)
        if mean is not None:
            return {loss.card.key: mean}
    own = loss.weights(target)
    if own is not None:
        input, own = without_ignored(input, target, own)
    return _reduced(loss, loss.values(input, target), own, weight, denominator)


def coupled_mean(loss: Coupled, input: Any, target: Any, weight: Any, denominator: Any) -> Terms:
    """Return the weighted mean of values that depend on all rows, those of all ranks, by name."""
    if not (loss.gather and several()):
        own = loss.weights(target)
        return _reduced(loss, loss.values(input, target), own, weight, denominator)
    gather = Gather.of(input)
    input, target = mapped(gather, input), mapped(gather, target)
    own = loss.weights(target)  # of rows among all ranks': whether there is a pair
    own = None if own is None else own[gather.own]
    values = loss.values(input, target, gather.own)
    return _reduced(loss, values, own, weight, denominator, ranks=True)


def statistic(loss: Statistic, input: Any, target: Any, weight: Any, denominator: Any) -> Terms:
    """Return one number of the weighted sample, or several by name."""
    _refuse_denominator(loss, denominator)
    input, target, weight = _of_all_ranks(loss, input, target, weight)
    if weight is not None:
        input, target, weight = without_left_out(input, target, weight)
    return _named(loss, loss.value(input, target, weight))


def set_value(loss: SetLoss, input: Any, target: Any, weight: Any, denominator: Any) -> Terms:
    """Return one number of the batch as a whole, or several by name."""
    _refuse_denominator(loss, denominator)
    if weight is not None:
        owner = type(loss).__name__
        raise ValueError(f"{owner} is one number of the batch as a whole; it takes no weight")
    input, target, _ = _of_all_ranks(loss, input, target, None)
    return _named(loss, loss.value(input, target))


def call(loss: Loss, input: Any, target: Any, **more: Any) -> Any:
    """Return a loss's function of what it is given, and of the hyperparameters that it takes."""
    function = loss.function
    given = numbers(loss, taken(function)) | more
    if loss.card.target is None:
        return function(input, **given)
    return function(input, target, **given)


def values_of_rows(loss: Coupled, input: Any, target: Any, own: slice) -> Any:
    """Return the function's values of some rows: without forming the others' where it can."""
    if "own" in taken(loss.function):
        return call(loss, input, target, own=own)
    return mapped(lambda values: values[own], call(loss, input, target))


def numbers(loss: Loss, names: tuple[str, ...]) -> dict[str, Any]:
    """Return attributes by name: numbers as Python has them, unless a compiler traces.

    There, and under torch.func, they stay tensors, so that a schedule compiles nothing again.
    """
    own, given = loss.__dict__, {}
    look = not (torch.compiler.is_compiling() or _stacked())
    for name in names:
        if name in OF_THE_CALL:
            continue
        value = own[name] if name in own else getattr(loss, name)
        if look and name in loss._numbers:
            value = value.item()
        given[name] = value
    return given


@cache
def taken(function: Any) -> tuple[str, ...]:
    """Return the names of a function's keyword-only arguments: hyperparameters, state, CALLS."""
    everything = inspect.signature(function).parameters.values()
    return tuple(one.name for one in everything if one.kind is one.KEYWORD_ONLY)


def _stacked() -> bool:
    return torch._C._functorch.peek_interpreter_stack() is not None


def at_once(loss: Pointwise, input: Any, target: Any) -> Tensor | None:
    """Return the mean where the loss's own class states one operation that forms it, else None.

    An inherited one may not be the mean of the values that a subclass states.
    """
    stated = vars(type(loss)).get("mean_function")
    if stated is None or transformed():
        return None
    mean: Tensor | None = loss.mean_function(
        input, target, **numbers(loss, taken(loss.mean_function))
    )
    return mean


def _by_blocks(
    loss: Pointwise, input: Any, target: Any, weight: Any, denominator: Any
) -> Tensor | None:
    """Return the weighted mean block by block; None where the whole at once is as good."""
    fixed = chain(loss.parameters(), (weight, denominator))
    first = choose_blocks(loss.values, fixed, input, target)
    if first is None:
        return None
    like = first.expand(len(input), *first.shape[1:])
    weight = joint(like, loss.weights(target), weight)
    count = or_one(mass_of(like, weight)) if denominator is None else denominator

    def share(input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        input, weight = without_ignored(input, target, weight)
        return reduce(loss.values(input, target), weight=weight, denominator=count)

    return blockwise(share, input, target, weight)


def _reduced(
    loss: Loss, values: Any, own: Any, weight: Any, denominator: Any, ranks: bool = False
) -> Terms:
    """Return the weighted mean of values, or of several by name."""
    means = {}
    for name, part in _named(loss, values).items():
        both = None if own is None and weight is None else joint(part, own, weight)
        means[name] = reduce(part, weight=both, denominator=denominator, ranks=ranks)
    return means


def _named(loss: Loss, found: Any) -> Terms:
    return {loss.card.key: found} if isinstance(found, Tensor) else found


def _of_all_ranks(loss: Any, *given: Any) -> tuple[Any, ...]:
    if not (loss.gather and several()):
        return given
    gather = Gather.of(given[0])
    return tuple(mapped(gather, part) for part in given)


def _refuse_denominator(loss: Loss, denominator: Any) -> None:
    if denominator is not None:
        raise ValueError(
            f"{type(loss).__name__} is one number of the whole batch, not a mean over rows: it has "
            "no denominator; give it the whole batch at once"
        )
