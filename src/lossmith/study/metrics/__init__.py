"""What a study can optimise: scores of predictions, and how much each row moves them."""

from lossmith.study.metrics.base import CLASSES, REGRESSION, Metric, decide, lookup, metric, names
from lossmith.study.metrics.influence import influences

__all__ = ["CLASSES", "REGRESSION", "Metric", "decide", "influences", "lookup", "metric", "names"]
