"""Survival: times to an event, some of them censored."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from torch import nn

from lossmith.core.loss import Loss
from lossmith.losses.survival.grid import Grid
from lossmith.study.metrics.study_metric import StudyMetric, to_array
from lossmith.study.tasks.arrays import ArrayTask, Baseline


class Survival(ArrayTask):
    """A dict of `time` and `event`, (N,) each; predictions are read as risks."""

    name = "survival"
    sample = ""
    wanted = "a dict of time and event, one each a row,"
    start = "cox"
    defaults: ClassVar[Mapping[str, Baseline]] = {
        "concordance": Baseline(
            "cox", "orders risks alone; what networks start with: DeepSurv, 2018"
        )
    }

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are times and events."""
        return isinstance(target, Mapping) and set(target) == {"time", "event"}

    def admits(self, kind: type[Loss], target: Any) -> bool:
        """Tell whether a loss reads censored times."""
        return isinstance(kind.card.target, Mapping) and not kind.card.needs

    def read(
        self, metric: StudyMetric, loss: nn.Module, prediction: Any, target: Any
    ) -> tuple[Any, Any]:
        """Return risks: Cox's own, and less the median or, on a grid, the mean time otherwise."""
        found = to_array(prediction)
        if isinstance(loss, Grid):
            ends = to_array(loss.times)
            before = np.concatenate([np.ones((len(found), 1)), found[:, :-1]], axis=1)
            return target, -((before + found) / 2 * np.diff(ends, prepend=0)).sum(axis=1)
        timed = isinstance(loss, Loss) and loss.card.input == "parameters"
        return target, -found if timed else found
