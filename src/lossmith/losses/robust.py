"""Robust losses for point regression: Tukey's, and members of Barron's family in its scaling."""

from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Pointwise


class PseudoHuber(Pointwise):
    r"""A smooth Huber: squared near zero, slope delta far out, derivatives of every order.

    .. math:: \ell(x, y) = \delta^2 \left(\sqrt{1 + (r / \delta)^2} - 1\right) \qquad r = x - y

    Shapes: input and target alike, any shape. Values in the target's unit squared. The
    Charbonnier loss is this divided by :math:`\delta^2`; Barron's general loss at
    :math:`\alpha = 1` is the Charbonnier loss with :math:`c = \delta`. In image restoration
    "Charbonnier" also means :math:`\sqrt{r^2 + \epsilon^2}`, which is this divided by
    :math:`\delta = \epsilon`, plus :math:`\epsilon`: the same gradient up to a factor.

    Args:
        delta: the size of residual around which squared turns into absolute, in the target's unit.

    Raises:
        ValueError: if the shapes of input and target differ, or delta is not positive.

    Source: Charbonnier, Blanc-Féraud, Aubert & Barlaud, Two Deterministic Half-Quadratic
    Regularization Algorithms for Computed Imaging (1994).

    >>> PseudoHuber(delta=1.0)(torch.tensor([0.75]), torch.zeros(1))
    tensor(0.2500)
    """

    delta: Tensor
    card: ClassVar[Card] = Card(
        key="pseudo_huber",
        tasks=("regression",),
        target="values",
        input="values",
        formula="delta^2 (sqrt(1 + (r/delta)^2) - 1); delta^2 times Barron's alpha = 1",
        use_when="Huber is right but a second derivative without a jump is wanted.",
        avoid_when="Delta cannot be set on the target's scale; MAE or log-cosh needs no choice.",
        paper=Paper(
            authors="P. Charbonnier, L. Blanc-Féraud, G. Aubert, M. Barlaud",
            title="Two Deterministic Half-Quadratic Regularization Algorithms for Computed Imaging",
            year=1994,
        ),
        example=Example(input=[0.75], target=[0.0], value=0.25),
        claims=Claims(convex=True, lipschitz=True),
        hypers={
            "delta": Hyper(
                default=1.0,
                low=0.0,
                open=True,
                search=(0.3,),
                meaning="residual around which squared turns into absolute",
            )
        },
    )

    def __init__(self, *, delta: Number = 1.0) -> None:
        super().__init__(delta=delta)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the pseudo-Huber value of each element."""
        return F.pseudo_huber(input, target, delta=self.delta)


class Cauchy(Pointwise):
    r"""The Cauchy, or Lorentzian, loss: the pull of an outlier fades with its distance.

    .. math:: \ell(x, y) = \log\left(1 + \frac{(r / c)^2}{2}\right) \qquad r = x - y

    Shapes: input and target alike, any shape. Values are pure numbers. This is the scaling of
    Black & Anandan and of Barron's general loss at :math:`\alpha = 0`: near zero it is
    :math:`(r/c)^2/2`. Elsewhere the Cauchy loss is :math:`\frac{c^2}{2}\log(1 + (r/c)^2)`, whose
    c is :math:`\sqrt 2` times this one.

    Args:
        scale: c, the size of a typical residual, in the target's unit; the pull is strongest at
            :math:`\sqrt 2 c`.

    Raises:
        ValueError: if the shapes of input and target differ, or scale is not positive.

    Source: Black & Anandan, The Robust Estimation of Multiple Motions: Parametric and
    Piecewise-Smooth Flow Fields (1996).

    >>> Cauchy(scale=1.0)(torch.tensor([2.0]), torch.zeros(1))
    tensor(1.0986)
    """

    scale: Tensor
    card: ClassVar[Card] = Card(
        key="cauchy",
        tasks=("regression",),
        target="values",
        input="values",
        formula="log(1 + (r/scale)^2 / 2); Barron's general loss at alpha = 0",
        use_when="Gross outliers are frequent and should lose influence with their distance.",
        avoid_when="Targets are clean, or the start is far off: it is not convex.",
        paper=Paper(
            authors="M. J. Black, P. Anandan",
            title="The Robust Estimation of Multiple Motions: "
            "Parametric and Piecewise-Smooth Flow Fields",
            year=1996,
        ),
        example=Example(input=[2.0], target=[0.0], value=1.0986122886681098),  # log 3
        claims=Claims(lipschitz=True),
        hypers={
            "scale": Hyper(
                default=1.0,
                low=0.0,
                open=True,
                search=(0.3, 1.0),
                meaning="size of a typical residual",
            )
        },
    )

    def __init__(self, *, scale: Number = 1.0) -> None:
        super().__init__(scale=scale)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Cauchy value of each element."""
        return F.cauchy(input, target, scale=self.scale)


