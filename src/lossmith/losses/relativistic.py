"""Adversarial losses that judge real and fake samples by each other."""

import math
from collections.abc import Mapping

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Choice, Real
from lossmith.core.loss import Pointwise, Statistic
from lossmith.core.reduce import reduce
from lossmith.losses.gan import LOG3, SCORES, SIDE


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
