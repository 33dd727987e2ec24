"""Adversarial losses, each with a discriminator's and a generator's side."""

import math
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Kind, Paper
from lossmith.core.loss import Pointwise

SCORES: dict[str, Kind] = {"real": "scores", "fake": "scores"}
SIDE = Hyper(
    default="discriminator", choices=("discriminator", "generator"), meaning="whose loss it is"
)
GOODFELLOW = Paper(
    authors="I. J. Goodfellow, J. Pouget-Abadie, M. Mirza, B. Xu, D. Warde-Farley, S. Ozair, "
    "A. Courville, Y. Bengio",
    title="Generative Adversarial Nets",
    year=2014,
)
LOG3 = math.log(3)  # a score of log 3 is a probability of 3/4


class MinimaxGAN(Pointwise):
    r"""The GAN of the minimax game: the generator minimises what the discriminator maximises.

    .. math:: \ell_D = -\log\sigma(r) - \log\sigma(-f) \qquad \ell_G = \log\sigma(-f)

    Shapes: scores "real" and "fake" alike, one a row or more, logits; no target. Values in nats.
    The generator's side needs "fake" alone. Its gradient vanishes where the discriminator is
    sure, so the paper itself trains with `NonSaturatingGAN`.

    Args:
        side: "discriminator" or "generator".

    Raises:
        ValueError: if the shapes differ, or the discriminator's side lacks "real".

    Source: Goodfellow et al., Generative Adversarial Nets (2014), equation 1.

    >>> MinimaxGAN()({"real": torch.zeros(1), "fake": torch.zeros(1)})
    tensor(1.3863)
    """

    side: str
    card: ClassVar[Card] = Card(
        key="minimax_gan",
        tasks=("gan",),
        target=None,
        input=SCORES,
        optional=("real",),
        formula="D: -log sigmoid(real) - log sigmoid(-fake); G: log sigmoid(-fake)",
        use_when="The game itself is studied: both sides share one value.",
        avoid_when="A generator is trained: where the discriminator is sure, its gradient is gone.",
        paper=GOODFELLOW,
        example=Example(
            input={"real": [LOG3], "fake": [-LOG3]}, target=None, value=-2 * math.log(3 / 4)
        ),
        hypers={"side": SIDE},
    )

    def __init__(self, *, side: str = "discriminator") -> None:
        super().__init__(side=side)

    def values(self, input: Mapping[str, Tensor], target: None) -> dict[str, Tensor]:
        """Return the values of the real and of the fake scores."""
        return F.minimax_gan(input, side=self.side)


class NonSaturatingGAN(Pointwise):
    r"""The GAN as it is trained: the generator raises the log-probability that fakes pass.

    .. math:: \ell_D = -\log\sigma(r) - \log\sigma(-f) \qquad \ell_G = -\log\sigma(f)

    Shapes: scores "real" and "fake" alike, one a row or more, logits; no target. Values in nats.
    The generator's side needs "fake" alone.

    Args:
        side: "discriminator" or "generator".

    Raises:
        ValueError: if the shapes differ, or the discriminator's side lacks "real".

    Source: Goodfellow et al., Generative Adversarial Nets (2014), section 3.

    >>> NonSaturatingGAN(side="generator")({"fake": torch.zeros(1)})
    tensor(0.6931)
    """

    side: str
    card: ClassVar[Card] = Card(
        key="non_saturating_gan",
        tasks=("gan",),
        target=None,
        input=SCORES,
        optional=("real",),
        formula="D: -log sigmoid(real) - log sigmoid(-fake); G: -log sigmoid(fake)",
        use_when="A GAN is trained; with R1 it is StyleGAN2's loss.",
        avoid_when="Modes are dropped: a relativistic loss compares real and fake in pairs.",
        paper=GOODFELLOW,
        example=Example(
            input={"real": [LOG3], "fake": [-LOG3]},
            target=None,
            value=-math.log(1 / 4),
            arguments={"side": "generator"},
        ),
        hypers={"side": SIDE},
    )

    def __init__(self, *, side: str = "discriminator") -> None:
        super().__init__(side=side)

    def values(self, input: Mapping[str, Tensor], target: None) -> dict[str, Tensor]:
        """Return the values of the real and of the fake scores."""
        return F.non_saturating_gan(input, side=self.side)


