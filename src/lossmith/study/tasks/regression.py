"""Regression: one number a row, in the column's own unit."""

from typing import Any

import numpy as np
from scipy import stats

from lossmith.core.loss import Loss
from lossmith.study.base.errors import InputError
from lossmith.study.tasks.base import Array, Baseline, TableTask, grid
from lossmith.study.tasks.candidate import Candidate

SKEW = 1.0  # beyond which a target that is never negative is tried in logs
LEAST = {"counts": 0.0, "positive": np.nextafter(0.0, 1.0)}  # targets that a loss can be given
SCALES = {"log1p": " of log(1 + y)", "relative": " of errors relative to the target"}
MINIMISERS = {"mean": "mse", "median": "mae", "quantile": "quantile"}


class Regression(TableTask):
    """The default is the loss whose minimiser the metric elicits: the mean, median or quantile."""

    name, kind, numbers = "regression", float, True
    sample = "numbers"

    def check(self, target: Array) -> None:
        """Raise InputError where all targets are equal."""
        if (target == target[0]).all():
            raise InputError(f"every target is {target[0]:g}; there is nothing to learn")

    def baseline(self, metric: Any) -> Baseline:
        """Return the loss whose minimiser the metric elicits."""
        if metric.minimiser:
            what = "the mean under this deviance, which is twice its value"
            return Baseline(metric.minimiser, what, elicited=True)
        what = f"the {metric.elicits}" + SCALES.get(metric.transform, "")
        return Baseline(MINIMISERS[metric.elicits], what, elicited=True)

    def default(self, metric: Any, classes: int | None = None) -> Candidate:
        """Return the loss of what the metric elicits, on the metric's scale."""
        key = self.baseline(metric).loss
        if metric.minimiser:  # of counts and positive numbers, which must not be centred
            power = getattr(metric, "power", None)
            return Candidate(key=key, hypers={} if power is None else {"power": power})
        return Candidate(
            key=key,
            hypers={"level": metric.level} if metric.elicits == "quantile" else {},
            function=metric.transform if metric.transform == "log1p" else "identity",
            relative=metric.transform == "relative",
        )

    def common(self, classes: int | None = None) -> Candidate:
        """Return squared error."""
        return Candidate(key="mse", function="identity")

    def admits(self, kind: type[Loss], target: Array) -> bool:
        """Tell whether a loss can be trained on these targets: counts, positive, or any."""
        least = LEAST.get(str(kind.card.target), -np.inf)
        return self.trains(kind) and bool(target.min() >= least)

    def variants(
        self, key: str, kind: type[Loss], metric: Any, target: Array, classes: int | None
    ) -> list[Candidate]:
        """Return a loss at its values, of a skewed target also in logs."""
        hypers, card = grid(kind, metric.level), kind.card
        if card.target != "values":  # counts and positive numbers must not be centred
            return [Candidate(key=key, hypers=one) for one in hypers]
        moves = card.input == "values" and card.claims.elicits in MINIMISERS
        functions = ("identity", "log1p") if moves and _skewed(target) else ("identity",)
        return [Candidate(key=key, hypers=one, function=f) for f in functions for one in hypers]


def _skewed(target: Array) -> bool:
    return bool(target.min() >= 0 and stats.skew(target) > SKEW)
