r"""Influences of any metric by leaving out one unit at a time.

Of unit u with n_u of the n rows of U units, to first order in its weight,

.. math:: v_u = U (1 - n_u / n) \, (m - m_{-u})

exact for a mean, and U − 1 times the difference for units of equal size (Quenouille, 1956;
Tukey, 1958). One unit at a time: values of blocks of units are no values of units. It fails for
functions of a few order statistics, such as a median (Efron, 1982).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from lossmith.core.tree import tree_map

Array = np.ndarray
MOST = 400  # scores


def jackknife(
    score: Callable[[Any, Any], float],
    target: Any,
    prediction: Any,
    codes: Array,
    index: Array,
    most: int = MOST,
) -> Array:
    """Return the influence of each unit, (U,), which sum to zero.

    Of more units than `most` a sample is left out, times √(U / sample), and the others have
    none: sums of squares, of a score and of the difference of two, are then in expectation those
    of all units, and few units count as few.

    Args:
        score: of any rows of targets and predictions.
        target: n rows.
        prediction: n rows.
        codes: of the units, sorted, (U,).
        index: each row's place in codes, (n,).
        most: scores to take at most.
    """
    whole, found = score(target, prediction), np.zeros(len(codes))
    if len(codes) < 2 or not np.isfinite(whole):
        return found
    sampled, sizes = sample(codes, most), np.bincount(index)
    for unit in sampled:
        rows = np.flatnonzero(index != unit)
        change = whole - score(_take(target, rows), _take(prediction, rows))
        found[unit] = len(codes) * (1 - sizes[unit] / len(index)) * change
    values = np.where(np.isfinite(found[sampled]), found[sampled], 0.0)
    found[sampled] = (values - values.mean()) * (len(codes) / len(sampled)) ** 0.5
    return found


def sample(codes: Array, most: int) -> Array:
    """Return the sorted places of at most so many units, drawn by their codes.

    A unit's lot is a hash of its code alone (SplitMix64, Steele, Lea & Flood, 2014), so that
    all candidates share the sample, and folds and repeats that share units share them there too
    (permanent random numbers, Brewer, Early & Joyce, 1972): the errors of a unit that recurs
    stay as correlated as they are.
    """
    if len(codes) <= most:
        return np.arange(len(codes))
    lots = codes.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        lots = (lots ^ (lots >> np.uint64(shift))) * np.uint64(factor)
    return np.sort(np.argsort(lots ^ (lots >> np.uint64(31)), kind="stable")[:most])


def _take(values: Any, rows: Array) -> Any:
    return tree_map(lambda part: part[_like(part, rows)], values)


def _like(part: Any, rows: Array) -> Any:
    return torch.from_numpy(rows) if isinstance(part, torch.Tensor) else rows