class Welsch(Pointwise):
    r"""The Welsch, or Leclerc, loss: an outlier counts 1, whatever its size.

    .. math:: \ell(x, y) = 1 - \exp\left(-\frac{(r / c)^2}{2}\right) \qquad r = x - y

    Shapes: input and target alike, any shape. Values are pure numbers from 0 to 1. This is the
    scaling of Barron's general loss at :math:`\alpha = -\infty`: near zero it is
    :math:`(r/c)^2/2`. Dennis & Welsch write :math:`\frac{c^2}{2}(1 - \exp(-(r/c)^2))`, whose c is
    :math:`\sqrt 2` times this one.

    Args:
        scale: c, the size of a typical residual, in the target's unit; the pull is strongest at
            c and all but gone at 4 c.

    Raises:
        ValueError: if the shapes of input and target differ, or scale is not positive.

    Source: Dennis & Welsch, Techniques for Nonlinear Least Squares and Robust Regression (1978).

    >>> Welsch(scale=1.0)(torch.tensor([2.0]), torch.zeros(1))
    tensor(0.8647)
    """

    scale: Tensor
    card: ClassVar[Card] = Card(
        key="welsch",
        tasks=("regression",),
        target="values",
        input="values",
        formula="1 - exp(-(r/scale)^2 / 2); Barron's general loss at alpha = -inf",
        use_when="Gross outliers should be ignored and the start is near the solution.",
        avoid_when="The start is far off: gradients vanish beyond a few scales.",
        paper=Paper(
            authors="J. E. Dennis, R. E. Welsch",
            title="Techniques for Nonlinear Least Squares and Robust Regression",
            year=1978,
        ),
        example=Example(input=[2.0], target=[0.0], value=0.8646647167633873),  # 1 - e^-2
        claims=Claims(lipschitz=True, bounded=True),
        hypers={
            "scale": Hyper(
                default=1.0,
                low=0.0,
                open=True,
                search=(0.7, 2.0),
                meaning="size of a typical residual",
            )
        },
    )

    def __init__(self, *, scale: Number = 1.0) -> None:
        super().__init__(scale=scale)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Welsch value of each element."""
        return F.welsch(input, target, scale=self.scale)


class GemanMcClure(Pointwise):
    r"""The Geman-McClure loss: bounded as Welsch's, with a tail that fades more slowly.

    .. math:: \ell(x, y) = \frac{2 (r / c)^2}{(r / c)^2 + 4} \qquad r = x - y

    Shapes: input and target alike, any shape. Values are pure numbers from 0 to 2. This is the
    scaling of Barron's general loss at :math:`\alpha = -2`: near zero it is :math:`(r/c)^2/2`.
    The original is :math:`r^2/(r^2 + \sigma^2)`, half of this with :math:`\sigma = 2c`.

    Args:
        scale: c, the size of a typical residual, in the target's unit; the pull is strongest at
            :math:`2c/\sqrt 3`.

    Raises:
        ValueError: if the shapes of input and target differ, or scale is not positive.

    Source: Geman & McClure, Bayesian Image Analysis: An Application to Single Photon Emission
    Tomography (1985).

    >>> GemanMcClure(scale=1.0)(torch.tensor([2.0]), torch.zeros(1))
    tensor(1.)
    """

    scale: Tensor
    card: ClassVar[Card] = Card(
        key="geman_mcclure",
        tasks=("regression",),
        target="values",
        input="values",
        formula="2 (r/scale)^2 / ((r/scale)^2 + 4); Barron's general loss at alpha = -2",
        use_when="Gross outliers should be ignored, with some pull left on those not far out.",
        avoid_when="The start is far off: it is not convex and far gradients are weak.",
        paper=Paper(
            authors="S. Geman, D. E. McClure",
            title="Bayesian Image Analysis: An Application to Single Photon Emission Tomography",
            year=1985,
        ),
        example=Example(input=[2.0], target=[0.0], value=1.0),
        claims=Claims(lipschitz=True, bounded=True),
        hypers={
            "scale": Hyper(
                default=1.0,
                low=0.0,
                open=True,
                search=(0.5, 1.5),
                meaning="size of a typical residual",
            )
        },
    )

    def __init__(self, *, scale: Number = 1.0) -> None:
        super().__init__(scale=scale)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Geman-McClure value of each element."""
        return F.geman_mcclure(input, target, scale=self.scale)


