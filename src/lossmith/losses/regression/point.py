"""Point regression: losses of a residual, of a quantile and of an expectile."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real, RealOrReals
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
        tasks=("regression", "detection"),
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
        tasks=("regression", "detection"),
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


class Quantile(Pointwise):
    r"""The pinball loss: its minimiser is a quantile, or several that cannot cross.

    .. math:: \ell(x, y) = \max(q e, (q - 1) e) \qquad e = y - x

    Shapes: with one level, input and target alike, any shape. With L increasing levels, input
    has a head of L outputs in dimension 1, (N, L) for target (N,): output 0 is the value of the
    middle level, level[L // 2], and the others are gaps through a softplus, so that the values
    `decode` gives, one a level in the order of the levels, never cross. The value of a target is
    the mean over its levels. Values in the target's unit. The gradient at e = 0 is 0.

    Use when: Errors on one side cost more, as in demand forecasting, or an interval is wanted
    beside the prediction.
    Avoid when: A level is so near 0 or 1 that hardly any row lies beyond it.
    Source: Koenker & Bassett, Regression Quantiles (1978).

    >>> Quantile(level=0.9)(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 1.0]))
    tensor(0.5000)
    >>> Quantile(level=(0.1, 0.5, 0.9)).decode(torch.tensor([[2.0, 0.0, 0.0]]))
    tensor([[1.3069, 2.0000, 2.6931]])
    """

    level: RealOrReals = RealOrReals(
        default=0.5,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="the quantile's level q, or several in increasing order",
    )
    card = Card(
        key="quantile",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[1.0, 2.0], target=[2.0, 1.0], value=0.5, arguments={"level": 0.9}),
        # Not convex: several levels pass through a softplus.
        claims=Claims(lipschitz=True, elicits="quantile"),
    )

    def __post_init__(self) -> None:
        levels = self.level.detach()
        if levels.shape == (1,):  # a list of one is one level
            self.register_number("level", levels[0], lambda level: None)
        elif levels.ndim and (not levels.numel() or (levels.diff() <= 0).any()):
            raise ValueError(
                f"Quantile: level must be one number or increasing ones, got {levels.tolist()}"
            )

    @property
    def out_features(self) -> int:
        """One output a level."""
        return self.level.numel()

    def decode(self, output: Tensor) -> Tensor:
        """Return the quantiles: of one level as they are, of several with one column a level."""
        return output if self.level.ndim == 0 else F.non_crossing(output)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the quantile, linear between the levels of the head; of one level that one."""
        found = self.decode(output)
        if self.level.ndim == 0:
            return found
        return F.interpolated_quantile(found, level=level, levels=self.level.tolist())

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the pinball value of each target."""
        return F.quantile(self.decode(input), target, level=self.level)


class Expectile(Pointwise):
    r"""Asymmetric squared error: its minimiser is an expectile, the mean at level 0.5.

    .. math:: \ell(x, y) = |\tau - 1[e < 0]| \, e^2 \qquad e = y - x

    Shapes: input and target alike, any shape. Values in the target's unit squared; at level 0.5
    half the squared error.

    Use when: Errors on one side cost more and large errors cost disproportionately.
    Avoid when: Targets hold gross outliers: it is as open to them as squared error.
    Source: Newey & Powell, Asymmetric Least Squares Estimation and Testing (1987).

    >>> Expectile(level=0.8)(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 0.0]))
    tensor(1.7000)
    """

    function = staticmethod(F.expectile)
    level: Real = Real(
        default=0.5,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="the expectile's level :math:`\\tau`",
    )
    card = Card(
        key="expectile",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[0.0, 1.0], target=[2.0, 0.0], value=1.7, arguments={"level": 0.8}),
        claims=Claims(convex=True, elicits="expectile"),
    )


class Wing(Pointwise):
    r"""The wing loss: logarithmic near zero, so that small errors keep their pull; absolute beyond.

    .. math:: \ell(x, y) = \begin{cases} w \log(1 + |r| / \epsilon) & |r| < w \\
        |r| - w + w \log(1 + w / \epsilon) & \text{elsewhere} \end{cases} \qquad r = x - y

    Shapes: input and target alike, any shape. Values in the target's unit. The slope is w/ε at
    zero and falls to w/(w + ε) at w, from which on it is 1: errors of a point that is nearly right
    pull hardest. Not convex; at a residual of 0 it has a corner.

    Use when: Points of a face or body are to be placed to the pixel, and most are nearly right.
    Avoid when: Targets are noisy: it chases the noise of those that are nearly right.
    Source: Feng, Kittler, Awais, Huber, Wu, Wing Loss for Robust Facial Landmark Localisation with
    Convolutional Neural Networks (2018).

    >>> Wing()(torch.tensor([2.0, 20.0]), torch.zeros(2))  # 10 log 2, and 10 + 10 log 6
    tensor(17.4245)
    """

    function = staticmethod(F.wing)
    width: Real = Real(
        default=10.0,
        low=0.0,
        exclusive=True,
        search=(1.0,),
        doc="w, the error from which on it is absolute, in the target's unit; the paper's pixels",
    )
    epsilon: Real = Real(
        default=2.0,
        low=0.0,
        exclusive=True,
        search=(0.2,),
        doc="ε, the error at which the pull is half of that at 0; the paper's pixels",
    )
    card = Card(
        key="wing",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(
            input=[2.0, 20.0], target=[0.0, 0.0], value=5 * (math.log(2) + 1 + math.log(6))
        ),
        claims=Claims(lipschitz=True),
    )


class Linex(Pointwise):
    r"""Linear on one side, exponential on the other: errors of one sign cost far more.

    .. math:: \ell(x, y) = e^{a r} - a r - 1 \qquad r = x - y

    Shapes: input and target alike, any shape. Values are pure numbers. For small errors it is
    (a r)²/2. Beyond a r = 50 it goes on as its tangent, so that nothing overflows. The minimiser is
    the mean less what the spread costs, −log E[e^(−a y)]/a; of a Gaussian, mean − a·variance/2.

    With a above 0 predictions that are too high cost exponentially, below 0 those too low. Errors
    should be a few 1/a at most: give targets on a scale that fits, or a in 1/unit.

    Use when: What an error costs is known, and grows fast on one side: dams, stocks, doses.
    Avoid when: Both sides grow in proportion: a quantile or an expectile says which.
    Source: Varian, A Bayesian Approach to Real Estate Assessment (1975); Zellner, Bayesian
    Estimation and Prediction Using Asymmetric Loss Functions (1986).

    >>> Linex(asymmetry=1.0)(torch.tensor([1.0]), torch.zeros(1))  # e - 2
    tensor(0.7183)
    >>> Linex(asymmetry=1.0)(torch.tensor([-1.0]), torch.zeros(1))  # 1/e
    tensor(0.3679)
    """

    function = staticmethod(F.linex)
    asymmetry: Real = Real(
        doc="a, in one over the target's unit: above 0 overestimates cost more, below 0 "
        "underestimates; not 0"
    )
    card = Card(
        key="linex",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(
            arguments={"asymmetry": 1.0},
            input=[1.0, -1.0],
            target=[0.0, 0.0],
            value=(math.e - 2 + 1 / math.e) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True),
        studied=False,
    )

    def __post_init__(self) -> None:
        if self.asymmetry.item() == 0:
            raise ValueError("Linex: asymmetry must not be 0, where the loss is 0 everywhere")
