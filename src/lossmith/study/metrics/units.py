r"""Units: what is independent in a validation set, and what each adds to a score.

A unit is a row, or all rows of a patient, query, user or document. Influences are given one a
unit, in the sorted order of the units' codes, and sum to zero. They are scaled so that the score
with them on top, averaged over the U units, is the score, and that their mean over other units
drawn alike is the score's sampling error:

.. math:: v_u = \frac{U}{n} \sum_{i \in u} r_i
    \qquad \hat\sigma^2 = \frac{1}{U^2} \sum_u v_u^2

where r are the influences of the n rows: a row's value less the mean, for a mean. With one row a
unit v is r. Units of more rows weigh more, as in the score itself. A paired test by units takes
score + v of two candidates, and the sorted codes of the units as the numbers of its rows.
"""

import numpy as np

from lossmith.study.base.errors import InputError

Array = np.ndarray


def unit_numbers(rows: int, units: Array | None) -> tuple[Array, Array]:
    """Return the sorted codes of the units, (U,), and the place of each row's among them, (n,).

    Raises:
        InputError: where units are not one integer a row.
    """
    if units is None:
        return np.arange(rows), np.arange(rows)
    units = np.asarray(units)
    if units.shape != (rows,) or not np.issubdtype(units.dtype, np.integer):
        raise InputError(
            f"units must be one integer for each of the {rows} rows, got {units.dtype} of shape "
            f"{units.shape}; code names by numpy.unique(names, return_inverse=True)[1]"
        )
    codes, index = np.unique(units, return_inverse=True)
    return codes, index


def unit_sums(values: Array, index: Array, count: int) -> Array:
    """Return the sums of (n, k) values over the rows of each unit, (U, k)."""
    if len(values) == count and np.array_equal(index, np.arange(count)):
        return values
    return np.stack([np.bincount(index, column, count) for column in values.T], axis=1)


def of_units(influences: Array, index: Array, count: int) -> Array:
    """Return the influences of units, (U,), from those of their rows, (n,)."""
    return unit_sums(influences[:, None], index, count)[:, 0] * (count / len(influences))


def rows_measure(rows: Array, units: Array | None = None) -> tuple[float, Array]:
    """Return the mean of one score a row, and what each unit adds to it, (U,).

    >>> score, influences = rows_measure(np.array([1.0, 2.0, 6.0]), np.array([7, 3, 3]))
    >>> score, influences.tolist()
    (3.0, [1.3333333333333333, -1.3333333333333333])

    Raises:
        InputError: where rows are not one number each.
    """
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 1 or not len(rows):
        raise InputError(f"rows must be one score for each validation row, got shape {rows.shape}")
    codes, index = unit_numbers(len(rows), units)
    score = float(rows.mean())
    if not np.isfinite(score):
        return score, np.zeros(len(codes))
    return score, of_units(rows - score, index, len(codes))
