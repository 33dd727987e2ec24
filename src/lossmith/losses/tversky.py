"""Losses of overlap that weigh false positives and false negatives: Tversky, focal Tversky."""

from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Paper
from lossmith.losses.classes import CLASSES
from lossmith.losses.masks import (
    ALPHA,
    BETA,
    BINARY_LOGITS,
    CLASS_LOGITS,
    CLASSES_SEEN,
    GAMMA,
    IGNORE,
    LABELS_SEEN,
    SMOOTH,
    BinaryMasks,
    ClassMasks,
)

_SALEHI = Paper(
    authors="S. S. M. Salehi, D. Erdogmus, A. Gholipour",
    title="Tversky Loss Function for Image Segmentation Using 3D Fully Convolutional Deep Networks",
    year=2017,
)
_ABRAHAM = Paper(
    authors="N. Abraham, N. M. Khan",
    title="A Novel Focal Tversky Loss Function with Improved Attention U-Net for Lesion "
    "Segmentation",
    year=2019,
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

    Args:
        classes: number of classes, needed for the head alone.
        alpha: weight of false positives.
        beta: weight of false negatives.
        smooth: s, pixels added to both sides of the fraction.
        ignore_index: the target whose pixels are left out of every sum.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a class lies outside the head.

    Source: Salehi, Erdogmus, Gholipour, Tversky Loss Function for Image Segmentation Using 3D
    Fully Convolutional Deep Networks (2017).

    >>> Tversky()(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5000)
    """

    alpha: Tensor
    beta: Tensor
    smooth: Tensor
    card: ClassVar[Card] = Card(
        key="tversky",
        tasks=("segmentation",),
        target="classes",
        input="logits",
        formula="1 - mean_c (TP + s) / (TP + alpha FP + beta FN + s), soft counts",
        use_when="Missed pixels cost more than wrongly found ones, or the other way round.",
        avoid_when="Both cost the same: then it is Dice.",
        paper=_SALEHI,
        example=Example(input=CLASS_LOGITS, target=CLASSES_SEEN, value=(_FIRST + _SECOND) / 2),
        hypers={
            "classes": CLASSES,
            "alpha": ALPHA,
            "beta": BETA,
            "smooth": SMOOTH,
            "ignore_index": IGNORE,
        },
    )

    def __init__(
        self,
        *,
        classes: int | None = None,
        alpha: Number = 0.3,
        beta: Number = 0.7,
        smooth: Number = 1e-5,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(
            classes=classes, alpha=alpha, beta=beta, smooth=smooth, ignore_index=ignore_index
        )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Tversky loss of each image."""
        return F.tversky(
            input,
            target,
            alpha=self.alpha,
            beta=self.beta,
            smooth=self.smooth,
            ignore_index=self.ignore_index,
        )


class BinaryTversky(BinaryMasks):
    r"""One less the Tversky index of one mask: Dice with a price for each kind of error.

    .. math:: \ell(x, y) = 1 - \frac{TP + s}{TP + \alpha FP + \beta FN + s}

    with the soft counts TP = Σpt, FP = Σp(1 − t), FN = Σ(1 − p)t of p = σ(x).

    Shapes: input and target (N, …); labels from 0 to 1. One value an image, from 0 to 1.

    Args:
        alpha: weight of false positives.
        beta: weight of false negatives.
        smooth: s, pixels added to both sides of the fraction; the paper has none.
        ignore_index: the label whose pixels are left out of every sum.

    Raises:
        ValueError: if the shapes of input and target differ or a label lies outside 0 … 1.

    Source: Salehi, Erdogmus, Gholipour, Tversky Loss Function for Image Segmentation Using 3D
    Fully Convolutional Deep Networks (2017).

    >>> BinaryTversky()(torch.zeros(1, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5000)
    """

    alpha: Tensor
    beta: Tensor
    smooth: Tensor
    card: ClassVar[Card] = Card(
        key="binary_tversky",
        tasks=("segmentation",),
        target="labels",
        input="logits",
        formula="1 - (TP + s) / (TP + alpha FP + beta FN + s), soft counts",
        use_when="Missed pixels cost more than wrongly found ones, or the other way round.",
        avoid_when="Both cost the same: then it is Dice.",
        paper=_SALEHI,
        example=Example(input=BINARY_LOGITS, target=LABELS_SEEN, value=_SECOND),
        hypers={"alpha": ALPHA, "beta": BETA, "smooth": SMOOTH, "ignore_index": IGNORE},
    )

    def __init__(
        self,
        *,
        alpha: Number = 0.3,
        beta: Number = 0.7,
        smooth: Number = 1e-5,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(alpha=alpha, beta=beta, smooth=smooth, ignore_index=ignore_index)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Tversky loss of each image."""
        return F.binary_tversky(
            input,
            target,
            alpha=self.alpha,
            beta=self.beta,
            smooth=self.smooth,
            ignore_index=self.ignore_index,
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

    Args:
        classes: number of classes, needed for the head alone.
        alpha: weight of false positives.
        beta: weight of false negatives.
        gamma: the root that is taken; 1 is the Tversky loss.
        smooth: s, pixels added to both sides of the fraction.
        ignore_index: the target whose pixels are left out of every sum.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a class lies outside the head.

    Source: Abraham, Khan, A Novel Focal Tversky Loss Function with Improved Attention U-Net for
    Lesion Segmentation (2019).

    >>> FocalTversky()(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5946)
    """

    alpha: Tensor
    beta: Tensor
    gamma: Tensor
    smooth: Tensor
    card: ClassVar[Card] = Card(
        key="focal_tversky",
        tasks=("segmentation",),
        target="classes",
        input="logits",
        formula="mean_c (1 - Tversky index)^(1/gamma)",
        use_when="Structures are small: the last missing pixels of each are still to be learnt.",
        avoid_when="Labels are noisy, or masks are easy: Tversky or Dice is calmer.",
        paper=_ABRAHAM,
        example=Example(
            input=CLASS_LOGITS, target=CLASSES_SEEN, value=(_FIRST**0.75 + _SECOND**0.75) / 2
        ),
        hypers={
            "classes": CLASSES,
            "alpha": ALPHA,
            "beta": BETA,
            "gamma": GAMMA,
            "smooth": SMOOTH,
            "ignore_index": IGNORE,
        },
    )

    def __init__(
        self,
        *,
        classes: int | None = None,
        alpha: Number = 0.3,
        beta: Number = 0.7,
        gamma: Number = 4 / 3,
        smooth: Number = 1e-5,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(
            classes=classes,
            alpha=alpha,
            beta=beta,
            gamma=gamma,
            smooth=smooth,
            ignore_index=ignore_index,
        )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the focal Tversky loss of each image."""
        return F.focal_tversky(
            input,
            target,
            alpha=self.alpha,
            beta=self.beta,
            gamma=self.gamma,
            smooth=self.smooth,
            ignore_index=self.ignore_index,
        )


class BinaryFocalTversky(BinaryMasks):
    r"""A root of one mask's Tversky loss: masks that are nearly right keep a gradient.

    .. math:: \ell(x, y) = \Bigl(1 - \frac{TP + s}{TP + \alpha FP + \beta FN + s}\Bigr)^{1/\gamma}

    Shapes: input and target (N, …); labels from 0 to 1. One value an image, from 0 to 1.

    See `FocalTversky` for the names of the parameters in the paper and elsewhere.

    Args:
        alpha: weight of false positives.
        beta: weight of false negatives.
        gamma: the root that is taken; 1 is the Tversky loss.
        smooth: s, pixels added to both sides of the fraction; 1 in the authors' code.
        ignore_index: the label whose pixels are left out of every sum.

    Raises:
        ValueError: if the shapes of input and target differ or a label lies outside 0 … 1.

    Source: Abraham, Khan, A Novel Focal Tversky Loss Function with Improved Attention U-Net for
    Lesion Segmentation (2019).

    >>> BinaryFocalTversky()(torch.zeros(1, 4), torch.tensor([[0, 0, 1, 1]]))
    tensor(0.5946)
    """

    alpha: Tensor
    beta: Tensor
    gamma: Tensor
    smooth: Tensor
    card: ClassVar[Card] = Card(
        key="binary_focal_tversky",
        tasks=("segmentation",),
        target="labels",
        input="logits",
        formula="(1 - Tversky index)^(1/gamma)",
        use_when="Structures are small: the last missing pixels of each are still to be learnt.",
        avoid_when="Labels are noisy, or masks are easy: Tversky or Dice is calmer.",
        paper=_ABRAHAM,
        example=Example(input=BINARY_LOGITS, target=LABELS_SEEN, value=_SECOND**0.75),
        hypers={
            "alpha": ALPHA,
            "beta": BETA,
            "gamma": GAMMA,
            "smooth": SMOOTH,
            "ignore_index": IGNORE,
        },
    )

    def __init__(
        self,
        *,
        alpha: Number = 0.3,
        beta: Number = 0.7,
        gamma: Number = 4 / 3,
        smooth: Number = 1e-5,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(
            alpha=alpha, beta=beta, gamma=gamma, smooth=smooth, ignore_index=ignore_index
        )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the focal Tversky loss of each image."""
        return F.binary_focal_tversky(
            input,
            target,
            alpha=self.alpha,
            beta=self.beta,
            gamma=self.gamma,
            smooth=self.smooth,
            ignore_index=self.ignore_index,
        )
