"""Robust regression: bounded influence, Barron's general shape, fixed or learned."""

import torch
from torch import Tensor, nn

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.losses._learned import exact, learned

_SHIFT = 0.5413248546129181  # log(e − 1), where softplus is 1


class PseudoHuber(Pointwise):
    r"""A smooth Huber: squared near zero, slope delta far out, derivatives of every order.

    .. math:: \ell(x, y) = \delta^2 \left(\sqrt{1 + (r / \delta)^2} - 1\right) \qquad r = x - y

    Shapes: input and target alike, any shape. Values in the target's unit squared. The
    Charbonnier loss is this divided by :math:`\delta^2`; Barron's general loss at
    :math:`\alpha = 1` is the Charbonnier loss with :math:`c = \delta`. In image restoration
    "Charbonnier" also means :math:`\sqrt{r^2 + \epsilon^2}`, which is this divided by
    :math:`\delta = \epsilon`, plus :math:`\epsilon`: the same gradient up to a factor.

    Use when: Huber is right but a second derivative without a jump is wanted; with a small delta,
    as Charbonnier, in super-resolution, restoration and optical flow.
    Avoid when: Delta cannot be set on the target's scale; MAE or log-cosh needs no choice.
    Source: Charbonnier, Blanc-Féraud, Aubert & Barlaud, Two Deterministic Half-Quadratic
    Regularization Algorithms for Computed Imaging (1994).

    >>> PseudoHuber(delta=1.0)(torch.tensor([0.75]), torch.zeros(1))
    tensor(0.2500)
    """

    function = staticmethod(F.pseudo_huber)
    delta: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        search=(0.3,),
        doc="the size of residual around which squared turns into absolute, in the target's unit",
    )
    card = Card(
        key="pseudo_huber",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[0.75], target=[0.0], value=0.25),
        claims=Claims(convex=True, lipschitz=True),
    )


class Cauchy(Pointwise):
    r"""The Cauchy, or Lorentzian, loss: the pull of an outlier fades with its distance.

    .. math:: \ell(x, y) = \log\left(1 + \frac{(r / c)^2}{2}\right) \qquad r = x - y

    Shapes: input and target alike, any shape. Values are pure numbers. This is the scaling of
    Black & Anandan and of Barron's general loss at :math:`\alpha = 0`: near zero it is
    :math:`(r/c)^2/2`. Elsewhere the Cauchy loss is :math:`\frac{c^2}{2}\log(1 + (r/c)^2)`, whose
    c is :math:`\sqrt 2` times this one.

    Use when: Tails are heavy: gross outliers are frequent and should lose influence with their
    distance.
    Avoid when: Targets are clean, or the start is far off: it is not convex.
    Source: Black & Anandan, The Robust Estimation of Multiple Motions: Parametric and
    Piecewise-Smooth Flow Fields (1996).

    >>> Cauchy(scale=1.0)(torch.tensor([2.0]), torch.zeros(1))
    tensor(1.0986)
    """

    function = staticmethod(F.cauchy)
    scale: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        search=(0.3, 1.0),
        doc="c, the size of a typical residual, in the target's unit; the pull is strongest at "
        ":math:`\\sqrt 2 c`",
    )
    card = Card(
        key="cauchy",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[2.0], target=[0.0], value=1.0986122886681098),
        claims=Claims(lipschitz=True),
    )


class Welsch(Pointwise):
    r"""The Welsch, or Leclerc, loss: an outlier counts 1, whatever its size.

    .. math:: \ell(x, y) = 1 - \exp\left(-\frac{(r / c)^2}{2}\right) \qquad r = x - y

    Shapes: input and target alike, any shape. Values are pure numbers from 0 to 1. This is the
    scaling of Barron's general loss at :math:`\alpha = -\infty`: near zero it is
    :math:`(r/c)^2/2`. Dennis & Welsch write :math:`\frac{c^2}{2}(1 - \exp(-(r/c)^2))`, whose c is
    :math:`\sqrt 2` times this one.

    Use when: Gross outliers should be ignored and the start is near the solution.
    Avoid when: The start is far off: gradients vanish beyond a few scales.
    Source: Dennis & Welsch, Techniques for Nonlinear Least Squares and Robust Regression (1978).

    >>> Welsch(scale=1.0)(torch.tensor([2.0]), torch.zeros(1))
    tensor(0.8647)
    """

    function = staticmethod(F.welsch)
    scale: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        search=(0.7, 2.0),
        doc="c, the size of a typical residual, in the target's unit; the pull is strongest at c "
        "and all but gone at 4 c",
    )
    card = Card(
        key="welsch",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[2.0], target=[0.0], value=0.8646647167633873),
        claims=Claims(lipschitz=True, bounded=True),
    )


