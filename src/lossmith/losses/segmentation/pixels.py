"""Losses of pixels each on its own: of the worst alone, or with a look at those nearby."""

import math

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Choice, Real, Whole
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


class NACL(ClassMasks):
    r"""Cross-entropy, and logits drawn to the shares of the classes in each pixel's surroundings.

    .. math:: \ell(x, y) = \frac1P \sum_i \Bigl( -\log p_{y_i i} + \frac{\alpha}{C} \sum_c |x_{ci} -
        \tau_{ci}| \Bigr) \qquad \tau_{ci} = \frac{1}{|U|} \sum_{j \in U(i)} 1[y_j = c], \quad p =
        \mathrm{softmax}(x)

    Shapes: input (N, C, …) with 1 to 3 dimensions of space and target (N, …) of integers. One value
    an image.

    U(i) is the box around pixel i. Beyond the image, and at ignored pixels, no class is counted, so
    that shares sum to less there, as in MONAI and the authors' code. Logits are held near 0 to 1:
    probabilities stay far from 0 and 1.

    Use when: Probabilities of pixels must be calibrated, above all near boundaries.
    Avoid when: Classes are many: logits of at most 1 tell few apart.
    Source: Murugesan, Adiga Vasudeva, Liu, Lombaert, Ben Ayed, Dolz, Trust Your Neighbours:
    Penalty-Based Constraints for Model Calibration (2023).

    >>> NACL()(torch.zeros(1, 2, 3), torch.tensor([[0, 0, 0]]))  # log 2 + 0.1·(2 + 3 + 2)/18
    tensor(0.7320)
    """

    function = staticmethod(F.nacl)
    alpha: Real = Real(default=0.1, low=0.0, doc="weight of the penalty")
    size: Whole = Whole(default=3, low=1, doc="side of the box, an odd number of pixels")
    distance: Choice = Choice(
        default="l1", choices=("l1", "l2"), doc='"l1", absolute gaps, or "l2", squared ones'
    )
    card = Card(
        key="nacl",
        tasks=("segmentation",),
        input="logits",
        target="classes",
        # boxes of four pixels' surroundings hold one pixel of class 0 and three of class 1, of nine
        example=Example(
            input=CLASS_LOGITS,
            target=CLASSES_SEEN,
            value=(math.log(4) + 3 * math.log(4 / 3)) / 4
            + 0.1 * (2 * (math.log(3) - 1 / 9) + 2 / 3 + 2 * (math.log(3) - 1 / 3) + 2 / 9) / 8,
        ),
        claims=Claims(convex=True),
    )

    def __post_init__(self) -> None:
        if self.size % 2 == 0:
            raise ValueError(
                f"NACL: size must be odd, a pixel and as many on each side, got {self.size}"
            )
