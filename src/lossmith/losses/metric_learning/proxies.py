"""Metric learning by proxies: one learned direction a class, some with a margin."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lossmith import functional as F
from lossmith.core.bases import Pointwise, SetLoss
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Switch, Whole
from lossmith.core.loss import Loss
from lossmith.functional.checks import promote

CLASSES = Whole(low=2, doc="number of classes")
FEATURES = Whole(low=1, doc="width of the embeddings")
SCALE = Real(default=64.0, low=0.0, exclusive=True, doc="factor of the cosines in the softmax")
# An embedding without a direction has cosine 0 to every proxy, wherever they are.
ORIGIN = [[0.0, 0.0, 0.0]] * 3
EACH = [0, 1, 2]
SIZES = {"classes": 3, "features": 3}
SMALL = {**SIZES, "scale": 4.0}
MARGIN = Real(
    default=0.5,
    low=0.0,
    high=1.5707963267948966,
    doc="added to the angle of the own class, radians",
)


class ProxyLoss(Loss, ABC):
    """A loss with learned proxies; a subclass states how sharp its softmax over them is.

    The proxies are parameters: give them to the optimizer, often at a higher learning rate. They
    start as random directions, the same ones each time.
    """

    classes: Whole = CLASSES
    features: Whole = FEATURES

    def initial_state(self) -> dict[str, Tensor]:
        """Return the proxies at the start."""
        first = F.init_proxies(self.classes * self.centers, self.features)
        return {"proxies": nn.Parameter(first)}

    @property
    def centers(self) -> int:
        """How many proxies each class has."""
        return 1

    @abstractmethod
    def sharpness(self) -> Tensor:
        """Return the factor of the cosines in the softmax over the classes."""

    def decode(self, output: Tensor) -> Tensor:
        """Return a probability for each class from embeddings (N, D); the nearest proxy's is most.

        Margins are part of training alone.
        """
        rows = promote(output)
        cos = F.nearest_cosines(rows, self.proxies, self.centers)
        return (cos * self.sharpness().to(cos.dtype)).softmax(1)


class ProxyNCA(ProxyLoss, Pointwise):
    r"""Neighbourhood components against proxies instead of neighbours.

    .. math:: \ell(x, y) = -\log \frac{e^{-d(x, p_y) / T}}{\sum_{c \ne y} e^{-d(x, p_c) / T}}
        \qquad d(x, p) = \Bigl\| \frac{x}{\|x\|} - \frac{p}{\|p\|} \Bigr\|^2

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value a row, in nats,
    below 0 where the own proxy is nearest. ProxyNCA++ (Teh et al., 2020) is include_positive=True
    with temperature=1/9; pytorch-metric-learning's ProxyNCALoss is include_positive=True too.

    Use when: Batches are small: no pairs within them are needed, training is stable.
    Avoid when: Classes are so many that one proxy for each does not fit.
    Source: Movshovitz-Attias, Toshev, Leung, Ioffe, Singh, No Fuss Distance Metric Learning using
    Proxies (2017).

    >>> ProxyNCA(classes=3, features=2)(torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.6931, grad_fn=<MeanBackward0>)
    """

    function = staticmethod(F.proxy_nca)
    temperature: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="divides the squared distances"
    )
    include_positive: Switch = Switch(
        default=False, doc="whether the sum is over all classes, so that it is a softmax"
    )
    card = Card(
        key="proxy_nca",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        learns=True,
        example=Example(arguments=SIZES, input=ORIGIN, target=EACH, value=math.log(2)),
    )

    def sharpness(self) -> Tensor:
        """Return 2 / temperature: squared distances are 2 − 2·cosine."""
        return 2 / self.temperature


class ProxyAnchor(ProxyLoss, SetLoss):
    r"""Proxies as anchors: each draws the rows of its class and pushes the others, hardest first.

    .. math:: \ell = \frac{1}{|P^+|} \sum_{p \in P^+} \log \Bigl( 1 + \sum_{x \in X_p^+}
        e^{-\alpha (s(x, p) - \delta)} \Bigr) + \frac{1}{|P|} \sum_{p \in P} \log \Bigl( 1 +
        \sum_{x \in X_p^-} e^{\alpha (s(x, p) + \delta)} \Bigr)

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. s are cosines, P⁺ the
    proxies of classes in the batch. One number of the batch as a whole: it takes no weights.

    Use when: Retrieval of unseen classes, fast and stable training at any batch size.
    Avoid when: Classes are so many that one proxy for each does not fit.
    Source: Kim, Kim, Cho, Kwak, Proxy Anchor Loss for Deep Metric Learning (2020).

    >>> loss = ProxyAnchor(classes=3, features=2)
    >>> loss(torch.zeros(1, 2), torch.tensor([0])) == loss(torch.zeros(1, 2), torch.tensor([2]))
    tensor(True)
    """

    alpha: Real = Real(default=32.0, low=0.0, exclusive=True, doc="sharpness")
    delta: Real = Real(default=0.1, low=0.0, doc="margin of the cosines")
    card = Card(
        key="proxy_anchor",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        learns=True,
        # alpha delta = 3.2; each proxy has one row of its class and two of others
        example=Example(
            arguments=SIZES,
            input=ORIGIN,
            target=EACH,
            value=math.log1p(math.exp(3.2)) + math.log1p(2 * math.exp(3.2)),
        ),
    )

    def sharpness(self) -> Tensor:
        """Return alpha."""
        return self.alpha

    def value(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the two means over the proxies, added."""
        pull, push = F.proxy_anchor(
            input, target, proxies=self.proxies, alpha=self.alpha, delta=self.delta
        )
        seen = torch.arange(self.classes, device=input.device).unsqueeze(1) == target
        return pull.sum() / seen.any(1).sum().clamp(min=1) + push.mean()


class ArcFace(ProxyLoss, Pointwise):
    r"""Softmax of scaled cosines to the proxies, with a margin added to the own class's angle.

    .. math:: \ell(x, y) = -\log \frac{e^{s \cos(\theta_y + m)}}{e^{s \cos(\theta_y + m)} +
        \sum_{c \ne y} e^{s \cos \theta_c}}

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value a row, in nats.
    θ_c is the angle between x and proxy c. Where θ_y + m would pass π and the cosine rise again,
    cos θ_y − m·sin m takes its place, as in the authors' code and pytorch-metric-learning.

    Use when: Faces, products, landmarks: many classes, verification of unseen ones.
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

    Use when: As ArcFace, with a gradient that no angle bends: steadier early training.
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
