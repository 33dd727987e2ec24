"""Losses of the ratio to the target, and any regression loss on a transformed target."""

import math
from abc import ABC
from typing import Any, Self

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Choice, Inner, Real, Switch, Whole
from lossmith.core.plain import shown
from lossmith.core.reduce import broadcast_weight
from lossmith.core.tree import tree_map
from lossmith.functional.checks import as_scalar_or_tensor, check, head_dim, promote
from lossmith.losses._fitting import finite, quartiles, spread_of
from lossmith.losses.regression.point import MSE


class Relative(Pointwise, ABC):
    """A loss of a prediction center + scale·input, so that a fresh head starts amid the targets."""

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
        return (
            as_scalar_or_tensor(self.center, output)
            + as_scalar_or_tensor(self.scale, output) * output
        )


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


def _of_raw_targets(owner: str, loss: Any) -> None:
    fine = isinstance(loss, Pointwise) and not isinstance(loss, TransformedTarget)
    if not fine or "regression" not in loss.card.tasks:
        raise TypeError(
            f"{owner}: loss must be a regression loss with a value a sample, and not another "
            f"TransformedTarget; got {shown(loss)}"
        )


class TransformedTarget(Pointwise):
    r"""Any regression loss on a transformed target; raw targets go in, raw predictions come out.

    .. math:: \ell(x, y) = \text{loss}\left(x, \frac{g(y) - \text{center}}{\text{scale}}\right)

    with :math:`g(y) = y`, :math:`\log(1 + y)` or :math:`\operatorname{sign}(y)|y|^{p}`.

    Shapes: those of the inner loss, or with columns input (N, w·H) and target (N, H). The input
    lives in the transformed space; targets, and what
    `decode` gives, in the target's own unit. `decode` clamps to the dtype's range, so that no
    finite output gives an infinite prediction. Note that g moves the mean: squared error after
    log1p predicts exp(mean of the log) − 1, the minimiser of RMSLE. Quantiles are kept.

    Use when: The target is skewed or far from unit scale, or relative errors count.
    Avoid when: The mean of a skewed target is wanted: log1p and power move the minimiser.
    Source: Box & Cox, An Analysis of Transformations (1964), whose powers these are.

    >>> loss = TransformedTarget(function="log1p")
    >>> loss(torch.zeros(1), torch.tensor([1.7182819])), loss.decode(torch.ones(1))
    (tensor(1.), tensor([1.7183]))
    """

    loss: Inner = Inner(
        default=None,
        kw_only=False,
        make=MSE,
        accepts=_of_raw_targets,
        doc="a regression loss with a value a sample; None is MSE",
    )
    function: Choice = Choice(  # type: ignore[assignment, misc]
        default="identity",
        choices=("identity", "log1p", "power"),
        doc='g, "identity", "log1p" (targets above −1) or "power"',
    )
    exponent: Real = Real(
        default=0.5, low=0.0, exclusive=True, doc='p of "power"; the default is the square root'
    )
    center: Real = Real(default=0.0, doc="subtracted after g")
    scale: Real = Real(default=1.0, low=0.0, exclusive=True, doc="divided by after g")
    relative: Switch = Switch(
        default=False,
        doc="multiply each sample's value by scale/max(|y|, floor), so that absolute error is the"
        " absolute percentage error, batch by batch: a weight of 1/|y| would cancel in the "
        "weighted mean of a batch of one",
    )
    floor: Real = Real(
        default=1e-6,
        low=0.0,
        exclusive=True,
        doc="the least |y| that relative divides by, in the target's unit",
    )
    columns: Whole = Whole(
        default=1,
        low=1,
        doc="H, the numbers of a row whose heads of w outputs stand in one flat head (N, w·H), all "
        "first outputs first; at 1 the head is the inner loss's",
    )
    card = Card(
        key="transformed",
        tasks=("regression",),
        input="values",
        target="values",
        # squared error of 0 against log(1 + (e - 1)) = 1
        example=Example(
            input=[0.0],
            target=[1.718281828459045],
            value=1.0,
            arguments={"function": "log1p"},
        ),
    )

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> Self:
        """Return the wrapper fitted to the training targets, and the inner loss to theirs.

        Center and scale are the median and IQR/1.349 of g(target), unless they are given; where
        the IQR is 0, the standard deviation, or 1. With relative, floor is a hundredth of the
        median size of the targets that are not 0. `loss` is a class, fitted with its defaults, or
        a loss, whose arguments are kept except for those that its card leaves to `for_target`.

        >>> loss = TransformedTarget.for_target(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), loss=MSE)
        >>> loss.encode(torch.tensor([3.0, 5.0]))
        tensor([0.0000, 1.3490])
        """
        inner = hypers.pop("loss", None) or MSE
        target = finite(target)
        bare = cls(**{**hypers, "center": 0.0, "scale": 1.0}).encode(target)
        hypers.setdefault("center", quartiles(bare)[1])
        hypers.setdefault("scale", spread_of(bare))
        sizes = target[target != 0].abs()
        if hypers.get("relative") and sizes.numel():
            hypers.setdefault("floor", quartiles(sizes)[1] / 100)
        return cls(inner.for_target(cls(**hypers).encode(target)), **hypers)

    @property
    def out_features(self) -> int:
        """The width of the inner loss's head, of all columns together."""
        return self.loss.out_features * self.columns

    def encode(self, target: Tensor) -> Tensor:
        """Return targets in the transformed space, where the inner loss sees them.

        Raises:
            ValueError: if the function is log1p and a target is −1 or below.
        """
        target = _floating(target)
        if self.function == "log1p":
            check(
                (target > -1).all(),
                "function 'log1p' needs targets above -1; choose 'identity' or 'power' instead",
            )
            target = target.log1p()
        elif self.function == "power":
            target = target.sign() * target.abs() ** as_scalar_or_tensor(self.exponent, target)
        return (target - as_scalar_or_tensor(self.center, target)) / as_scalar_or_tensor(
            self.scale, target
        )

    def decode(self, output: Tensor) -> Tensor:
        """Return the inner loss's reading of the head in the target's own unit, always finite."""
        return self._raw(self.loss.decode(self._parted(output)))

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the inner loss's quantile in the target's own unit: g rises, so it is kept."""
        return self._raw(self.loss.quantile(self._parted(output), level))

    def _parted(self, output: Tensor) -> Tensor:
        """Return a flat head as the inner loss reads it, (N, w, H)."""
        wide = self.columns > 1 and self.loss.out_features > 1
        return output.unflatten(head_dim(output), (-1, self.columns)) if wide else output

    def _raw(self, reading: Tensor) -> Tensor:
        reading = promote(reading)
        reading = reading * as_scalar_or_tensor(self.scale, reading) + as_scalar_or_tensor(
            self.center, reading
        )
        most = torch.finfo(reading.dtype).max
        if self.function == "log1p":
            return reading.clamp(max=math.log(most) - 1).expm1()
        if self.function == "power":
            reading = reading.sign() * reading.abs() ** as_scalar_or_tensor(
                1 / self.exponent, reading
            )
        return reading.clamp(-most, most)

    def values(self, input: Tensor, target: Tensor) -> Any:
        """Return the inner loss's values of the transformed targets, relative to these if asked."""
        values = self.loss.values(self._parted(input), self.encode(target))
        if not self.relative:
            return values
        share = self.scale / _floating(target).abs().clamp(min=self.floor)
        return tree_map(lambda part: part * broadcast_weight(share, part), values)

    def weights(self, target: Tensor) -> Tensor | None:
        """Return the inner loss's weights."""
        return self.loss.weights(self.encode(target))


def _floating(target: Tensor) -> Tensor:
    return promote(target if target.is_floating_point() else target.float())
