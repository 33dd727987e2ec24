"""Forecasting: several numbers a row, as the steps of a horizon or the places of key points."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from lossmith.core.loss import Loss
from lossmith.study.tasks.arrays import ArrayTask, Baseline
from lossmith.study.tasks.candidate import Candidate

MEAN = Baseline("mse", "the mean, which the metric asks for")
MEDIAN = Baseline("mae", "the median, which the metric asks for")


class Forecasting(ArrayTask):
    """Numbers (N, H), centred and scaled together by the training rows."""

    name = "regression"
    sample = "paths"
    wanted = "numbers (N, H)"
    start = "mse"
    defaults: ClassVar[Mapping[str, Baseline]] = {
        **dict.fromkeys(("rmse", "r2"), MEAN),
        **dict.fromkeys(("mae", "medae"), MEDIAN),
        "smape": Baseline("mae", "the median nearly; what forecasters start with: M4, 2020"),
    }

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are finite numbers, several a row."""
        fine = isinstance(target, np.ndarray) and target.ndim == 2 and target.dtype.kind == "f"
        return fine and bool(np.isfinite(target).all())

    def trains(self, kind: type[Loss]) -> bool:
        """Tell whether a loss reads one output for each number."""
        plain = (kind.card.input, kind.card.target) == ("values", "values")
        wide = {"members", "levels"} & set(kind.hyperparameters)  # heads of several outputs
        return super().trains(kind) and plain and not wide

    def width(self, loss: Loss, target: Any) -> int:
        """Return one output a number."""
        return int(target.shape[1])

    def variants(
        self, key: str, kind: type[Loss], metric: Any, target: Any, classes: int | None
    ) -> list[Candidate]:
        """Return one loss at the values that its card lists."""
        found = super().variants(key, kind, metric, target, classes)
        return [replace(one, function="identity") for one in found]

    def one(self, key: str, target: Any) -> Candidate:
        """Return a loss that sees the numbers centred and scaled."""
        return Candidate(key=key, function="identity")
