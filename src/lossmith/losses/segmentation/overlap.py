"""Losses of the overlap of masks: Dice, Jaccard, Tversky, and the Lovász extension."""

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Switch
from lossmith.losses.segmentation._masks import (
    ALPHA,
    BETA,
    BINARY_LOGITS,
    CLASS_LOGITS,
    CLASSES_SEEN,
    GAMMA,
    LABELS_SEEN,
    LOG3,
    SMOOTH,
    SQUARED,
    BinaryMasks,
    ClassMasks,
)

# Of the example's pixels: class 0 has TP 3/4, FP 5/4, FN 1/4; class 1 TP 7/4, FP 1/4, FN 5/4.
_FIRST, _SECOND = 1 - 15 / 26, 1 - 35 / 54


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


class Tversky(ClassMasks):
    r"""One less the Tversky index of each class's mask: Dice with a price for each kind of error.

    .. math:: \ell(x, y) = 1 - \frac1C \sum_c \frac{TP_c + s}{TP_c + \alpha FP_c + \beta FN_c + s}

    with the soft counts TP = Σpt, FP = Σp(1 − t), FN = Σ(1 − p)t of p = softmax(x).

    Shapes: input (N, C, …), target (N, …) of integer classes; one value an image, from 0 to 1.

    alpha = beta = ½ is Dice of the plain sum, alpha = beta = 1 Jaccard. The defaults are the best
    of the paper's; MONAI and segmentation_models_pytorch default to ½ and ½. The sums run over
    one image, as in MONAI; segmentation_models_pytorch's run over the batch. The paper has no
    smoothing.

    Use when: Missed pixels cost more than wrongly found ones, or the other way round.
    Avoid when: Both cost the same: then it is Dice.
    Source: Salehi, Erdogmus, Gholipour, Tversky Loss Function for Image Segmentation Using 3D
    Fully Convolutional Deep Networks (2017).

    >>> Tversky()(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5000)
    """

    function = staticmethod(F.tversky)
    alpha: Real = ALPHA
    beta: Real = BETA
    smooth: Real = SMOOTH
    card = Card(
        key="tversky",
        tasks=("segmentation",),
        input="logits",
        target="classes",
        example=Example(input=CLASS_LOGITS, target=CLASSES_SEEN, value=(_FIRST + _SECOND) / 2),
    )


class BinaryTversky(BinaryMasks):
    r"""One less the Tversky index of one mask: Dice with a price for each kind of error.

    .. math:: \ell(x, y) = 1 - \frac{TP + s}{TP + \alpha FP + \beta FN + s}

    with the soft counts TP = Σpt, FP = Σp(1 − t), FN = Σ(1 − p)t of p = σ(x).

    Shapes: input and target (N, …); labels from 0 to 1. One value an image, from 0 to 1.

    Use when: Missed pixels cost more than wrongly found ones, or the other way round.
    Avoid when: Both cost the same: then it is Dice.
    Source: Salehi, Erdogmus, Gholipour, Tversky Loss Function for Image Segmentation Using 3D
    Fully Convolutional Deep Networks (2017).

    >>> BinaryTversky()(torch.zeros(1, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5000)
    """

    function = staticmethod(F.binary_tversky)
    alpha: Real = ALPHA
    beta: Real = BETA
    smooth: Real = SMOOTH
    card = Card(
        key="binary_tversky",
        tasks=("segmentation",),
        input="logits",
        target="labels",
        example=Example(input=BINARY_LOGITS, target=LABELS_SEEN, value=_SECOND),
    )


class FocalTversky(ClassMasks):
    r"""A root of each class's Tversky loss: classes that are nearly right keep a gradient.

    .. math:: \ell(x, y) = \frac1C \sum_c \Bigl(1 - \frac{TP_c + s}{TP_c + \alpha FP_c +
        \beta FN_c + s}\Bigr)^{1 / \gamma}

    Shapes: input (N, C, …), target (N, …) of integer classes; one value an image, from 0 to 1.

    The paper sums over classes; here it is their mean. Its alpha weighs false negatives, and is
    0.7: here the names are `Tversky`'s, alpha for false positives. The exponent is the paper's
    1/gamma with gamma = 4/3; the authors' code and segmentation_models_pytorch call the exponent
    itself gamma, ¾. Where a class is exactly right the gradient is taken as 0.

    Use when: Objects are small or thin: the last missing pixels of each are still to be learnt.
    Avoid when: Labels are noisy, or masks are easy: Tversky or Dice is calmer.
    Source: Abraham, Khan, A Novel Focal Tversky Loss Function with Improved Attention U-Net for
    Lesion Segmentation (2019).

    >>> FocalTversky()(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5946)
    """

    function = staticmethod(F.focal_tversky)
    alpha: Real = ALPHA
    beta: Real = BETA
    gamma: Real = GAMMA
    smooth: Real = SMOOTH
    card = Card(
        key="focal_tversky",
        tasks=("segmentation",),
        input="logits",
        target="classes",
        example=Example(
            input=CLASS_LOGITS, target=CLASSES_SEEN, value=(_FIRST**0.75 + _SECOND**0.75) / 2
        ),
    )


