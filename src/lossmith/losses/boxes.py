"""Losses of predicted boxes against true ones, by what they share and how they lie."""

import math

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Choice, Real

_INPUT, _TARGET = [[0.0, 0.0, 2.0, 2.0]], [[1.0, 1.0, 3.0, 4.0]]
_UNLIKE = 4 / math.pi**2 * (math.atan(2 / 3) - math.atan(1.0)) ** 2


class IoU(Pointwise):
    r"""One less the intersection over union of two boxes.

    .. math:: \ell(x, y) = 1 - \frac{|x \cap y|}{|x \cup y|}

    Shapes: input and target (N, 4): x1, y1, x2, y2 in any unit. Values from 0 to 1.

    Boxes that do not overlap have the value 1 and no gradient. The same name stands for −ln IoU
    in UnitBox (Yu et al., 2016), which is infinite there. Two boxes without area have value 1.

    Use when: IoU is the metric and boxes overlap their targets already.
    Avoid when: Boxes start apart: there the gradient is zero; GIoU and DIoU have one.
    Source: Rezatofighi, Tsoi, Gwak, Sadeghian, Reid, Savarese, Generalized Intersection over
    Union: A Metric and a Loss for Bounding Box Regression (2019).

    >>> IoU()(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[0.0, 0.0, 2.0, 1.0]]))
    tensor(0.5000)
    """

    function = staticmethod(F.iou)
    card = Card(
        key="iou",
        tasks=("detection",),
        input="boxes",
        target="boxes",
        example=Example(input=_INPUT, target=_TARGET, value=1 - 1 / 9),
    )


class GIoU(Pointwise):
    r"""The IoU loss plus the share of the smallest enclosing box that neither box covers.

    .. math:: \ell(x, y) = 1 - \frac{|x \cap y|}{|x \cup y|} + \frac{C - |x \cup y|}{C}

    Shapes: input and target (N, 4): x1, y1, x2, y2 in any unit. Values from 0 to 2.

    C is the area of the smallest box around both; where it is 0 the last term is 0.

    Use when: Boxes are to be regressed by IoU, and many start without overlap.
    Avoid when: Boxes lie within others: there it is the IoU loss, and DIoU is faster.
    Source: Rezatofighi, Tsoi, Gwak, Sadeghian, Reid, Savarese, Generalized Intersection over
    Union: A Metric and a Loss for Bounding Box Regression (2019).

    >>> GIoU()(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[3.0, 0.0, 4.0, 1.0]]))
    tensor(1.5000)
    """

    function = staticmethod(F.giou)
    card = Card(
        key="giou",
        tasks=("detection",),
        input="boxes",
        target="boxes",
        example=Example(input=_INPUT, target=_TARGET, value=1 - 1 / 9 + 3 / 12),
    )


class DIoU(Pointwise):
    r"""The IoU loss plus the squared distance of the centres, over the enclosing box's diagonal.

    .. math:: \ell(x, y) = 1 - \frac{|x \cap y|}{|x \cup y|} + \frac{\rho^2}{c^2}

    Shapes: input and target (N, 4): x1, y1, x2, y2 in any unit. Values from 0 to 2.

    c is the diagonal of the smallest box around both; where it is 0 the last term is 0.

    Use when: Boxes are to be regressed by IoU; centres are drawn together at once.
    Avoid when: The aspect ratio of boxes matters beyond their overlap; CIoU adds it.
    Source: Zheng, Wang, Liu, Li, Ye, Ren, Distance-IoU Loss: Faster and Better Learning for
    Bounding Box Regression (2020).

    >>> DIoU()(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[1.0, 0.0, 2.0, 1.0]]))
    tensor(1.2000)
    """

    function = staticmethod(F.diou)
    card = Card(
        key="diou",
        tasks=("detection",),
        input="boxes",
        target="boxes",
        # centres (1, 1) and (2, 2.5); the hull is 3 by 4
        example=Example(input=_INPUT, target=_TARGET, value=1 - 1 / 9 + 3.25 / 25),
    )


