"""Negative log-likelihoods with a scale of their own for every row: heads of two outputs."""

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.loss import Pointwise

FLOOR = Real(default=0.001, low=0.0, exclusive=True, doc="least scale, in the target's unit")


class GaussianNLL(Pointwise):
    r"""Negative log-likelihood of a Gaussian whose mean and scale the head gives.

    .. math:: \ell(x, y) = \frac{(\mu - y)^2}{2 \sigma^2} + \log\sigma + \tfrac12 \log 2\pi
        \qquad \sigma = \text{floor} + e^{u}

    Shapes: input (N, 2), in dimension 1 the mean :math:`\mu` and the raw log-scale u; target
    (N,), or both with the same trailing dimensions. Values in nats, the constant included, so
    that likelihoods of different distributions compare (torch leaves it out by default).

    Use when: The noise differs from row to row and the targets have no gross outliers.
    Avoid when: The target is far from standardised, or outliers are many: Student's t then.
    Source: Nix & Weigend, Estimating the Mean and Variance of the Target Probability
    Distribution (1994).

    >>> GaussianNLL()(torch.tensor([[0.0, 0.0]]), torch.tensor([0.0]))
    tensor(0.9199)
    """

    function = staticmethod(F.gaussian_nll)
    floor: Real = FLOOR
    out_features: int = 2
    card = Card(
        key="gaussian_nll",
        tasks=("regression",),
        input="parameters",
        target="values",
        # scale 1.001: log(1.001) + log(2 pi)/2
        example=Example(input=[[0.0, 0.0]], target=[0.0], value=0.9199380335382032),
        claims=Claims(proper=True, elicits="mean"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean."""
        return F.location(output, outputs=self.out_features)


class LaplaceNLL(Pointwise):
    r"""Negative log-likelihood of a Laplace distribution whose median and scale the head gives.

    .. math:: \ell(x, y) = \frac{|\mu - y|}{b} + \log 2b \qquad b = \text{floor} + e^{u}

    Shapes: input (N, 2), in dimension 1 the median :math:`\mu` and the raw log-scale u; target
    (N,), or both with the same trailing dimensions. Values in nats.

    Use when: MAE is the metric and the noise differs from row to row.
    Avoid when: The target is far from standardised, or many rows share one exact value.
    Source: Laplace, Mémoire sur la probabilité des causes par les évènemens (1774).

    >>> LaplaceNLL()(torch.tensor([[0.0, 0.0]]), torch.tensor([0.0]))
    tensor(0.6941)
    """

    function = staticmethod(F.laplace_nll)
    floor: Real = FLOOR
    out_features: int = 2
    card = Card(
        key="laplace_nll",
        tasks=("regression",),
        input="parameters",
        target="values",
        # scale 1.001: log(2.002)
        example=Example(input=[[0.0, 0.0]], target=[0.0], value=0.6941466808930286),
        claims=Claims(proper=True, elicits="median"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the median."""
        return F.location(output, outputs=self.out_features)


class StudentTNLL(Pointwise):
    r"""Negative log-likelihood of Student's t whose location and scale the head gives.

    .. math:: \ell(x, y) = \frac{\nu + 1}{2} \log\left(1 + \frac{(\mu - y)^2}{\nu s^2}\right)
        + \log s + \log\frac{\sqrt{\nu\pi}\,\Gamma(\nu/2)}{\Gamma((\nu + 1)/2)}
        \qquad s = \text{floor} + e^{u}

    Shapes: input (N, 2), in dimension 1 the location :math:`\mu` and the raw log-scale u; target
    (N,), or both with the same trailing dimensions. Values in nats. The degrees of freedom are
    fixed, not a third output: from one residual a row they are hardly to be told from the scale.

    Use when: The noise differs from row to row and gross outliers are among the targets.
    Avoid when: The mean of a skewed target is wanted: the location is not the mean.
    Source: Lange, Little & Taylor, Robust Statistical Modeling Using the t Distribution (1989).

    >>> StudentTNLL(degrees_of_freedom=1.0)(torch.tensor([[0.0, 0.0]]), torch.tensor([0.0]))
    tensor(1.1457)
    """

    function = staticmethod(F.student_t_nll)
    degrees_of_freedom: Real = Real(
        default=4.0,
        low=0.0,
        exclusive=True,
        doc=":math:`\\nu`; 1 is the Cauchy distribution, large is the Gaussian. The default of 4 "
        "keeps the variance finite and the outliers cheap",
    )
    floor: Real = FLOOR
    out_features: int = 2
    card = Card(
        key="student_t_nll",
        tasks=("regression",),
        input="parameters",
        target="values",
        # the Cauchy density at its centre is 1/(pi scale), scale 1.001: log(1.001 pi)
        example=Example(
            input=[[0.0, 0.0]],
            target=[0.0],
            value=1.1457293861826167,
            arguments={"degrees_of_freedom": 1.0},
        ),
        claims=Claims(proper=True),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the location."""
        return F.location(output, outputs=self.out_features)
