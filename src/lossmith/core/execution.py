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
OF_THE_CALL = ("own", "weight")  # what a function takes that is no attribute of the loss


def weighted_mean(loss: Pointwise, input: Any, target: Any, weight: Any, denominator: Any) -> Terms:
    """Return the weighted mean of values of independent rows, by name."""
    look, mean = not torch.compiler.is_dynamo_compiling(), None
    here = look and _peek() is None and type(weight) is Tensor and weight.is_cpu
    if weight is not None and not (here and weight.all()):
        input, target, weight = mask_zero_weight(input, target, weight)
    if look:
        small = isinstance(input, Tensor) and input.numel() < FEW and not choice.listeners
        if not small:
            mean = _by_blocks(loss, input, target, weight, denominator)
        alone = mean is None and weight is None and denominator is None
        if alone and (small or not _on_cpu(input)) and "mean_function" in vars(type(loss)):
            mean = at_once(loss, input, target)
    if mean is not None:
        return {loss.card.key: mean}
    own = loss.weights(target)
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
    look = not (torch.compiler.is_dynamo_compiling() or _peek() is not None)
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
    What is no attribute has its default.
    """
    own, buffers, known, given = loss.__dict__, loss._buffers, loss._numbers, {}
    for name, default in takes.items():
        if name in own:
            value = own[name]
        elif name in buffers:
            value = buffers[name]
        elif name in OF_THE_CALL:
            continue
        elif default is Parameter.empty:
            value = getattr(loss, name)
        else:
            value = getattr(loss, name, default)
        given[name] = value.item() if look and name in known else value
    return given


def at_once(loss: Pointwise, input: Any, target: Any) -> Tensor | None:
    """Return the mean by the one operation that the loss's own class states, None where it can't.

    An inherited one is not asked: it may not be the mean of the values that a subclass states.
    """
    if _peek() is not None or forward_ad._current_level >= 0:  # under torch.func
        return None
    mean_function = loss.mean_function
    given = numbers(loss, loss.takes["mean_function"], look=True)
    mean: Tensor | None = mean_function(input, target, **given)
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


def _on_cpu(input: Any) -> bool:
    return not isinstance(input, Tensor) or input.is_cpu


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