class CIoU(Pointwise):
    r"""The distance-IoU loss plus a term that compares the boxes' aspect ratios.

    .. math:: \ell(x, y) = 1 - \mathrm{IoU} + \frac{\rho^2}{c^2} + \alpha v \qquad
        v = \frac{4}{\pi^2} \Bigl(\arctan \frac{w_y}{h_y} - \arctan \frac{w_x}{h_x}\Bigr)^2 \qquad
        \alpha = \frac{v}{1 - \mathrm{IoU} + v}

    Shapes: input and target (N, 4): x1, y1, x2, y2 in any unit. Values from 0 to 3.

    alpha is held constant in the gradient, as in the paper and torchvision. The gradient of v is
    the true one, as torchvision's; the authors' own code leaves out its factor 1/(w² + h²). A box
    without area has a finite value and gradient, where torchvision gives NaN: its angle is 0 or
    90 degrees, a point's 0.

    Use when: Boxes are to be regressed by IoU and their aspect ratio is to be right early.
    Avoid when: Boxes are mostly without area or of no meaningful shape; DIoU does.
    Source: Zheng, Wang, Liu, Li, Ye, Ren, Distance-IoU Loss: Faster and Better Learning for
    Bounding Box Regression (2020).

    >>> CIoU()(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[0.0, 0.0, 2.0, 2.0]]))
    tensor(0.)
    """

    function = staticmethod(F.ciou)
    card = Card(
        key="ciou",
        tasks=("detection",),
        input="boxes",
        target="boxes",
        example=Example(
            input=_INPUT,
            target=_TARGET,
            value=1 - 1 / 9 + 3.25 / 25 + _UNLIKE**2 / (1 - 1 / 9 + _UNLIKE),
        ),
        detached=True,
    )


class EIoU(Pointwise):
    r"""The distance-IoU loss plus the squared gaps of width and height, each over the hull's.

    .. math:: \ell(x, y) = 1 - \mathrm{IoU} + \frac{\rho^2}{c^2} + \frac{(w_x - w_y)^2}{C_w^2} +
        \frac{(h_x - h_y)^2}{C_h^2}

    Shapes: input and target (N, 4): x1, y1, x2, y2 in any unit. Values from 0 to 4.

    C_w and C_h are the sides of the smallest box around both. Efficient IoU; mmdetection has
    another loss under this name, Peng & Yu's extended IoU. The paper's focal weight, IoU^γ, is
    no part of it: pass it as `weight`.

    Use when: Boxes are to be regressed by IoU, and width and height are each to be right.
    Avoid when: Boxes are tiny or without area: gaps over the hull are noise there; GIoU then.
    Source: Zhang, Ren, Zhang, Jia, Wang, Tan, Focal and Efficient IOU Loss for Accurate Bounding
    Box Regression (2021).

    >>> EIoU()(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[0.0, 0.0, 2.0, 1.0]]))
    tensor(0.8000)
    """

    function = staticmethod(F.eiou)
    card = Card(
        key="eiou",
        tasks=("detection",),
        input="boxes",
        target="boxes",
        # sides 2, 2 and 2, 3; the hull is 3 by 4
        example=Example(input=_INPUT, target=_TARGET, value=1 - 1 / 9 + 3.25 / 25 + 0 / 9 + 1 / 16),
    )


class SIoU(Pointwise):
    r"""The IoU loss plus costs of the centres' distance, by its angle, and of the shape.

    .. math:: \ell(x, y) = 1 - \mathrm{IoU} + \tfrac12 \sum_{t \in \{x, y\}} \bigl(1 -
        e^{-(2 - \sin 2\alpha) (d_t / C_t)^2}\bigr) + \tfrac12 \sum_{t \in \{w, h\}} \bigl(1 -
        e^{-|t_x - t_y| / \max(t_x, t_y)}\bigr)^4

    Shapes: input and target (N, 4): x1, y1, x2, y2 in any unit. Values from 0 to 2.3.

    d is the gap of the centres along an axis, C the hull's side, and α the angle of the gap to an
    axis: a gap along the diagonal costs less than one along an axis. mmdetection has the paper's
    signs under `neg_gamma`, and cuts values at 2.

    Use when: Boxes are to be regressed by IoU; YOLOv6 trains its small models with it.
    Avoid when: Two axes are unlike, as time and frequency: there the angle means nothing.
    Source: Gevorgyan, SIoU Loss: More Powerful Learning for Bounding Box Regression (2022).

    >>> SIoU()(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[1.0, 0.0, 2.0, 1.0]]))
    tensor(1.1967)
    """

    function = staticmethod(F.siou)
    card = Card(
        key="siou",
        tasks=("detection",),
        input="boxes",
        target="boxes",
        # gaps 1 and 3/2, sin 2α = 3/3.25, the hull is 3 by 4; heights 2 and 3
        example=Example(
            input=_INPUT,
            target=_TARGET,
            value=1
            - 1 / 9
            + (2 - math.exp(-14 / 13 / 9) - math.exp(-14 / 13 * 2.25 / 16)) / 2
            + (1 - math.exp(-1 / 3)) ** 4 / 2,
        ),
    )


