"""A metric of which only the name is known: trials report its scores themselves."""

from typing import Any

import numpy as np

from lossmith.study.base.direction import Better
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.resolve import is_known
from lossmith.study.metrics.study_metric import Array, StudyMetric


class ReportedMetric(StudyMetric):
    """A score that trials report, one a row or one in all; it scores no outputs."""

    def __init__(self, name: str, better: Better) -> None:
        self.name = self.label = name
        self.better = better

    def _score(self, target: Any, prediction: Any) -> float:
        raise InputError(
            f"no metric is called {self.name!r}, so report(rows=…) or report(score=…), or name a "
            "metric that scores outputs"
        )

    def _influences(self, target: Any, prediction: Any, codes: Array, index: Array) -> Array:
        return np.zeros(len(codes))  # nothing is scored


def reported(metric: Any, better: Better | None) -> ReportedMetric | None:
    """Return the metric of a name that is none of ours and says which way it improves, or None.

    >>> reported("profit a customer", "higher")
    ReportedMetric('profit a customer', better='higher')
    >>> reported("mae", None) is None
    True
    """
    if not isinstance(metric, str) or better is None or is_known(metric):
        return None
    return ReportedMetric(metric, better)
