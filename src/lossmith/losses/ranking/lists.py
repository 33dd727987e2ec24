"""Losses of whole lists: items drawn by their scores, one or all."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real
from lossmith.losses.ranking._lists import EQUAL, GRADES, ListLoss


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
        example=Example(input=EQUAL, target=GRADES, value=math.log(3)),
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
        example=Example(input=EQUAL, target=GRADES, value=math.log(6)),
    )


class PListMLE(ListLoss):
    r"""ListMLE whose draws count the more, the nearer the top they are: position-aware.

    .. math:: \ell(s, y) = \frac{1}{\sum_i \alpha_i} \sum_i \alpha_i \Bigl( \log
        \sum_{j: y_j \le y_i} e^{s_j} - s_i \Bigr) \qquad \alpha_i = 2^{n - \pi_i} - 1

    with place π_i of item i in the right order of the list's n items.

    Shapes: input (N, L) of scores, target (N, L) of relevance; below 0 is padding. One value a
    list, in nats: the weighted mean over its items. Lists without a pair to order have weight 0.

    The weights are the paper's, divided by their sum: by itself a list of 128 items has weights
    that no float32 holds, and counts 2¹⁰⁸ times as much as one of 20. sentence-transformers divides
    too, and has places from 0, so that α is 2^(n + 1 − π) − 1. Items of equal relevance have the
    mean of the weights of their places, and are drawn as in `ListMLE`.

    Use when: The whole order is known, and its top matters most.
    Avoid when: Lists are long and all of the order counts: beyond the first ten places hardly
        anything is learnt.
    Source: Lan, Zhu, Guo, Niu, Cheng, Position-Aware ListMLE: A Sequential Learning Process for
    Ranking (2014).

    >>> PListMLE()(torch.zeros(1, 3), torch.tensor([[2, 1, 0]]))  # (3 log 3 + log 2) / 4
    tensor(0.9972)
    """

    function = staticmethod(F.p_listmle)
    card = Card(
        key="p_listmle",
        tasks=("ranking",),
        input="scores",
        target="counts",
        # weights 3, 1 and 0
        example=Example(input=EQUAL, target=GRADES, value=(3 * math.log(3) + math.log(2)) / 4),
    )


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
            input=EQUAL,
            target=[[1.0, 0.0, 0.0]],
            value=2.2 * math.log(2) / 3,
        ),
        studied=False,
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for lists that are all padding, 1 for the others."""
        return F.has_item(target)
