"""Barron's general robust loss, and the likelihood that learns its shape and scale."""

import torch
from torch import Tensor, nn

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.loss import Pointwise
from lossmith.losses.learned import exact, learned


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


_SHIFT = 0.5413248546129181  # log(e − 1), where softplus is 1