class LeastSquaresGAN(Pointwise):
    r"""The least squares GAN: scores are pulled to a number for real and one for fake.

    .. math:: \ell_D = \tfrac12 (r - b)^2 + \tfrac12 (f - a)^2 \qquad
        \ell_G = \tfrac12 (f - c)^2

    Shapes: scores "real" and "fake" alike, one a row or more, any real number; no target. The
    generator's side needs "fake" alone. Much code leaves the halves out. With a = -1, b = 1 and
    c = 0 the game minimises Pearson's χ² divergence.

    Args:
        side: "discriminator" or "generator".
        a: what the discriminator wants of fakes.
        b: what the discriminator wants of real samples.
        c: what the generator wants of fakes.

    Raises:
        ValueError: if the shapes differ, or the discriminator's side lacks "real".

    Source: Mao et al., Least Squares Generative Adversarial Networks (2017), equation 9.

    >>> LeastSquaresGAN()({"real": torch.zeros(1), "fake": torch.ones(1)})
    tensor(1.)
    """

    side: str
    a: Tensor
    b: Tensor
    c: Tensor
    card: ClassVar[Card] = Card(
        key="least_squares_gan",
        tasks=("gan",),
        target=None,
        input=SCORES,
        optional=("real",),
        formula="D: (real - b)^2/2 + (fake - a)^2/2; G: (fake - c)^2/2",
        use_when="Image translation and other patch discriminators, where it trains steadily.",
        avoid_when="The discriminator's scores run far: squares then rule the gradient.",
        paper=Paper(
            authors="X. Mao, Q. Li, H. Xie, R. Y. K. Lau, Z. Wang, S. P. Smolley",
            title="Least Squares Generative Adversarial Networks",
            year=2017,
        ),
        example=Example(input={"real": [3.0], "fake": [0.5]}, target=None, value=2.125),
        hypers={
            "side": SIDE,
            "a": Hyper(default=0.0, meaning="what the discriminator wants of fakes"),
            "b": Hyper(default=1.0, meaning="what the discriminator wants of real samples"),
            "c": Hyper(default=1.0, meaning="what the generator wants of fakes"),
        },
    )

    def __init__(
        self, *, side: str = "discriminator", a: Number = 0.0, b: Number = 1.0, c: Number = 1.0
    ) -> None:
        super().__init__(side=side, a=a, b=b, c=c)

    def values(self, input: Mapping[str, Tensor], target: None) -> dict[str, Tensor]:
        """Return the values of the real and of the fake scores."""
        return F.least_squares_gan(input, side=self.side, a=self.a, b=self.b, c=self.c)


class HingeGAN(Pointwise):
    r"""The hinge GAN: the discriminator rests where scores pass the margin.

    .. math:: \ell_D = \max(0, 1 - r) + \max(0, 1 + f) \qquad \ell_G = -f

    Shapes: scores "real" and "fake" alike, one a row or more, any real number; no target. The
    generator's side needs "fake" alone.

    Args:
        side: "discriminator" or "generator".

    Raises:
        ValueError: if the shapes differ, or the discriminator's side lacks "real".

    Source: Lim & Ye, Geometric GAN (2017).

    >>> HingeGAN()({"real": torch.tensor([0.5]), "fake": torch.tensor([-2.0])})
    tensor(0.5000)
    """

    side: str
    card: ClassVar[Card] = Card(
        key="hinge_gan",
        tasks=("gan",),
        target=None,
        input=SCORES,
        optional=("real",),
        formula="D: max(0, 1 - real) + max(0, 1 + fake); G: -fake",
        use_when="The discriminator is spectrally normalised, as in SAGAN and BigGAN.",
        avoid_when="Nothing bounds the discriminator's slope: the generator's loss has no floor.",
        paper=Paper(authors="J. H. Lim, J. C. Ye", title="Geometric GAN", year=2017),
        example=Example(input={"real": [0.5, 2.0], "fake": [-0.5, -2.0]}, target=None, value=0.5),
        hypers={"side": SIDE},
    )

    def __init__(self, *, side: str = "discriminator") -> None:
        super().__init__(side=side)

    def values(self, input: Mapping[str, Tensor], target: None) -> dict[str, Tensor]:
        """Return the values of the real and of the fake scores."""
        return F.hinge_gan(input, side=self.side)


class WassersteinGAN(Pointwise):
    r"""The Wasserstein GAN: the critic's gap between real and fake is a distance between them.

    .. math:: \ell_D = f - r \qquad \ell_G = -f

    Shapes: scores "real" and "fake" alike, one a row or more, any real number; no target. The
    generator's side needs "fake" alone. Minus the critic's loss estimates the distance as long
    as the critic is 1-Lipschitz: add `GradientPenalty`, or clip its weights as the paper does.

    Args:
        side: "discriminator" (the critic) or "generator".

    Raises:
        ValueError: if the shapes differ, or the discriminator's side lacks "real".

    Source: Arjovsky, Chintala, Bottou, Wasserstein GAN (2017).

    >>> WassersteinGAN()({"real": torch.tensor([2.0]), "fake": torch.tensor([-1.0])})
    tensor(-3.)
    """

    side: str
    card: ClassVar[Card] = Card(
        key="wasserstein_gan",
        tasks=("gan",),
        target=None,
        input=SCORES,
        optional=("real",),
        formula="D: fake - real; G: -fake",
        use_when="The critic's loss should tell how far samples are from the data.",
        avoid_when="Nothing holds the critic 1-Lipschitz: scores then grow without end.",
        paper=Paper(
            authors="M. Arjovsky, S. Chintala, L. Bottou", title="Wasserstein GAN", year=2017
        ),
        example=Example(input={"real": [2.0, 4.0], "fake": [-1.0, 0.0]}, target=None, value=-3.5),
        hypers={"side": SIDE},
    )

    def __init__(self, *, side: str = "discriminator") -> None:
        super().__init__(side=side)

    def values(self, input: Mapping[str, Tensor], target: None) -> Tensor:
        """Return the gap of each pair, or the generator's value of each fake score."""
        return F.wasserstein_gan(input, side=self.side)
