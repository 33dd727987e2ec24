"""Losses of overlap that weigh false positives and false negatives: Tversky, focal Tversky."""

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real
from lossmith.losses.masks import (
    ALPHA,
    BETA,
    BINARY_LOGITS,
    CLASS_LOGITS,
    CLASSES_SEEN,
    GAMMA,
    LABELS_SEEN,
    SMOOTH,
    BinaryMasks,
    ClassMasks,
)

# Of the example's pixels: class 0 has TP 3/4, FP 5/4, FN 1/4; class 1 TP 7/4, FP 1/4, FN 5/4.
_FIRST, _SECOND = 1 - 15 / 26, 1 - 35 / 54


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

    Use when: Structures are small: the last missing pixels of each are still to be learnt.
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

    Use when: Structures are small: the last missing pixels of each are still to be learnt.
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
