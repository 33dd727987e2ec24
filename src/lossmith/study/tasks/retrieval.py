"""Retrieval: embeddings whose nearest neighbours should be of the same class."""

from typing import Any

import numpy as np
from torch import nn

from lossmith.core.loss import Loss
from lossmith.study.metrics.study_metric import StudyMetric, to_array
from lossmith.study.tasks.arrays import ArrayTask, Baseline, whole

BY_DISTANCE = ("contrastive", "triplet")  # of embeddings as they are; the others take cosines
PAIRS = Baseline(
    "multi_similarity",
    "among the best when all are tuned alike: Musgrave et al., A Metric Learning Reality Check, "
    "2020",
)


class Retrieval(ArrayTask):
    """Classes (N,); every validation row is a query among the others of its fold."""

    name = "metric_learning"
    sample = "lists"
    wanted = "classes (N,) of whole numbers"
    start = "triplet"
    defaults = dict.fromkeys(("hit_rate", "recall", "precision", "mrr", "map", "map_at_r"), PAIRS)
    inferred = False  # a place among given items looks alike

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are classes."""
        return whole(target, 1)

    def admits(self, kind: type[Loss], target: Any) -> bool:
        """Tell whether a loss reads embeddings and classes, and learns nothing of their width."""
        reads = (kind.card.input, kind.card.target) == ("embeddings", "classes")
        return reads and not kind.card.learns

    def width(self, loss: Loss, target: Any) -> None:
        """Return None: embeddings have any width."""

    def read(
        self, metric: StudyMetric, loss: nn.Module, prediction: Any, target: Any
    ) -> tuple[Any, Any]:
        """Return which rows are of one class, the query itself no item, and how near they are."""
        target, found = to_array(target), to_array(prediction).astype(np.float64)
        relevant = (target[:, None] == target).astype(np.int64)
        np.fill_diagonal(relevant, -1)
        if isinstance(loss, Loss) and loss.card.key in BY_DISTANCE:
            squares = (found**2).sum(axis=1)
            return relevant, 2 * found @ found.T - squares[:, None] - squares
        sizes = np.linalg.norm(found, axis=1, keepdims=True)
        unit = found / np.where(sizes > 0, sizes, 1)
        return relevant, unit @ unit.T
