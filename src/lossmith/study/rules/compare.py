"""A trial's errors on some folds, and how two trials compare row by row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lossmith.study.rules.paired_test import Estimate, estimate


@dataclass(frozen=True, kw_only=True)
class FoldErrors:
    """A trial's errors, one a fold, with what each of the fold's rows adds to them.

    Each fold is read at the epoch that is best on the other folds, so that no error is the best of
    several on its own rows. best_epoch: the best on all folds together. by_ratio: whether errors
    of different folds differ by factors, so that their ratios compare.
    """

    errors: np.ndarray
    influences: tuple[np.ndarray, ...]
    rows: tuple[np.ndarray, ...]
    epochs: tuple[int, ...]
    best_epoch: int
    by_ratio: bool
    overlap: float = 0.0  # of the training rows of folds; see `estimate`

    @property
    def mean_error(self) -> Estimate:
        """The mean error with its interval."""
        return estimate(self._values(), self.rows, self.overlap)

    def difference(self, other: "FoldErrors") -> Estimate:
        """Estimate how far this error lies from another, negative where this one is better."""
        return self._between(self._values(), other._values())

    def log_ratio(self, other: "FoldErrors") -> Estimate | None:
        """Estimate the logarithm of this error over another; None where ratios do not compare.

        Nor do they where they name the other one as better than the mean error does, which is what
        is asked for: where most folds are near 0, their ratios say nothing of it.
        """
        if not self.by_ratio or min(self.errors.min(), other.errors.min()) <= 0:
            return None
        logs = self._between(self._logs(), other._logs())
        agree = logs.mean * float((self.errors - other.errors).mean()) > 0
        return logs if agree else None

    def p_value(self, other: "FoldErrors") -> float:
        """Return the one-sided p-value of being better than another."""
        return (self.log_ratio(other) or self.difference(other)).p_value

    def _between(self, ours: list[np.ndarray], theirs: list[np.ndarray]) -> Estimate:
        differences = [one - other for one, other in zip(ours, theirs, strict=True)]
        if _repeated(ours) and _repeated(theirs):
            differences = differences[:1]
        return estimate(differences, self.rows, self.overlap)

    def _values(self) -> list[np.ndarray]:
        return [e + part for e, part in zip(self.errors, self.influences, strict=True)]

    def _logs(self) -> list[np.ndarray]:
        return [np.log(e) + part / e for e, part in zip(self.errors, self.influences, strict=True)]


def _repeated(values: Sequence[np.ndarray]) -> bool:
    """Tell whether bare scores are all the same: one training, repeated, which proves nothing."""
    return all(len(one) == 1 and one[0] == values[0][0] for one in values)


def best_epochs(table: np.ndarray, epochs: Sequence[int]) -> tuple[list[int], int]:
    """Return for each fold the epoch that is best on the other folds, and the best on all.

    >>> best_epochs(np.array([[1.0, 2.0], [3.0, 1.0]]), [5, 10])
    ([10, 5], 10)
    """
    numbers = np.arange(len(table))
    others = [numbers[numbers != n] if len(numbers) > 1 else numbers for n in numbers]
    chosen = [epochs[int(table[rest].sum(axis=0).argmin())] for rest in others]
    return chosen, epochs[int(table.sum(axis=0).argmin())]
