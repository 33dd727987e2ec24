"""Two classes, and more: one class a row."""

from typing import Any

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.tasks.base import Array, Baseline, TableTask
from lossmith.study.tasks.candidate import Candidate

MINIMISERS = {
    "weighted_kappa": "its value, counted with probabilities: de la Torre, Puig & Valls, Weighted "
    "Kappa Loss Function, 2018"
}
MINIMUM_CLASS_ROWS = 5  # about one row a fold


class Classes(TableTask):
    """The default gives probabilities, or those under equal class sizes where the metric asks.

    start: the loss of probabilities.
    """

    kind = int
    start: str

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

    def baseline(self, metric: Any) -> Baseline:
        """Return the loss whose value the metric is, or of the probabilities that it asks for."""
        if metric.minimiser:
            return Baseline(metric.minimiser, MINIMISERS[metric.minimiser], elicited=True)
        if metric.elicits == "balanced":
            what = "probabilities under equal class sizes"
            return Baseline("balanced_softmax", what, elicited=True)
        decides = ", by which it decides" if metric.elicits == "decision" else ""
        return Baseline(self.start, f"probabilities{decides}", elicited=True)

    def default(self, metric: Any, classes: int | None) -> Candidate:
        """Return the loss of what the metric elicits."""
        return Candidate(key=self.baseline(metric).loss, classes=classes)

    def common(self, classes: int | None) -> Candidate:
        """Return cross-entropy."""
        return Candidate(key=self.start, classes=classes)
