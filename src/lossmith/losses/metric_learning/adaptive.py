"""Metric learning by proxies, with margins that follow training or the length of the rows."""

import math

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import State
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.progress import Progress
from lossmith.losses.metric_learning._proxies import EACH, ORIGIN, SCALE, SMALL, ProxyLoss
from lossmith.losses.metric_learning.margins import MARGIN

# AdaFace's at scale 4 of lengths of 0.001 and angles of π/2: cos(π/2 + g) = −sin g
QUALITY = 0.333 * (0.001 - 20) / 100.001
HELD = math.sin(0.4 * QUALITY) - 0.4 * (1 + QUALITY)


class AdaFace(ProxyLoss, Pointwise):
    r"""A margin that depends on the length of the embedding: long ones, of good images, more.

    .. math:: \ell(x, y) = -\log \frac{e^{s (\cos(\theta_y + g) - a)}}{e^{s (\cos(\theta_y + g) -
        a)} + \sum_{c \ne y} e^{s \cos \theta_c}} \qquad g = -m z, \; a = m + m z, \; z = \Bigl[ h
        \frac{\lVert x \rVert - \mu}{\sigma + 0.001} \Bigr]_{-1}^{1}

    with θ_y + g held within 0 … π. Lengths, held within 0.001 … 100, are constants of the
    gradient. μ and σ, their mean and standard deviation, start at 20 and 100; after each step
    `observe` moves them towards those of the step's rows, the signal "input":
    `clock.step(input=output)`. The authors' code moves them before, in forward.

    Shapes: input (N, D) of embeddings, not normalised; target (N,) of integer classes. One value a
    row, in nats. The authors' code also holds all cosines within ±0.999; here they are as they are.

    Use when: Faces of unlike quality: hard rows count where they can be told, else little.
    Avoid when: Lengths say nothing of quality, as after a normalisation.
    Source: Kim, Jain, Liu, AdaFace: Quality Adaptive Margin for Face Recognition (2022).

    >>> loss = AdaFace(classes=3, features=2)
    >>> rows = torch.tensor([[3.0, 4.0], [0.0, 7.0], [0.0, 9.0]])
    >>> loss.observe(Progress(step=1, signals={"input": rows}))
    >>> loss.mean  # of lengths 5, 7 and 9: 20 + (7 − 20) / 100
    tensor(19.8700, dtype=torch.float64)
    """

    function = staticmethod(F.ada_face)
    scale: Real = SCALE
    margin: Real = Real(default=0.4, low=0.0, high=1.0, doc="m")
    concentration: Real = Real(
        default=0.333, low=0.0, doc="h, which a length a standard deviation off the mean has as z"
    )
    momentum: Real = Real(
        default=0.99, low=0.0, high=1.0, doc="the share of mean and deviation that a step keeps"
    )
    card = Card(
        key="ada_face",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        learns=True,
        detached=True,
        required_signals=("input",),
        example=Example(
            arguments=SMALL,
            input=ORIGIN,
            target=EACH,
            value=math.log1p(2 * math.exp(-4 * HELD)),
        ),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return the proxies, and the mean and deviation of lengths as the authors start."""
        start = {"mean": 20.0, "deviation": 100.0}
        lengths = {
            name: torch.tensor(number, dtype=torch.float64, device="cpu")
            for name, number in start.items()
        }
        return {**super().initial_state(), **lengths}

    def sharpness(self) -> Tensor:
        """Return the scale."""
        return self.scale

    def update(self, progress: Progress) -> State:
        """Move mean and deviation towards those of the lengths of the step's rows."""
        seen = F.norms(progress.signals["input"])
        if len(seen) < 2:  # of which there is no deviation
            return {}
        share = (1 - self.momentum).item()
        mean, deviation = seen.mean().to(self.mean), seen.std().to(self.mean)
        return {
            "mean": self.mean.lerp(mean, share),
            "deviation": self.deviation.lerp(deviation, share),
        }


class CurricularFace(ProxyLoss, Pointwise):
    r"""ArcFace whose hard classes count little at first, and more as training goes on.

    .. math:: \ell(x, y) = -\log \frac{e^{s \cos(\theta_y + m)}}{e^{s \cos(\theta_y + m)} + \sum_{c
        \ne y} e^{s N_c}} \qquad N_c = \begin{cases} \cos \theta_c & \cos \theta_c \le \cos(\theta_y
        + m) \\ \cos \theta_c \, (t + \cos \theta_c) & \text{else} \end{cases}

    The pace t starts at 0; after each step `observe` moves it towards the mean of the own cosines
    of the step's rows, the signals "input" and "classes": `clock.step(input=output,
    classes=target)`. The authors' code moves it before, in forward.

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value a row, in nats.
    Where θ_y + m would pass π it is held as in ArcFace.

    Use when: Faces, products: many classes, and training starts from random weights.
    Avoid when: Training is short, or labels are noisy: wrong labels are hard to the end.
    Source: Huang, Wang, Tai, Liu, Shen, Li, Li, Huang, CurricularFace: Adaptive Curriculum Learning
    Loss for Deep Face Recognition (2020).

    >>> loss = CurricularFace(classes=2, features=2)
    >>> with torch.no_grad():
    ...     _ = loss.proxies.copy_(torch.eye(2))
    >>> step = {"input": torch.eye(2), "classes": torch.tensor([0, 1])}
    >>> loss.observe(Progress(step=1, signals=step))
    >>> loss.pace  # a hundredth of the way from 0 to 1
    tensor(0.0100, dtype=torch.float64)
    """

    function = staticmethod(F.curricular_face)
    scale: Real = SCALE
    margin: Real = MARGIN
    momentum: Real = Real(
        default=0.99, low=0.0, high=1.0, doc="the share of the pace that a step keeps"
    )
    card = Card(
        key="curricular_face",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        learns=True,
        required_signals=("input", "classes"),
        # all cosines are 0, and so are those of hard classes
        example=Example(
            arguments=SMALL,
            input=ORIGIN,
            target=EACH,
            value=math.log1p(2 * math.exp(4 * math.sin(0.5))),
        ),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return the proxies, and a pace of 0."""
        pace = torch.zeros((), dtype=torch.float64, device="cpu")
        return {**super().initial_state(), "pace": pace}

    def sharpness(self) -> Tensor:
        """Return the scale."""
        return self.scale

    def update(self, progress: Progress) -> State:
        """Move the pace towards the mean cosine of the step's rows to their own classes."""
        rows, classes = progress.signals["input"], progress.signals["classes"]
        if not len(rows):
            return {}
        mean = F.own_cosines(rows, classes, proxies=self.proxies).mean()
        return {"pace": self.pace.lerp(mean.to(self.pace), (1 - self.momentum).item())}


class MagFace(ProxyLoss, Pointwise):
    r"""A margin that grows with the embedding's length, and a price for short ones.

    .. math:: \ell(x, y) = -\log \frac{e^{s \cos(\theta_y + m)}}{e^{s \cos(\theta_y + m)} + \sum_{c
        \ne y} e^{s \cos \theta_c}} + \lambda \Bigl( \frac1a + \frac{a}{u_a^2} \Bigr) \qquad m = l_m
        + \frac{u_m - l_m}{u_a - l_a} (a - l_a)

    with the length a = ‖x‖ held within l_a … u_a, through which gradients flow.

    Shapes: input (N, D) of embeddings, not normalised; target (N,) of integer classes. Two terms a
    row, classes in nats and lengths. As in the authors' code rows at more than a right angle to
    their proxy have no margin. After training a row's length tells its quality.

    Use when: Faces of unlike quality, which the length of an embedding is to tell.
    Avoid when: Lengths are fixed by a normalisation, or far from l_a … u_a.
    Source: Meng, Zhao, Huang, Zhou, MagFace: A Universal Representation for Face Recognition and
    Quality Assessment (2021).

    >>> loss = MagFace(classes=3, features=2)
    >>> loss.terms(55.0 * loss.proxies, torch.arange(3))["lengths"].detach()  # 35/55 + 35·55/110²
    tensor(0.7955)
    """

    scale: Real = SCALE
    lower_length: Real = Real(default=10.0, low=0.0, exclusive=True, doc="l_a")
    upper_length: Real = Real(default=110.0, low=0.0, exclusive=True, doc="u_a, above l_a")
    lower_margin: Real = Real(default=0.45, low=0.0, high=math.pi / 2, doc="l_m, at l_a, radians")
    upper_margin: Real = Real(default=0.8, low=0.0, high=math.pi / 2, doc="u_m, at u_a, radians")
    strength: Real = Real(default=35.0, low=0.0, doc="λ, the factor of the price for lengths")
    card = Card(
        key="mag_face",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        learns=True,
        # no cosine is above 0, lengths count as 10
        example=Example(
            arguments=SMALL,
            input=ORIGIN,
            target=EACH,
            value=math.log(3) + 35 * (1 / 10 + 10 / 110**2),
        ),
    )

    def __post_init__(self) -> None:
        low, high = self.lower_length.item(), self.upper_length.item()
        if not low < high:
            raise ValueError(f"MagFace: upper_length must exceed lower_length, got {low}, {high}")

    def sharpness(self) -> Tensor:
        """Return the scale."""
        return self.scale

    def values(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the cross-entropy with margin of each row, and the price of its length."""
        return F.mag_face(
            input,
            target,
            proxies=self.proxies,
            scale=self.scale,
            lengths=(self.lower_length, self.upper_length),
            margins=(self.lower_margin, self.upper_margin),
            strength=self.strength,
        )
