"""Losses that order the items of a list: by pairs, by whole lists, by smooth ranking metrics."""

import math
from abc import ABC

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Choice, Real

SIGMA = Real(default=1.0, low=0.0, exclusive=True, doc="steepness of the logistic in score gaps")
ORDERED = [[2.0, 1.0, 0.0]]
GRADES = [[2.0, 1.0, 0.0]]


class ListLoss(Pointwise, ABC):
    """A loss with one value a list; a list from which nothing can be learnt has weight 0."""

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for lists in which no two items differ in relevance, 1 for the others."""
        return F.has_pair(target)


class RankNet(ListLoss):
    r"""Logistic loss of each pair of items that differ in relevance.

    .. math:: \ell(s, y) = \frac{1}{|P|} \sum_{(i, j) \in P} \log(1 + e^{-\sigma (s_i - s_j)})
        \qquad P = \{(i, j): y_i > y_j\}

    Shapes: input (N, L) of scores, target (N, L) of relevance; below 0 is padding. One value a
    list, in nats: the mean over its pairs. Lists without a pair have weight 0. Pairs of equal
    relevance are left out; the paper allows them a target of 1/2.

    Use when: Any order of two items is worth as much as any other: pairs ranked right.
    Avoid when: Only the top of a list is looked at; LambdaLoss or ApproxNDCG weigh it more.
    Source: Burges, Shaked, Renshaw, Lazier, Deeds, Hamilton, Hullender, Learning to Rank using
    Gradient Descent (2005).

    >>> RankNet()(torch.tensor([[1.0, 0.0]]), torch.tensor([[1, 0]]))
    tensor(0.3133)
    """

    function = staticmethod(F.ranknet)
    sigma: Real = SIGMA
    card = Card(
        key="ranknet",
        tasks=("ranking",),
        input="scores",
        target="counts",
        example=Example(
            input=ORDERED,
            target=GRADES,
            value=(2 * math.log1p(math.exp(-1)) + math.log1p(math.exp(-2))) / 3,
        ),
    )


class MarginRanking(ListLoss):
    r"""Hinge loss of each pair of items that differ in relevance: the ranking SVM.

    .. math:: \ell(s, y) = \frac{1}{|P|} \sum_{(i, j) \in P} \max(0, m - (s_i - s_j))
        \qquad P = \{(i, j): y_i > y_j\}

    Shapes: input (N, L) of scores, target (N, L) of relevance; below 0 is padding. One value a
    list, in the unit of the scores: the mean over its pairs. Lists without a pair have weight 0.

    Use when: Pairs that are ranked right by a margin should stop to matter.
    Avoid when: Scores should go on growing apart, or the top of the list matters most.
    Source: Herbrich, Graepel, Obermayer, Large Margin Rank Boundaries for Ordinal Regression
    (2000).

    >>> MarginRanking()(torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[2, 1, 0]]))
    tensor(0.3333)
    """

    function = staticmethod(F.margin_ranking)
    margin: Real = Real(
        default=1.0,
        low=0.0,
        doc="gap of scores from which on a pair costs nothing. The paper's is 1; torch's "
        "`margin_ranking_loss` has 0 by default, which all scores alike satisfy",
    )
    card = Card(
        key="margin_ranking",
        tasks=("ranking",),
        input="scores",
        target="counts",
        example=Example(input=[[1.0, 1.0, 0.0]], target=GRADES, value=1 / 3),
    )


class ListNet(ListLoss):
    r"""Cross-entropy between the chances of relevance and of scores to be the top item.

    .. math:: \ell(s, y) = -\sum_i \mathrm{softmax}(y)_i \log \mathrm{softmax}(s)_i

    Shapes: input (N, L) of scores, target (N, L) of relevance; below 0 is padding. One value a
    list, in nats. Lists of fewer than two items have weight 0; a list of equal relevance teaches
    equal scores. The least value is the entropy of softmax(y), not 0. It is the paper's top-one
    form with φ = exp.

    Use when: Lists are long and cheap training matters: it needs no pairs.
    Avoid when: Grades are only an order: it reads their differences as log-odds.
    Source: Cao, Qin, Liu, Tsai, Li, Learning to Rank: From Pairwise Approach to Listwise Approach
    (2007).

    >>> ListNet()(torch.zeros(1, 2), torch.tensor([[1, 0]]))
    tensor(0.6931)
    """

    function = staticmethod(F.listnet)
    card = Card(
        key="listnet",
        tasks=("ranking",),
        input="scores",
        target="counts",
        example=Example(input=[[0.0, 0.0, 0.0]], target=GRADES, value=math.log(3)),
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for lists of fewer than two items, 1 for the others."""
        return F.has_two(target)


