"""Negative log-likelihoods with a scale of their own for every row: heads of two outputs."""

from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Pointwise

FLOOR = Hyper(
    default=1e-3,
    low=0.0,
    open=True,
    meaning="least scale, in the target's unit",
)


class GaussianNLL(Pointwise):
    r"""Negative log-likelihood of a Gaussian whose mean and scale the head gives.

    .. math:: \ell(x, y) = \frac{(\mu - y)^2}{2 \sigma^2} + \log\sigma + \tfrac12 \log 2\pi
        \qquad \sigma = \text{floor} + e^{u}

    Shapes: input (N, 2), in dimension 1 the mean :math:`\mu` and the raw log-scale u; target
    (N,), or both with the same trailing dimensions. Values in nats, the constant included, so
    that likelihoods of different distributions compare (torch leaves it out by default).

    Args:
        floor: the least scale, in the target's unit: set it, or standardise the target. The
            default is the root of torch's eps, 1e-6, which is a variance.

    Raises:
        ValueError: if input is not target's shape with a head of 2, or floor is not positive.

    Source: Nix & Weigend, Estimating the Mean and Variance of the Target Probability
    Distribution (1994).

    >>> GaussianNLL()(torch.tensor([[0.0, 0.0]]), torch.tensor([0.0]))
    tensor(0.9199)
    """

    floor: Tensor
    card: ClassVar[Card] = Card(
        key="gaussian_nll",
        tasks=("regression",),
        target="values",
        input="parameters",
        formula="(mean - y)^2 / (2 scale^2) + log(scale) + log(2 pi)/2, scale = floor + exp(u)",
        use_when="The noise differs from row to row and the targets have no gross outliers.",
        avoid_when="The target is far from standardised, or outliers are many: Student's t then.",
        paper=Paper(
            authors="D. A. Nix, A. S. Weigend",
            title="Estimating the Mean and Variance of the Target Probability Distribution",
            year=1994,
        ),
        # scale 1.001: log(1.001) + log(2 pi)/2
        example=Example(input=[[0.0, 0.0]], target=[0.0], value=0.9199380335382032),
        claims=Claims(proper=True, elicits="mean"),
        hypers={"floor": FLOOR},
    )
    out_features: int = 2

    def __init__(self, *, floor: Number = 1e-3) -> None:
        super().__init__(floor=floor)

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean."""
        return F.location(output, outputs=self.out_features)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the negative log-likelihood of each target."""
        return F.gaussian_nll(input, target, floor=self.floor)


class LaplaceNLL(Pointwise):
    r"""Negative log-likelihood of a Laplace distribution whose median and scale the head gives.

    .. math:: \ell(x, y) = \frac{|\mu - y|}{b} + \log 2b \qquad b = \text{floor} + e^{u}

    Shapes: input (N, 2), in dimension 1 the median :math:`\mu` and the raw log-scale u; target
    (N,), or both with the same trailing dimensions. Values in nats.

    Args:
        floor: the least scale, in the target's unit: set it, or standardise the target. The
            default is the root of torch's eps, 1e-6, which is a variance.

    Raises:
        ValueError: if input is not target's shape with a head of 2, or floor is not positive.

    Source: Laplace, Mémoire sur la probabilité des causes par les évènemens (1774).

    >>> LaplaceNLL()(torch.tensor([[0.0, 0.0]]), torch.tensor([0.0]))
    tensor(0.6941)
    """

    floor: Tensor
    card: ClassVar[Card] = Card(
        key="laplace_nll",
        tasks=("regression",),
        target="values",
        input="parameters",
        formula="|median - y| / scale + log(2 scale), scale = floor + exp(u)",
        use_when="MAE is the metric and the noise differs from row to row.",
        avoid_when="The target is far from standardised, or many rows share one exact value.",
        paper=Paper(
            authors="P.-S. Laplace",
            title="Mémoire sur la probabilité des causes par les évènemens",
            year=1774,
        ),
        # scale 1.001: log(2.002)
        example=Example(input=[[0.0, 0.0]], target=[0.0], value=0.6941466808930286),
        claims=Claims(proper=True, elicits="median"),
        hypers={"floor": FLOOR},
    )
    out_features: int = 2

    def __init__(self, *, floor: Number = 1e-3) -> None:
        super().__init__(floor=floor)

    def decode(self, output: Tensor) -> Tensor:
        """Return the median."""
        return F.location(output, outputs=self.out_features)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the negative log-likelihood of each target."""
        return F.laplace_nll(input, target, floor=self.floor)


class StudentTNLL(Pointwise):
    r"""Negative log-likelihood of Student's t whose location and scale the head gives.

    .. math:: \ell(x, y) = \frac{\nu + 1}{2} \log\left(1 + \frac{(\mu - y)^2}{\nu s^2}\right)
        + \log s + \log\frac{\sqrt{\nu\pi}\,\Gamma(\nu/2)}{\Gamma((\nu + 1)/2)}
        \qquad s = \text{floor} + e^{u}

    Shapes: input (N, 2), in dimension 1 the location :math:`\mu` and the raw log-scale u; target
    (N,), or both with the same trailing dimensions. Values in nats. The degrees of freedom are
    fixed, not a third output: from one residual a row they are hardly to be told from the scale.

    Args:
        degrees_of_freedom: :math:`\nu`; 1 is the Cauchy distribution, large is the Gaussian.
            The default of 4 keeps the variance finite and the outliers cheap.
        floor: the least scale, in the target's unit: set it, or standardise the target. The
            default is the root of torch's eps, 1e-6, which is a variance.

    Raises:
        ValueError: if input is not target's shape with a head of 2, or an argument is not
            positive.

    Source: Lange, Little & Taylor, Robust Statistical Modeling Using the t Distribution (1989).

    >>> StudentTNLL(degrees_of_freedom=1.0)(torch.tensor([[0.0, 0.0]]), torch.tensor([0.0]))
    tensor(1.1457)
    """

    degrees_of_freedom: Tensor
    floor: Tensor
    card: ClassVar[Card] = Card(
        key="student_t_nll",
        tasks=("regression",),
        target="values",
        input="parameters",
        formula="(nu + 1)/2 log(1 + z^2/nu) + log(scale) + log normaliser, scale = floor + exp(u)",
        use_when="The noise differs from row to row and gross outliers are among the targets.",
        avoid_when="The mean of a skewed target is wanted: the location is not the mean.",
        paper=Paper(
            authors="K. L. Lange, R. J. A. Little, J. M. G. Taylor",
            title="Robust Statistical Modeling Using the t Distribution",
            year=1989,
        ),
        # the Cauchy density at its centre is 1/(pi scale), scale 1.001: log(1.001 pi)
        example=Example(
            input=[[0.0, 0.0]],
            target=[0.0],
            value=1.1457293861826167,
            arguments={"degrees_of_freedom": 1.0},
        ),
        claims=Claims(proper=True),
        hypers={
            "degrees_of_freedom": Hyper(
                default=4.0, low=0.0, open=True, meaning="weight of the tails; smaller is heavier"
            ),
            "floor": FLOOR,
        },
    )
    out_features: int = 2

    def __init__(self, *, degrees_of_freedom: Number = 4.0, floor: Number = 1e-3) -> None:
        super().__init__(degrees_of_freedom=degrees_of_freedom, floor=floor)

    def decode(self, output: Tensor) -> Tensor:
        """Return the location."""
        return F.location(output, outputs=self.out_features)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the negative log-likelihood of each target."""
        return F.student_t_nll(
            input, target, degrees_of_freedom=self.degrees_of_freedom, floor=self.floor
        )
