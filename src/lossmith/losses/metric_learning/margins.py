"""Metric learning by a softmax over proxies whose own class is held by a margin."""

import math

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Whole
from lossmith.functional.checks import promote
from lossmith.losses.metric_learning._proxies import (
    EACH,
    ORIGIN,
    SCALE,
    SIZES,
    SMALL,
    ProxyLoss,
)

MARGIN = Real(
    default=0.5,
    low=0.0,
    high=1.5707963267948966,
    doc="added to the angle of the own class, radians",
)


class ArcFace(ProxyLoss, Pointwise):
    r"""Softmax of scaled cosines to the proxies, with a margin added to the own class's angle.

    .. math:: \ell(x, y) = -\log \frac{e^{s \cos(\theta_y + m)}}{e^{s \cos(\theta_y + m)} +
        \sum_{c \ne y} e^{s \cos \theta_c}}

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value a row, in nats.
    θ_c is the angle between x and proxy c. Where θ_y + m would pass π and the cosine rise again,
    cos θ_y − m·sin m takes its place, as in the authors' code and pytorch-metric-learning.

    Use when: Faces, speakers, products, landmarks: many classes, verification of unseen ones.
    Avoid when: Labels are noisy or classes fall into parts: sub-centres bear it.
    Source: Deng, Guo, Xue, Zafeiriou, ArcFace: Additive Angular Margin Loss for Deep Face
    Recognition (2019).

    >>> loss = ArcFace(classes=3, features=2)
    >>> loss.decode(loss.proxies).argmax(1)
    tensor([0, 1, 2])
    """

    scale: Real = SCALE
    margin: Real = MARGIN
    card = Card(
        key="arc_face",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        learns=True,
        # all angles are a right angle: cos(pi/2 + m) = -sin m
        example=Example(
            arguments=SMALL,
            input=ORIGIN,
            target=EACH,
            value=math.log1p(2 * math.exp(4 * math.sin(0.5))),
        ),
    )

    def sharpness(self) -> Tensor:
        """Return the scale."""
        return self.scale

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy with margin of each row."""
        return F.arc_face(input, target, proxies=self.proxies, scale=self.scale, margin=self.margin)


class SubCenterArcFace(ProxyLoss, Pointwise):
    r"""ArcFace with several proxies a class, of which the nearest counts.

    .. math:: \cos \theta_c = \max_k \frac{x}{\|x\|} \cdot \frac{p_{ck}}{\|p_{ck}\|}

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value a row, in nats:
    ArcFace's of these cosines. The proxies of a class are consecutive rows.

    Use when: Labels are noisy or classes fall into parts: the odd ones find a centre.
    Avoid when: Labels are clean and classes compact: ArcFace makes them more so.
    Source: Deng, Guo, Liu, Gong, Zafeiriou, Sub-center ArcFace: Boosting Face Recognition by
    Large-Scale Noisy Web Faces (2020).

    >>> SubCenterArcFace(classes=4, features=2).proxies.shape
    torch.Size([12, 2])
    """

    sub_centers: Whole = Whole(default=3, low=1, doc="proxies a class")
    scale: Real = SCALE
    margin: Real = MARGIN
    card = Card(
        key="sub_center_arc_face",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        learns=True,
        example=Example(
            arguments=SMALL,
            input=ORIGIN,
            target=EACH,
            value=math.log1p(2 * math.exp(4 * math.sin(0.5))),
        ),
    )

    @property
    def centers(self) -> int:
        """How many proxies each class has."""
        return self.sub_centers

    def sharpness(self) -> Tensor:
        """Return the scale."""
        return self.scale

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy with margin of each row."""
        return F.arc_face(
            input,
            target,
            proxies=self.proxies,
            scale=self.scale,
            margin=self.margin,
            centers=self.sub_centers,
        )


class CosFace(ProxyLoss, Pointwise):
    r"""Softmax of scaled cosines to the proxies, with a margin off the own class's cosine.

    .. math:: \ell(x, y) = -\log \frac{e^{s (\cos \theta_y - m)}}{e^{s (\cos \theta_y - m)} +
        \sum_{c \ne y} e^{s \cos \theta_c}}

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value a row, in nats.

    Use when: As ArcFace, also in speaker verification, with a gradient that no angle bends:
    steadier early training.
    Avoid when: Few classes with much overlap: the margin asks for what cannot be had.
    Source: Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu, CosFace: Large Margin Cosine Loss for Deep
    Face Recognition (2018).

    >>> CosFace(classes=3, features=2).decode(torch.zeros(1, 2))
    tensor([[0.3333, 0.3333, 0.3333]], grad_fn=<SoftmaxBackward0>)
    """

    function = staticmethod(F.cos_face)
    scale: Real = SCALE
    margin: Real = Real(default=0.35, low=0.0, high=1.0, doc="m, taken off the own cosine")
    card = Card(
        key="cos_face",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        learns=True,
        example=Example(
            arguments=SMALL, input=ORIGIN, target=EACH, value=math.log1p(2 * math.exp(4 * 0.35))
        ),
    )

    def sharpness(self) -> Tensor:
        """Return the scale."""
        return self.scale


class SphereFace(ProxyLoss, Pointwise):
    r"""Softmax of lengths times cosines, the own class's angle multiplied: A-Softmax.

    .. math:: \ell(x, y) = -\log \frac{e^{\lVert x \rVert f(\theta_y)}}{e^{\lVert x \rVert
        f(\theta_y)} + \sum_{c \ne y} e^{\lVert x \rVert \cos \theta_c}} \qquad f(\theta) =
        \frac{\lambda \cos \theta + \psi(\theta)}{1 + \lambda}, \; \psi(\theta) = (-1)^k \cos(m
        \theta) - 2k

    for θ from kπ/m to (k + 1)π/m: it falls all the way from 0 to π.

    Shapes: input (N, D) of embeddings, whose length counts; target (N,) of integer classes. One
    value a row, in nats. Proxies count by their direction alone. With λ = 0 it is the paper's
    formula and pytorch-metric-learning's; the authors' training starts at 1000 and goes down to 5,
    which a schedule writes.

    Use when: SphereFace is to be compared with.
    Avoid when: Training must be easy: CosFace and ArcFace need no annealing.
    Source: Liu, Wen, Yu, Li, Raj, Song, SphereFace: Deep Hypersphere Embedding for Face Recognition
    (2017).

    >>> loss = SphereFace(classes=3, features=2)
    >>> loss.decode(4 * loss.proxies).argmax(1)
    tensor([0, 1, 2])
    """

    function = staticmethod(F.sphere_face)
    margin: Whole = Whole(default=4, low=1, high=8, doc="m, by which the own angle is multiplied")
    annealing: Real = Real(
        default=0.0, low=0.0, doc="λ, how much of the plain cosine counts; takes a schedule"
    )
    card = Card(
        key="sphere_face",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        learns=True,
        # a row without length has logits of 0
        example=Example(arguments=SIZES, input=ORIGIN, target=EACH, value=math.log(3)),
    )

    def sharpness(self) -> Tensor:
        """Return 1: logits are lengths times cosines."""
        return torch.ones(())

    def decode(self, output: Tensor) -> Tensor:
        """Return a probability for each class from embeddings (N, D), without the margin."""
        rows = promote(output)
        return F.dots(rows, F.unit_rows(self.proxies.to(rows))).softmax(1)
