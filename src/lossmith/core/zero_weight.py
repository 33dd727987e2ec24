"""Rows that weigh nothing, replaced before anything is computed of them, whatever they hold."""

from typing import Any

import torch
from torch import Tensor

from lossmith.core.tree import Data, tree_leaves, tree_map
from lossmith.functional.checks import is_concrete


def mask_zero_weight(input: Data, target: Data, weight: Tensor) -> tuple[Any, Any, Tensor]:
    """Return input, target and weight, rows of weight 0 replaced: by zeros, and by one that counts.

    A NaN there, or a target outside the loss's range, then reaches neither gradients nor checks.
    Where it is at hand that no row counts, an empty batch is left.
    """
    counts = weight != 0
    if _all(counts):
        return input, target, weight
    if is_concrete(counts) and not counts.any() and _rows_fit(input, target, weight):
        return tree_map(_none, input), tree_map(_none, target), _none(weight)
    first = counts.flatten().long().argmax().reshape(1)
    filled = tree_map(lambda rows: _filled(rows, counts, first), target)
    return _without(input, target, counts), filled, weight


def mask_ignored(input: Data, target: Data, own: Tensor | None) -> tuple[Any, Tensor | None]:
    """Return input and the weights of the targets themselves, None for these where all count alike.

    Rows of weight 0 are replaced by zeros; their targets stay, for the loss knows them.
    """
    if own is None or _all(own):
        return input, None if own is None or own.dtype == torch.bool else own
    return _without(input, target, own != 0), own


def _all(counts: Tensor) -> bool:
    return not counts.numel() or (is_concrete(counts) and bool(counts.all()))


def _rows_fit(input: Data, target: Data, weight: Tensor) -> bool:
    parts = (*tree_leaves(input), *tree_leaves(target))
    return weight.ndim > 0 and all(part.shape[:1] == weight.shape[:1] for part in parts)


def _none(rows: Tensor) -> Tensor:
    return rows[:0]


def _without(input: Data, target: Data, counts: Tensor) -> Any:
    return tree_map(lambda rows: _zeroed(rows, target, counts), input)


def _zeroed(input: Tensor, target: Data, counts: Tensor) -> Tensor:
    headed = isinstance(target, Tensor) and input.ndim == target.ndim + 1  # in dimension 1
    places = input.shape[:1] + input.shape[2:]
    if headed and counts.ndim > 1 and places[: counts.ndim] == counts.shape:
        counts = counts.unsqueeze(1)
    elif input.shape[: counts.ndim] != counts.shape:
        return input
    return torch.where(_over(counts, input), input, 0)


def _filled(target: Tensor, counts: Tensor, first: Tensor) -> Tensor:
    if target.shape[: counts.ndim] != counts.shape:
        return target
    each = target.reshape(-1, *target.shape[counts.ndim :])
    return torch.where(_over(counts, target), target, each.index_select(0, first)[0])


def _over(counts: Tensor, rows: Tensor) -> Tensor:
    return counts.reshape(counts.shape + (1,) * (rows.ndim - counts.ndim))
