"""Contrastive losses of two views: each row of one against all rows of the other.

Every function takes all rows of both views and gives one value a row; `own` picks the rows whose
values are wanted, as a process does that holds a part of the batch, while all stay to compare with.
"""

import torch
from torch import Tensor
from torch.nn import functional

from lossmith.functional.checks import in_dtype, product, same_shape
from lossmith.functional.embeddings import unit_rows

ALL = slice(None)


def nt_xent(
    input: Tensor, target: Tensor, *, temperature: Tensor | float, own: slice = ALL
) -> Tensor:
    """Return each pair's cross-entropy among the 2N − 1 other rows, the mean of its two views.

    Shapes: input (N, D), target (N, D) -> (N,), or as many as `own` picks.
    """
    first, second = _units(input, target)
    scale, same = in_dtype(temperature, first), _same(first, own)

    def seen(view: Tensor, other: Tensor) -> Tensor:
        across = product(view[own], other.T) / scale
        within = (product(view[own], view.T) / scale).masked_fill(same, -torch.inf)
        return torch.cat([across, within], 1).logsumexp(1) - _positives(across, own)

    return (seen(first, second) + seen(second, first)) / 2


def dcl(input: Tensor, target: Tensor, *, temperature: Tensor | float, own: slice = ALL) -> Tensor:
    """Return NT-Xent's value of each pair with its positive left out of the denominators.

    A pair alone has nothing to be told from: its value is 0.

    Shapes: input (N, D), target (N, D) -> (N,), or as many as `own` picks.
    """
    first, second = _units(input, target)
    scale, same = in_dtype(temperature, first), _same(first, own)
    if len(first) < 2:
        return (first * second)[own].sum(1) * 0

    def seen(view: Tensor, other: Tensor) -> Tensor:
        across, within = (product(view[own], rows.T) / scale for rows in (other, view))
        others = [part.masked_fill(same, -torch.inf) for part in (across, within)]
        return torch.cat(others, 1).logsumexp(1) - _positives(across, own)

    return (seen(first, second) + seen(second, first)) / 2


def info_nce(
    input: Tensor, target: Tensor, *, temperature: Tensor | float, own: slice = ALL
) -> Tensor:
    """Return −log softmax over target's rows of each input row's cosines, at its own target row.

    Shapes: input (N, D), target (N, D) -> (N,), or as many as `own` picks.
    """
    first, second = _units(input, target)
    return _found(first, second, in_dtype(temperature, first), own)


def clip(input: Tensor, target: Tensor, *, temperature: Tensor | float, own: slice = ALL) -> Tensor:
    """Return the mean of InfoNCE from input to target and from target to input.

    Shapes: input (N, D), target (N, D) -> (N,), or as many as `own` picks.
    """
    first, second = _units(input, target)
    scale = in_dtype(temperature, first)
    return (_found(first, second, scale, own) + _found(second, first, scale, own)) / 2


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
    scores = product(first[own], second.T) / in_dtype(temperature, first) + in_dtype(bias, first)
    sign = 2 * _same(first, own).to(scores.dtype) - 1
    return -functional.logsigmoid(sign * scores).sum(1)


def queue_nce(
    input: Tensor, target: Tensor, queue: Tensor, *, temperature: Tensor | float
) -> Tensor:
    """Return −log softmax of each row's own target among it and a queue of others.

    Zero rows of the queue are empty: they do not count.

    Shapes: input (N, D), target (N, D), queue (K, D) -> (N,).
    """
    first, second = _units(input, target)
    queue = queue.to(first.dtype)
    scale = in_dtype(temperature, first)
    empty = (queue == 0).all(1)
    negatives = (product(first, queue.T) / scale).masked_fill(empty, -torch.inf)
    positive = (first * second).sum(1, keepdim=True) / scale
    return torch.cat([positive, negatives], 1).logsumexp(1) - positive.squeeze(1)


def _pairs(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check two batches of rows (N, D), and bring both to the dtype of computation."""
    first, second = same_shape(input, target)
    if first.ndim != 2:
        raise ValueError(
            f"input and target must be rows of embeddings (N, D), got {tuple(input.shape)}"
        )
    return first, second


def _units(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    first, second = _pairs(input, target)
    return unit_rows(first), unit_rows(second)


def _found(first: Tensor, second: Tensor, scale: Tensor | float, own: slice) -> Tensor:
    """Return −log of the probability with which each own row of the first finds its partner."""
    scores = product(first[own], second.T) / scale
    return scores.logsumexp(1) - _positives(scores, own)


def _positives(scores: Tensor, own: slice) -> Tensor:
    """Return each own row's score with its partner, of its scores with all rows."""
    return scores.diagonal(own.start or 0)


def _same(rows: Tensor, own: slice) -> Tensor:
    """Which of all rows is each own row itself."""
    places = torch.arange(len(rows), device=rows.device)
    return places[own].unsqueeze(1) == places
