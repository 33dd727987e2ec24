"""Ranking: relevances of the items of each query, ordered by scores."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from lossmith.core.loss import Loss
from lossmith.study.tasks.arrays import ArrayTask, Baseline

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
