"""Ranking: relevances of the items of each query, ordered by scores."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from lossmith.catalogue.names import loss_class
from lossmith.core.loss import Loss
from lossmith.study.base.errors import InputError
from lossmith.study.metrics import Metric
from lossmith.study.tasks.arrays import ArrayTask, Baseline
from lossmith.study.tasks.base import Array, TableTask
from lossmith.study.tasks.candidate import Candidate
from lossmith.study.tasks.lists import ListedCandidate, list_length

MINIMUM_QUERIES = 20  # that have an order to learn; two or three a fold

LAMBDA = Baseline(
    "lambda_loss",
    "bounds NDCG: Wang et al., The LambdaLoss Framework, 2018; what gradient boosting ranks with",
)
SOFTMAX = Baseline(
    "listnet", "bounds MRR and NDCG: Bruch et al., 2019; TF-Ranking's and recommenders' softmax"
)


class Ranking(ArrayTask):
    """Relevances (Q, I) of I items to each of Q queries, 0 for none, negative for no item."""

    name = "ranking"
    sample = "lists"
    wanted = "relevances (queries, items), 0 for none and negative for no item,"
    start = "listnet"
    defaults: ClassVar[Mapping[str, Baseline]] = {
        "ndcg": LAMBDA,
        **dict.fromkeys(("mrr", "map", "recall", "precision", "hit_rate"), SOFTMAX),
    }

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are relevances."""
        fine = isinstance(target, np.ndarray) and target.ndim == 2 and target.dtype.kind in "biuf"
        return fine and bool((target > 0).any())

    def admits(self, kind: type[Loss], target: Any) -> bool:
        """Tell whether a loss reads scores and relevances."""
        return kind.card.input == "scores" and kind.card.target == "counts"


class RankingTable(TableTask):
    """A column of relevances of rows that are items of queries: targets (N, 2); scores (N,)."""

    name, kind, numbers, single = "ranking", float, True, False
    pointwise = ("mse",)  # losses of single items, that lists must beat

    def losses(self) -> dict[str, type[Loss]]:
        """Return the losses of lists, and those of single items beside them."""
        return super().losses() | {key: loss_class(key) for key in self.pointwise}

    def check(self, target: Array) -> None:
        """Raise InputError for relevances that make no order in enough queries."""
        if target[:, 0].min() < 0:
            raise InputError("relevances are 0 or above, 0 for none")
        found = pd.DataFrame({"relevance": target[:, 0], "query": target[:, 1]})
        differ = int((found.groupby("query")["relevance"].nunique() > 1).sum())
        if differ < MINIMUM_QUERIES:
            raise InputError(
                f"{differ} queries hold rows of different relevance; a study needs "
                f"{MINIMUM_QUERIES}"
            )

    def admits(self, kind: type[Loss], target: Array) -> bool:
        """Tell whether a loss reads scores and relevances, or single items."""
        return kind.card.key in self.pointwise or Ranking().admits(kind, target)

    def baseline(self, metric: Any) -> Baseline:
        """Return what bounds the metric, or what people start with."""
        return Ranking.defaults[metric.name.partition("@")[0]]

    def default(self, metric: Metric, classes: int | None) -> Candidate:
        """Return the loss to beat."""
        return Candidate(key=self.baseline(metric).loss)

    def common(self, classes: int | None) -> Candidate:
        """Return the softmax over lists."""
        return Candidate(key=Ranking.start)

    def list_length(self, target: Array) -> int:
        """Return how long the lists of queries are, filled up."""
        return list_length(target)

    def told(self, candidate: Candidate, target: Array) -> Candidate:
        """Return a candidate that knows how long lists are."""
        length = self.list_length(target)
        return ListedCandidate(key=candidate.key, hypers=candidate.hypers, length=length)
