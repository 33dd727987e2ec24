"""Losses of masks that count more than overlap: what is rightly left out, what confuses what."""

import math
from typing import Any, Self

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Switch, Table
from lossmith.losses._classes import CountedLoss, count_classes
from lossmith.losses.segmentation._masks import (
    BINARY_LOGITS,
    CLASS_LOGITS,
    CLASSES_SEEN,
    IGNORE,
    LABELS_SEEN,
    LOG3,
    SMOOTH,
    BinaryMasks,
    ClassMasks,
)


class MCC(BinaryMasks):
    r"""One less Matthews' correlation of one mask, which counts the background found as well.

    .. math:: \ell(x, y) = 1 - \frac{TP \cdot TN - FP \cdot FN}{\sqrt{(TP + FP)(TP + FN)(TN + FP)
        (TN + FN)}} \qquad TP = \sum_i p_i t_i, \;\ldots, \quad p = \sigma(x)

    Shapes: input and target (N, …); labels from 0 to 1. One value an image, from 0 to 2: 1 where
    the prediction tells nothing of the mask.

    The counts are of one image; the authors' code, as segmentation_models_pytorch, counts the whole
    batch by default. An image of one side alone, all background say, has the value 1 and no
    gradient: such images teach nothing.

    Use when: Foreground is rare or common by turns, and false alarms count as misses do.
    Avoid when: Many images lack the structure; Dice or cross-entropy learns from them.
    Source: Abhishek, Hamarneh, Matthews Correlation Coefficient Loss for Deep Convolutional
    Networks: Application to Skin Lesion Segmentation (2021).

    >>> MCC()(torch.tensor([[9.0, 9.0, -9.0, -9.0]]), torch.tensor([[1, 0, 1, 0]]))
    tensor(1.)
    """

    function = staticmethod(F.mcc)
    card = Card(
        key="mcc",
        tasks=("segmentation",),
        input="logits",
        target="labels",
        # TP 7/4, FP 1/4, FN 5/4, TN 3/4: (21/16 − 5/16)/√(2·3·1·2)
        example=Example(input=BINARY_LOGITS, target=LABELS_SEEN, value=1 - 1 / math.sqrt(12)),
    )


class UnifiedFocal(ClassMasks):
    r"""Focal cross-entropy and focal Tversky in one, by which rare classes count more.

    .. math:: \ell(x, y) = \frac{\lambda}{P} \sum_i \begin{cases} (1 - \delta) (1 - p_{0i})^\gamma
        (-\log p_{0i}) & y_i = 0 \\ \delta (-\log p_{y_i i}) & y_i > 0 \end{cases} +
        \frac{1 - \lambda}{C} \Bigl( M_0 + \sum_{c > 0} M_c^{1 - \gamma} \Bigr) \qquad
        M_c = 1 - \frac{TP_c}{TP_c + \delta FN_c + (1 - \delta) FP_c}

    with p the softmax. Unless `asymmetric`, the factor (1 − p)^γ and the power 1 − γ are of all
    classes.

    Shapes: input (N, C, …), target (N, …) of integer classes, class 0 the background; one value an
    image.

    The paper has one rare class; here all but class 0 are. The exponents are those of the authors'
    code and of MONAI, whose γ is that of the asymmetric form; the paper writes the symmetric one
    with 1 − γ, the same at ½. λ is the paper's, of cross-entropy; the authors' code gives it to
    Tversky's part, and takes the means over the whole batch.

    Use when: Structures are small or rare, and neither Dice nor cross-entropy alone serves.
    Avoid when: Class 0 is no background, or calibrated probabilities are wanted.
    Source: Yeung, Sala, Schönlieb, Rundo, Unified Focal Loss: Generalising Dice and Cross
    Entropy-Based Losses to Handle Class Imbalanced Medical Image Segmentation (2022).

    >>> UnifiedFocal(gamma=0.0)(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.4233)
    """

    function = staticmethod(F.unified_focal)
    lambda_: Real = Real(
        default=0.5, low=0.0, high=1.0, doc="share of cross-entropy; the rest is Tversky's"
    )
    delta: Real = Real(
        default=0.6,
        low=0.0,
        high=1.0,
        doc="weight of foreground and of false negatives; 1 − δ is that of their others",
    )
    gamma: Real = Real(
        default=0.5,
        low=0.0,
        high=0.95,
        doc="how far the background fades and the foreground is raised",
    )
    asymmetric: Switch = Switch(
        default=True,
        search=(True, False),
        doc="whether only the background fades and only the foreground is raised",
    )
    smooth: Real = Real(
        default=1e-7, low=0.0, exclusive=True, doc="pixels added to both sides of each fraction"
    )
    card = Card(
        key="unified_focal",
        tasks=("segmentation",),
        input="logits",
        target="classes",
        # fading ½ of the one pixel of class 0; Tversky: 0.6/1.35 of class 0, root of 0.85/2.6
        example=Example(
            input=CLASS_LOGITS,
            target=CLASSES_SEEN,
            value=(
                (0.4 * math.log(4 / 3) / 2 + 0.6 * math.log(4) + 1.2 * math.log(4 / 3)) / 4
                + (0.65 / 1.4 + math.sqrt(0.85 / 2.6)) / 2
            )
            / 2,
        ),
    )