class ListMLE(ListLoss):
    r"""Negative log-likelihood of the right order, items drawn one after the other by softmax.

    .. math:: \ell(s, y) = \sum_i \Bigl( \log \sum_{j: y_j \le y_i} e^{s_j} - s_i \Bigr)

    Shapes: input (N, L) of scores, target (N, L) of relevance; below 0 is padding. One value a
    list, in nats: the sum over its items. Lists without a pair to order have weight 0.

    Where no relevances are equal it is the paper's. Equal ones have no order: each of them is
    drawn from all items that are not more relevant (Breslow's approximation in a Cox model), so
    that no chance of sorting enters. Other code sorts ties at random or as they stand.

    Use when: The whole order is known and counts, as in a race or a ranking by people.
    Avoid when: Few grades and long lists: most of the sum is about ties.
    Source: Xia, Liu, Wang, Zhang, Li, Listwise Approach to Learning to Rank: Theory and Algorithm
    (2008).

    >>> ListMLE()(torch.zeros(1, 2), torch.tensor([[1, 0]]))
    tensor(0.6931)
    """

    function = staticmethod(F.listmle)
    card = Card(
        key="listmle",
        tasks=("ranking",),
        input="scores",
        target="counts",
        example=Example(input=[[0.0, 0.0, 0.0]], target=GRADES, value=math.log(6)),
    )


class LambdaLoss(ListLoss):
    r"""Pairs weighed by what their exchange would change in NDCG: the NDCG-Loss2 family.

    .. math:: \ell(s, y) = \sum_{y_i > y_j} w_{ij} |G_i - G_j| \log_2(1 + e^{-\sigma(s_i - s_j)})
        \qquad G_i = \frac{2^{y_i} - 1}{\mathrm{maxDCG}}

    with D(r) = log2(1 + r), ranks r by the scores themselves, and w_ij one of

    - "ndcg2": δ_ij = 1/D(\|r_i − r_j\|) − 1/D(\|r_i − r_j\| + 1), the bound on NDCG;
    - "lambdarank": ρ_ij = \|1/D(r_i) − 1/D(r_j)\|;
    - "ndcg2++": ρ_ij + mu·δ_ij.

    Shapes: input (N, L) of scores, target (N, L) of relevance; below 0 is padding. One value a
    list: the sum over its pairs. Lists without a pair have weight 0. Ranks are constants of the
    gradient; items of equal scores share their mean rank, and count as neighbours.

    Use when: NDCG is the metric.
    Avoid when: Lists are very long: it holds all pairs of a list.
    Source: Wang, Li, Golbandi, Bendersky, Najork, The LambdaLoss Framework for Ranking Metric
    Optimization (2018).

    >>> LambdaLoss()(torch.tensor([[1.0, 0.0]]), torch.tensor([[1, 0]]))
    tensor(0.1668)
    """

    function = staticmethod(F.lambda_loss)
    scheme: Choice = Choice(
        default="ndcg2", choices=("ndcg2", "lambdarank", "ndcg2++"), doc="how pairs are weighed"
    )
    sigma: Real = SIGMA
    mu: Real = Real(default=10.0, low=0.0, doc='share of δ in "ndcg2++"')
    card = Card(
        key="lambda_loss",
        tasks=("ranking",),
        input="scores",
        target="counts",
        # gain 1 at rank 1, maxDCG 1, neighbours: w = 1 - 1/log2(3)
        example=Example(
            input=[[1.0, 0.0, -1.0]],
            target=[[1.0, 0.0, -1.0]],
            value=(1 - 1 / math.log2(3)) * math.log2(1 + math.exp(-1)),
        ),
    )


