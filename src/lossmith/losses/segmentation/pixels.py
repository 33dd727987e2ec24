"""Losses of the pixels that are worst."""

import math

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.losses.segmentation._masks import (
    BINARY_LOGITS,
    CLASS_LOGITS,
    CLASSES_SEEN,
    LABELS_SEEN,
    BinaryMasks,
    ClassMasks,
)

FRACTION = Real(
    default=0.1,
    low=1e-06,
    high=1.0,
    doc="the share of an image's pixels that count; 1 is cross-entropy. nnU-Net's is 0.1",
)


class TopKCrossEntropy(ClassMasks):
    r"""Cross-entropy of an image's worst pixels alone.

    .. math:: \ell(x, y) = \frac{1}{k} \sum_{i \in \text{top}_k} -\log p_{y_i i} \qquad
        p = \mathrm{softmax}(x)

    with k the fraction of the image's pixels that are not ignored, and top the k whose value is
    largest; the last one counts in part where k is no whole number.

    Shapes: input (N, C, …) and target (N, …) of integers. One value an image, in nats.

    The pixels are chosen in each image. nnU-Net chooses them in the whole batch, and rounds k
    down; online hard example mining (OHEM) takes those whose probability is below a bound, but so
    many at least. It is CVaR of the pixels of an image; experts add it to Dice.

    Use when: Most pixels are easy background and drown the rest.
    Avoid when: Labels are noisy: wrong labels are the worst pixels of all.
    Source: Wu, Shen, van den Hengel, Bridging Category-Level and Instance-Level Semantic Image
    Segmentation (2016).

    >>> input = torch.tensor([[[0.0, 9.0], [0.0, 0.0]]])
    >>> TopKCrossEntropy(fraction=0.5)(input, torch.tensor([[1, 0]]))
    tensor(0.6931)
    """

    function = staticmethod(F.top_k_cross_entropy)
    fraction: Real = FRACTION
    card = Card(
        key="top_k_cross_entropy",
        tasks=("segmentation",),
        input="logits",
        target="classes",
        # four pixels, one wrong at p = 1/4; two and a half worst of them
        example=Example(
            arguments={"fraction": 0.625},
            input=CLASS_LOGITS,
            target=CLASSES_SEEN,
            value=(math.log(4) + 1.5 * math.log(4 / 3)) / 2.5,
        ),
        claims=Claims(convex=True, lipschitz=True),
    )


class BinaryTopKCrossEntropy(BinaryMasks):
    r"""Binary cross-entropy of an image's worst pixels alone.

    .. math:: \ell(x, y) = \frac{1}{k} \sum_{i \in \text{top}_k} -y_i \log \sigma(x_i) - (1 - y_i)
        \log \sigma(-x_i)

    with k the fraction of the image's pixels that are not ignored, and top the k whose value is
    largest; the last one counts in part where k is no whole number.

    Shapes: input and target (N, …); labels from 0 to 1. One value an image, in nats.

    Use when: One structure is tiny, and most of the background is easy.
    Avoid when: Labels are noisy: wrong labels are the worst pixels of all.
    Source: Wu, Shen, van den Hengel, Bridging Category-Level and Instance-Level Semantic Image
    Segmentation (2016), of one class.

    >>> BinaryTopKCrossEntropy(fraction=0.5)(torch.tensor([[0.0, 9.0]]), torch.tensor([[1, 1]]))
    tensor(0.6931)
    """

    function = staticmethod(F.binary_top_k_cross_entropy)
    fraction: Real = FRACTION
    card = Card(
        key="binary_top_k_cross_entropy",
        tasks=("segmentation",),
        input="logits",
        target="labels",
        # as of two classes
        example=Example(
            arguments={"fraction": 0.625},
            input=BINARY_LOGITS,
            target=LABELS_SEEN,
            value=(math.log(4) + 1.5 * math.log(4 / 3)) / 2.5,
        ),
        claims=Claims(convex=True, lipschitz=True),
    )
