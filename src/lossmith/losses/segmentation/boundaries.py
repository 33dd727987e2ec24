"""Losses of what masks look like: their boundary, their centre lines."""

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Whole
from lossmith.losses.segmentation._masks import (
    BINARY_LOGITS,
    CLASS_LOGITS,
    CLASSES_SEEN,
    LABELS_SEEN,
    BinaryMasks,
    ClassMasks,
)

ALPHA = Real(
    default=2.0,
    low=0.0,
    exclusive=True,
    high=8.0,  # beyond, float32 does not hold the distances of an image
    static=True,
    doc="power of the distances; the paper finds 1 to 3 alike good, best 2",
)


class Boundary(Pointwise):
    r"""The distance of what is predicted from the true boundary: softmax times signed distance.

    .. math:: \ell(x, \varphi) = \frac{1}{C P} \sum_{c, i} p_{ci} \varphi_{ci} \qquad
        p = \mathrm{softmax}(x)

    Shapes: input and target (N, C, …); one value an image, in the unit of the distances.

    The target is the signed distance to each class's boundary, negative within: compute it once,
    with `lossmith.functional.signed_distance`. Where distances are 0 nothing is learnt: a class
    to leave out, a pixel to ignore. The least value is negative, and not 0. The paper adds it to
    Dice with a weight that grows: `Dice() + alpha * Boundary()`.

    Use when: A region is tiny beside the rest; beside Dice, with a weight that grows.
    Avoid when: Alone: it is least where the whole interior is found, but has poor gradients.
    Source: Kervadec, Bouchtiba, Desrosiers, Granger, Dolz, Ben Ayed, Boundary Loss for Highly
    Unbalanced Segmentation (2019).

    >>> Boundary()(torch.zeros(1, 2, 3), torch.tensor([[[0.0, 1.0, 2.0], [1.0, 0.0, -1.0]]]))
    tensor(0.2500)
    """

    function = staticmethod(F.boundary)
    card = Card(
        key="boundary",
        tasks=("segmentation",),
        input="logits",
        target="values",
        example=Example(
            input=CLASS_LOGITS,
            target=[[[[0.0, 1.0], [1.0, 1.5]], [[1.0, 0.0], [0.0, 0.0]]]],
            value=1.625 / 8,
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the softmax: one probability a class, along dimension 1."""
        return F.softmax(output)


class ClDice(BinaryMasks):
    r"""One less the harmonic mean of how far two centrelines lie in the other's mask.

    .. math:: \ell(x, y) = 1 - \frac{2 T_p T_s}{T_p + T_s} \qquad
        T_p = \frac{\sum_i S(p)_i t_i + s}{\sum_i S(p)_i + s} \qquad
        T_s = \frac{\sum_i S(t)_i p_i + s}{\sum_i S(t)_i + s}

    with p = σ(x) and S the soft skeleton, of repeated erosion and opening.

    Shapes: input and target (N, H, W) or (N, D, H, W); labels from 0 to 1. One value an image,
    from 0 to 1.

    The paper adds it to Dice: `0.5 * BinaryDice() + 0.5 * ClDice()`. The sums run over one image;
    the authors' code sums over the batch. An ignored pixel is background in both masks: it is in
    no sum, but structures end there.

    Use when: Structures are thin, tubes or networks whose connection matters: vessels, roads.
    Avoid when: Structures are compact, or alone: beside Dice, which sees the width.
    Source: Shit, Paetzold, Sekuboyina, Ezhov, Unger, Zhylka, Pluim, Bauer, Menze, clDice: A Novel
    Topology-Preserving Loss Function for Tubular Structure Segmentation (2021).

    >>> line = torch.tensor([[[0, 0, 0], [1, 1, 1], [0, 0, 0]]])
    >>> ClDice()(torch.zeros(1, 3, 3), line)
    tensor(0.2308)
    """

    function = staticmethod(F.cl_dice)
    iterations: Whole = Whole(
        default=10,
        low=0,
        doc="erosions of the skeleton: at least the pixels from the rim of the thickest structure"
        " to its centre. The authors' code does 10",
    )
    smooth: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="s, pixels added to both sides of the fractions"
    )
    card = Card(
        key="cl_dice",
        tasks=("segmentation",),
        input="logits",
        target="labels",
        # A flat prediction of 1/2 has no centreline, Tp = 1; the line of three has Ts = 2.5/4.
        example=Example(
            arguments={"iterations": 2},
            input=[[[0.0, 0.0, 0.0]] * 3],
            target=[[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]],
            value=3 / 13,
        ),
    )


class HausdorffDT(ClassMasks):
    r"""Squared errors of each class's mask, weighed by how far both boundaries are from them.

    .. math:: \ell(x, y) = \frac{1}{C P} \sum_{c, i} (p_{ci} - t_{ci})^2 \bigl(d_{p, ci}^\alpha +
        d_{t, ci}^\alpha \bigr) \qquad p = \mathrm{softmax}(x)

    with d the distance in pixels to the boundary of the mask that is predicted, p above ½, and of
    the true one; both are constant in the gradient.

    Shapes: input (N, C, …), target (N, …) of integer classes; one value an image, in pixels to the
    power of alpha.

    A distance is to the nearest pixel of the other side, so 1 at the rim. A mask without a
    boundary has distances of 0; where both have none, nothing is learnt. All classes count; MONAI
    leaves out class 0 by default. An ignored pixel is outside of all masks. The transform is exact,
    needs no scipy and runs on the device, in as many steps as the largest distance has pixels, or
    the image. The paper adds it to Dice, in equal shares: `Dice() + weight * HausdorffDT()`.

    Use when: The Hausdorff distance is the metric, beside Dice.
    Avoid when: Alone, or from the start: while masks are empty its gradient is noise or 0.
    Source: Karimi, Salcudean, Reducing the Hausdorff Distance in Medical Image Segmentation with
    Convolutional Neural Networks (2019).

    >>> HausdorffDT()(torch.zeros(1, 2, 3), torch.tensor([[0, 0, 1]]))  # (4 + 1 + 1)/4/3
    tensor(0.5000)
    """

    function = staticmethod(F.hausdorff_dt)
    alpha: Real = ALPHA
    card = Card(
        key="hausdorff_dt",
        tasks=("segmentation",),
        input="logits",
        target="classes",
        # errors 1/16, and 9/16 once; the predicted boundary is 1 from all, the true one 1 or √2
        example=Example(
            arguments={"alpha": 2.0},
            input=CLASS_LOGITS,
            target=CLASSES_SEEN,
            value=(2 / 16 + 9 * 2 / 16 + 2 / 16 + 3 / 16) / 4,
        ),
        studied=False,
    )


class BinaryHausdorffDT(BinaryMasks):
    r"""Squared errors of one mask, weighed by how far both boundaries are from them.

    .. math:: \ell(x, y) = \frac{1}{P} \sum_i (p_i - t_i)^2 \bigl(d_{p, i}^\alpha + d_{t, i}^\alpha
        \bigr) \qquad p = \sigma(x)

    with d the distance in pixels to the boundary of the mask that is predicted, p above ½, and of
    the true one; both are constant in the gradient. See `HausdorffDT`.

    Shapes: input and target (N, …); labels from 0 to 1. One value an image, in pixels to the power
    of alpha.

    Use when: The Hausdorff distance of one mask is the metric, beside Dice.
    Avoid when: Alone, or from the start: while masks are empty its gradient is noise or 0.
    Source: Karimi, Salcudean, Reducing the Hausdorff Distance in Medical Image Segmentation with
    Convolutional Neural Networks (2019).

    >>> BinaryHausdorffDT()(torch.zeros(1, 3), torch.tensor([[0, 0, 1]]))  # (4 + 1 + 1)/4/3
    tensor(0.5000)
    """

    function = staticmethod(F.binary_hausdorff_dt)
    alpha: Real = ALPHA
    card = Card(
        key="binary_hausdorff_dt",
        tasks=("segmentation",),
        input="logits",
        target="labels",
        # as of two classes
        example=Example(
            input=BINARY_LOGITS,
            target=LABELS_SEEN,
            value=(2 / 16 + 9 * 2 / 16 + 2 / 16 + 3 / 16) / 4,
        ),
        studied=False,
    )
