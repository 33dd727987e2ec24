"""Losses of point predictions by their ratio to the target, in the target's own unit."""

from abc import ABC
from typing import Any, Self

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.loss import Pointwise
from lossmith.functional.checks import in_dtype, promote
from lossmith.losses.fitting import finite, quartiles, spread_of


class Relative(Pointwise, ABC):
    """A loss of a prediction center + scale·input, so that a fresh head starts amid the targets."""

    center: Real = Real(default=0.0, doc="the prediction of a head that gives 0")
    scale: Real = Real(default=1.0, low=0.0, exclusive=True, doc="what 1 of the head stands for")

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> Self:
        """Return the loss with center and scale, the median and IQR/1.349, of the targets.

        >>> MAPE.for_target(torch.tensor([1.0, 2.0, 6.0])).decode(torch.zeros(1))
        tensor([2.])
        """
        values = finite(target)
        return cls(**{"center": quartiles(values)[1], "scale": spread_of(values), **hypers})

    def decode(self, output: Tensor) -> Tensor:
        """Return the prediction, center + scale·output."""
        output = promote(output)
        return in_dtype(self.center, output) + in_dtype(self.scale, output) * output


class MSLE(Relative):
    r"""Mean squared logarithmic error: squared error of the logarithms of 1 + prediction.

    .. math:: \ell(x, y) = (\log(1 + \hat y) - \log(1 + y))^2 \qquad
        \hat y = \text{center} + \text{scale} \cdot x

    Shapes: input and target alike, any shape. Values are pure numbers. A prediction below 0
    stands for :math:`\log(1 + \hat y)` itself, of which it is the tangent at 0: it stays finite
    and is drawn back, where keras clips and its gradient is 0. The minimiser is
    :math:`\exp(E \log(1 + y)) - 1`, below the mean.

    Use when: The metric is RMSLE and the model must predict in the target's own unit.
    Avoid when: The head may predict logarithms: MSE under TransformedTarget log1p is convex.
    Source: Tofallis, A Better Measure of Relative Prediction Accuracy for Model Selection and
    Model Estimation (2015), on the logarithm of the ratio; the 1 that allows zeros is custom.

    >>> MSLE()(torch.tensor([3.0]), torch.tensor([1.0]))  # log² 2
    tensor(0.4805)
    """

    center: Real = Real(
        default=0.0,
        doc="added to the scaled input, in the target's unit; 0 unless `for_target` fits it",
    )
    scale: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        doc="multiplies the input, in the target's unit; 1 unless `for_target` fits it",
    )
    card = Card(
        key="msle",
        tasks=("regression",),
        input="values",
        target="counts",
        # log 4 - log 2, and log 1 - log 4
        example=Example(input=[3.0, 0.0], target=[1.0, 3.0], value=1.2011325347955035),
        claims=Claims(),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the squared logarithmic error of each element."""
        return F.msle(self.decode(input), target)


class MAPE(Relative):
    r"""Mean absolute percentage error: absolute error as a share of the target.

    .. math:: \ell(x, y) = \frac{|\hat y - y|}{|y|} \qquad
        \hat y = \text{center} + \text{scale} \cdot x

    Shapes: input and target alike, any shape. Values are shares: 0.1 is ten per cent. A target of
    0 is an error, where scikit-learn and torchmetrics divide by a tiny number instead and let
    that row decide the loss. The minimiser is the median weighted by :math:`1/|y|`, below the
    median.

    Use when: The metric is MAPE and no target is near 0.
    Avoid when: Targets come near 0, or predictions that are too low are costly.
    Source: de Myttenaere, Golden, Le Grand & Rossi, Mean Absolute Percentage Error for Regression
    Models (2016).

    >>> MAPE()(torch.tensor([3.0, 3.0]), torch.tensor([2.0, 4.0]))
    tensor(0.3750)
    """

    center: Real = Real(
        default=0.0,
        doc="added to the scaled input, in the target's unit; 0 unless `for_target` fits it",
    )
    scale: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        doc="multiplies the input, in the target's unit; 1 unless `for_target` fits it",
    )
    card = Card(
        key="mape",
        tasks=("regression",),
        input="values",
        target="positive",
        example=Example(input=[3.0, 3.0], target=[2.0, 4.0], value=0.375),
        claims=Claims(convex=True, lipschitz=True),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the absolute error of each element as a share of its target."""
        return F.mape(self.decode(input), target)


class SMAPE(Relative):
    r"""Symmetric mean absolute percentage error: absolute error over the mean of both sizes.

    .. math:: \ell(x, y) = \frac{2 |\hat y - y|}{|\hat y| + |y|} \qquad
        \hat y = \text{center} + \text{scale} \cdot x

    Shapes: input and target alike, any shape. Values are shares from 0 to 2, the formula of most
    software; a second one in use is half of it, and Armstrong's leaves out the absolute values
    below. Where prediction and target are both 0 the value is 0. A prediction of the other sign
    than its target gives 2 with no gradient.

    Use when: The metric is sMAPE; too high and too low by one factor count alike.
    Avoid when: The start may be of the wrong sign: there it has no gradient.
    Source: Makridakis, Accuracy Measures: Theoretical and Practical Concerns (1993).

    >>> SMAPE()(torch.tensor([3.0, 0.0]), torch.tensor([1.0, 0.0]))
    tensor(0.5000)
    """

    center: Real = Real(
        default=0.0,
        doc="added to the scaled input, in the target's unit; 0 unless `for_target` fits it",
    )
    scale: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        doc="multiplies the input, in the target's unit; 1 unless `for_target` fits it",
    )
    card = Card(
        key="smape",
        tasks=("regression",),
        input="values",
        target="positive",
        example=Example(input=[3.0, 1.0], target=[1.0, 3.0], value=1.0),
        claims=Claims(lipschitz=True, bounded=True),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the symmetric share of each element."""
        return F.smape(self.decode(input), target)
