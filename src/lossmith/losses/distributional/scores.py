"""The continuous ranked probability score, and regression over a histogram's bins."""

import math
from typing import Any, Self

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real, Switch, Whole
from lossmith.losses._fitting import finite, quartiles
from lossmith.losses.distributional.likelihood import FLOOR

_REACH = 10  # quartile distances from the median, 6.7 standard deviations of a Gaussian
_MARGIN = 2  # bins left free on each side, so that the Gaussian of an end target has room


class GaussianCRPS(Pointwise):
    r"""The CRPS of a Gaussian: a proper score that takes outliers by size, not by square.

    .. math:: \ell(x, y) = \sigma \left(z (2 \Phi(z) - 1) + 2 \varphi(z) - \frac{1}{\sqrt\pi}
        \right) \qquad z = \frac{y - \mu}{\sigma}, \; \sigma = \text{floor} + e^{u}

    Shapes: input (N, 2), in dimension 1 the mean :math:`\mu` and the raw log-scale u; target
    (N,), or both with the same trailing dimensions. Values in the target's unit; absolute error
    where :math:`\sigma` is small. It is strictly proper. `decode` gives the mean, and median, of
    the Gaussian. Beyond :math:`u = 50` the exponential goes on as its tangent.

    Use when: A probabilistic forecast is wanted and outliers would spoil a likelihood; CRPS is
    scored.
    Avoid when: The far tails matter: the likelihood punishes them harder.
    Source: Gneiting & Raftery, Strictly Proper Scoring Rules, Prediction, and Estimation (2007).

    >>> GaussianCRPS(floor=1e-9)(torch.zeros(1, 2), torch.zeros(1))  # √(2/π) − 1/√π
    tensor(0.2337)
    """

    function = staticmethod(F.gaussian_crps)
    floor: Real = FLOOR
    out_features: int = 2
    card = Card(
        key="gaussian_crps",
        tasks=("regression",),
        input="parameters",
        target="values",
        # scale 2, z = 0: 2 (sqrt(2/pi) - 1/sqrt(pi))
        example=Example(
            input=[[0.0, 0.0]],
            target=[0.0],
            value=0.4673899545021337,
            arguments={"floor": 1.0},
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean."""
        return F.location(output, outputs=self.out_features)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the Gaussian's quantile."""
        return F.gaussian_quantile(output, level=level, floor=self.floor)


class QuantileCRPS(Pointwise):
    r"""The CRPS of a head of quantiles: twice the mean pinball value over even levels.

    .. math:: \ell(x, y) = \frac2L \sum_{k=1}^{L} \max(q_k e_k, (q_k - 1) e_k) \qquad
        e_k = y - x_k, \; q_k = \frac{k - 1/2}{L}

    Shapes: input (N, L), in dimension 1 the middle quantile and the raw gaps of the others as
    `Quantile` reads them, so that they never cross; target (N,), or both with the same trailing
    dimensions. Values in the target's unit. As L grows it is the CRPS of any distribution.
    `decode` gives the middle quantile, the median where L is odd; `quantiles` gives all.

    Use when: A probabilistic forecast is wanted, and no family is known to fit it.
    Avoid when: One level is scored: Quantile puts all its weight there.
    Source: Gneiting & Raftery, Strictly Proper Scoring Rules, Prediction, and Estimation (2007);
    the sum over levels is that of Laio & Tamea (2007).

    >>> QuantileCRPS(levels=3).quantiles(torch.zeros(1, 3))
    tensor([[-0.6931,  0.0000,  0.6931]])
    """

    levels: Whole = Whole(default=9, low=2, doc="L, the number of quantiles")
    card = Card(
        key="quantile_crps",
        tasks=("regression",),
        input="values",
        target="values",
        # gaps log 2 on both sides of 0; e = -2 -/+ log 2 at levels 1/6, 1/2, 5/6 under a target
        # of -2: 2/3 (5/6 (2 - log 2) + 1/2 2 + 1/6 (2 + log 2))
        example=Example(
            input=[[0.0, 0.0, 0.0]],
            target=[-2.0],
            value=1.6919345864178021,
            arguments={"levels": 3},
        ),
        claims=Claims(lipschitz=True),
    )

    @property
    def out_features(self) -> int:
        """One output a quantile."""
        return self.levels

    def quantiles(self, output: Tensor) -> Tensor:
        """Return the quantiles in increasing order along the head's dimension."""
        return F.non_crossing(output)

    def decode(self, output: Tensor) -> Tensor:
        """Return the middle quantile."""
        return F.location(output, outputs=self.out_features)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the score of each target."""
        return F.quantile_crps(input, target, quantiles=self.levels)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the quantile, linear between the levels of the head."""
        levels = _middles(self.levels)
        return F.interpolated_quantile(self.quantiles(output), level=level, levels=levels)


class EnsembleCRPS(Pointwise):
    r"""The CRPS of an ensemble: the head is a sample of the distribution.

    .. math:: \ell(x, y) = \frac1M \sum_i |x_i - y| - \frac{1}{2 M (M - f)} \sum_{i, j}
        |x_i - x_j|

    with f = 0, the score of the ensemble as it is, or f = 1, the fair score, unbiased for the
    distribution that the members are drawn from.

    Shapes: input (N, M), members in dimension 1; target (N,), or both with the same trailing
    dimensions. Values in the target's unit; the fair score of one target can be 0 for members
    that are far apart. `decode` gives the members' mean.

    Use when: The model gives samples: an ensemble, or a generator of probabilistic forecasts.
    Avoid when: A family fits: its closed form has less noise.
    Source: Gneiting & Raftery, Strictly Proper Scoring Rules, Prediction, and Estimation (2007);
    the fair score is Ferro's (2014).

    >>> EnsembleCRPS(members=2)(torch.tensor([[0.0, 2.0]]), torch.tensor([1.0]))
    tensor(0.5000)
    >>> EnsembleCRPS(members=2, fair=True)(torch.tensor([[0.0, 2.0]]), torch.tensor([1.0]))
    tensor(0.)
    """

    function = staticmethod(F.ensemble_crps)
    members: Whole = Whole(default=10, low=2, doc="M, the size of the ensemble")
    fair: Switch = Switch(default=False, doc="whether to take f = 1")
    card = Card(
        key="ensemble_crps",
        tasks=("regression",),
        input="values",
        target="values",
        # mean |x - y| = 5/3; sum over pairs 2 (2 + 4 + 2) = 16: 5/3 - 16/18
        example=Example(
            input=[[0.0, 2.0, 4.0]],
            target=[1.0],
            value=5 / 3 - 16 / 18,
            arguments={"members": 3},
        ),
        claims=Claims(lipschitz=True),
    )

    @property
    def out_features(self) -> int:
        """One output a member."""
        return self.members

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean of the members."""
        return F.ensemble_mean(output)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the quantile of the members, in order at the levels (k − 1/2)/M."""
        members = F.ordered_members(output)
        return F.interpolated_quantile(members, level=level, levels=_middles(self.members))


class HLGauss(Pointwise):
    r"""Cross-entropy of a histogram against a Gaussian around the target.

    .. math:: \ell(x, y) = -\sum_k p_k \log \operatorname{softmax}(x)_k \qquad
        p_k \propto \Phi\left(\frac{e_{k+1} - y}{\sigma}\right)
        - \Phi\left(\frac{e_k - y}{\sigma}\right)

    with edges :math:`e_0 = \text{low}, \dots, e_m = \text{high}` and :math:`\sigma` in bin widths.

    Shapes: input (N, bins), logits in dimension 1; target (N,), or both with the same trailing
    dimensions. Values in nats. Targets beyond low … high are clipped to it, so that an outlier
    is bounded. `decode` gives the expected bin centre, which is close to the mean of the clipped
    targets. `for_target` fits low and high: the range of the targets, but no farther from the
    median than 10 times the distance of the quartile on that side, and 2 bins of margin.

    Use when: The target is skewed, has several modes or outliers, and rows are many.
    Avoid when: Predictions must go beyond the training range.
    Source: Imani & White, Improving Regression Performance with Distributional Losses (2018);
    the defaults are those of Farebrother et al., Stop Regressing: Training Value Functions via
    Classification for Scalable Deep RL (2024).

    >>> loss = HLGauss(low=0.0, high=8.0, bins=8)
    >>> loss(torch.zeros(1, 8), torch.tensor([3.3])), loss.decode(torch.zeros(1, 8))
    (tensor(2.0794), tensor([4.]))
    """

    function = staticmethod(F.hl_gauss)
    low: Real = Real(
        fitted=True, static=True, doc="the lower edge of the first bin, in the target's unit"
    )
    high: Real = Real(
        fitted=True, static=True, doc="the upper edge of the last bin, in the target's unit"
    )
    bins: Whole = Whole(
        default=51, low=2, doc="the number of bins. Farebrother et al. use 51, Imani & White 100"
    )
    sigma_ratio: Real = Real(
        default=0.75,
        low=0.0,
        exclusive=True,
        doc="the Gaussian's standard deviation in bin widths. Farebrother et al. recommend 0.75, "
        "Imani & White use 1",
    )
    card = Card(
        key="hl_gauss",
        tasks=("regression",),
        input="logits",
        target="values",
        # equal logits over eight bins: log 8, whatever the target
        example=Example(
            input=[[0.0] * 8],
            target=[3.3],
            value=2.0794415416798357,
            arguments={"low": 0.0, "high": 8.0, "bins": 8},
        ),
        claims=Claims(convex=True, lipschitz=True),
    )

    def __post_init__(self) -> None:
        _check_span(self)

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> Self:
        """Return the loss with low and high fitted to the targets, unless they are given.

        >>> HLGauss.for_target(torch.cat([torch.arange(101.0), torch.tensor([1e9])])).high < 1000
        tensor(True)
        """
        bins = hypers.get("bins", cls.hyperparameters["bins"].default)
        low, high = _span(finite(target))
        margin = _MARGIN * (high - low) / max(bins - 2 * _MARGIN, 1)
        return cls(**{"low": low - margin, "high": high + margin, **hypers})

    @property
    def out_features(self) -> int:
        """One output a bin."""
        return self.bins

    def decode(self, output: Tensor) -> Tensor:
        """Return the expected bin centre."""
        return F.expected_value(output, bins=self.bins, low=self.low, high=self.high)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the quantile of the histogram."""
        return F.bins_quantile(output, level=level, bins=self.bins, low=self.low, high=self.high)


def _middles(count: int) -> list[float]:
    """Return the levels (k − 1/2)/count."""
    return [(place + 0.5) / count for place in range(count)]


class DistributionFocal(Pointwise):
    r"""Cross-entropy of points on a line against the two points next to the target.

    .. math:: \ell(x, y) = -(k + 1 - t) \log p_k - (t - k) \log p_{k+1} \qquad
        p = \operatorname{softmax}(x) \qquad t = (m - 1) \frac{y - \text{low}}{\text{high} -
        \text{low}} \qquad k = \lfloor t \rfloor

    with m points from low to high.

    Shapes: input (N, m), logits in dimension 1; target (N,), or both with the same trailing
    dimensions: for boxes, four distances, (N, m, 4) and (N, 4). Values in nats. Targets beyond
    low … high are clipped to it. `decode` gives the expected point, whose value at the minimum is
    the mean of the clipped targets. In reinforcement learning it is called two-hot. `for_target`
    fits low and high: the range of the targets, but no farther from the median than 10 times the
    distance of the quartile on that side.

    Use when: Distances to a box's sides are learned, or any bounded number with many rows.
    Avoid when: Neighbouring bins should share what they learn; HLGauss spreads each target.
    Source: Li, Wang, Wu, Chen, Hu, Li, Tang, Yang, Generalized Focal Loss: Learning Qualified and
    Distributed Bounding Boxes for Dense Object Detection (2020).

    >>> loss = DistributionFocal(points=5, high=4.0)
    >>> loss(torch.zeros(1, 5), torch.tensor([3.3])), loss.decode(torch.zeros(1, 5))
    (tensor(1.6094), tensor([2.]))
    """

    function = staticmethod(F.distribution_focal)
    low: Real = Real(default=0.0, static=True, doc="the first point, in the target's unit")
    high: Real = Real(
        default=16.0, static=True, doc="the last point; the paper's, in strides of the feature map"
    )
    points: Whole = Whole(default=17, low=2, doc="m, the number of points")
    card = Card(
        key="distribution_focal",
        tasks=("regression", "detection"),
        input="logits",
        target="values",
        # p = 3/5, 1/5, 1/5; a quarter of the way from the first point to the second
        example=Example(
            input=[[math.log(3), 0.0, 0.0]],
            target=[1.0],
            value=0.75 * math.log(5 / 3) + 0.25 * math.log(5),
            arguments={"low": 0.0, "high": 8.0, "points": 3},
        ),
        claims=Claims(convex=True, lipschitz=True),
    )

    def __post_init__(self) -> None:
        _check_span(self)

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> Self:
        """Return the loss with low and high fitted to the targets, unless they are given.

        >>> DistributionFocal.for_target(torch.tensor([1.0, 2.0, 4.0])).high.item()
        4.0
        """
        low, high = _span(finite(target))
        return cls(**{"low": low, "high": high, **hypers})

    @property
    def out_features(self) -> int:
        """One output a point."""
        return self.points

    def decode(self, output: Tensor) -> Tensor:
        """Return the expected point."""
        step = (self.high - self.low) / (self.points - 1)  # points are the centres of bins
        low, high = self.low - step / 2, self.high + step / 2
        return F.expected_value(output, bins=self.points, low=low, high=high)


def _check_span(loss: HLGauss | DistributionFocal) -> None:
    low, high = loss.low.item(), loss.high.item()
    if not 0 < high - low < math.inf:
        name = type(loss).__name__
        raise ValueError(
            f"{name}: low and high must be finite and high above low, got {low} and {high}"
        )


def _span(values: Tensor) -> tuple[float, float]:
    """Return the range of the values without gross outliers, never empty."""
    least, most = values.min().item(), values.max().item()
    lower, middle, upper = quartiles(values)
    fallback = (upper - lower) / 4  # where a quartile falls on the median
    if upper > lower:
        least = max(least, middle - _REACH * max(middle - lower, fallback))
        most = min(most, middle + _REACH * max(upper - middle, fallback))
    if least == most:
        half = max(abs(least), 1.0) / 2
        return least - half, most + half
    return least, most
