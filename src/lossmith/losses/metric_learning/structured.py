"""Metric learning by pairs of a class that meet all negatives of the batch at once."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Coupled
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real


class LiftedStructured(Coupled):
    r"""Each pair of a class nearer to each other than both are to all of other classes, softly.

    .. math:: \ell_{ij} = \tfrac12 \max(0, J_{ij})^2 \qquad J_{ij} = \log \Bigl( \sum_{k: y_k \ne
        y_i} e^{m - d_{ik}} + \sum_{l: y_l \ne y_j} e^{m - d_{jl}} \Bigr) + d_{ij}

    with distances d of embeddings as they are, not normalised.

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value an anchor i, the
    mean over its positives j; an anchor has as its own weight the number of its positives, so that
    the mean is over pairs. pytorch-metric-learning normalises embeddings by default.

    Use when: Batches hold several rows of several classes, and all negatives should be seen.
    Avoid when: Embeddings grow without bound: distances are not normalised.
    Source: Song, Xiang, Jegelka, Savarese, Deep Metric Learning via Lifted Structured Feature
    Embedding (2016), equation 4.

    >>> rows = torch.tensor([[0.0], [1.0], [3.0]])
    >>> LiftedStructured()(rows, torch.tensor([0, 0, 1]))  # J = log(e⁻² + e⁻¹) + 1
    tensor(0.0491)
    """

    function = staticmethod(F.lifted_structured)
    margin: Real = Real(default=1.0, low=0.0, doc="m, in the embeddings' unit; the authors' 1")
    card = Card(
        key="lifted_structured",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        # distances 1 of the pair, 3 and 2 to the negative
        example=Example(
            input=[[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]],
            target=[0, 0, 1],
            value=(math.log(math.exp(-2) + math.exp(-1)) + 1) ** 2 / 2,
        ),
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return how many positives each anchor has."""
        return F.positives_of(target)


class TupletMargin(Coupled):
    r"""A softmax of each positive against all negatives, the positive eased by a slack angle.

    .. math:: \ell_{ap} = \log \Bigl( 1 + \sum_n e^{s (\cos \theta_{an} - \cos(\theta_{ap} -
        \beta))} \Bigr)

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value an anchor a, the
    mean over its positives p, in nats; an anchor has as its own weight the number of its positives,
    so that the mean is over pairs. All negatives of the batch are an anchor's, where the paper
    draws one of each other class. Its intra-pair variance loss is no part of this.

    Use when: Classes are many, and pairs of one class need not be drawn to one point.
    Avoid when: Batches hold hardly two rows of a class.
    Source: Yu, Tao, Deep Metric Learning with Tuplet Margin Loss (2019).

    >>> loss = TupletMargin(scale=1.0, margin=0.0)
    >>> loss(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1]))  # log(1 + 1/e)
    tensor(0.3133)
    """

    function = staticmethod(F.tuplet_margin)
    scale: Real = Real(default=64.0, low=0.0, exclusive=True, doc="s, the scale of the cosines")
    margin: Real = Real(
        default=0.1, low=0.0, high=math.pi / 2, doc="β, the slack in radians; the paper's 5.73°"
    )
    card = Card(
        key="tuplet_margin",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        # the pair is at a right angle, cos(π/2 − β) = sin β; negatives at π and π/2
        example=Example(
            arguments={"scale": 2.0, "margin": 0.5},
            input=[[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]],
            target=[0, 0, 1],
            value=(
                math.log1p(math.exp(2 * (-1 - math.sin(0.5))))
                + math.log1p(math.exp(-2 * math.sin(0.5)))
            )
            / 2,
        ),
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return how many positives each anchor has."""
        return F.positives_of(target)
