"""Adversarial losses, each with both players' sides, and what steadies them."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import State
from lossmith.core.bases import Pointwise, Statistic
from lossmith.core.card import Card, Example, Kind
from lossmith.core.hyperparameter import Choice, Real, Switch
from lossmith.core.progress import Progress
from lossmith.core.reduce import reduce
from lossmith.losses._classes import LOG3

SCORES: dict[str, Kind] = {"real": "scores", "fake": "scores"}
SIDE = Choice(
    default="discriminator", choices=("discriminator", "generator"), doc="whose loss it is"
)


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


class LeCam(Pointwise):
    r"""LeCam regularisation: scores are held to the moving average of the other side's.

    .. math:: \ell = (r - \alpha_F)^2 + (f - \alpha_R)^2

    Shapes: scores "real" and "fake" alike, one a row or more; no target. The averages α are
    state: `observe` follows the signals "real" and "fake", the detached scores of each step,
    without the bias of the start. Before the first, the value is 0. The authors' code counts a
    real score only above the fakes' average and a fake one only below the real ones':
    `one_sided`. The paper adds it to the discriminator's hinge loss, at a weight of 0.01 to 0.5.

    Use when: Data are few and the discriminator overfits them.
    Avoid when: Data are plenty: it then slows the discriminator for nothing.
    Source: Tseng, Jiang, Liu, Yang, Yang, Regularizing Generative Adversarial Networks under
    Limited Data (2021).

    >>> LeCam()({"real": torch.ones(1), "fake": torch.zeros(1)})
    tensor(0.)
    """

    decay: Real = Real(default=0.99, low=0.0, high=1.0, doc="of the moving averages")
    one_sided: Switch = Switch(
        default=False, doc="whether only scores on the expected side of the other average count"
    )
    card = Card(
        key="le_cam",
        tasks=("gan",),
        input=SCORES,
        target=None,
        required_signals=("real", "fake"),
        example=Example(input={"real": [1.0], "fake": [0.0]}, target=None, value=0.0),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return averages of nothing."""
        names = ("real", "fake", "share")
        return {name: torch.zeros((), dtype=torch.float64, device="cpu") for name in names}

    def values(self, input: Mapping[str, Tensor], target: None) -> dict[str, Tensor]:
        """Return the values of the real and of the fake scores, 0 before the first average."""
        begun = self.share > 0
        share = torch.where(begun, self.share, 1.0)
        anchors = {"real": self.real / share, "fake": self.fake / share}
        scores = {n: torch.where(begun, part, torch.zeros_like(part)) for n, part in input.items()}
        return F.le_cam(scores, anchors=anchors, one_sided=self.one_sided)

    def update(self, progress: Progress) -> State:
        """Take the scores of a step into the averages."""
        decay = self.decay.to(self.share.dtype)
        seen = {name: torch.as_tensor(progress.signals[name]) for name in ("real", "fake")}
        return {
            name: getattr(self, name).lerp(one.to(self.share).mean(), 1 - decay)
            for name, one in (*seen.items(), ("share", torch.ones(())))
        }


class FeatureMatching(Statistic):
    r"""Feature matching: fakes should have the mean features of real samples.

    .. math:: \ell = \left\lVert \frac1N \sum_i f(\hat x_i) - \frac1N \sum_i f(x_i)
        \right\rVert^2

    Shapes: input (N, …), features of the fakes, and target alike, those of real samples: any
    layer of the discriminator. The generator trains on it. The authors' code for MNIST averages
    over the features instead of adding them up.

    Use when: The discriminator also classifies, and a generator needs a steady aim.
    Avoid when: More than means must agree: kernel MMD compares whole distributions.
    Source: Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, Improved Techniques for
    Training GANs (2016).

    >>> FeatureMatching()(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0]]))
    tensor(4.)
    """

    function = staticmethod(F.feature_matching)
    card = Card(
        key="feature_matching",
        tasks=("gan",),
        input="embeddings",
        target="embeddings",
        # means (2, 1) and (0, 0)
        example=Example(
            input=[[1.0, 2.0], [3.0, 0.0]], target=[[1.0, 0.0], [-1.0, 0.0]], value=5.0
        ),
    )


class RelativisticGAN(Pointwise):
    r"""Relativistic pairing: the discriminator tells which of two samples is the real one.

    .. math:: \ell_D = -\log\sigma(r - f) \qquad \ell_G = -\log\sigma(f - r)

    Shapes: scores "real" and "fake" alike, one a row or more, logits; no target. Values in nats.
    Both sides need both scores, row by row. Freeze the discriminator while the generator trains:
    gradients reach the real scores too.

    Use when: Modes are dropped; with R1 and R2 it is R3GAN.
    Avoid when: Nothing penalises the discriminator's gradient: alone it need not converge.
    Source: Jolicoeur-Martineau, The relativistic discriminator (2018), RSGAN.

    >>> RelativisticGAN()({"real": torch.zeros(1), "fake": torch.zeros(1)})
    tensor(0.6931)
    """

    function = staticmethod(F.relativistic_gan)
    side: Choice = SIDE
    card = Card(
        key="relativistic_gan",
        tasks=("gan",),
        input=SCORES,
        target=None,
        example=Example(input={"real": [LOG3], "fake": [0.0]}, target=None, value=-math.log(3 / 4)),
    )