class BinaryFocalTversky(BinaryMasks):
    r"""A root of one mask's Tversky loss: masks that are nearly right keep a gradient.

    .. math:: \ell(x, y) = \Bigl(1 - \frac{TP + s}{TP + \alpha FP + \beta FN + s}\Bigr)^{1/\gamma}

    Shapes: input and target (N, …); labels from 0 to 1. One value an image, from 0 to 1.

    See `FocalTversky` for the names of the parameters in the paper and elsewhere.

    Use when: Objects are small or thin: the last missing pixels of each are still to be learnt.
    Avoid when: Labels are noisy, or masks are easy: Tversky or Dice is calmer.
    Source: Abraham, Khan, A Novel Focal Tversky Loss Function with Improved Attention U-Net for
    Lesion Segmentation (2019).

    >>> BinaryFocalTversky()(torch.zeros(1, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5946)
    """

    function = staticmethod(F.binary_focal_tversky)
    alpha: Real = ALPHA
    beta: Real = BETA
    gamma: Real = GAMMA
    smooth: Real = SMOOTH
    card = Card(
        key="binary_focal_tversky",
        tasks=("segmentation",),
        input="logits",
        target="labels",
        example=Example(input=BINARY_LOGITS, target=LABELS_SEEN, value=_SECOND**0.75),
    )


class LovaszSoftmax(ClassMasks):
    r"""The Lovász extension of the Jaccard loss, at the errors of the softmax.

    .. math:: \ell(x, y) = \frac{1}{|\mathcal C|} \sum_{c \in \mathcal C}
        \overline{\Delta_{J_c}}(m_c) \qquad m_{ci} = |t_{ci} - p_{ci}|

    where the extension sorts the errors and weighs each by how much the Jaccard loss of the class
    rises when its pixel turns wrong after those of larger error.

    Shapes: input (N, C, …), target (N, …) of integer classes; one value an image, from 0 to 1.

    One value an image is the paper's per-image variant; the authors' code sorts the pixels of the
    whole batch together unless told `per_image=True`, as do segmentation_models_pytorch and
    kornia.

    Use when: Mean IoU is the metric; best after or beside cross-entropy.
    Avoid when: Training starts from nothing with it alone, or probabilities are wanted.
    Source: Berman, Rannen Triki, Blaschko, The Lovász-Softmax Loss: A Tractable Surrogate for the
    Optimization of the Intersection-Over-Union Measure in Neural Networks (2018).

    >>> LovaszSoftmax()(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5000)
    """

    function = staticmethod(F.lovasz_softmax)
    present: Switch = Switch(
        default=True,
        search=(True, False),
        doc="whether only classes that the image holds count, as in the authors' code, or all",
    )
    card = Card(
        key="lovasz_softmax",
        tasks=("segmentation",),
        input="logits",
        target="classes",
        # Errors 3/4, 1/4, 1/4, 1/4: weights 1/2, 1/2 of class 0, and 1/3, 1/3, 1/3 of class 1.
        example=Example(input=CLASS_LOGITS, target=CLASSES_SEEN, value=11 / 24),
    )


class LovaszHinge(BinaryMasks):
    r"""The Lovász extension of the Jaccard loss, at the hinge errors of one logit a pixel.

    .. math:: \ell(x, y) = \overline{\Delta_J}(m) \qquad m_i = \max(0, 1 - s_i x_i) \qquad
        s_i = \pm 1

    Shapes: input and target (N, …); labels from 0 to 1, above ½ positive. One value an image.

    One value an image is the authors' default here. Convex, and piecewise linear in the logits.
    `decode` is the sigmoid, of which only the side of ½ means anything: the loss knows margins.

    Use when: The IoU of one mask is the metric; best after or beside cross-entropy.
    Avoid when: Probabilities are wanted: it knows margins alone.
    Source: Berman, Rannen Triki, Blaschko, The Lovász-Softmax Loss: A Tractable Surrogate for the
    Optimization of the Intersection-Over-Union Measure in Neural Networks (2018).

    >>> LovaszHinge()(torch.zeros(1, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(1.)
    """

    function = staticmethod(F.lovasz_hinge)
    card = Card(
        key="lovasz_hinge",
        tasks=("segmentation",),
        input="logits",
        target="labels",
        # The third pixel alone is wrong, by 1 + log 3, one of three positives.
        example=Example(input=BINARY_LOGITS, target=LABELS_SEEN, value=(1 + LOG3) / 3),
    )
