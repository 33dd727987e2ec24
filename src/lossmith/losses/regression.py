"""Losses for point regression that turn on size alone: squared, absolute and what joins them."""

from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Pointwise
from lossmith.core.schedule import Linear


class MSE(Pointwise):
    r"""Mean squared error: the mean is its minimiser.

    .. math:: \ell(x, y) = (x - y)^2

    Shapes: input and target alike, any shape. Values in the target's unit squared.

    Raises:
        ValueError: if the shapes of input and target differ.

    Source: Gauss, Theoria combinationis observationum erroribus minimis obnoxiae (1823).

    >>> MSE()(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor(2.)
    """

    card: ClassVar[Card] = Card(
        key="mse",
        tasks=("regression",),
        target="values",
        input="values",
        formula="(x - y)^2",
        use_when="Large errors cost most and targets are clean: the metric is RMSE or R².",
        avoid_when="Targets hold gross outliers: one wrong row of 100 can dominate the gradient.",
        paper=Paper(
            authors="C. F. Gauss",
            title="Theoria combinationis observationum erroribus minimis obnoxiae",
            year=1823,
        ),
        example=Example(input=[1.0, 3.0], target=[1.0, 1.0], value=2.0),
        claims=Claims(convex=True, elicits="mean"),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return (x − y)² for each element."""
        return F.mse(input, target)

    def mean_at_once(self, input: Tensor, target: Tensor) -> Tensor | None:
        """Return the mean of all values by torch's one operation, if it can."""
        return F.mean_mse(input, target)


class MAE(Pointwise):
    r"""Mean absolute error: the median is its minimiser.

    .. math:: \ell(x, y) = |x - y|

    Shapes: input and target alike, any shape. Values in the target's unit. The gradient at
    x = y is 0.

    Raises:
        ValueError: if the shapes of input and target differ.

    Source: Boscovich, De litteraria expeditione per pontificiam ditionem (1757).

    >>> MAE()(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor(1.)
    """

    card: ClassVar[Card] = Card(
        key="mae",
        tasks=("regression",),
        target="values",
        input="values",
        formula="|x - y|",
        use_when="MAE is the metric, or gross outliers are in the targets: it needs no scale.",
        avoid_when="The mean is wanted of a skewed target; the median lies elsewhere.",
        paper=Paper(
            authors="R. J. Boscovich",
            title="De litteraria expeditione per pontificiam ditionem",
            year=1757,
        ),
        example=Example(input=[1.0, 3.0], target=[1.0, 1.0], value=1.0),
        claims=Claims(convex=True, lipschitz=True, elicits="median"),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return |x − y| for each element."""
        return F.mae(input, target)

    def mean_at_once(self, input: Tensor, target: Tensor) -> Tensor | None:
        """Return the mean of all values by torch's one operation, if it can."""
        return F.mean_mae(input, target)


class Huber(Pointwise):
    r"""Squared near zero, absolute beyond delta: robust to outliers, smooth at the minimum.

    .. math:: \ell(x, y) = \begin{cases} r^2 / 2 & |r| \le \delta \\
        \delta (|r| - \delta / 2) & |r| > \delta \end{cases} \qquad r = x - y

    Shapes: input and target alike, any shape. Values in the target's unit squared.

    Args:
        delta: the size of residual at which squared turns into absolute, in the target's unit.

    Raises:
        ValueError: if the shapes of input and target differ, or delta is not positive.

    Source: Huber, Robust Estimation of a Location Parameter (1964).

    >>> Huber(delta=1.0)(torch.tensor([0.5, 3.0]), torch.zeros(2))
    tensor(1.3125)
    """

    delta: Tensor
    card: ClassVar[Card] = Card(
        key="huber",
        tasks=("regression",),
        target="values",
        input="values",
        formula="r^2/2 if |r| <= delta else delta (|r| - delta/2)",
        use_when="Some targets are outliers, yet errors near zero should count squared.",
        avoid_when="Delta cannot be set on the target's scale; MAE or log-cosh needs no choice.",
        paper=Paper(
            authors="P. J. Huber", title="Robust Estimation of a Location Parameter", year=1964
        ),
        example=Example(input=[0.5, 3.0], target=[0.0, 0.0], value=1.3125),
        claims=Claims(convex=True, lipschitz=True),
        hypers={
            "delta": Hyper(
                default=1.0,
                low=0.0,
                open=True,
                search=(0.1, 0.5, 1.345, Linear(0.1, 3.0)),  # the last: robust first, then precise
                meaning="residual at which squared turns into absolute",
            )
        },
    )

    def __init__(self, *, delta: Number = 1.0) -> None:
        super().__init__(delta=delta)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Huber value of each element."""
        return F.huber(input, target, delta=self.delta)

    def mean_at_once(self, input: Tensor, target: Tensor) -> Tensor | None:
        """Return the mean of all values by torch's one operation, if it can."""
        return F.mean_huber(input, target, delta=self.delta)


class SmoothL1(Pointwise):
    r"""Absolute error rounded off within beta: Huber with delta = beta, divided by beta.

    .. math:: \ell(x, y) = \begin{cases} r^2 / (2\beta) & |r| \le \beta \\
        |r| - \beta / 2 & |r| > \beta \end{cases} \qquad r = x - y

    Shapes: input and target alike, any shape. Values in the target's unit. Its slope far out is
    1 at every beta, where Huber's is delta. The paper's formula is beta = 1.

    Args:
        beta: the size of residual below which the absolute error is rounded off, in the
            target's unit.

    Raises:
        ValueError: if the shapes of input and target differ, or beta is not positive.

    Source: Girshick, Fast R-CNN (2015).

    >>> SmoothL1(beta=0.5)(torch.tensor([0.25, 1.0]), torch.zeros(2))
    tensor(0.4062)
    """

    beta: Tensor
    card: ClassVar[Card] = Card(
        key="smooth_l1",
        tasks=("regression",),
        target="values",
        input="values",
        formula="r^2/(2 beta) if |r| <= beta else |r| - beta/2",
        use_when="MAE is nearly the metric, but its kink at zero makes late training restless.",
        avoid_when="Beta cannot be set on the target's scale; then MAE needs no choice.",
        paper=Paper(authors="R. Girshick", title="Fast R-CNN", year=2015),
        example=Example(
            input=[0.25, 1.0], target=[0.0, 0.0], value=0.40625, arguments={"beta": 0.5}
        ),
        claims=Claims(convex=True, lipschitz=True),
        hypers={
            "beta": Hyper(
                default=1.0,
                low=0.0,
                open=True,
                search=(0.25,),
                meaning="residual below which the absolute error is rounded off",
            )
        },
    )

    def __init__(self, *, beta: Number = 1.0) -> None:
        super().__init__(beta=beta)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the rounded absolute error of each element."""
        return F.smooth_l1(input, target, beta=self.beta)

    def mean_at_once(self, input: Tensor, target: Tensor) -> Tensor | None:
        """Return the mean of all values by torch's one operation, if it can."""
        return F.mean_smooth_l1(input, target, beta=self.beta)


class LogCosh(Pointwise):
    r"""The logarithm of the hyperbolic cosine: squared near zero, absolute far out, no parameter.

    .. math:: \ell(x, y) = \log\cosh(x - y)

    Shapes: input and target alike, any shape. The target is taken as a pure number: the bend
    lies at residuals near 1, so standardise the target. It is the negative log-likelihood of the
    hyperbolic secant distribution, up to a constant, and smooth to every order.

    Raises:
        ValueError: if the shapes of input and target differ.

    Source: Green, Bayesian Reconstructions from Emission Tomography Data Using a Modified EM
    Algorithm (1990).

    >>> LogCosh()(torch.tensor([0.0, 1.0]), torch.zeros(2))
    tensor(0.2169)
    """

    card: ClassVar[Card] = Card(
        key="log_cosh",
        tasks=("regression",),
        target="values",
        input="values",
        formula="log cosh(x - y)",
        use_when="A smooth compromise between mean and median on a standardised target.",
        avoid_when="The target is not standardised: residuals far from 1 make it MSE or MAE.",
        paper=Paper(
            authors="P. J. Green",
            title="Bayesian Reconstructions from Emission Tomography Data Using a Modified EM "
            "Algorithm",
            year=1990,
        ),
        # cosh(log 2) = 5/4
        example=Example(input=[0.6931471805599453], target=[0.0], value=0.22314355131420976),
        claims=Claims(convex=True, lipschitz=True),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return log cosh(x − y) for each element."""
        return F.log_cosh(input, target)
