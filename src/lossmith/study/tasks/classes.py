"""Two classes, and more: one class a row."""

from typing import Any

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.tasks.base import Array, TableTask
from lossmith.study.tasks.candidate import Candidate

MINIMUM_CLASS_ROWS = 5  # about one row a fold


class Classes(TableTask):
    """The default gives probabilities, or those under equal class sizes where the metric asks.

    baseline: the loss of probabilities.
    """

    kind = int
    baseline: str

    def check(self, target: Array) -> None:
        """Raise InputError for targets that are no codes of classes, or of rare ones."""
        if np.issubdtype(target.dtype, np.floating) or target.min() < 0:
            raise InputError(f"classes must be integers from 0, got targets of {target.dtype}")
        counts = np.bincount(target)
        if len(counts) < 2 or counts.min() < MINIMUM_CLASS_ROWS:
            raise InputError(
                f"class {int(counts.argmin())} has {counts.min()} samples; "
                f"a study needs {MINIMUM_CLASS_ROWS} of each"
            )

    def default(self, metric: Any, classes: int | None) -> Candidate:
        """Return the loss of what the metric elicits."""
        balanced = metric.elicits == "balanced"
        return Candidate(key="balanced_softmax" if balanced else self.baseline, classes=classes)

    def common(self, classes: int | None) -> Candidate:
        """Return cross-entropy."""
        return Candidate(key=self.baseline, classes=classes)
