"""Contrastive losses of two views: each row of one against all rows of the other.

Every function takes all rows of both views and gives one value a row; `own` picks the rows whose
values are wanted, as a process does that holds a part of the batch, while all stay to compare with.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lossmith.functional.checks import divisor, paired_rows, tensor_like
from lossmith.functional.embeddings import unit_rows
from lossmith.functional.similarity import greatest_cosine, log_sums, softplus_sums

__all__ = ["clip", "dcl", "info_nce", "nt_xent", "queue_nce", "siglip"]

ALL = slice(None)


def nt_xent(
    input: Tensor, target: Tensor, *, temperature: Tensor | float, own: slice = ALL
) -> Tensor:
    """Return each pair's cross-entropy among the 2N − 1 other rows, the mean of its two views.

    Shapes: input (N, D), target (N, D) -> (N,), or as many as `own` picks.
    """
    positives, others = _two_views(input, target, temperature, own)
    return -logsigmoid(positives - others).mean(0)


def dcl(input: Tensor, target: Tensor, *, temperature: Tensor | float, own: slice = ALL) -> Tensor:
    """Return NT-Xent's value of each pair with its positive left out of the denominators.

    A pair alone has nothing to be told from: its value is 0.

    Shapes: input (N, D), target (N, D) -> (N,), or as many as `own` picks.
    """
    positives, others = _two_views(input, target, temperature, own)
    alone = others == torch.finfo(others.dtype).min
    return (others - positives).masked_fill(alone, 0).mean(0)


def info_nce(
    input: Tensor, target: Tensor, *, temperature: Tensor | float, own: slice = ALL
) -> Tensor:
    """Return −log softmax over target's rows of each input row's cosines, at its own target row.

    Shapes: input (N, D), target (N, D) -> (N,), or as many as `own` picks.
    """
    first, second = _units(input, target)
    return _found(first, second, divisor(temperature, first), own)


def clip(input: Tensor, target: Tensor, *, temperature: Tensor | float, own: slice = ALL) -> Tensor:
    """Return the mean of InfoNCE from input to target and from target to input.

    Shapes: input (N, D), target (N, D) -> (N,), or as many as `own` picks.
    """
    first, second = _units(input, target)
    scale = divisor(temperature, first)
    if own != ALL:
        return (_found(first, second, scale, own) + _found(second, first, scale, own)) / 2
    first, skip = first / scale, _places(first, own)
    there, back = log_sums(first, second, skip, columns=True, bound=greatest_cosine(scale))
    positives = (first * second).sum(1)
    return -(logsigmoid(positives - there) + logsigmoid(positives - back)) / 2


def siglip(
    input: Tensor,
    target: Tensor,
    *,
    temperature: Tensor | float,
    bias: Tensor | float,
    own: slice = ALL,
) -> Tensor:
    """Return each input row's binary cross-entropies over all target rows, summed.

    Shapes: input (N, D), target (N, D) -> (N,), or as many as `own` picks.
    """
    first, second = _units(input, target)
    first = first[own] / divisor(temperature, first)
    shift = tensor_like(bias, first)
    positives = (first * second[own]).sum(1) + shift
    return softplus_sums(first, second, shift, _places(second, own)) - logsigmoid(positives)


def queue_nce(
    input: Tensor, target: Tensor, queue: Tensor, *, temperature: Tensor | float
) -> Tensor:
    """Return −log softmax of each row's own target among it and a queue of others.

    Zero rows of the queue are empty: they do not count.

    Shapes: input (N, D), target (N, D), queue (K, D) -> (N,).
    """
    first, second = _units(input, target)
    first, queue = first / divisor(temperature, first), queue.to(first)
    empty = (queue == 0).all(1, keepdim=True)
    # One column more in each shifts the products with empty rows beyond any other.
    lowest = torch.zeros_like(queue[:, :1]).masked_fill(empty, torch.finfo(queue.dtype).min / 4)
    left = torch.cat([first, torch.ones_like(first[:, :1])], 1)
    none = torch.zeros(first.shape[0], 0, dtype=torch.long, device=first.device)
    negatives, _ = log_sums(left, torch.cat([queue, lowest], 1), none)
    return -logsigmoid((first * second).sum(1) - negatives)


def _units(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    first, second = paired_rows(input, target)
    return unit_rows(first), unit_rows(second)


def _two_views(
    input: Tensor, target: Tensor, temperature: Tensor | float, own: slice
) -> tuple[Tensor, Tensor]:
    """Return own rows' scores with their partners (n,), and log-sums over all others (2, n)."""
    first, second = paired_rows(input, target)
    scale = divisor(temperature, first)
    both = unit_rows(torch.stack([first, second])) / scale**0.5
    mine = both[:, own]
    numbers = torch.arange(2 * first.shape[0], device=first.device)
    pair = numbers.reshape(2, -1).T[own]  # a row and its partner, of either view
    each = None if own == ALL else both.flatten(0, 1)
    skip, bound = torch.cat([pair, pair]), greatest_cosine(scale)
    others, _ = log_sums(mine.flatten(0, 1), each, skip, bound=bound)
    one, other = mine.unbind()
    return (one * other).sum(1), others.reshape(2, -1)


def _found(left: Tensor, right: Tensor, scale: Tensor | float, own: slice) -> Tensor:
    """Return −log of the probability with which each own row of the left finds its partner."""
    left = left / scale
    bound = greatest_cosine(scale)
    others, _ = log_sums(left[own], right, _places(left, own), bound=bound)
    return -logsigmoid((left * right)[own].sum(1) - others)


def _places(rows: Tensor, own: slice) -> Tensor:
    """Return each own row's number, as a column."""
    return torch.arange(rows.shape[0], device=rows.device)[own].unsqueeze(1)