class GemanMcClure(Pointwise):
    r"""The Geman-McClure loss: bounded as Welsch's, with a tail that fades more slowly.

    .. math:: \ell(x, y) = \frac{2 (r / c)^2}{(r / c)^2 + 4} \qquad r = x - y

    Shapes: input and target alike, any shape. Values are pure numbers from 0 to 2. This is the
    scaling of Barron's general loss at :math:`\alpha = -2`: near zero it is :math:`(r/c)^2/2`.
    The original is :math:`r^2/(r^2 + \sigma^2)`, half of this with :math:`\sigma = 2c`.

    Use when: Gross outliers should be ignored, with some pull left on those not far out.
    Avoid when: The start is far off: it is not convex and far gradients are weak.
    Source: Geman & McClure, Bayesian Image Analysis: An Application to Single Photon Emission
    Tomography (1985).

    >>> GemanMcClure(scale=1.0)(torch.tensor([2.0]), torch.zeros(1))
    tensor(1.)
    """

    function = staticmethod(F.geman_mcclure)
    scale: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        search=(0.5, 1.5),
        doc="c, the size of a typical residual, in the target's unit; the pull is strongest at "
        ":math:`2c/\\sqrt 3`",
    )
    card = Card(
        key="geman_mcclure",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[2.0], target=[0.0], value=1.0),
        claims=Claims(lipschitz=True, bounded=True),
    )


class Tukey(Pointwise):
    r"""Tukey's biweight: squared near zero, no pull at all from residuals beyond the cutoff.

    .. math:: \ell(x, y) = \begin{cases} \frac{c^2}{6} \left(1 - \left(1 - (r/c)^2\right)^3\right)
        & |r| \le c \\ c^2 / 6 & |r| > c \end{cases} \qquad r = x - y

    Shapes: input and target alike, any shape. Values in the target's unit squared, from 0 to
    :math:`c^2/6`; near zero :math:`r^2/2`. Two continuous derivatives.

    Use when: Gross outliers should have no influence and the start is near the solution.
    Avoid when: The start is far off: rows beyond the cutoff have no gradient.
    Source: Beaton & Tukey, The Fitting of Power Series, Meaning Polynomials, Illustrated on
    Band-Spectroscopic Data (1974); the default is that of Holland & Welsch (1977).

    >>> Tukey(cutoff=6.0)(torch.tensor([3.0, 9.0]), torch.zeros(2))
    tensor(4.7344)
    """

    function = staticmethod(F.tukey)
    cutoff: Real = Real(
        default=4.685,
        low=0.0,
        exclusive=True,
        search=(1.5, 4.685),
        doc="c, in the target's unit. The default is 95 % efficient on Gaussian residuals of "
        "standard deviation 1",
    )
    card = Card(
        key="tukey",
        tasks=("regression",),
        input="values",
        target="values",
        # 6 (1 - (3/4)^3) and 6
        example=Example(
            input=[3.0, 9.0], target=[0.0, 0.0], value=4.734375, arguments={"cutoff": 6.0}
        ),
        claims=Claims(lipschitz=True, bounded=True),
    )


class Barron(Pointwise):
    r"""Barron's general loss: one shape parameter from squared error to ignoring outliers.

    .. math:: \ell(x, y) = \frac{|\alpha - 2|}{\alpha} \left(\left(
        \frac{(r / c)^2}{|\alpha - 2|} + 1\right)^{\alpha / 2} - 1\right) \qquad r = x - y

    and its limits: :math:`(r/c)^2/2` at :math:`\alpha = 2`, :math:`\log((r/c)^2/2 + 1)` at 0,
    :math:`1 - \exp(-(r/c)^2/2)` at :math:`-\infty`, :math:`\exp((r/c)^2/2) - 1` at
    :math:`\infty`. Alpha 1 is the Charbonnier or pseudo-Huber loss, 0 Cauchy, −2 Geman-McClure,
    :math:`-\infty` Welsch. Near zero all are :math:`(r/c)^2/2`.

    Shapes: input and target alike, any shape. Values are pure numbers. Value and gradient are
    exact at the limits and near them; the authors' code clamps :math:`|\alpha|` and
    :math:`|\alpha - 2|` at float32's epsilon instead. Above 2 values grow without bound and
    overflow early.

    Use when: How much outliers should count is to be set, or tuned, by one number.
    Avoid when: A named member fits: its name says more; alpha below 1 is not convex.
    Source: Barron, A General and Adaptive Robust Loss Function (2019).

    >>> Barron(alpha=1.0)(torch.tensor([0.75]), torch.zeros(1))
    tensor(0.2500)
    """

    function = staticmethod(F.barron)
    alpha: Real = Real(
        default=1.0,
        allow_infinite=True,
        search=(0.5, 1.5),
        doc="the shape; the smaller, the less an outlier counts. Any number, ±infinity too. The "
        "paper sets none; 1 is the smallest that is convex",
    )
    scale: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        search=(0.5,),
        doc="c, the size of residual at which the parabola bends, in the target's unit",
    )
    card = Card(
        key="barron",
        tasks=("regression",),
        input="values",
        target="values",
        # 22.5/1.5 + 1 = 16, whose fourth root is 2: 1.5/0.5 (2 - 1)
        example=Example(
            input=[4.743416490252569], target=[0.0], value=3.0, arguments={"alpha": 0.5}
        ),
        claims=Claims(),
    )