class ApproxNDCG(ListLoss):
    r"""One minus NDCG with ranks made smooth by a sigmoid of score gaps.

    .. math:: \ell(s, y) = 1 - \sum_i \frac{G_i}{\log_2(1 + r_i)} \qquad
        r_i = 1 + \sum_{j \ne i} \frac{1}{1 + e^{-\alpha (s_j - s_i)}} \qquad
        G_i = \frac{2^{y_i} - 1}{\mathrm{maxDCG}}

    Shapes: input (N, L) of scores, target (N, L) of relevance; below 0 is padding. One value a
    list, between 0 and 1. Lists without a relevant item have weight 0, as NDCG is not defined.

    Use when: NDCG is the metric and the scores stay within a few units.
    Avoid when: Training starts far off: wrong pairs with a wide gap have no gradient.
    Source: Qin, Liu, Li, A General Approximation Framework for Direct Optimization of Information
    Retrieval Measures (2010).

    >>> ApproxNDCG()(torch.tensor([[1.0, 0.0]]), torch.tensor([[1, 0]]))
    tensor(3.2663e-05)
    """

    function = staticmethod(F.approx_ndcg)
    alpha: Real = Real(
        default=10.0,
        low=0.0,
        exclusive=True,
        doc="steepness; NDCG itself at infinity. The paper fixes no one value; 10 is the default "
        "of TensorFlow Ranking (a temperature of 0.1), allRank has 1",
    )
    card = Card(
        key="approx_ndcg",
        tasks=("ranking",),
        input="scores",
        target="counts",
        # all ranks are 1 + 1/2 + 1/2 = 2
        example=Example(
            input=[[0.0, 0.0, 0.0]],
            target=GRADES,
            value=1 - 4 / math.log2(3) / (3 + 1 / math.log2(3)),
        ),
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for lists without a relevant item, 1 for the others."""
        return F.has_relevant(target)


class SmoothAP(ListLoss):
    r"""One minus average precision with ranks made smooth by a sigmoid of score gaps.

    .. math:: \ell(s, y) = 1 - \frac{1}{|P|} \sum_{i \in P} \frac{1 + \sum_{j \in P, j \ne i}
        g(s_j - s_i)}{1 + \sum_{j \ne i} g(s_j - s_i)} \qquad
        g(d) = \frac{1}{1 + e^{-d / \tau}}, \; P = \{i: y_i > 0\}

    Shapes: input (N, L) of scores, target (N, L) of relevance: above 0 is relevant, below 0
    padding. One value a list, between 0 and 1. Lists without a relevant item have weight 0. For
    retrieval a list is a query: its scores are the cosines to all others of the batch, the query
    itself marked as padding.

    Use when: Average precision or recall at k is the metric, as in image retrieval.
    Avoid when: Scores are not cosines and the temperature cannot be set to their scale.
    Source: Brown, Xie, Kalogeiton, Zisserman, Smooth-AP: Smoothing the Path Towards Large-Scale
    Image Retrieval (2020).

    >>> SmoothAP()(torch.tensor([[0.5, 0.5]]), torch.tensor([[1, 0]]))
    tensor(0.3333)
    """

    function = staticmethod(F.smooth_ap)
    temperature: Real = Real(
        default=0.01,
        low=0.0,
        exclusive=True,
        doc="width of the sigmoid in the unit of the scores; the paper's 0.01 is for cosines",
    )
    card = Card(
        key="smooth_ap",
        tasks=("ranking", "metric_learning"),
        input="scores",
        target="counts",
        # the relevant item ties with two others: soft rank 1 + 1/2 + 1/2
        example=Example(input=[[0.0, 0.0, 0.0]], target=[[1.0, 0.0, 0.0]], value=0.5),
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for lists without a relevant item, 1 for the others."""
        return F.has_relevant(target)


class GBCE(ListLoss):
    r"""Generalised binary cross-entropy: sampled negatives without the overconfidence they bring.

    .. math:: \ell(s, y) = -\frac{1}{L} \Bigl( \beta \sum_{y_i > 0} \log\sigma(s_i) +
        \sum_{y_i = 0} \log(1 - \sigma(s_i)) \Bigr) \qquad \beta = 1 - t (1 - \alpha)

    Shapes: input (N, L) of scores, target (N, L) of relevance: above 0 is relevant, 0 a sampled
    negative, below 0 padding. One value a list, in nats: the mean over its items. Lists that are
    all padding have weight 0; a place of a sequence is a list of its next item and the negatives.

    Where k negatives are drawn of the many items not relevant, cross-entropy learns probabilities
    that are too high by far, of all items alike, and scores saturate. At t = 1 the probabilities
    are those of all items, at t = 0 it is binary cross-entropy.

    Use when: A recommender is trained on sampled negatives, as SASRec is.
    Avoid when: All items fit in memory: cross-entropy over them needs no sample.
    Source: Petrov, Macdonald, gSASRec: Reducing Overconfidence in Sequential Recommendation Trained
    with Negative Sampling (2023).

    >>> GBCE(sampling_rate=0.2, calibration=1.0)(torch.zeros(1, 2), torch.tensor([[1, 0]]))
    tensor(0.4159)
    """

    function = staticmethod(F.gbce)
    sampling_rate: Real = Real(
        low=0.0,
        high=1.0,
        doc="α, the share of all negatives that is drawn: k of n items that are not relevant, k/n",
    )
    calibration: Real = Real(
        default=0.75,
        low=0.0,
        high=1.0,
        doc="t, from plain cross-entropy at 0 to calibrated probabilities at 1; gSASRec's is 0.75",
    )
    card = Card(
        key="gbce",
        tasks=("ranking",),
        input="scores",
        target="counts",
        # beta 1 - 1 (1 - 0.2) = 0.2
        example=Example(
            arguments={"sampling_rate": 0.2, "calibration": 1.0},
            input=[[0.0, 0.0, 0.0]],
            target=[[1.0, 0.0, 0.0]],
            value=2.2 * math.log(2) / 3,
        ),
        studied=False,
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for lists that are all padding, 1 for the others."""
        return F.has_item(target)
