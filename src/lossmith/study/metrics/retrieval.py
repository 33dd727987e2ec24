"""Metrics of ranked lists, each a mean over queries.

Targets are (Q, I) relevances of I items to each of Q queries, 0 for none, negative for no item;
or (Q,) the place of the one relevant item. Predictions are (Q, I) scores, higher first. Of equal
scores the less relevant item comes first, so that a constant earns nothing. Queries to which no
item is relevant do not count.
"""

from abc import abstractmethod

import numpy as np
from torch import Tensor

from lossmith.study.metrics.reading import class_codes, has_classes, same_shape
from lossmith.study.metrics.study_metric import has_nan
from lossmith.study.metrics.sums import AtK, ratio

Array = np.ndarray


def relevances(name: str, target: Array, prediction: Array) -> Array:
    """Return (Q, I) relevances, also of targets (Q,) that are places.

    Raises:
        InputError: where they are of other shapes than the predictions.
    """
    if target.ndim == 1 and has_classes(target, prediction):
        target = class_codes(name, target)[:, None] == np.arange(prediction.shape[1])
    same_shape(name, target, prediction)
    return target.astype(np.float64)


class Ranked(AtK):
    """A mean over queries of a function of the relevances in the order of the scores."""

    better = "higher"

    def statistics(self, target: Array, prediction: Array) -> Array:
        """Return each query's value, and whether it counts, (Q, 2)."""
        relevance = relevances(self.name, target, prediction)
        scores = np.where(relevance < 0, -np.inf, prediction.astype(np.float64))
        relevance = np.maximum(relevance, 0)
        order = np.lexsort((relevance, -scores), axis=1)
        ranked = np.take_along_axis(relevance, order, axis=1)
        held = (relevance > 0).any(axis=1)
        return np.stack([np.where(held, self.queries(ranked), 0), held], axis=1)

    def _diverged(self, prediction: Array) -> bool:
        """Return whether a score is NaN; infinite ones have their place."""
        return has_nan(prediction)

    @abstractmethod
    def queries(self, ranked: Array) -> Array:
        """Return the value of each query from its relevances in order, (Q, I)."""

    def value(self, sums: Tensor) -> Tensor:
        """Return the mean over the queries that count."""
        return ratio(sums[0], sums[1])


class Recall(Ranked):
    r"""The share of a query's relevant items that are among its first k.

    .. math:: m = \operatorname*{mean}_q \frac{|R_q \cap \mathrm{top}_k|}{|R_q|}
    """

    name, label, needs_k = "recall", "recall", True

    def queries(self, ranked: Array) -> Array:
        """Return the share found."""
        hit = ranked > 0
        return hit[:, : self.k].sum(axis=1) / np.maximum(hit.sum(axis=1), 1)


class Precision(Ranked):
    r"""The share of a query's first k items that are relevant.

    .. math:: m = \operatorname*{mean}_q \frac{|R_q \cap \mathrm{top}_k|}{k}
    """

    name, label, needs_k = "precision", "precision", True

    def queries(self, ranked: Array) -> Array:
        """Return the share that is relevant."""
        return (ranked[:, : self.k] > 0).sum(axis=1) / self.k


class HitRate(Ranked):
    r"""The share of queries with a relevant item among the first k; "recall at k" of embeddings.

    .. math:: m = \operatorname*{mean}_q 1[R_q \cap \mathrm{top}_k \ne \emptyset]

    Source: Jégou, Douze & Schmid, Product Quantization for Nearest Neighbor Search, 2011.
    """

    name, label, needs_k = "hit_rate", "hit rate", True

    def queries(self, ranked: Array) -> Array:
        """Return whether one is found."""
        return np.any(ranked[:, : self.k] > 0, axis=1)


class MRR(Ranked):
    r"""The inverse of the place of a query's first relevant item, 0 beyond the first k.

    .. math:: m = \operatorname*{mean}_q \frac{1}{\min_{i \in R_q} \mathrm{place}_i}

    Source: Voorhees, The TREC-8 Question Answering Track Report, 1999.
    """

    name, label = "mrr", "MRR"

    def queries(self, ranked: Array) -> Array:
        """Return the inverse place."""
        hit = ranked[:, : self.k] > 0
        return hit.any(axis=1) / (1 + hit.argmax(axis=1))


class MAP(Ranked):
    r"""Average precision of each query.

    .. math:: m = \operatorname*{mean}_q \frac{1}{\min(k, |R_q|)} \sum_{i \in R_q,\,
        \mathrm{place}_i \le k} \mathrm{precision}_q(\mathrm{place}_i)

    Source: Manning, Raghavan & Schütze, Introduction to Information Retrieval, 2008, section 8.4.
    """

    name, label = "map", "MAP"

    def queries(self, ranked: Array) -> Array:
        """Return the mean of the precisions at the relevant items."""
        hit = ranked > 0
        places = np.arange(1, 1 + hit.shape[1])
        found = (hit * hit.cumsum(axis=1) / places)[:, : self.k].sum(axis=1)
        return found / np.clip(hit.sum(axis=1), 1, self.k)


class MAPAtR(MAP):
    r"""Average precision of each query among its first R items, R the number of relevant ones.

    .. math:: m = \operatorname*{mean}_q \frac{1}{|R_q|} \sum_{i \in R_q,\,
        \mathrm{place}_i \le |R_q|} \mathrm{precision}_q(\mathrm{place}_i)

    Source: Musgrave, Belongie & Lim, A Metric Learning Reality Check, 2020.
    """

    name, label = "map_at_r", "MAP at R"

    def queries(self, ranked: Array) -> Array:
        """Return the mean of the precisions at the relevant items among the first R."""
        hit = ranked > 0
        places, most = np.arange(1, 1 + hit.shape[1]), hit.sum(axis=1)
        seen = hit * (places <= most[:, None])
        return (seen * hit.cumsum(axis=1) / places).sum(axis=1) / np.maximum(most, 1)


class NDCG(Ranked):
    r"""Discounted relevance of the first k items over that of the best order.

    .. math:: m = \operatorname*{mean}_q \frac{\mathrm{DCG}_q}{\max \mathrm{DCG}_q} \qquad
        \mathrm{DCG}_q = \sum_{j \le k} \frac{\mathrm{rel}_{q(j)}}{\log_2(j + 1)}

    Source: Järvelin & Kekäläinen, Cumulated Gain-based Evaluation of IR Techniques, 2002, with
    gains as they are; pass relevances 2^grade − 1 for exponential ones.
    """

    name, label = "ndcg", "NDCG"

    def queries(self, ranked: Array) -> Array:
        """Return the ratio of the discounted gains."""
        discount = 1 / np.log2(2 + np.arange(ranked.shape[1]))
        best = -np.sort(-ranked, axis=1)
        gained, most = ((part * discount)[:, : self.k].sum(axis=1) for part in (ranked, best))
        return gained / np.where(most > 0, most, 1)