class AdaptiveBarron(Pointwise):
    r"""The likelihood of Barron's loss: shape and scale are learned with the model.

    .. math:: \ell(x, y) = \rho(x - y, \alpha, c) + \log c + \log Z(\alpha) \qquad
        Z(\alpha) = \int e^{-\rho(r, \alpha, 1)} \, dr

    with :math:`\rho` the general loss, :math:`\alpha = \text{alpha\_low} + (\text{alpha\_high} -
    \text{alpha\_low}) \operatorname{sigmoid}(a)` and :math:`c = \text{scale\_low} +
    (\text{initial\_scale} - \text{scale\_low}) \operatorname{softplus}(s + \log(e - 1))`, a and s
    the parameters `latent_alpha` and `latent_scale`: give the optimizer the loss's parameters,
    or nothing is adapted. One alpha and one scale serve all elements.

    Shapes: input and target alike, any shape. Values in nats. :math:`Z` makes outliers cheap at
    a price for the inliers, so that alpha cannot simply fall. It is integrated at every call,
    within 1e-12 in float64; the authors' code interpolates a table within 1e-6.

    Use when: How robust to be is not known, and the loss's parameters can join the model's.
    Avoid when: Few rows, or a fixed loss is wanted: the objective moves while it trains.
    Source: Barron, A General and Adaptive Robust Loss Function (2019); the defaults are those of
    its code.

    >>> loss = AdaptiveBarron()
    >>> loss(torch.tensor([0.75]), torch.zeros(1)).item()  # doctest: +ELLIPSIS
    1.4354...
    >>> [name for name, _ in loss.named_parameters()]
    ['latent_alpha', 'latent_scale']
    """

    function = staticmethod(F.adaptive_barron)
    initial_alpha: Real = Real(
        default=1.0,
        low=0.0,
        high=2.0,
        static=True,
        doc="the shape at the start, between alpha_low and alpha_high",
    )
    initial_scale: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        static=True,
        doc="the scale at the start, above scale_low, in the target's unit",
    )
    alpha_low: Real = Real(default=0.001, low=0.0, high=2.0, doc="the least shape")
    alpha_high: Real = Real(default=1.999, low=0.0, high=2.0, doc="the largest shape")
    scale_low: Real = Real(
        default=1e-5, low=0.0, exclusive=True, doc="the least scale, in the target's unit"
    )
    card = Card(
        key="adaptive_barron",
        tasks=("regression",),
        input="values",
        target="values",
        # alpha 1: sqrt(1 + 0.75^2) - 1 = 1/4, and Z(1) = 2 e K_1(1)
        example=Example(input=[0.75], target=[0.0], value=1.435495232349193),
        claims=Claims(proper=True),
        learns=True,
    )

    def __post_init__(self) -> None:
        alpha, scale = self.initial_alpha.item(), self.initial_scale.item()
        low, high, least = self.alpha_low.item(), self.alpha_high.item(), self.scale_low.item()
        if not low < alpha < high:
            raise ValueError(
                f"AdaptiveBarron: initial_alpha must be between alpha_low and alpha_high, got "
                f"{alpha} with {low} and {high}"
            )
        if not least < scale:
            raise ValueError(
                f"AdaptiveBarron: initial_scale must be above scale_low, got {scale} with {least}"
            )

    def initial_state(self) -> dict[str, Tensor]:
        """Return the latent numbers of the initial shape and scale."""
        share = (self.initial_alpha - self.alpha_low) / (self.alpha_high - self.alpha_low)
        return {
            "latent_alpha": learned(share.logit()),
            "latent_scale": learned(torch.zeros_like(share)),
        }

    @property
    def alpha(self) -> Tensor:
        """The present shape."""
        share = exact(self.latent_alpha).sigmoid()
        low, high = (bound.to(share) for bound in (self.alpha_low, self.alpha_high))
        return low + (high - low) * share

    @property
    def scale(self) -> Tensor:
        """The present scale."""
        latent = exact(self.latent_scale)
        low, start = (bound.to(latent) for bound in (self.scale_low, self.initial_scale))
        return low + (start - low) * nn.functional.softplus(latent + _SHIFT)
