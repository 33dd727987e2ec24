"""Rows that weigh nothing, replaced before anything is computed of them, whatever they hold."""

from typing import Any

import torch
from torch import Tensor

from lossmith.core.tree import Data, mapped
from lossmith.functional.checks import at_hand


def without_left_out(input: Data, target: Data, weight: Tensor) -> tuple[Any, Any]:
    """Return input and target, rows of weight 0 replaced: by zeros, and by a target that counts.

    A NaN there, or a target outside the loss's range, then reaches neither gradients nor checks.
    """
    counts = weight != 0
    if not counts.numel() or (at_hand(counts) and bool(counts.all())):
        return input, target
    first = counts.flatten().long().argmax().reshape(1)
    return (
        mapped(lambda rows: _zeroed(rows, counts), input),
        mapped(lambda rows: _filled(rows, counts, first), target),
    )


def _zeroed(input: Tensor, counts: Tensor) -> Tensor:
    if counts.ndim > 1 and input.shape[:1] + input.shape[2:] == counts.shape:
        return torch.where(counts.unsqueeze(1), input, 0)  # a head's dimension
    if input.shape[: counts.ndim] != counts.shape:
        return input
    return torch.where(_over(counts, input), input, 0)


def _filled(target: Tensor, counts: Tensor, first: Tensor) -> Tensor:
    if target.shape[: counts.ndim] != counts.shape:
        return target
    each = target.reshape(-1, *target.shape[counts.ndim :])
    return torch.where(_over(counts, target), target, each.index_select(0, first)[0])


def _over(counts: Tensor, rows: Tensor) -> Tensor:
    return counts.reshape(counts.shape + (1,) * (rows.ndim - counts.ndim))