class Tukey(Pointwise):
    r"""Tukey's biweight: squared near zero, no pull at all from residuals beyond the cutoff.

    .. math:: \ell(x, y) = \begin{cases} \frac{c^2}{6} \left(1 - \left(1 - (r/c)^2\right)^3\right)
        & |r| \le c \\ c^2 / 6 & |r| > c \end{cases} \qquad r = x - y

    Shapes: input and target alike, any shape. Values in the target's unit squared, from 0 to
    :math:`c^2/6`; near zero :math:`r^2/2`. Two continuous derivatives.

    Args:
        cutoff: c, in the target's unit. The default is 95 % efficient on Gaussian residuals of
            standard deviation 1.

    Raises:
        ValueError: if the shapes of input and target differ, or cutoff is not positive.

    Source: Beaton & Tukey, The Fitting of Power Series, Meaning Polynomials, Illustrated on
    Band-Spectroscopic Data (1974); the default is that of Holland & Welsch (1977).

    >>> Tukey(cutoff=6.0)(torch.tensor([3.0, 9.0]), torch.zeros(2))
    tensor(4.7344)
    """

    cutoff: Tensor
    card: ClassVar[Card] = Card(
        key="tukey",
        tasks=("regression",),
        target="values",
        input="values",
        formula="c^2/6 (1 - (1 - (r/c)^2)^3) if |r| <= c else c^2/6, c = cutoff",
        use_when="Gross outliers should have no influence and the start is near the solution.",
        avoid_when="The start is far off: rows beyond the cutoff have no gradient.",
        paper=Paper(
            authors="A. E. Beaton, J. W. Tukey",
            title="The Fitting of Power Series, Meaning Polynomials, Illustrated on "
            "Band-Spectroscopic Data",
            year=1974,
        ),
        # 6 (1 - (3/4)^3) and 6
        example=Example(
            input=[3.0, 9.0], target=[0.0, 0.0], value=4.734375, arguments={"cutoff": 6.0}
        ),
        claims=Claims(lipschitz=True, bounded=True),
        hypers={
            "cutoff": Hyper(
                default=4.685,
                low=0.0,
                open=True,
                search=(1.5, 4.685),
                meaning="residual beyond which a row is ignored",
            )
        },
    )

    def __init__(self, *, cutoff: Number = 4.685) -> None:
        super().__init__(cutoff=cutoff)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return Tukey's value of each element."""
        return F.tukey(input, target, cutoff=self.cutoff)
