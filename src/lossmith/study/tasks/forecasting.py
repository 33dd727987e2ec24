"""Forecasting: several numbers a row, as the steps of a horizon or the places of key points."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from torch import nn

from lossmith.catalogue.names import loss_class
from lossmith.core.loss import Loss
from lossmith.losses.regression.transformed import TransformedTarget
from lossmith.study.metrics.study_metric import StudyMetric, to_array
from lossmith.study.tasks.arrays import ArrayTask, Baseline
from lossmith.study.tasks.candidate import Candidate

MEAN = Baseline("mse", "the mean", elicited=True)
MEDIAN = Baseline("mae", "the median", elicited=True)
QUANTILES = Baseline("quantile", "these quantiles", elicited=True)
DISTRIBUTIONS = ("wql", "crps", "interval", "mase")  # that tables do not have
STEPS = 48  # of a horizon that are scored one by one
STEP = "step "  # before its number


class Forecasting(ArrayTask):
    """Numbers (N, H), centred and scaled together by the training rows.

    Losses of several outputs a number, as those of a distribution, have a flat head of all.
    """

    name, numbers = "regression", True
    sample = "paths"
    wanted = (
        "numbers (N, H), where H is 2 or more (of one number a row (N,)), or under mase a dict of "
        "value and scale,"
    )
    start = "mse"
    defaults: ClassVar[Mapping[str, Baseline]] = {
        **dict.fromkeys(("rmse", "r2"), MEAN),
        **dict.fromkeys(("mae", "medae", "mase"), MEDIAN),
        "smape": Baseline("mae", "M4, 2020; its median is nearly what the metric asks for"),
        **dict.fromkeys(("pinball", "wql", "interval"), QUANTILES),
        "crps": Baseline("quantile_crps", "its value: Laio & Tamea, 2007", elicited=True),
    }

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are finite numbers."""
        values = self.learned(target)
        fine = (
            isinstance(values, np.ndarray) and values.ndim in (1, 2) and values.dtype.kind in "fiu"
        )
        return fine and values.shape[1:] != (1,) and bool(np.isfinite(values).all())

    def suits(self, metric: StudyMetric, target: Any) -> bool:
        """Tell whether metric and targets are of this task: of one number a row, tables' own."""
        if not super().suits(metric, target):
            return False
        return self.learned(target).ndim == 2 or metric.name.partition("@")[0] in DISTRIBUTIONS

    def learned(self, target: Any) -> Any:
        """Return the numbers alone, of a dict of value and scale."""
        named = isinstance(target, Mapping) and set(target) == {"value", "scale"}
        return target["value"] if named else target

    def shown(self, target: Any) -> str:
        """Return what is looked at: paths, of one number a row how far its quantiles span."""
        return self.sample if self.learned(target).ndim == 2 else "spans"

    def trains(self, kind: type[Loss]) -> bool:
        """Tell whether a loss reads numbers of any sign."""
        return super().trains(kind) and kind.card.target == "values"

    def width(self, loss: Loss, target: Any) -> int:
        """Return the outputs of all numbers together."""
        parted = isinstance(loss, TransformedTarget) and loss.columns > 1
        return loss.out_features if parted else loss.out_features * self._columns(target)

    def default(self, metric: StudyMetric, target: Any) -> Candidate:
        """Return what the metric asks for, at its levels."""
        key, level = self.baseline(metric).loss, metric.levels or metric.level
        return self.one(key, target, {"level": level} if key == "quantile" else None)

    def variants(
        self, key: str, kind: type[Loss], metric: Any, target: Any, classes: int | None
    ) -> list[Candidate]:
        """Return one loss at the values that its card lists."""
        found = super().variants(key, kind, metric, target, classes)
        return [self.one(key, target, one.hypers) for one in found]

    def one(self, key: str, target: Any, hypers: Mapping[str, Any] | None = None) -> Candidate:
        """Return a loss that sees the numbers centred and scaled."""
        given = self.told(loss_class(key), target)
        return Candidate(key=key, hypers=hypers or {}, given=given, function="identity")

    def told(self, kind: type[Loss], target: Any) -> dict[str, Any]:
        """Return how many numbers the flat head of a row is of."""
        return {"columns": self._columns(target)}

    def read(
        self, metric: StudyMetric, loss: nn.Module, prediction: Any, target: Any
    ) -> tuple[Any, Any]:
        """Return targets and predictions, points at each level that the metric asks for."""
        found = to_array(prediction)
        if metric.levels and found.shape == to_array(self.learned(target)).shape:
            found = np.stack([found] * len(metric.levels), axis=1)
        return target, found

    def beside(self, metric: StudyMetric, target: Any, prediction: Any) -> dict[str, float]:
        """Return what the metric says beside its score, and the score of each step."""
        found, steps = super().beside(metric, target, prediction), self._columns(target)
        if not 1 < steps <= STEPS:
            return found
        values, named = self.learned(target), isinstance(target, Mapping)
        for h in range(steps):
            own = {**target, "value": values[:, h]} if named else values[:, h]
            found[f"{STEP}{h + 1}"] = metric.score(own, prediction[..., h])
        return found

    def _columns(self, target: Any) -> int:
        values = self.learned(target)
        return int(values.shape[1]) if values.ndim == 2 else 1