class ExponentialLogarithmic(CountedLoss, ClassMasks):
    r"""Roots of logarithms of Dice and of pixels' probabilities, rare classes weighed more.

    .. math:: \ell(x, y) = \frac{w}{C} \sum_c (-\log D_c)^{\gamma_D} + \frac{1 - w}{P} \sum_i
        \sqrt{\frac{\sum_c n_c}{n_{y_i}}} (-\log p_{y_i i})^{\gamma_X} \qquad D_c = \frac{2 TP_c +
        1}{2 TP_c + FP_c + FN_c + 1}

    with p the softmax, and n the training pixels of each class.

    Shapes: input (N, C, …), target (N, …) of integer classes; two terms an image, dice and
    cross_entropy. D is of one image, and 1 where an absent class is not predicted. A class without
    training pixels is treated as if it had as many as the rarest that has some. Any multiple of the
    counts does, the priors too.

    Use when: Structures of very unlike size are segmented, tiny ones among them.
    Avoid when: Calibrated probabilities are wanted, or sizes are alike: Dice and cross-entropy do.
    Source: Wong, Moradi, Tang, Syeda-Mahmood, 3D Segmentation with Exponential Logarithmic Loss for
    Highly Unbalanced Object Sizes (2018).

    >>> loss = ExponentialLogarithmic(counts=[1, 1], dice_weight=0.0, cross_gamma=1.0)
    >>> loss(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))  # √2 log 2
    tensor(0.9803)
    """

    dice_weight: Real = Real(
        default=0.8, low=0.0, high=1.0, doc="w, of Dice; the rest is cross-entropy's"
    )
    dice_gamma: Real = Real(default=0.3, low=0.0, exclusive=True, doc="γ_D, the power of Dice's")
    cross_gamma: Real = Real(default=0.3, low=0.0, exclusive=True, doc="γ_X, the power of pixels'")
    ignore_index: Any = IGNORE
    card = Card(
        key="exponential_logarithmic",
        tasks=("segmentation",),
        input="logits",
        target="classes",
        # D of 5/8 and 3/4; pixels of 3/4, 1/4, 3/4, 3/4, the first of the class that is rare
        example=Example(
            arguments={"counts": [1.0, 3.0], "dice_gamma": 0.5, "cross_gamma": 1.0},
            input=CLASS_LOGITS,
            target=CLASSES_SEEN,
            value=0.4 * (math.sqrt(math.log(8 / 5)) + math.sqrt(math.log(4 / 3)))
            + 0.05 * (2 * math.log(4 / 3) + math.sqrt(4 / 3) * (math.log(4) + 2 * math.log(4 / 3))),
        ),
        studied=False,
    )

    def values(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return what masks and pixels of each image cost."""
        dice, cross = F.exponential_logarithmic(
            input,
            target,
            counts=self.counts,
            dice_weight=self.dice_weight,
            dice_gamma=self.dice_gamma,
            cross_gamma=self.cross_gamma,
            ignore_index=self.ignore_index,
        )
        return {"dice": dice, "cross_entropy": cross}


class GeneralizedWassersteinDice(ClassMasks):
    r"""A Dice loss in which a mistake costs the distance between the classes that it confuses.

    .. math:: \ell(x, y) = 1 - \frac{2 T + s}{2 T + \sum_i W_i + s} \qquad T = \sum_{i: y_i > 0}
        (1 - W_i), \quad W_i = \sum_c M_{y_i c} p_{ci}, \quad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …), target (N, …) of integer classes, class 0 the background; one value an
    image, from 0 to 1.

    Distances are divided by their largest, which the paper gives the background to all others.
    `for_target` sets all to 1, unless they are given: then only the background is told apart from
    the rest. MONAI's other weighting, of each class by its inverse size, is not of the paper.

    Use when: Classes form a tree, as parts of a tumour, and confusing near ones matters less.
    Avoid when: Every mistake is as bad as any other: Dice sees each class.
    Source: Fidon, Li, Garcia-Peraza-Herrera, Ekanayake, Kitchen, Ourselin, Vercauteren, Generalised
    Wasserstein Dice Score for Imbalanced Multi-Class Segmentation Using Holistic Convolutional
    Networks (2017).

    >>> loss = GeneralizedWassersteinDice(distances=[[0, 1, 1], [1, 0, 0.5], [1, 0.5, 0]])
    >>> loss(torch.tensor([[[0.0], [9.0], [0.0]]]), torch.tensor([[2]]))  # near 0.5/(2·0.5 + 0.5)
    tensor(0.3333)
    """

    function = staticmethod(F.generalized_wasserstein_dice)
    classes: Any = None  # as many as have distances
    distances: Table = Table(
        low=0.0, doc="M, how bad it is to call the class of a row the class of a column"
    )
    smooth: Real = SMOOTH
    ignore_index: Any = IGNORE
    card = Card(
        key="generalized_wasserstein_dice",
        tasks=("segmentation",),
        input="logits",
        target="classes",
        # W is 1/4 for three pixels and 3/4 for one: right 9/4 − ... of three foreground pixels
        example=Example(
            arguments={"distances": [[0.0, 2.0], [2.0, 0.0]]},
            input=CLASS_LOGITS,
            target=CLASSES_SEEN,
            value=1.5 / 5,
        ),
        studied=False,
    )

    def __post_init__(self) -> None:
        table = self.distances
        square = table.shape[0] == table.shape[1] >= 2 and bool(table.isfinite().all())
        if not (square and bool((table.diagonal() == 0).all()) and bool(table.max() > 0)):
            raise ValueError(
                "GeneralizedWassersteinDice: distances must have one row and one column a class, 0 "
                f"on the diagonal and not everywhere, got {table.tolist()}"
            )
        self.classes = len(table)

    @classmethod
    def for_target(cls, target: Tensor, *, classes: int | None = None, **hypers: Any) -> Self:
        """Return the loss for the classes of integer training targets, all at distance 1.

        Raises:
            TypeError: if target holds no integers.
            ValueError: if a target lies outside 0 … classes − 1, or none is left.
        """
        ignored = hypers.get("ignore_index", cls.hyperparameters["ignore_index"].default)
        width = len(count_classes(target, classes, ignored))
        apart = [[float(row != column) for column in range(width)] for row in range(width)]
        return cls(**{"distances": apart, **hypers})


class BlobDice(BinaryMasks):
    r"""The Dice loss of each blob of one mask, so that small blobs count like large ones.

    .. math:: \ell(x, y) = \frac1K \sum_{k=1}^{K} \Bigl( 1 - \frac{2 \sum_{i: y_i = k} p_i + s}
        {\sum_{i: y_i \in \{0, k\}} p_i + \sum_i 1[y_i = k] + s} \Bigr) \qquad p = \sigma(x)

    Shapes: input and target (N, …), the target whole numbers: 0 for background, and one number a
    blob from 1 to at most the pixels of an image, in any order, as `scipy.ndimage.label` and
    instance masks have them. One value an image, from 0 to 1.

    Of each blob the pixels of the others are left out, so that finding one never harms another. An
    image without blobs has weight 0: it is not blamed for what is found in it. So the paper adds it
    to Dice of the whole mask, twice that and once this: `2.0 * BinaryDice().on(None, "mask") +
    BlobDice().on(None, "blobs")`. Where the authors' code is given logits, the other blobs have
    probability ½ instead of being left out; here it is as in the paper.

    Use when: Lesions or cells differ in size, and small objects must be found too; beside Dice.
    Avoid when: Alone, or instances are not known: the value needs one number for each.
    Source: Kofler, Shit, Ezhov, Fidon, Horvath, Al-Maskari, Li, Bhatia, Loehr, Piraud, Erturk,
    Kirschke, Peeken, Vercauteren, Zimmer, Wiestler, Menze, Blob Loss: Instance Imbalance Aware Loss
    Functions for Semantic Segmentation (2022).

    >>> BlobDice()(torch.tensor([[99.0, 99.0, 99.0, -99.0]]), torch.tensor([[1, 1, 1, 2]]))
    tensor(0.5000)
    """

    function = staticmethod(F.blob_dice)
    smooth: Real = SMOOTH
    squared: Switch = Switch(default=False, doc="whether masks are squared in the denominator")
    card = Card(
        key="blob_dice",
        tasks=("segmentation",),
        input="logits",
        target="counts",
        # background 1/4; blob 1 of a pixel at 3/4, blob 2 of two, 3/4 and 1/4
        example=Example(
            input=[[[-LOG3, LOG3], [-LOG3, LOG3]]],
            target=[[[0.0, 1.0], [2.0, 2.0]]],
            value=1 - (1.5 / 2 + 2 / 3.25) / 2,
        ),
    )

    def weights(self, target: Tensor) -> Tensor | None:
        """Return weight 0 for images without a blob, 1 for the others."""
        return F.blob_weights(target, ignore_index=self.ignore_index)