class ProbIoU(Pointwise):
    r"""The Hellinger distance of oriented boxes, each taken as a Gaussian.

    .. math:: \ell(x, y) = \sqrt{1 - e^{-B}} \qquad B = \tfrac18 d^\top \Sigma^{-1} d +
        \tfrac12 \log \frac{\det \Sigma}{\sqrt{\det \Sigma_x \det \Sigma_y}} \qquad
        \Sigma = \frac{\Sigma_x + \Sigma_y}{2}

    with d the gap of the centres and each box's covariance that of a uniform box, w²/12 and h²/12
    along its sides.

    Shapes: input and target (N, 5): the centre x, y, width, height, in any unit, and the angle in
    radians. Values from 0 to 1; of "bhattacharyya" B, from 0.

    Boxes that are equal up to a turn by 180 degrees have the value 0, squares up to any turn: a
    Gaussian has no corners. Sides are at least a millionth of the extent of both boxes; signs of
    sides don't count. The paper's L1 is "hellinger", its L2 "bhattacharyya", which has a gradient
    where boxes are far apart: it begins with L2.

    Use when: Oriented, or rotated, boxes are regressed: aerial images, text.
    Avoid when: Boxes are upright, or nearly square and their angle matters.
    Source: Llerena, Zeni, Kristen, Jung, Gaussian Bounding Boxes and Probabilistic
    Intersection-over-Union for Object Detection (2021).

    >>> ProbIoU()(torch.tensor([[0, 0, 2, 2, 0.0]]), torch.tensor([[0, 0, 2, 2, 0.7]]))
    tensor(0.)
    """

    function = staticmethod(F.prob_iou)
    distance: Choice = Choice(
        default="hellinger",
        choices=("hellinger", "bhattacharyya"),
        doc='"hellinger", bounded, or "bhattacharyya", which grows with the gap squared',
    )
    card = Card(
        key="prob_iou",
        tasks=("detection",),
        input="values",
        target="values",
        # gap 1, variances 1/3 each: B = 3/8
        example=Example(
            input=[[0.0, 0.0, 2.0, 2.0, 0.5]],
            target=[[1.0, 0.0, 2.0, 2.0, 0.0]],
            value=math.sqrt(1 - math.exp(-3 / 8)),
        ),
        studied=False,  # whose boxes are upright
    )


class AlphaIoU(Pointwise):
    r"""The IoU loss with overlap, and penalty, to a power: boxes that are nearly right count most.

    .. math:: \ell(x, y) = 1 - \mathrm{IoU}^\alpha + P^\alpha

    with P = 0, or the penalty of `GIoU`, `DIoU` or `CIoU`: for "ciou" both of its terms, each to
    the power.

    Shapes: input and target (N, 4): x1, y1, x2, y2 in any unit. Values from 0, as those.

    Use when: Boxes are scored at high overlaps, or some of them are noisy.
    Avoid when: Boxes start apart and the penalty is "none": there the gradient is zero.
    Source: He, Erfani, Ma, Bailey, Chi, Hua, Alpha-IoU: A Family of Power Intersection over Union
    Losses for Bounding Box Regression (2021).

    >>> AlphaIoU()(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[0.0, 0.0, 2.0, 1.0]]))
    tensor(0.8750)
    """

    function = staticmethod(F.alpha_iou)
    alpha: Real = Real(default=3.0, low=0.0, exclusive=True, doc="α; 3 is the paper's best")
    penalty: Choice = Choice(
        default="none", choices=("none", "giou", "diou", "ciou"), doc="of which loss the rest is"
    )
    card = Card(
        key="alpha_iou",
        tasks=("detection",),
        input="boxes",
        target="boxes",
        example=Example(
            arguments={"alpha": 2.0, "penalty": "ciou"},
            input=_INPUT,
            target=_TARGET,
            value=1 - 1 / 9**2 + (3.25 / 25) ** 2 + (_UNLIKE**2 / (1 - 1 / 9 + _UNLIKE)) ** 2,
        ),
        detached=True,
        studied=False,
    )