class RelativisticAverageGAN(Statistic):
    r"""Relativistic averaging: each score is judged against the other side's mean.

    .. math:: \ell_D = \overline{h(r - \bar f)} + \overline{h(\bar r - f)} \qquad
        \ell_G = \overline{h(\bar f - r)} + \overline{h(f - \bar r)}

    with h(t) = −log σ(t), (t − 1)² or max(0, 1 − t) for the forms standard (RaSGAN), least
    squares (RaLSGAN) and hinge (RaHingeGAN).

    Shapes: scores "real" and "fake" alike, one a row or more, any real number; no target. Both
    sides need both scores. Gradients flow through the means. The author's code halves the sum;
    this is the paper's formula. Freeze the discriminator while the generator trains.

    Use when: Super-resolution and other image restoration, as in ESRGAN.
    Avoid when: Batches are small: the means are then mostly noise; take pairs.
    Source: Jolicoeur-Martineau, The relativistic discriminator (2018), section 4.2.

    >>> RelativisticAverageGAN()({"real": torch.zeros(1), "fake": torch.zeros(1)})
    tensor(1.3863)
    """

    side: Choice = SIDE
    form: Choice = Choice(
        default="standard",
        choices=("standard", "least_squares", "hinge"),
        doc='"standard", "least_squares" or "hinge"',
    )
    card = Card(
        key="relativistic_average_gan",
        tasks=("gan",),
        input=SCORES,
        target=None,
        # real 1 and 3, fake 0 and 2: squares of 1 - 1 - 1, 3 - 1 - 1, and of 2 - 0 - 1, 2 - 2 - 1
        example=Example(
            input={"real": [1.0, 3.0], "fake": [0.0, 2.0]},
            target=None,
            value=2.0,
            arguments={"form": "least_squares"},
        ),
    )

    def value(
        self, input: Mapping[str, Tensor], target: None, weight: Tensor | None
    ) -> dict[str, Tensor]:
        """Return the mean values of the real and of the fake scores."""
        scores = F.same_scores(input)
        means = {name: reduce(part, weight=weight) for name, part in scores.items()}
        values = F.relativistic_average_gan(scores, means=means, side=self.side, form=self.form)
        return {name: reduce(part, weight=weight) for name, part in values.items()}


class R3GAN(Pointwise):
    r"""Relativistic pairing with both zero-centred gradient penalties: it provably converges.

    .. math:: \ell_D = -\log\sigma(r - f) + \frac{\gamma}{2} \left(\lVert\nabla_x D(x)\rVert^2
        + \lVert\nabla_{\hat x} D(\hat x)\rVert^2\right) \qquad \ell_G = -\log\sigma(f - r)

    Shapes: scores "real" and "fake" alike, one a row or more; on the discriminator's side also
    their gradients by the samples, "real_gradient" and "fake_gradient" (N, …), as
    `lossmith.functional.score_gradient` gives both. No target. Terms: adversarial, r1, r2.

    Use when: A GAN is to train steadily without tricks.
    Avoid when: The critic mixes rows, as batch normalisation does: its gradient is then no one
    sample's.
    Source: Huang, Gokaslan, Kuleshov, Tompkin, The GAN is dead; long live the GAN! (2024).

    >>> R3GAN(side="generator")({"real": torch.zeros(1), "fake": torch.zeros(1)})
    tensor(0.6931)
    """

    function = staticmethod(F.r3gan)
    side: Choice = SIDE
    gamma: Real = Real(
        default=1.0,
        low=0.0,
        doc="weight of the penalties; the paper's is 1 on StackedMNIST, from 0.05 (CIFAR-10) to "
        "150 (FFHQ at 256 pixels) elsewhere, and falls tenfold while training",
    )
    card = Card(
        key="r3gan",
        tasks=("gan",),
        input={**SCORES, "real_gradient": "values", "fake_gradient": "values"},
        target=None,
        optional=("real_gradient", "fake_gradient"),
        example=Example(
            input={
                "real": [LOG3],
                "fake": [0.0],
                "real_gradient": [[1.0, 2.0]],
                "fake_gradient": [[0.0, 3.0]],
            },
            target=None,
            value=-math.log(3 / 4) + 7.0,
        ),
    )
