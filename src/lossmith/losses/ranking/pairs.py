"""Losses that order a list by pairs of its items."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Choice, Real
from lossmith.losses.ranking._lists import GRADES, ORDERED, ListLoss

SIGMA = Real(default=1.0, low=0.0, exclusive=True, doc="steepness of the logistic in score gaps")


class RankNet(ListLoss):
    r"""Logistic loss of each pair of items that differ in relevance.

    .. math:: \ell(s, y) = \frac{1}{|P|} \sum_{(i, j) \in P} \log(1 + e^{-\sigma (s_i - s_j)})
        \qquad P = \{(i, j): y_i > y_j\}

    Shapes: input (N, L) of scores, target (N, L) of relevance; below 0 is padding. One value a
    list, in nats: the mean over its pairs. Lists without a pair have weight 0. Pairs of equal
    relevance are left out; the paper allows them a target of 1/2.

    Use when: Any order of two items is worth as much as any other: pairs ranked right, as
    recommendations learned from clicks.
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


class WARP(ListLoss):
    r"""Hinge loss of pairs, weighed by how far down the list a relevant item is: WSABIE's.

    .. math:: \ell(s, y) = \frac{1}{|P|} \sum_{i \in P} \frac{L(r_i)}{r_i} \sum_{j \in Q}
        \max(0, m - (s_i - s_j)) \qquad L(r) = \sum_{k=1}^{r} \frac1k, \; r_i = \sum_{j \in Q}
        1[s_j + m \ge s_i]

    with P the relevant items and Q the others.

    Shapes: input (N, L) of scores, target (N, L) of relevance: above 0 is relevant, 0 not, below 0
    padding. One value a list, in the unit of the scores: the mean over its relevant items. Lists
    without both kinds have weight 0.

    Ranks are counted over the list, and are constants of the gradient. The paper's training,
    LightFM and others draw items until one is within the margin, and guess the rank by how many
    they drew: a sample of this loss, for catalogues too long to score.

    Use when: The top of a recommendation counts, and items are relevant or not.
    Avoid when: Relevance has grades; LambdaLoss weighs pairs by what they change in NDCG.
    Source: Weston, Bengio, Usunier, WSABIE: Scaling Up To Large Vocabulary Image Annotation (2011).

    >>> WARP()(torch.zeros(1, 3), torch.tensor([[1, 0, 0]]))  # rank 2: (1 + 1/2) / 2 * (1 + 1)
    tensor(1.5000)
    """

    function = staticmethod(F.warp)
    margin: Real = Real(
        default=1.0,
        low=0.0,
        doc="m, gap of scores from which on an item that is not relevant is below",
    )
    card = Card(
        key="warp",
        tasks=("ranking",),
        input="scores",
        target="counts",
        # the last item is above the first and within the margin: L(1) / 1 * (1 + 2)
        example=Example(input=[[-1.0, -4.0, 1.0]], target=[[1.0, 0.0, 0.0]], value=3.0),
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for lists without items of both kinds, 1 for the others."""
        return F.has_relevant_and_other(target)
