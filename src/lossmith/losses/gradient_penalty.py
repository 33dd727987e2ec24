"""Penalties on the gradient of a critic's scores by its samples."""

from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Paper
from lossmith.core.loss import Pointwise

MESCHEDER = Paper(
    authors="L. Mescheder, A. Geiger, S. Nowozin",
    title="Which Training Methods for GANs do actually Converge?",
    year=2018,
)
GAMMA = Hyper(default=10.0, low=0.0, meaning="strength of the penalty")
LAMBDA = Hyper(default=10.0, low=0.0, meaning="strength of the penalty")
K = Hyper(default=1.0, low=0.0, meaning="the slope that is wanted")


class R1(Pointwise):
    r"""The zero-centred gradient penalty at real samples: the discriminator lies flat on the data.

    .. math:: \ell = \frac{\gamma}{2} \lVert\nabla_x D(x)\rVert^2

    Shapes: input (N, …), the gradient of each real sample's score by the sample, as
    `lossmith.functional.score_gradient` gives it; no target.

    Args:
        gamma: strength of the penalty.

    Raises:
        TypeError: if the input holds integers.

    Source: Mescheder, Geiger, Nowozin, Which Training Methods for GANs do actually Converge?
    (2018).

    >>> R1(gamma=2.0)(torch.tensor([[3.0, 4.0]]))
    tensor(25.)
    """

    gamma: Tensor
    card: ClassVar[Card] = Card(
        key="r1",
        tasks=("gan",),
        target=None,
        input="values",
        formula="gamma/2 |g|^2, g at real samples",
        use_when="Any GAN: training then converges near the solution.",
        avoid_when="A critic that should have slope 1, as for a Wasserstein distance.",
        paper=MESCHEDER,
        example=Example(input=[[0.6, 0.8], [0.0, 2.0]], target=None, value=12.5),
        hypers={"gamma": GAMMA},
    )

    def __init__(self, *, gamma: Number = 10.0) -> None:
        super().__init__(gamma=gamma)

    def values(self, input: Tensor, target: None) -> Tensor:
        """Return γ/2·‖g‖² of each row."""
        return F.zero_centred_penalty(input, gamma=self.gamma)


class R2(Pointwise):
    r"""The zero-centred gradient penalty at fake samples: R1's function of another gradient.

    .. math:: \ell = \frac{\gamma}{2} \lVert\nabla_{\hat x} D(\hat x)\rVert^2

    Shapes: input (N, …), the gradient of each fake sample's score by the sample, as
    `lossmith.functional.score_gradient` gives it; no target.

    Args:
        gamma: strength of the penalty.

    Raises:
        TypeError: if the input holds integers.

    Source: Mescheder, Geiger, Nowozin, Which Training Methods for GANs do actually Converge?
    (2018).

    >>> R2(gamma=2.0)(torch.tensor([[3.0, 4.0]]))
    tensor(25.)
    """

    gamma: Tensor
    card: ClassVar[Card] = Card(
        key="r2",
        tasks=("gan",),
        target=None,
        input="values",
        formula="gamma/2 |g|^2, g at fake samples",
        use_when="Beside R1: where the generator is far from the data R1 alone may diverge.",
        avoid_when="A critic that should have slope 1, as for a Wasserstein distance.",
        paper=MESCHEDER,
        example=Example(input=[[0.6, 0.8], [0.0, 2.0]], target=None, value=12.5),
        hypers={"gamma": GAMMA},
    )

    def __init__(self, *, gamma: Number = 10.0) -> None:
        super().__init__(gamma=gamma)

    def values(self, input: Tensor, target: None) -> Tensor:
        """Return γ/2·‖g‖² of each row."""
        return F.zero_centred_penalty(input, gamma=self.gamma)


class GradientPenalty(Pointwise):
    r"""The gradient penalty of WGAN-GP: a slope of 1 between real and fake samples.

    .. math:: \ell = \lambda (\lVert\nabla_{\tilde x} D(\tilde x)\rVert - k)^2

    Shapes: input (N, …), the gradient of the critic's scores by samples that lie between real
    and fake: `lossmith.functional.between` makes them, `score_gradient` their gradient. No
    target. At a gradient of 0, where the norm has a kink, the penalty's gradient is 0.

    Args:
        lambda_: strength of the penalty.
        k: the slope that is wanted; the paper's is 1.

    Raises:
        TypeError: if the input holds integers.

    Source: Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, Improved Training of Wasserstein
    GANs (2017).

    >>> GradientPenalty()(torch.tensor([[0.0, 3.0]]))
    tensor(40.)
    """

    lambda_: Tensor
    k: Tensor
    card: ClassVar[Card] = Card(
        key="gradient_penalty",
        tasks=("gan",),
        target=None,
        input="values",
        formula="lambda (|g| - k)^2, g between real and fake samples",
        use_when="Wasserstein critics: it holds their slope near 1.",
        avoid_when="Convergence near the solution matters most; R1 has it, this has not.",
        paper=Paper(
            authors="I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville",
            title="Improved Training of Wasserstein GANs",
            year=2017,
        ),
        example=Example(input=[[0.0, 3.0], [0.6, 0.8]], target=None, value=20.0),
        hypers={"lambda_": LAMBDA, "k": K},
    )

    def __init__(self, *, lambda_: Number = 10.0, k: Number = 1.0) -> None:
        super().__init__(lambda_=lambda_, k=k)

    def values(self, input: Tensor, target: None) -> Tensor:
        """Return λ·(‖g‖ − k)² of each row."""
        return F.gradient_penalty(input, lambda_=self.lambda_, k=self.k)


class DRAGAN(Pointwise):
    r"""The gradient penalty of DRAGAN: WGAN-GP's function, of gradients around real samples.

    .. math:: \ell = \lambda (\lVert\nabla_{\tilde x} D(\tilde x)\rVert - k)^2 \qquad
        \tilde x = x + \delta

    Shapes: input (N, …), the gradient of the discriminator's scores by noisy real samples:
    `lossmith.functional.around` makes them, `score_gradient` their gradient. No target. At a
    gradient of 0, where the norm has a kink, the penalty's gradient is 0.

    Args:
        lambda_: strength of the penalty.
        k: the slope that is wanted.

    Raises:
        TypeError: if the input holds integers.

    Source: Kodali, Abernethy, Hays, Kira, On Convergence and Stability of GANs (2017).

    >>> DRAGAN()(torch.tensor([[0.0, 3.0]]))
    tensor(40.)
    """

    lambda_: Tensor
    k: Tensor
    card: ClassVar[Card] = Card(
        key="dragan",
        tasks=("gan",),
        target=None,
        input="values",
        formula="lambda (|g| - k)^2, g around real samples",
        use_when="A GAN's modes collapse and no fakes should enter the penalty.",
        avoid_when="R1 serves: it needs no noise, no slope and no norm.",
        paper=Paper(
            authors="N. Kodali, J. Abernethy, J. Hays, Z. Kira",
            title="On Convergence and Stability of GANs",
            year=2017,
        ),
        example=Example(input=[[0.0, 3.0], [0.6, 0.8]], target=None, value=20.0),
        hypers={"lambda_": LAMBDA, "k": K},
    )

    def __init__(self, *, lambda_: Number = 10.0, k: Number = 1.0) -> None:
        super().__init__(lambda_=lambda_, k=k)

    def values(self, input: Tensor, target: None) -> Tensor:
        """Return λ·(‖g‖ − k)² of each row."""
        return F.gradient_penalty(input, lambda_=self.lambda_, k=self.k)
