"""What is measured of a trial: an error for each fold and epoch, and what each row adds to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from torch import Tensor

from lossmith.core.loss import Loss


class TrialKey(NamedTuple):
    """A candidate at one setting: its learning rate and which of its variants."""

    candidate: str
    learning_rate: float
    variant: int = 0


@dataclass
class TrialHistory:
    """What is known of one candidate at one setting.

    Errors are scores of the metric, turned so that lower is better; so are the rows' influences.
    parts: of several targets, the same by each target's own metric.
    """

    key: TrialKey
    errors: dict[int, dict[int, float]] = field(default_factory=dict)  # by fold and epoch
    influences: dict[int, dict[int, np.ndarray]] = field(default_factory=dict)  # of rows on them
    decisions: dict[int, dict[int, np.ndarray]] = field(default_factory=dict)
    outputs: dict[int, tuple[Loss, Tensor]] = field(default_factory=dict)  # of the first fold
    diverged: bool = False
    parts: tuple["TrialHistory", ...] = ()

    def of_target(self, place: int) -> "TrialHistory":
        """Return what is known by one target's metric; of a single target, all."""
        return self.parts[place] if self.parts else self

    def errors_by_epoch(self, folds: Sequence[int]) -> tuple[np.ndarray, list[int]]:
        """Return the errors as (folds, epochs) with the epochs that all folds have."""
        epochs = sorted(set.intersection(*(set(self.errors[fold]) for fold in folds)))
        rows = [[self.errors[fold][epoch] for epoch in epochs] for fold in folds]
        return np.array(rows), epochs

    def rank_error(self, folds: Sequence[int], until: float = np.inf) -> float:
        """Return the mean error at the best epoch; infinite if it diverged, however well before.

        until: the last epoch that counts.
        """
        if self.diverged:
            return np.inf
        errors, epochs = self.errors_by_epoch(folds)
        return float(errors[:, np.array(epochs) <= until].mean(axis=0).min(initial=np.inf))
