"""Adversarial losses, each with a discriminator's and a generator's side."""

import math

from lossmith import functional as F
from lossmith.core.card import Card, Example, Kind
from lossmith.core.hyperparameter import Choice, Real
from lossmith.core.loss import Pointwise

SCORES: dict[str, Kind] = {"real": "scores", "fake": "scores"}
SIDE = Choice(
    default="discriminator", choices=("discriminator", "generator"), doc="whose loss it is"
)
LOG3 = math.log(3)  # a score of log 3 is a probability of 3/4


class MinimaxGAN(Pointwise):
    r"""The GAN of the minimax game: the generator minimises what the discriminator maximises.

    .. math:: \ell_D = -\log\sigma(r) - \log\sigma(-f) \qquad \ell_G = \log\sigma(-f)

    Shapes: scores "real" and "fake" alike, one a row or more, logits; no target. Values in nats.
    The generator's side needs "fake" alone. Its gradient vanishes where the discriminator is
    sure, so the paper itself trains with `NonSaturatingGAN`.

    Use when: The game itself is studied: both sides share one value.
    Avoid when: A generator is trained: where the discriminator is sure, its gradient is gone.
    Source: Goodfellow et al., Generative Adversarial Nets (2014), equation 1.

    >>> MinimaxGAN()({"real": torch.zeros(1), "fake": torch.zeros(1)})
    tensor(1.3863)
    """

    function = staticmethod(F.minimax_gan)
    side: Choice = SIDE
    card = Card(
        key="minimax_gan",
        tasks=("gan",),
        input=SCORES,
        target=None,
        optional=("real",),
        example=Example(
            input={"real": [LOG3], "fake": [-LOG3]}, target=None, value=-2 * math.log(3 / 4)
        ),
    )


class NonSaturatingGAN(Pointwise):
    r"""The GAN as it is trained: the generator raises the log-probability that fakes pass.

    .. math:: \ell_D = -\log\sigma(r) - \log\sigma(-f) \qquad \ell_G = -\log\sigma(f)

    Shapes: scores "real" and "fake" alike, one a row or more, logits; no target. Values in nats.
    The generator's side needs "fake" alone.

    Use when: A GAN is trained; with R1 it is StyleGAN2's loss.
    Avoid when: Modes are dropped: a relativistic loss compares real and fake in pairs.
    Source: Goodfellow et al., Generative Adversarial Nets (2014), section 3.

    >>> NonSaturatingGAN(side="generator")({"fake": torch.zeros(1)})
    tensor(0.6931)
    """

    function = staticmethod(F.non_saturating_gan)
    side: Choice = SIDE
    card = Card(
        key="non_saturating_gan",
        tasks=("gan",),
        input=SCORES,
        target=None,
        optional=("real",),
        example=Example(
            input={"real": [LOG3], "fake": [-LOG3]},
            target=None,
            value=-math.log(1 / 4),
            arguments={"side": "generator"},
        ),
    )


class LeastSquaresGAN(Pointwise):
    r"""The least squares GAN: scores are pulled to a number for real and one for fake.

    .. math:: \ell_D = \tfrac12 (r - b)^2 + \tfrac12 (f - a)^2 \qquad
        \ell_G = \tfrac12 (f - c)^2

    Shapes: scores "real" and "fake" alike, one a row or more, any real number; no target. The
    generator's side needs "fake" alone. Much code leaves the halves out. With a = -1, b = 1 and
    c = 0 the game minimises Pearson's χ² divergence.

    Use when: Image translation and other patch discriminators, where it trains steadily.
    Avoid when: The discriminator's scores run far: squares then rule the gradient.
    Source: Mao et al., Least Squares Generative Adversarial Networks (2017), equation 9.

    >>> LeastSquaresGAN()({"real": torch.zeros(1), "fake": torch.ones(1)})
    tensor(1.)
    """

    function = staticmethod(F.least_squares_gan)
    side: Choice = SIDE
    a: Real = Real(default=0.0, doc="what the discriminator wants of fakes")
    b: Real = Real(default=1.0, doc="what the discriminator wants of real samples")
    c: Real = Real(default=1.0, doc="what the generator wants of fakes")
    card = Card(
        key="least_squares_gan",
        tasks=("gan",),
        input=SCORES,
        target=None,
        optional=("real",),
        example=Example(input={"real": [3.0], "fake": [0.5]}, target=None, value=2.125),
    )


class HingeGAN(Pointwise):
    r"""The hinge GAN: the discriminator rests where scores pass the margin.

    .. math:: \ell_D = \max(0, 1 - r) + \max(0, 1 + f) \qquad \ell_G = -f

    Shapes: scores "real" and "fake" alike, one a row or more, any real number; no target. The
    generator's side needs "fake" alone.

    Use when: The discriminator is spectrally normalised, as in SAGAN and BigGAN.
    Avoid when: Nothing bounds the discriminator's slope: the generator's loss has no floor.
    Source: Lim & Ye, Geometric GAN (2017).

    >>> HingeGAN()({"real": torch.tensor([0.5]), "fake": torch.tensor([-2.0])})
    tensor(0.5000)
    """

    function = staticmethod(F.hinge_gan)
    side: Choice = SIDE
    card = Card(
        key="hinge_gan",
        tasks=("gan",),
        input=SCORES,
        target=None,
        optional=("real",),
        example=Example(input={"real": [0.5, 2.0], "fake": [-0.5, -2.0]}, target=None, value=0.5),
    )


class WassersteinGAN(Pointwise):
    r"""The Wasserstein GAN: the critic's gap between real and fake is a distance between them.

    .. math:: \ell_D = f - r \qquad \ell_G = -f

    Shapes: scores "real" and "fake" alike, one a row or more, any real number; no target. The
    generator's side needs "fake" alone. Minus the critic's loss estimates the distance as long
    as the critic is 1-Lipschitz: add `GradientPenalty`, or clip its weights as the paper does.

    Use when: The critic's loss should tell how far samples are from the data.
    Avoid when: Nothing holds the critic 1-Lipschitz: scores then grow without end.
    Source: Arjovsky, Chintala, Bottou, Wasserstein GAN (2017).

    >>> WassersteinGAN()({"real": torch.tensor([2.0]), "fake": torch.tensor([-1.0])})
    tensor(-3.)
    """

    function = staticmethod(F.wasserstein_gan)
    side: Choice = SIDE
    card = Card(
        key="wasserstein_gan",
        tasks=("gan",),
        input=SCORES,
        target=None,
        optional=("real",),
        example=Example(input={"real": [2.0, 4.0], "fake": [-1.0, 0.0]}, target=None, value=-3.5),
    )
