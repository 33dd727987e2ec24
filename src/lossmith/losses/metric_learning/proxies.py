"""Metric learning by proxies: learned directions of each class."""

import math

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise, SetLoss
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Switch, Whole
from lossmith.losses.metric_learning._proxies import EACH, ORIGIN, SIZES, ProxyLoss


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


class SoftTriple(ProxyLoss, Pointwise):
    r"""Softmax over classes of several learned centers each: triplets without triplets.

    .. math:: \ell(x, y) = -\log \frac{e^{\lambda (S_y - \delta)}}{e^{\lambda (S_y - \delta)} +
        \sum_{c \ne y} e^{\lambda S_c}} + \frac{\tau}{C K (K - 1)} \sum_c \sum_{k < l}
        \lVert w_{ck} - w_{cl} \rVert \qquad S_c = \sum_k \mathrm{softmax}_k\Bigl(
        \frac{x \cdot w_{ck}}{\gamma}\Bigr) \, x \cdot w_{ck}

    with x and w on the unit sphere. The second sum draws the centers of a class together, so that
    a class keeps as many as it needs.

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value a row, in nats;
    the centers' part, which depends on no row, is in each. The centers of a class are consecutive
    rows of the proxies. pytorch-metric-learning leaves the centers' part to a regularizer.

    Use when: Classes have several modes, and triplets would have to be mined.
    Avoid when: Classes are so many that several centers for each do not fit.
    Source: Qian, Shang, Sun, Hu, Li, Jin, SoftTriple Loss: Deep Metric Learning Without Triplet
    Sampling (2019).

    >>> loss = SoftTriple(classes=3, features=2)
    >>> loss.proxies.shape
    torch.Size([30, 2])
    """

    function = staticmethod(F.soft_triple)
    sub_centers: Whole = Whole(default=10, low=1, doc="K, centers a class")
    scale: Real = Real(default=20.0, low=0.0, exclusive=True, doc="λ, factor of the similarities")
    gamma: Real = Real(
        default=0.1, low=0.0, exclusive=True, doc="γ; towards 0 the nearest center alone counts"
    )
    margin: Real = Real(default=0.01, low=0.0, doc="δ, taken off the own class's similarity")
    tau: Real = Real(default=0.2, low=0.0, doc="τ, weight of the centers' distances")
    card = Card(
        key="soft_triple",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        learns=True,
        # all similarities are 0; one center a class
        example=Example(
            arguments={**SIZES, "sub_centers": 1, "margin": 0.1},
            input=ORIGIN,
            target=EACH,
            value=math.log1p(2 * math.exp(2.0)),
        ),
    )

    @property
    def centers(self) -> int:
        """How many proxies each class has."""
        return self.sub_centers

    def sharpness(self) -> Tensor:
        """Return the scale."""
        return self.scale

    def decode(self, output: Tensor) -> Tensor:
        """Return a probability for each class from embeddings (N, D), without the margin."""
        alike = F.soft_cosines(output, self.proxies, centers=self.centers, gamma=self.gamma)
        return (alike * self.scale.to(alike.dtype)).softmax(1)
