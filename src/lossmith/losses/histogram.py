"""Regression as classification over a histogram's bins."""

import math
from typing import Any, Self

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real, Whole
from lossmith.core.loss import Pointwise
from lossmith.losses.fitting import finite, quartiles

_REACH = 10  # quartile distances from the median, 6.7 standard deviations of a Gaussian
_MARGIN = 2  # bins left free on each side, so that the Gaussian of an end target has room


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
    low: Real = Real(doc="the lower edge of the first bin, in the target's unit")
    high: Real = Real(doc="the upper edge of the last bin, in the target's unit")
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
        low, high = self.low.item(), self.high.item()
        if not 0 < high - low < math.inf:
            raise ValueError(
                f"HLGauss: low and high must be finite and high above low, got {low} and {high}"
            )

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
