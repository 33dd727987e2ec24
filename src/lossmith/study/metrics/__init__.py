"""What a study can optimise: scores of predictions, and how much each row moves them."""

from lossmith.study.metrics.base import Metric
from lossmith.study.metrics.catalogue import (
    check_task,
    lookup,
    metric,
    metric_unit,
    names,
)
from lossmith.study.metrics.classification import CLASSES
from lossmith.study.metrics.regression import REGRESSION
from lossmith.study.metrics.resolve import error_name, metric_name
from lossmith.study.metrics.tuning import decide, shifted

__all__ = [
    "CLASSES",
    "REGRESSION",
    "Metric",
    "check_task",
    "decide",
    "error_name",
    "lookup",
    "metric",
    "metric_name",
    "metric_unit",
    "names",
    "shifted",
]
