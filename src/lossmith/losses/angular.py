"""Softmax over proxies with a margin of the angle or of the cosine, as for faces."""

import math
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Paper
from lossmith.core.loss import Pointwise
from lossmith.losses.proxies import CLASSES, EACH, FEATURES, ORIGIN, SCALE, SIZES, ProxyLoss

SMALL = {**SIZES, "scale": 4.0}
MARGIN = Hyper(
    default=0.5, low=0.0, high=math.pi / 2, meaning="added to the angle of the own class, radians"
)


class ArcFace(ProxyLoss, Pointwise):
    r"""Softmax of scaled cosines to the proxies, with a margin added to the own class's angle.

    .. math:: \ell(x, y) = -\log \frac{e^{s \cos(\theta_y + m)}}{e^{s \cos(\theta_y + m)} +
        \sum_{c \ne y} e^{s \cos \theta_c}}

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value a row, in nats.
    θ_c is the angle between x and proxy c. Where θ_y + m would pass π and the cosine rise again,
    cos θ_y − m·sin m takes its place, as in the authors' code and pytorch-metric-learning.

    Args:
        classes: number of classes.
        features: width of the embeddings.
        scale: factor s of the cosines.
        margin: angle m in radians; pytorch-metric-learning takes degrees.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a class or hyperparameter is out of range.

    Source: Deng, Guo, Xue, Zafeiriou, ArcFace: Additive Angular Margin Loss for Deep Face
    Recognition (2019).

    >>> loss = ArcFace(classes=3, features=2)
    >>> loss.decode(loss.proxies).argmax(1)
    tensor([0, 1, 2])
    """

    scale: Tensor
    margin: Tensor
    card: ClassVar[Card] = Card(
        key="arc_face",
        tasks=("metric_learning",),
        target="classes",
        input="embeddings",
        learns=True,
        formula="cross-entropy of s cos(theta_c), with theta_y + m for the own class",
        use_when="Faces, products, landmarks: many classes, verification of unseen ones.",
        avoid_when="Labels are noisy or classes fall into parts: sub-centres bear it.",
        paper=Paper(
            authors="J. Deng, J. Guo, N. Xue, S. Zafeiriou",
            title="ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
            year=2019,
        ),
        # all angles are a right angle: cos(pi/2 + m) = -sin m
        example=Example(
            arguments=SMALL,
            input=ORIGIN,
            target=EACH,
            value=math.log1p(2 * math.exp(4 * math.sin(0.5))),
        ),
        hypers={"classes": CLASSES, "features": FEATURES, "scale": SCALE, "margin": MARGIN},
    )

    def __init__(
        self, *, classes: int, features: int, scale: Number = 64.0, margin: Number = 0.5
    ) -> None:
        super().__init__(classes=classes, features=features, scale=scale, margin=margin)

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

    Args:
        classes: number of classes.
        features: width of the embeddings.
        sub_centers: proxies a class.
        scale: factor of the cosines.
        margin: angle in radians.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a class or hyperparameter is out of range.

    Source: Deng, Guo, Liu, Gong, Zafeiriou, Sub-center ArcFace: Boosting Face Recognition by
    Large-Scale Noisy Web Faces (2020).

    >>> SubCenterArcFace(classes=4, features=2).proxies.shape
    torch.Size([12, 2])
    """

    sub_centers: int
    scale: Tensor
    margin: Tensor
    card: ClassVar[Card] = Card(
        key="sub_center_arc_face",
        tasks=("metric_learning",),
        target="classes",
        input="embeddings",
        learns=True,
        formula="ArcFace with cos(theta_c) = max_k cos(x, p_ck)",
        use_when="Labels are noisy or classes fall into parts: the odd ones find a centre.",
        avoid_when="Labels are clean and classes compact: ArcFace makes them more so.",
        paper=Paper(
            authors="J. Deng, J. Guo, T. Liu, M. Gong, S. Zafeiriou",
            title="Sub-center ArcFace: Boosting Face Recognition by Large-Scale Noisy Web Faces",
            year=2020,
        ),
        example=Example(
            arguments=SMALL,
            input=ORIGIN,
            target=EACH,
            value=math.log1p(2 * math.exp(4 * math.sin(0.5))),
        ),
        hypers={
            "classes": CLASSES,
            "features": FEATURES,
            "sub_centers": Hyper(default=3, low=1, meaning="proxies a class"),
            "scale": SCALE,
            "margin": MARGIN,
        },
    )

    def __init__(
        self,
        *,
        classes: int,
        features: int,
        sub_centers: int = 3,
        scale: Number = 64.0,
        margin: Number = 0.5,
    ) -> None:
        super().__init__(
            classes=classes, features=features, sub_centers=sub_centers, scale=scale, margin=margin
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

    Args:
        classes: number of classes.
        features: width of the embeddings.
        scale: factor s of the cosines.
        margin: m, taken off the own cosine.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a class or hyperparameter is out of range.

    Source: Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu, CosFace: Large Margin Cosine Loss for Deep
    Face Recognition (2018).

    >>> CosFace(classes=3, features=2).decode(torch.zeros(1, 2))
    tensor([[0.3333, 0.3333, 0.3333]], grad_fn=<SoftmaxBackward0>)
    """

    scale: Tensor
    margin: Tensor
    card: ClassVar[Card] = Card(
        key="cos_face",
        tasks=("metric_learning",),
        target="classes",
        input="embeddings",
        learns=True,
        formula="cross-entropy of s cos(theta_c), with cos(theta_y) - m for the own class",
        use_when="As ArcFace, with a gradient that no angle bends: steadier early training.",
        avoid_when="Few classes with much overlap: the margin asks for what cannot be had.",
        paper=Paper(
            authors="H. Wang, Y. Wang, Z. Zhou, X. Ji, D. Gong, J. Zhou, Z. Li, W. Liu",
            title="CosFace: Large Margin Cosine Loss for Deep Face Recognition",
            year=2018,
        ),
        example=Example(
            arguments=SMALL, input=ORIGIN, target=EACH, value=math.log1p(2 * math.exp(4 * 0.35))
        ),
        hypers={
            "classes": CLASSES,
            "features": FEATURES,
            "scale": SCALE,
            "margin": Hyper(default=0.35, low=0.0, high=1.0, meaning="off the own cosine"),
        },
    )

    def __init__(
        self, *, classes: int, features: int, scale: Number = 64.0, margin: Number = 0.35
    ) -> None:
        super().__init__(classes=classes, features=features, scale=scale, margin=margin)

    def sharpness(self) -> Tensor:
        """Return the scale."""
        return self.scale

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy with margin of each row."""
        return F.cos_face(input, target, proxies=self.proxies, scale=self.scale, margin=self.margin)
