"""The metrics of ranked lists for tables, whose rows are the items of queries."""

from typing import Any, Self

import numpy as np

from lossmith.core.card import Task
from lossmith.study.metrics.base import Metric
from lossmith.study.metrics.retrieval import MAP, MRR, NDCG, HitRate, Precision, Ranked, Recall

Array = np.ndarray


class Listed(Metric):
    """A mean over queries; targets (n, 2) are a relevance and a query a row, predictions (n,).

    A query's influence is shared out evenly among its rows.
    """

    tasks: tuple[Task, ...] = ("ranking",)
    best = 1.0

    def __init__(self, of: Ranked) -> None:
        self.of = of
        self.name, self.label, self.better = of.name, of.label, of.better

    def at(self, level: str) -> Self:
        """Return the metric of the first so many items."""
        return type(self)(type(self.of).parse(level))

    def score(self, target: Array, prediction: Any) -> float:
        """Return the score of one model."""
        query, place, shape = layout(target[:, 1])
        return self.of.score(*self._lists(target, prediction, query, place, shape))

    def influences(self, target: Array, prediction: Any) -> Array:
        """Return each row's part in its query's influence on the score, (n,)."""
        query, place, shape = layout(target[:, 1])
        found = self.of.influences(*self._lists(target, prediction, query, place, shape))
        return found[query] * (len(query) / shape[0]) / np.bincount(query)[query]

    def constant_score(self, target: Array) -> float:
        """Return the score of equal scores, of which the less relevant items come first."""
        return self.score(target, np.zeros(len(target)))

    def _lists(
        self, target: Array, prediction: Any, query: Array, place: Array, shape: tuple[int, int]
    ) -> tuple[Array, Array]:
        relevance, scores = np.full(shape, -1.0), np.zeros(shape)
        relevance[query, place] = target[:, 0]
        scores[query, place] = prediction
        return relevance, scores


def layout(queries: Array) -> tuple[Array, Array, tuple[int, int]]:
    """Return each row's query, by number, and place in it, and how many there are at most.

    >>> query, place, shape = layout(np.array([7, 3, 7]))
    >>> query.tolist(), place.tolist(), shape
    ([1, 0, 1], [0, 0, 1], (2, 2))
    """
    _, query, sizes = np.unique(queries, return_inverse=True, return_counts=True)
    order = np.argsort(query, kind="stable")
    place = np.empty(len(query), dtype=int)
    place[order] = np.arange(len(query)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return query, place, (len(sizes), int(sizes.max()))


METRICS = tuple(
    Listed(one) for one in (NDCG(), MRR(), MAP(), Recall(10), Precision(10), HitRate(10))
)
