"""Losses of the overlap of masks: Dice, Jaccard, and the weighted Dice of all classes together."""

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Switch
from lossmith.losses.masks import (
    BINARY_LOGITS,
    CLASS_LOGITS,
    CLASSES_SEEN,
    LABELS_SEEN,
    SMOOTH,
    SQUARED,
    BinaryMasks,
    ClassMasks,
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

    Use when: Dice or F1 of the masks is the metric, and some classes cover few pixels.
    Avoid when: Calibrated probabilities are wanted, or masks are often empty.
    Source: Milletari, Navab, Ahmadi, V-Net: Fully Convolutional Neural Networks for Volumetric
    Medical Image Segmentation (2016).

    >>> Dice(squared=False)(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5000)
    """

    function = staticmethod(F.dice)
    smooth: Real = SMOOTH
    squared: Switch = SQUARED
    card = Card(
        key="dice",
        tasks=("segmentation",),
        input="logits",
        target="classes",
        example=Example(input=CLASS_LOGITS, target=CLASSES_SEEN, value=13 / 51),
    )


class BinaryDice(BinaryMasks):
    r"""One less the Dice coefficient of one mask.

    .. math:: \ell(x, y) = 1 - \frac{2 \sum_i p_i t_i + s}{\sum_i p_i^2 + \sum_i t_i^2 + s}
        \qquad p = \sigma(x)

    Shapes: input and target (N, …); labels from 0 to 1. One value an image, from 0 to 1.

    The sums run over one image; see `Dice` for what MONAI and segmentation_models_pytorch do. An
    empty mask has the value Σp²/(Σp² + s): 0 if nothing is predicted, near 1 otherwise.

    Use when: Dice or F1 of a mask is the metric, and it covers few of the pixels.
    Avoid when: Calibrated probabilities are wanted, or masks are often empty.
    Source: Milletari, Navab, Ahmadi, V-Net: Fully Convolutional Neural Networks for Volumetric
    Medical Image Segmentation (2016).

    >>> BinaryDice(squared=False)(torch.zeros(1, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5000)
    """

    function = staticmethod(F.binary_dice)
    smooth: Real = SMOOTH
    squared: Switch = SQUARED
    card = Card(
        key="binary_dice",
        tasks=("segmentation",),
        input="logits",
        target="labels",
        example=Example(input=BINARY_LOGITS, target=LABELS_SEEN, value=3 / 17),
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

    Use when: Classes differ much in size and the small ones must count.
    Avoid when: A class often has a pixel or two: its weight then drowns the others.
    Source: Sudre, Li, Vercauteren, Ourselin, Cardoso, Generalised Dice Overlap as a Deep Learning
    Loss Function for Highly Unbalanced Segmentations (2017).

    >>> GeneralizedDice()(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5000)
    """

    function = staticmethod(F.generalized_dice)
    card = Card(
        key="generalized_dice",
        tasks=("segmentation",),
        input="logits",
        target="classes",
        example=Example(input=CLASS_LOGITS, target=CLASSES_SEEN, value=15 / 32),
    )


class Jaccard(ClassMasks):
    r"""One less the Jaccard index, intersection over union, of each class's soft mask.

    .. math:: \ell(x, y) = 1 - \frac1C \sum_c \frac{\sum_i p_{ci} t_{ci} + s}{\sum_i (p_{ci} +
        t_{ci} - p_{ci} t_{ci}) + s} \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …), target (N, …) of integer classes; one value an image, from 0 to 1.

    The sums run over one image, all classes count. MONAI's Dice with `jaccard=True` is the same
    at half the smoothing; segmentation_models_pytorch sums over the batch and drops classes that
    it lacks. The paper has no smoothing.

    Use when: Mean IoU is the metric and a smooth stand-in of it will do.
    Avoid when: Masks are often empty; Lovász follows the metric itself more closely.
    Source: Rahman, Wang, Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation (2016).

    >>> Jaccard()(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.6667)
    """

    function = staticmethod(F.jaccard)
    smooth: Real = SMOOTH
    card = Card(
        key="jaccard",
        tasks=("segmentation",),
        input="logits",
        target="classes",
        example=Example(input=CLASS_LOGITS, target=CLASSES_SEEN, value=22 / 39),
    )


class BinaryJaccard(BinaryMasks):
    r"""One less the Jaccard index, intersection over union, of one soft mask.

    .. math:: \ell(x, y) = 1 - \frac{\sum_i p_i t_i + s}{\sum_i (p_i + t_i - p_i t_i) + s}
        \qquad p = \sigma(x)

    Shapes: input and target (N, …); labels from 0 to 1. One value an image, from 0 to 1.

    Use when: The IoU of a mask is the metric and a smooth stand-in of it will do.
    Avoid when: Masks are often empty; Lovász follows the metric itself more closely.
    Source: Rahman, Wang, Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation (2016).

    >>> BinaryJaccard()(torch.zeros(1, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.6667)
    """

    function = staticmethod(F.binary_jaccard)
    smooth: Real = SMOOTH
    card = Card(
        key="binary_jaccard",
        tasks=("segmentation",),
        input="logits",
        target="labels",
        example=Example(input=BINARY_LOGITS, target=LABELS_SEEN, value=6 / 13),
    )
