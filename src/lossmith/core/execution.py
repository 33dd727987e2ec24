"""How a loss is computed: in one operation, block by block, plainly, or over all ranks.

The four functions below are the four reductions, `terms` of the four kinds of losses. Each path
gives the same number; `lossmith.kernels.choice.explain` says which one a call took.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.compiler import is_dynamo_compiling

from lossmith.core.distributed import Gather, all_reduce_sum, is_distributed, named
from lossmith.core.reduce import combine_weights, nonzero, reduce, total_weight
from lossmith.core.tree import tree_map
from lossmith.core.zero_weight import mask_ignored, mask_zero_weight
from lossmith.kernels import choice
from lossmith.kernels.blocks import FEW, blockwise, choose_blocks

if TYPE_CHECKING:
    from lossmith.core.bases import Coupled, Pointwise, SetLoss, Statistic
    from lossmith.core.loss import Loss

Terms = dict[str, Tensor]
_peek = torch._C._functorch.peek_interpreter_stack  # what torch.func transforms, if anything
_LARGE = torch.finfo(torch.float32).max / 100  # from here values are held
OF_THE_CALL = ("own", "weight")  # what a function takes that is no attribute of the loss


def weighted_mean(loss: Pointwise, input: Any, target: Any, weight: Any, denominator: Any) -> Terms:
    """Return the weighted mean of values of independent rows, by name."""
    look = not is_dynamo_compiling()
    here = look and _peek() is None and type(weight) is Tensor and weight.is_cpu
    if weight is not None and not (here and weight.all()):
        input, target, weight = mask_zero_weight(input, target, weight)
    small = isinstance(input, Tensor) and input.numel() < FEW and not choice.listeners
    if look and not small:
        mean = _by_blocks(loss, input, target, weight, denominator)
        if mean is not None:
            return {loss.card.key: mean}
    own = loss.weights(target) if loss.has_weights else None
    if own is not None:
        input, own = mask_ignored(input, target, own)
    values = loss.values(input, target)
    if own is None and isinstance(values, Tensor):
        return {loss.card.key: reduce(values, weight=weight, denominator=denominator)}
    return _reduced(loss, values, own, weight, denominator)


def coupled_mean(loss: Coupled, input: Any, target: Any, weight: Any, denominator: Any) -> Terms:
    """Return the weighted mean of values that depend on all rows, those of all ranks, by name."""
    ranks = named(loss.gather)
    if not is_distributed(ranks):
        own = loss.weights(target)
        return _reduced(loss, loss.values(input, target), own, weight, denominator)
    gather = _gathering(loss, ranks, input, target)
    input, target = tree_map(gather, input), tree_map(gather, target)
    own = loss.weights(target)  # of rows among all ranks': whether there is a pair
    own = None if own is None else own[gather.own]
    values = loss.values(input, target, gather.own)
    return _reduced(loss, values, own, weight, denominator, ranks)


def statistic(loss: Statistic, input: Any, target: Any, weight: Any, denominator: Any) -> Terms:
    """Return one number of the weighted sample, or several by name."""
    _refuse_denominator(loss, denominator)
    input, target, weight = _of_all_ranks(loss, input, target, weight)
    if weight is not None:
        input, target, weight = mask_zero_weight(input, target, weight)
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
    if "function" not in loss.takes:
        raise TypeError(f"{type(loss).__name__} states no function, nor writes what it computes")
    function = loss.function
    look = not (is_dynamo_compiling() or _peek() is not None)
    given = numbers(loss, loss.takes["function"], look) | more
    if loss.card.target is None:
        return function(input, **given)
    return function(input, target, **given)


def values_of_rows(loss: Coupled, input: Any, target: Any, own: slice) -> Any:
    """Return the function's values of some rows: without forming the others' where it can."""
    if "own" in loss.takes.get("function", ()):
        return call(loss, input, target, own=own)
    found = call(loss, input, target)
    return found if own == slice(None) else tree_map(lambda values: values[own], found)


def numbers(loss: Loss, takes: Mapping[str, Any], look: bool) -> dict[str, Any]:
    """Return attributes by name: numbers as Python has them where it may look.

    Under a compiler and torch.func they stay tensors, so that a schedule compiles nothing again.
    What is no attribute, or is the default itself, has the function's default.
    """
    own, given = loss.__dict__, {}
    at_hand = own["_numbers"] if look else ()
    for name in takes:
        if name in at_hand:
            given[name] = own[name].item()
        elif name in own:
            if own[name] is not takes[name]:
                given[name] = own[name]
        elif name in own["_buffers"]:
            given[name] = own["_buffers"][name]
        elif name in OF_THE_CALL:
            continue
        elif takes[name] is Parameter.empty:
            given[name] = getattr(loss, name)
        else:
            given[name] = getattr(loss, name, takes[name])
    return given


def at_once(loss: Loss, input: Any, target: Any) -> Tensor | None:
    """Return the mean by the one operation that the loss's own class states, None where it can't.

    It is asked before anything is checked, and what it refuses is left to the checks. On a CPU many
    numbers are left to blocks, and a mean that is not finite, or of values so large that they are
    held, to the values.
    """
    if _peek() is not None or forward_ad._current_level >= 0 or choice.listeners:
        return None  # under torch.func, or `explain` is to hear of blocks
    count = 0  # of what is at hand
    if type(input) is type(target) is Tensor:
        if input.is_cpu and not 0 < (count := input.numel()) < FEW:
            return None
    elif isinstance(input, Tensor) and input.is_cpu:
        return None
    try:
        given = numbers(loss, loss.takes["mean_function"], True)
        mean = loss.mean_function(input, target, **given)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return None  # of wrong data the checks and the values have more to say
    if count and mean is not None and not -_LARGE < mean.item() * count < _LARGE:
        return None
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
    weight = combine_weights(like, loss.weights(target), weight)
    count = nonzero(total_weight(like, weight)) if denominator is None else denominator

    def share(input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        input, weight = mask_ignored(input, target, weight)
        return reduce(loss.values(input, target), weight=weight, denominator=count)

    return blockwise(share, input, target, weight)


def _reduced(
    loss: Loss, values: Any, own: Any, weight: Any, denominator: Any, ranks: Any = False
) -> Terms:
    """Return the weighted mean of values, or of several by name."""
    if isinstance(values, Tensor):
        values = {loss.card.key: values}
    means = {}
    for name, part in values.items():
        both = weight if own is None else combine_weights(part, own, weight)
        means[name] = reduce(part, weight=both, denominator=denominator, ranks=ranks)
    return means


def _named(loss: Loss, found: Any) -> Terms:
    return {loss.card.key: found} if isinstance(found, Tensor) else found


def _of_all_ranks(loss: Any, *given: Any) -> tuple[Any, ...]:
    ranks = named(loss.gather)
    if not is_distributed(ranks):
        return given
    gather = _gathering(loss, ranks, *given)
    return tuple(tree_map(gather, part) for part in given)


def _gathering(loss: Loss, ranks: Any, *data: Any) -> Gather:
    """Return what brings the rows of all ranks together, where they call the same."""
    mode = "training" if loss.training else "evaluation"
    slopes = "" if torch.is_grad_enabled() else " without gradients"
    return Gather.of(*data, ranks=ranks, told=f"{loss.card.key} in {mode}{slopes}")


def agreed(loss: Loss, fine: bool) -> bool:
    """Return whether all ranks say so, where they share a batch: all go on, or none."""
    ranks = named(getattr(loss, "gather", False))
    if not is_distributed(ranks):
        return fine
    return not all_reduce_sum(torch.tensor(float(not fine)), ranks).item()


def _refuse_denominator(loss: Loss, denominator: Any) -> None:
    if denominator is not None:
        raise ValueError(
            f"{type(loss).__name__} is one number of the whole batch, not a mean over rows: it has "
            "no denominator; give it the whole batch at once"
        )
