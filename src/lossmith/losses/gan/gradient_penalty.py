"""Penalties on the gradient of a critic's scores by its samples."""

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real

GAMMA = Real(default=10.0, low=0.0, doc="strength of the penalty")
LAMBDA = Real(default=10.0, low=0.0, doc="strength of the penalty")
K = Real(default=1.0, low=0.0, doc="the slope that is wanted")


class R1(Pointwise):
    r"""The zero-centred gradient penalty at real samples: the discriminator lies flat on the data.

    .. math:: \ell = \frac{\gamma}{2} \lVert\nabla_x D(x)\rVert^2

    Shapes: input (N, …), the gradient of each real sample's score by the sample, as
    `lossmith.functional.score_gradient` gives it; no target.

    Use when: Any GAN: training then converges near the solution.
    Avoid when: A critic that should have slope 1, as for a Wasserstein distance.
    Source: Mescheder, Geiger, Nowozin, Which Training Methods for GANs do actually Converge?
    (2018).

    >>> R1(gamma=2.0)(torch.tensor([[3.0, 4.0]]))
    tensor(25.)
    """

    function = staticmethod(F.zero_centred_penalty)
    gamma: Real = GAMMA
    card = Card(
        key="r1",
        tasks=("gan",),
        input="values",
        target=None,
        example=Example(input=[[0.6, 0.8], [0.0, 2.0]], target=None, value=12.5),
    )


class R2(Pointwise):
    r"""The zero-centred gradient penalty at fake samples: R1's function of another gradient.

    .. math:: \ell = \frac{\gamma}{2} \lVert\nabla_{\hat x} D(\hat x)\rVert^2

    Shapes: input (N, …), the gradient of each fake sample's score by the sample, as
    `lossmith.functional.score_gradient` gives it; no target.

    Use when: Beside R1: where the generator is far from the data R1 alone may diverge.
    Avoid when: A critic that should have slope 1, as for a Wasserstein distance.
    Source: Mescheder, Geiger, Nowozin, Which Training Methods for GANs do actually Converge?
    (2018).

    >>> R2(gamma=2.0)(torch.tensor([[3.0, 4.0]]))
    tensor(25.)
    """

    function = staticmethod(F.zero_centred_penalty)
    gamma: Real = GAMMA
    card = Card(
        key="r2",
        tasks=("gan",),
        input="values",
        target=None,
        example=Example(input=[[0.6, 0.8], [0.0, 2.0]], target=None, value=12.5),
    )


class GradientPenalty(Pointwise):
    r"""The gradient penalty of WGAN-GP: a slope of 1 between real and fake samples.

    .. math:: \ell = \lambda (\lVert\nabla_{\tilde x} D(\tilde x)\rVert - k)^2

    Shapes: input (N, …), the gradient of the critic's scores by samples that lie between real
    and fake: `lossmith.functional.between` makes them, `score_gradient` their gradient. No
    target. At a gradient of 0, where the norm has a kink, the penalty's gradient is 0.

    Use when: Wasserstein critics: it holds their slope near 1.
    Avoid when: Convergence near the solution matters most; R1 has it, this has not.
    Source: Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, Improved Training of Wasserstein
    GANs (2017).

    >>> GradientPenalty()(torch.tensor([[0.0, 3.0]]))
    tensor(40.)
    """

    function = staticmethod(F.gradient_penalty)
    lambda_: Real = LAMBDA
    k: Real = K
    card = Card(
        key="gradient_penalty",
        tasks=("gan",),
        input="values",
        target=None,
        example=Example(input=[[0.0, 3.0], [0.6, 0.8]], target=None, value=20.0),
    )


class DRAGAN(Pointwise):
    r"""The gradient penalty of DRAGAN: WGAN-GP's function, of gradients around real samples.

    .. math:: \ell = \lambda (\lVert\nabla_{\tilde x} D(\tilde x)\rVert - k)^2 \qquad
        \tilde x = x + \delta

    Shapes: input (N, …), the gradient of the discriminator's scores by noisy real samples:
    `lossmith.functional.around` makes them, `score_gradient` their gradient. No target. At a
    gradient of 0, where the norm has a kink, the penalty's gradient is 0.

    Use when: A GAN's modes collapse and no fakes should enter the penalty.
    Avoid when: R1 serves: it needs no noise, no slope and no norm.
    Source: Kodali, Abernethy, Hays, Kira, On Convergence and Stability of GANs (2017).

    >>> DRAGAN()(torch.tensor([[0.0, 3.0]]))
    tensor(40.)
    """

    function = staticmethod(F.gradient_penalty)
    lambda_: Real = LAMBDA
    k: Real = K
    card = Card(
        key="dragan",
        tasks=("gan",),
        input="values",
        target=None,
        example=Example(input=[[0.0, 3.0], [0.6, 0.8]], target=None, value=20.0),
    )
