"""Losses for point regression that turn on size alone: squared, absolute and what joins them."""

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.loss import Pointwise
from lossmith.core.schedule import Linear


class MSE(Pointwise):
    r"""Mean squared error: the mean is its minimiser.

    .. math:: \ell(x, y) = (x - y)^2

    Shapes: input and target alike, any shape. Values in the target's unit squared.

    Use when: Large errors cost most and targets are clean: the metric is RMSE or R².
    Avoid when: Targets hold gross outliers: one wrong row of 100 can dominate the gradient.
    Source: Gauss, Theoria combinationis observationum erroribus minimis obnoxiae (1823).

    >>> MSE()(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor(2.)
    """

    function = staticmethod(F.mse)
    mean_function = staticmethod(F.mean_mse)
    card = Card(
        key="mse",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[1.0, 3.0], target=[1.0, 1.0], value=2.0),
        claims=Claims(convex=True, elicits="mean"),
    )


class MAE(Pointwise):
    r"""Mean absolute error: the median is its minimiser.

    .. math:: \ell(x, y) = |x - y|

    Shapes: input and target alike, any shape. Values in the target's unit. The gradient at
    x = y is 0.

    Use when: MAE is the metric, or gross outliers are in the targets: it needs no scale.
    Avoid when: The mean is wanted of a skewed target; the median lies elsewhere.
    Source: Boscovich, De litteraria expeditione per pontificiam ditionem (1757).

    >>> MAE()(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor(1.)
    """

    function = staticmethod(F.mae)
    mean_function = staticmethod(F.mean_mae)
    card = Card(
        key="mae",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[1.0, 3.0], target=[1.0, 1.0], value=1.0),
        claims=Claims(convex=True, lipschitz=True, elicits="median"),
    )


class Huber(Pointwise):
    r"""Squared near zero, absolute beyond delta: robust to outliers, smooth at the minimum.

    .. math:: \ell(x, y) = \begin{cases} r^2 / 2 & |r| \le \delta \\
        \delta (|r| - \delta / 2) & |r| > \delta \end{cases} \qquad r = x - y

    Shapes: input and target alike, any shape. Values in the target's unit squared.

    Use when: Some targets are outliers, yet errors near zero should count squared.
    Avoid when: Delta cannot be set on the target's scale; MAE or log-cosh needs no choice.
    Source: Huber, Robust Estimation of a Location Parameter (1964).

    >>> Huber(delta=1.0)(torch.tensor([0.5, 3.0]), torch.zeros(2))
    tensor(1.3125)
    """

    function = staticmethod(F.huber)
    mean_function = staticmethod(F.mean_huber)
    delta: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        search=(0.1, 0.5, 1.345, Linear(0.1, 3.0)),
        doc="the size of residual at which squared turns into absolute, in the target's unit",
    )
    card = Card(
        key="huber",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[0.5, 3.0], target=[0.0, 0.0], value=1.3125),
        claims=Claims(convex=True, lipschitz=True),
    )


class SmoothL1(Pointwise):
    r"""Absolute error rounded off within beta: Huber with delta = beta, divided by beta.

    .. math:: \ell(x, y) = \begin{cases} r^2 / (2\beta) & |r| \le \beta \\
        |r| - \beta / 2 & |r| > \beta \end{cases} \qquad r = x - y

    Shapes: input and target alike, any shape. Values in the target's unit. Its slope far out is
    1 at every beta, where Huber's is delta. The paper's formula is beta = 1.

    Use when: MAE is nearly the metric, but its kink at zero makes late training restless.
    Avoid when: Beta cannot be set on the target's scale; then MAE needs no choice.
    Source: Girshick, Fast R-CNN (2015).

    >>> SmoothL1(beta=0.5)(torch.tensor([0.25, 1.0]), torch.zeros(2))
    tensor(0.4062)
    """

    function = staticmethod(F.smooth_l1)
    mean_function = staticmethod(F.mean_smooth_l1)
    beta: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        search=(0.25,),
        doc="the size of residual below which the absolute error is rounded off, in the target's "
        "unit",
    )
    card = Card(
        key="smooth_l1",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(
            input=[0.25, 1.0], target=[0.0, 0.0], value=0.40625, arguments={"beta": 0.5}
        ),
        claims=Claims(convex=True, lipschitz=True),
    )


class LogCosh(Pointwise):
    r"""The logarithm of the hyperbolic cosine: squared near zero, absolute far out, no parameter.

    .. math:: \ell(x, y) = \log\cosh(x - y)

    Shapes: input and target alike, any shape. The target is taken as a pure number: the bend
    lies at residuals near 1, so standardise the target. It is the negative log-likelihood of the
    hyperbolic secant distribution, up to a constant, and smooth to every order.

    Use when: A smooth compromise between mean and median on a standardised target.
    Avoid when: The target is not standardised: residuals far from 1 make it MSE or MAE.
    Source: Green, Bayesian Reconstructions from Emission Tomography Data Using a Modified EM
    Algorithm (1990).

    >>> LogCosh()(torch.tensor([0.0, 1.0]), torch.zeros(2))
    tensor(0.2169)
    """

    function = staticmethod(F.log_cosh)
    card = Card(
        key="log_cosh",
        tasks=("regression",),
        input="values",
        target="values",
        # cosh(log 2) = 5/4
        example=Example(input=[0.6931471805599453], target=[0.0], value=0.22314355131420976),
        claims=Claims(convex=True, lipschitz=True),
    )
