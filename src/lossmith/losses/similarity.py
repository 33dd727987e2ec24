"""Metric learning by weighted cosines: pairs that are hard by comparison weigh most."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Switch
from lossmith.core.loss import Coupled
from lossmith.losses.metric import AXES, AXES_CLASSES


class MultiSimilarity(Coupled):
    r"""Pairs mined against each other, then weighed by a soft maximum of their cosines.

    .. math:: \ell_i = \frac{1}{\alpha} \log \Bigl( 1 + \sum_{p} e^{-\alpha (s_{ip} - \lambda)}
        \Bigr) + \frac{1}{\beta} \log \Bigl( 1 + \sum_{n} e^{\beta (s_{in} - \lambda)} \Bigr)

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value an anchor; all
    anchors count. With mining a positive is kept if its cosine is below that of the nearest
    negative + epsilon, a negative if above that of the farthest positive − epsilon.

    Use when: Retrieval among many classes, with several rows of each in a batch.
    Avoid when: Labels are noisy: the hardest pairs, wrong ones among them, weigh most.
    Source: Wang, Han, Huang, Dong, Scott, Multi-Similarity Loss with General Pair Weighting for
    Deep Metric Learning (2019).

    >>> MultiSimilarity(mining=False)(torch.eye(2)[[0, 0]], torch.tensor([0, 0]))
    tensor(0.3466)
    """

    function = staticmethod(F.multi_similarity)
    alpha: Real = Real(default=2.0, low=0.0, exclusive=True, doc="sharpness among positives")
    beta: Real = Real(default=50.0, low=0.0, exclusive=True, doc="sharpness among negatives")
    base: Real = Real(
        default=1.0,
        low=-1.0,
        high=1.0,
        doc="the cosine λ that divides them; the paper's 1. The authors' code and pytorch-metric-"
        "learning have 0.5",
    )
    epsilon: Real = Real(default=0.1, low=0.0, doc="slack of the mining")
    mining: Switch = Switch(
        default=True,
        doc="whether pairs are mined, which pytorch-metric-learning leaves to its miner",
    )
    card = Card(
        key="multi_similarity",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        # two anchors with a positive at 1 = base and a negative at 0, one with two negatives at 0
        example=Example(
            arguments={"alpha": 2.0, "beta": 4.0, "mining": False},
            input=AXES,
            target=AXES_CLASSES,
            value=(
                2 * (math.log(2) / 2 + math.log1p(math.exp(-4)) / 4)
                + math.log1p(2 * math.exp(-4)) / 4
            )
            / 3,
        ),
    )


class Circle(Coupled):
    r"""Cosines within and between classes, each moved at a pace set by how far it is from its aim.

    .. math:: \ell_i = \log \Bigl( 1 + \sum_n e^{\gamma a_n (s_n - m)} \sum_p
        e^{-\gamma a_p (s_p - 1 + m)} \Bigr) \qquad a_n = (s_n + m)_+, \; a_p = (1 + m - s_p)_+

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value an anchor, in
    nats; anchors without a positive or without a negative have weight 0. The paces a are constants
    of the gradient, as in the authors' and other code.

    Use when: Some pairs are near their aim and others far: each gets its own pace.
    Avoid when: A loss whose gradient is that of its value is wanted.
    Source: Sun, Cheng, Zhang, Zhang, Zheng, Wang, Wei, Circle Loss: A Unified Perspective of Pair
    Similarity Optimization (2020).

    >>> Circle(gamma=1.0)(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1]))
    tensor(0.5459)
    """

    function = staticmethod(F.circle)
    gamma: Real = Real(default=80.0, low=0.0, exclusive=True, doc="scale of the cosines")
    margin: Real = Real(
        default=0.4,
        low=0.0,
        high=1.0,
        doc="the margin m. The paper has 80 and 0.4 for fine-grained retrieval, 256 and 0.25 for "
        "faces",
    )
    card = Card(
        key="circle",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        detached=True,
        # s_p = 1: a_p = 0.4, s_n = 0: a_n = 0.4, both exponents -0.16
        example=Example(
            arguments={"gamma": 1.0},
            input=AXES,
            target=AXES_CLASSES,
            value=math.log1p(math.exp(-0.32)),
        ),
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for anchors without a positive or a negative, 1 for the others."""
        return F.with_both(target)