class MPDIoU(Pointwise):
    r"""The IoU loss plus the squared gaps of two opposite corners, over the image's diagonal.

    .. math:: \ell(x, y) = 1 - \mathrm{IoU} + \frac{d_1^2 + d_2^2}{w^2 + h^2}

    Shapes: input and target (N, 4): x1, y1, x2, y2 in the unit of the image's width w and height h.
    Values from 0; to 3 for boxes within the image. d are the distances of the corners (x1, y1), and
    of (x2, y2).

    Use when: Boxes are regressed by IoU, and those of one centre and shape must differ by size too.
    Avoid when: Objects are tiny in a large image: the gaps over its diagonal hardly count.
    Source: Ma, Xu, MPDIoU: A Loss for Efficient and Accurate Bounding Box Regression (2023).

    >>> loss = MPDIoU(width=4.0, height=3.0)
    >>> loss(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[1.0, 0.0, 2.0, 1.0]]))
    tensor(1.0800)
    """

    function = staticmethod(F.mpdiou)
    width: Real = Real(low=0.0, exclusive=True, doc="of the image; 1 for boxes in its unit")
    height: Real = Real(low=0.0, exclusive=True, doc="of the image; 1 for boxes in its unit")
    card = Card(
        key="mpdiou",
        tasks=("detection",),
        input="boxes",
        target="boxes",
        example=Example(
            arguments={"width": 4.0, "height": 3.0},
            input=_INPUT,
            target=_TARGET,
            value=1 - 1 / 9 + (2 + 5) / 25,
        ),
        studied=False,
    )


class NWD(Pointwise):
    r"""How far boxes are apart as Gaussians, on a scale of tiny objects.

    .. math:: \ell(x, y) = 1 - e^{-W / C} \qquad W^2 = \Bigl\lVert \Bigl( c_x, c_y, \frac{w}{2},
        \frac{h}{2} \Bigr)_x - \Bigl( c_x, c_y, \frac{w}{2}, \frac{h}{2} \Bigr)_y \Bigr\rVert^2

    the Wasserstein distance of Gaussians at the boxes' centres c, of standard deviations w/2, h/2.

    Shapes: input and target (N, 4): x1, y1, x2, y2 in pixels. Values from 0 to 1. W is the length
    of the gap of the four coordinates over √2. The authors' code adds 10⁻⁷ to W².

    Use when: Objects are of few pixels: a small shift, which ends an overlap, changes it little.
    Avoid when: Sizes vary much: a shift counts alike for all, where IoU counts it by the box.
    Source: Wang, Xu, Yang, Yu, A Normalized Gaussian Wasserstein Distance for Tiny Object Detection
    (2021).

    >>> loss = NWD(scale=2.0)
    >>> loss(torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([[2.0, 0.0, 6.0, 4.0]]))
    tensor(0.6321)
    """

    function = staticmethod(F.nwd)
    scale: Real = Real(
        default=12.8,
        low=0.0,
        exclusive=True,
        doc="C, the mean size of the objects, in pixels; 12.8 is that of AI-TOD",
    )
    card = Card(
        key="nwd",
        tasks=("detection",),
        input="boxes",
        target="boxes",
        # gaps 1, 1, 1, 2
        example=Example(
            arguments={"scale": 2.0},
            input=_INPUT,
            target=_TARGET,
            value=1 - math.exp(-math.sqrt(7 / 2) / 2),
        ),
        studied=False,
    )
