"""Ranking metrics made smooth: NDCG and average precision with ranks that have gradients."""

import math
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Paper
from lossmith.losses.ranking import ListLoss

GRADES = [[2.0, 1.0, 0.0]]


class ApproxNDCG(ListLoss):
    r"""One minus NDCG with ranks made smooth by a sigmoid of score gaps.

    .. math:: \ell(s, y) = 1 - \sum_i \frac{G_i}{\log_2(1 + r_i)} \qquad
        r_i = 1 + \sum_{j \ne i} \frac{1}{1 + e^{-\alpha (s_j - s_i)}} \qquad
        G_i = \frac{2^{y_i} - 1}{\mathrm{maxDCG}}

    Shapes: input (N, L) of scores, target (N, L) of relevance; below 0 is padding. One value a
    list, between 0 and 1. Lists without a relevant item have weight 0, as NDCG is not defined.

    Args:
        alpha: steepness; NDCG itself at infinity. The paper fixes no one value; 10
            is the default of TensorFlow Ranking (a temperature of 0.1), allRank has 1.

    Raises:
        ValueError: if input and target are not lists of one shape, or alpha is not positive.

    Source: Qin, Liu, Li, A General Approximation Framework for Direct Optimization of Information
    Retrieval Measures (2010).

    >>> ApproxNDCG()(torch.tensor([[1.0, 0.0]]), torch.tensor([[1, 0]]))
    tensor(3.2663e-05)
    """

    alpha: Tensor
    card: ClassVar[Card] = Card(
        key="approx_ndcg",
        tasks=("ranking",),
        target="counts",
        input="scores",
        formula="1 - sum_i G_i / log2(2 + sum_{j != i} sigmoid(alpha (s_j - s_i)))",
        use_when="NDCG is the metric and the scores stay within a few units.",
        avoid_when="Training starts far off: wrong pairs with a wide gap have no gradient.",
        paper=Paper(
            authors="T. Qin, T.-Y. Liu, H. Li",
            title="A General Approximation Framework for Direct Optimization of Information "
            "Retrieval Measures",
            year=2010,
        ),
        # all ranks are 1 + 1/2 + 1/2 = 2
        example=Example(
            input=[[0.0, 0.0, 0.0]],
            target=GRADES,
            value=1 - 4 / math.log2(3) / (3 + 1 / math.log2(3)),
        ),
        hypers={
            "alpha": Hyper(default=10.0, low=0.0, open=True, meaning="steepness of the soft rank")
        },
    )

    def __init__(self, *, alpha: Number = 10.0) -> None:
        super().__init__(alpha=alpha)

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for lists without a relevant item, 1 for the others."""
        return F.has_relevant(target)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return one minus the smooth NDCG of each list."""
        return F.approx_ndcg(input, target, alpha=self.alpha)


class SmoothAP(ListLoss):
    r"""One minus average precision with ranks made smooth by a sigmoid of score gaps.

    .. math:: \ell(s, y) = 1 - \frac{1}{|P|} \sum_{i \in P} \frac{1 + \sum_{j \in P, j \ne i}
        g(s_j - s_i)}{1 + \sum_{j \ne i} g(s_j - s_i)} \qquad
        g(d) = \frac{1}{1 + e^{-d / \tau}}, \; P = \{i: y_i > 0\}

    Shapes: input (N, L) of scores, target (N, L) of relevance: above 0 is relevant, below 0
    padding. One value a list, between 0 and 1. Lists without a relevant item have weight 0. For
    retrieval a list is a query: its scores are the cosines to all others of the batch, the query
    itself marked as padding.

    Args:
        temperature: width of the sigmoid in the unit of the scores; the paper's 0.01 is for
            cosines.

    Raises:
        ValueError: if input and target are not lists of one shape, or temperature is not
            positive.

    Source: Brown, Xie, Kalogeiton, Zisserman, Smooth-AP: Smoothing the Path Towards Large-Scale
    Image Retrieval (2020).

    >>> SmoothAP()(torch.tensor([[0.5, 0.5]]), torch.tensor([[1, 0]]))
    tensor(0.3333)
    """

    temperature: Tensor
    card: ClassVar[Card] = Card(
        key="smooth_ap",
        tasks=("ranking", "metric_learning"),
        target="counts",
        input="scores",
        formula="1 - mean over relevant i of soft rank among relevant / soft rank among all",
        use_when="Average precision or recall at k is the metric, as in image retrieval.",
        avoid_when="Scores are not cosines and the temperature cannot be set to their scale.",
        paper=Paper(
            authors="A. Brown, W. Xie, V. Kalogeiton, A. Zisserman",
            title="Smooth-AP: Smoothing the Path Towards Large-Scale Image Retrieval",
            year=2020,
        ),
        # the relevant item ties with two others: soft rank 1 + 1/2 + 1/2
        example=Example(input=[[0.0, 0.0, 0.0]], target=[[1.0, 0.0, 0.0]], value=0.5),
        hypers={
            "temperature": Hyper(
                default=0.01, low=0.0, open=True, meaning="width of the sigmoid, in scores"
            )
        },
    )

    def __init__(self, *, temperature: Number = 0.01) -> None:
        super().__init__(temperature=temperature)

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for lists without a relevant item, 1 for the others."""
        return F.has_relevant(target)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return one minus the smooth average precision of each list."""
        return F.smooth_ap(input, target, temperature=self.temperature)
