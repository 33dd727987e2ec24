"""Metric learning by weighted cosines: pairs that are hard by comparison weigh most."""

import math
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Paper
from lossmith.core.loss import Pointwise
from lossmith.core.schedule import Schedule
from lossmith.losses.coupled import GATHER
from lossmith.losses.metric import AXES, AXES_CLASSES


class MultiSimilarity(Pointwise):
    r"""Pairs mined against each other, then weighed by a soft maximum of their cosines.

    .. math:: \ell_i = \frac{1}{\alpha} \log \Bigl( 1 + \sum_{p} e^{-\alpha (s_{ip} - \lambda)}
        \Bigr) + \frac{1}{\beta} \log \Bigl( 1 + \sum_{n} e^{\beta (s_{in} - \lambda)} \Bigr)

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value an anchor; all
    anchors count. With mining a positive is kept if its cosine is below that of the nearest
    negative + epsilon, a negative if above that of the farthest positive − epsilon.

    Args:
        alpha: sharpness among positives.
        beta: sharpness among negatives.
        base: the cosine λ that divides them; the paper's 1. The authors' code and
            pytorch-metric-learning have 0.5.
        epsilon: slack of the mining.
        mining: whether pairs are mined, which pytorch-metric-learning leaves to its miner.
        gather: over several processes, whether the batch is that of all ranks.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a hyperparameter is out of range.

    Source: Wang, Han, Huang, Dong, Scott, Multi-Similarity Loss with General Pair Weighting for
    Deep Metric Learning (2019).

    >>> MultiSimilarity(mining=False)(torch.eye(2)[[0, 0]], torch.tensor([0, 0]))
    tensor(0.3466)
    """

    alpha: Tensor
    beta: Tensor
    base: Tensor
    epsilon: Tensor
    mining: bool
    card: ClassVar[Card] = Card(
        key="multi_similarity",
        tasks=("metric_learning",),
        target="classes",
        input="embeddings",
        reduction="anchors",
        formula="log(1 + sum_p exp(-alpha (s - base)))/alpha + "
        "log(1 + sum_n exp(beta (s - base)))/beta",
        use_when="Retrieval among many classes, with several rows of each in a batch.",
        avoid_when="Labels are noisy: the hardest pairs, wrong ones among them, weigh most.",
        paper=Paper(
            authors="X. Wang, X. Han, W. Huang, D. Dong, M. R. Scott",
            title="Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning",
            year=2019,
        ),
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
        hypers={
            "alpha": Hyper(default=2.0, low=0.0, open=True, meaning="sharpness among positives"),
            "beta": Hyper(default=50.0, low=0.0, open=True, meaning="sharpness among negatives"),
            "base": Hyper(default=1.0, low=-1.0, high=1.0, meaning="cosine that divides them"),
            "epsilon": Hyper(default=0.1, low=0.0, meaning="slack of the mining"),
            "mining": Hyper(default=True, meaning="whether pairs are mined"),
            "gather": GATHER,
        },
    )

    def __init__(
        self,
        *,
        alpha: Number = 2.0,
        beta: Number = 50.0,
        base: Number = 1.0,
        epsilon: float | Schedule = 0.1,
        mining: bool = True,
        gather: bool = True,
    ) -> None:
        super().__init__(
            alpha=alpha, beta=beta, base=base, epsilon=epsilon, mining=mining, gather=gather
        )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the weighted pairs of each anchor."""
        return F.multi_similarity(
            input,
            target,
            alpha=self.alpha,
            beta=self.beta,
            base=self.base,
            epsilon=self.epsilon,
            mining=self.mining,
        )


class Circle(Pointwise):
    r"""Cosines within and between classes, each moved at a pace set by how far it is from its aim.

    .. math:: \ell_i = \log \Bigl( 1 + \sum_n e^{\gamma a_n (s_n - m)} \sum_p
        e^{-\gamma a_p (s_p - 1 + m)} \Bigr) \qquad a_n = (s_n + m)_+, \; a_p = (1 + m - s_p)_+

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value an anchor, in
    nats; anchors without a positive or without a negative have weight 0. The paces a are constants
    of the gradient, as in the authors' and other code.

    Args:
        gamma: scale of the cosines.
        margin: the margin m. The paper has 80 and 0.4 for fine-grained retrieval, 256 and 0.25
            for faces.
        gather: over several processes, whether the batch is that of all ranks.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a hyperparameter is out of range.

    Source: Sun, Cheng, Zhang, Zhang, Zheng, Wang, Wei, Circle Loss: A Unified Perspective of Pair
    Similarity Optimization (2020).

    >>> Circle(gamma=1.0)(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1]))
    tensor(0.5459)
    """

    gamma: Tensor
    margin: Tensor
    card: ClassVar[Card] = Card(
        key="circle",
        tasks=("metric_learning",),
        target="classes",
        input="embeddings",
        reduction="anchors",
        detached=True,
        formula="log(1 + sum_n exp(gamma a_n (s_n - m)) sum_p exp(-gamma a_p (s_p - 1 + m)))",
        use_when="Some pairs are near their aim and others far: each gets its own pace.",
        avoid_when="A loss whose gradient is that of its value is wanted.",
        paper=Paper(
            authors="Y. Sun, C. Cheng, Y. Zhang, C. Zhang, L. Zheng, Z. Wang, Y. Wei",
            title="Circle Loss: A Unified Perspective of Pair Similarity Optimization",
            year=2020,
        ),
        # s_p = 1: a_p = 0.4, s_n = 0: a_n = 0.4, both exponents -0.16
        example=Example(
            arguments={"gamma": 1.0},
            input=AXES,
            target=AXES_CLASSES,
            value=math.log1p(math.exp(-0.32)),
        ),
        hypers={
            "gamma": Hyper(default=80.0, low=0.0, open=True, meaning="scale of the cosines"),
            "margin": Hyper(default=0.4, low=0.0, high=1.0, meaning="margin of the cosines"),
            "gather": GATHER,
        },
    )

    def __init__(self, *, gamma: Number = 80.0, margin: Number = 0.4, gather: bool = True) -> None:
        super().__init__(gamma=gamma, margin=margin, gather=gather)

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for anchors without a positive or a negative, 1 for the others."""
        return F.with_both(target)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the circle loss of each anchor."""
        return F.circle(input, target, gamma=self.gamma, margin=self.margin)
