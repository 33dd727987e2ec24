"""Losses of the overlap of masks: Dice, Jaccard, and the weighted Dice of all classes together."""

from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Paper
from lossmith.losses.classes import CLASSES
from lossmith.losses.masks import (
    BINARY_LOGITS,
    CLASS_LOGITS,
    CLASSES_SEEN,
    IGNORE,
    LABELS_SEEN,
    SMOOTH,
    SQUARED,
    BinaryMasks,
    ClassMasks,
)

_MILLETARI = Paper(
    authors="F. Milletari, N. Navab, S.-A. Ahmadi",
    title="V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation",
    year=2016,
)
_RAHMAN = Paper(
    authors="M. A. Rahman, Y. Wang",
    title="Optimizing Intersection-Over-Union in Deep Neural Networks for Image Segmentation",
    year=2016,
)


class Dice(ClassMasks):
    r"""One less the Dice coefficient of each class's mask, averaged over classes.

    .. math:: \ell(x, y) = 1 - \frac1C \sum_c \frac{2 \sum_i p_{ci} t_{ci} + s}{\sum_i p_{ci}^2 +
        \sum_i t_{ci}^2 + s} \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …), target (N, …) of integer classes; one value an image, from 0 to 1.

    The sums run over one image. MONAI does the same by default and sums over the whole batch
    with `batch=True`, as segmentation_models_pytorch always does. The denominator is the
    paper's, of squares; those two libraries' default is the plain sum, `squared=False`. The
    paper has no smoothing: s decides what a class is worth that is neither there nor predicted
    (nothing is missing: 0), and hardly more. All classes count, the absent ones too.

    Args:
        classes: number of classes, needed for the head alone.
        smooth: s, pixels added to both sides of the fraction.
        squared: whether the denominator sums squares, as in the paper, or the masks themselves.
        ignore_index: the target whose pixels are left out of every sum.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a class lies outside the head.

    Source: Milletari, Navab, Ahmadi, V-Net: Fully Convolutional Neural Networks for Volumetric
    Medical Image Segmentation (2016).

    >>> Dice(squared=False)(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5000)
    """

    smooth: Tensor
    squared: bool
    card: ClassVar[Card] = Card(
        key="dice",
        tasks=("segmentation",),
        target="classes",
        input="logits",
        formula="1 - mean_c (2 Σ p t + s) / (Σ p² + Σ t² + s), p = softmax(x)",
        use_when="Dice or F1 of the masks is the metric, and some classes cover few pixels.",
        avoid_when="Calibrated probabilities are wanted, or masks are often empty.",
        paper=_MILLETARI,
        example=Example(input=CLASS_LOGITS, target=CLASSES_SEEN, value=13 / 51),
        hypers={"classes": CLASSES, "smooth": SMOOTH, "squared": SQUARED, "ignore_index": IGNORE},
    )

    def __init__(
        self,
        *,
        classes: int | None = None,
        smooth: Number = 1e-5,
        squared: bool = True,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(classes=classes, smooth=smooth, squared=squared, ignore_index=ignore_index)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Dice loss of each image."""
        return F.dice(
            input,
            target,
            smooth=self.smooth,
            squared=self.squared,
            ignore_index=self.ignore_index,
        )


class BinaryDice(BinaryMasks):
    r"""One less the Dice coefficient of one mask.

    .. math:: \ell(x, y) = 1 - \frac{2 \sum_i p_i t_i + s}{\sum_i p_i^2 + \sum_i t_i^2 + s}
        \qquad p = \sigma(x)

    Shapes: input and target (N, …); labels from 0 to 1. One value an image, from 0 to 1.

    The sums run over one image; see `Dice` for what MONAI and segmentation_models_pytorch do. An
    empty mask has the value Σp²/(Σp² + s): 0 if nothing is predicted, near 1 otherwise.

    Args:
        smooth: s, pixels added to both sides of the fraction; the paper has none.
        squared: whether the denominator sums squares, as in the paper, or the masks themselves.
        ignore_index: the label whose pixels are left out of every sum.

    Raises:
        ValueError: if the shapes of input and target differ or a label lies outside 0 … 1.

    Source: Milletari, Navab, Ahmadi, V-Net: Fully Convolutional Neural Networks for Volumetric
    Medical Image Segmentation (2016).

    >>> BinaryDice(squared=False)(torch.zeros(1, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5000)
    """

    smooth: Tensor
    squared: bool
    card: ClassVar[Card] = Card(
        key="binary_dice",
        tasks=("segmentation",),
        target="labels",
        input="logits",
        formula="1 - (2 Σ p t + s) / (Σ p² + Σ t² + s), p = sigmoid(x)",
        use_when="Dice or F1 of a mask is the metric, and it covers few of the pixels.",
        avoid_when="Calibrated probabilities are wanted, or masks are often empty.",
        paper=_MILLETARI,
        example=Example(input=BINARY_LOGITS, target=LABELS_SEEN, value=3 / 17),
        hypers={"smooth": SMOOTH, "squared": SQUARED, "ignore_index": IGNORE},
    )

    def __init__(
        self, *, smooth: Number = 1e-5, squared: bool = True, ignore_index: int = -100
    ) -> None:
        super().__init__(smooth=smooth, squared=squared, ignore_index=ignore_index)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Dice loss of each image."""
        return F.binary_dice(
            input,
            target,
            smooth=self.smooth,
            squared=self.squared,
            ignore_index=self.ignore_index,
        )


class GeneralizedDice(ClassMasks):
    r"""The Dice loss of all classes together, each weighed by the inverse square of its pixels.

    .. math:: \ell(x, y) = 1 - 2 \frac{\sum_c w_c \sum_i p_{ci} t_{ci}}{\sum_c w_c \sum_i
        (p_{ci} + t_{ci})} \qquad w_c = \Bigl(\sum_i t_{ci}\Bigr)^{-2}

    Shapes: input (N, C, …), target (N, …) of integer classes; one value an image, from 0 to 1.

    The sums run over one image, as in MONAI by default. A class that the image lacks weighs as
    much as the rarest that it has, as there; the paper's weight would be infinite. MONAI adds
    1e-5 to numerator and denominator, which outweighs all else in large images, whose weights are
    smaller than that; here nothing is added.

    Args:
        classes: number of classes, needed for the head alone.
        ignore_index: the target whose pixels are left out of every sum.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a class lies outside the head.

    Source: Sudre, Li, Vercauteren, Ourselin, Cardoso, Generalised Dice Overlap as a Deep Learning
    Loss Function for Highly Unbalanced Segmentations (2017).

    >>> GeneralizedDice()(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5000)
    """

    card: ClassVar[Card] = Card(
        key="generalized_dice",
        tasks=("segmentation",),
        target="classes",
        input="logits",
        formula="1 - 2 Σ_c w Σ p t / Σ_c w Σ (p + t), w = 1 / (Σ t)²",
        use_when="Classes differ much in size and the small ones must count.",
        avoid_when="A class often has a pixel or two: its weight then drowns the others.",
        paper=Paper(
            authors="C. H. Sudre, W. Li, T. Vercauteren, S. Ourselin, M. J. Cardoso",
            title="Generalised Dice Overlap as a Deep Learning Loss Function for Highly "
            "Unbalanced Segmentations",
            year=2017,
        ),
        example=Example(input=CLASS_LOGITS, target=CLASSES_SEEN, value=15 / 32),
        hypers={"classes": CLASSES, "ignore_index": IGNORE},
    )

    def __init__(self, *, classes: int | None = None, ignore_index: int = -100) -> None:
        super().__init__(classes=classes, ignore_index=ignore_index)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the generalised Dice loss of each image."""
        return F.generalized_dice(input, target, ignore_index=self.ignore_index)


class Jaccard(ClassMasks):
    r"""One less the Jaccard index, intersection over union, of each class's soft mask.

    .. math:: \ell(x, y) = 1 - \frac1C \sum_c \frac{\sum_i p_{ci} t_{ci} + s}{\sum_i (p_{ci} +
        t_{ci} - p_{ci} t_{ci}) + s} \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …), target (N, …) of integer classes; one value an image, from 0 to 1.

    The sums run over one image, all classes count. MONAI's Dice with `jaccard=True` is the same
    at half the smoothing; segmentation_models_pytorch sums over the batch and drops classes that
    it lacks. The paper has no smoothing.

    Args:
        classes: number of classes, needed for the head alone.
        smooth: s, pixels added to both sides of the fraction.
        ignore_index: the target whose pixels are left out of every sum.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a class lies outside the head.

    Source: Rahman, Wang, Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation (2016).

    >>> Jaccard()(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.6667)
    """

    smooth: Tensor
    card: ClassVar[Card] = Card(
        key="jaccard",
        tasks=("segmentation",),
        target="classes",
        input="logits",
        formula="1 - mean_c (Σ p t + s) / (Σ (p + t - p t) + s), p = softmax(x)",
        use_when="Mean IoU is the metric and a smooth stand-in of it will do.",
        avoid_when="Masks are often empty; Lovász follows the metric itself more closely.",
        paper=_RAHMAN,
        example=Example(input=CLASS_LOGITS, target=CLASSES_SEEN, value=22 / 39),
        hypers={"classes": CLASSES, "smooth": SMOOTH, "ignore_index": IGNORE},
    )

    def __init__(
        self, *, classes: int | None = None, smooth: Number = 1e-5, ignore_index: int = -100
    ) -> None:
        super().__init__(classes=classes, smooth=smooth, ignore_index=ignore_index)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Jaccard loss of each image."""
        return F.jaccard(input, target, smooth=self.smooth, ignore_index=self.ignore_index)


class BinaryJaccard(BinaryMasks):
    r"""One less the Jaccard index, intersection over union, of one soft mask.

    .. math:: \ell(x, y) = 1 - \frac{\sum_i p_i t_i + s}{\sum_i (p_i + t_i - p_i t_i) + s}
        \qquad p = \sigma(x)

    Shapes: input and target (N, …); labels from 0 to 1. One value an image, from 0 to 1.

    Args:
        smooth: s, pixels added to both sides of the fraction; the paper has none.
        ignore_index: the label whose pixels are left out of every sum.

    Raises:
        ValueError: if the shapes of input and target differ or a label lies outside 0 … 1.

    Source: Rahman, Wang, Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation (2016).

    >>> BinaryJaccard()(torch.zeros(1, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.6667)
    """

    smooth: Tensor
    card: ClassVar[Card] = Card(
        key="binary_jaccard",
        tasks=("segmentation",),
        target="labels",
        input="logits",
        formula="1 - (Σ p t + s) / (Σ (p + t - p t) + s), p = sigmoid(x)",
        use_when="The IoU of a mask is the metric and a smooth stand-in of it will do.",
        avoid_when="Masks are often empty; Lovász follows the metric itself more closely.",
        paper=_RAHMAN,
        example=Example(input=BINARY_LOGITS, target=LABELS_SEEN, value=6 / 13),
        hypers={"smooth": SMOOTH, "ignore_index": IGNORE},
    )

    def __init__(self, *, smooth: Number = 1e-5, ignore_index: int = -100) -> None:
        super().__init__(smooth=smooth, ignore_index=ignore_index)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Jaccard loss of each image."""
        return F.binary_jaccard(input, target, smooth=self.smooth, ignore_index=self.ignore_index)
