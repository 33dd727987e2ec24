"""Smooth ranking metrics: NDCG and average precision."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Whole
from lossmith.losses.ranking._lists import EQUAL, GRADES, ListLoss


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
            input=EQUAL,
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
        example=Example(input=EQUAL, target=[[1.0, 0.0, 0.0]], value=0.5),
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for lists without a relevant item, 1 for the others."""
        return F.has_relevant(target)


class NeuralNDCG(ListLoss):
    r"""One minus NDCG of a soft order of the items: a sorted list in which each place mixes some.

    .. math:: \ell(s, y) = 1 - \sum_i \frac{1}{\log_2(1 + i)} \sum_j P_{ij} G_j \qquad
        P = \mathrm{Sinkhorn}(\hat P), \; \hat P_{ij} = \mathrm{softmax}_j \Bigl( \frac{(n + 1 -
        2 i) s_j - \sum_k |s_j - s_k|}{\tau} \Bigr), \; G_j = \frac{2^{y_j} - 1}{\mathrm{maxDCG}}

    Shapes: input (N, L) of scores, target (N, L) of relevance; below 0 is padding. One value a
    list, between 0 and 1. Lists without a relevant item have weight 0, as NDCG is not defined.
    An iteration takes two products with N matrices of L².

    NeuralSort's order has rows that sum to 1; Sinkhorn's iteration makes the columns too, so that
    no item is at two places. allRank stops it within 1e-6, after at most as many iterations. Its
    transposed form, expected discounts of items instead of expected gains of places, is the same
    number; the stochastic one is not part of this.

    Use when: NDCG is the metric, and pairs of items tell too little of the whole order.
    Avoid when: Lists are long: its iterations take many times as long as LambdaLoss.
    Source: Pobrotyn, Białobrzeski, NeuralNDCG: Direct Optimisation of a Ranking Metric via
    Differentiable Relaxation of Sorting (2021); the order: Grover, Wang, Zweig, Ermon, Stochastic
    Optimization of Sorting Networks via Continuous Relaxations (2019).

    >>> NeuralNDCG(temperature=0.3)(torch.tensor([[1.0, 0.0]]), torch.tensor([[1, 0]]))
    tensor(0.0127)
    """

    function = staticmethod(F.neural_ndcg)
    temperature: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="τ; towards 0 it is NDCG, and has no gradient"
    )
    iterations: Whole = Whole(default=50, low=0, doc="how often Sinkhorn's iteration scales")
    card = Card(
        key="neural_ndcg",
        tasks=("ranking",),
        input="scores",
        target="counts",
        # each place mixes all three items alike: gains of 4/3
        example=Example(
            input=EQUAL,
            target=GRADES,
            value=1 - 4 / 3 * (1.5 + 1 / math.log2(3)) / (3 + 1 / math.log2(3)),
        ),
        studied=False,  # it takes as long as ten other losses of lists
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for lists without a relevant item, 1 for the others."""
        return F.has_relevant(target)
