"""A wrapper that trains any regression loss on a transformed target and predicts on its own."""

import math
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Paper
from lossmith.core.loss import Pointwise
from lossmith.core.reduce import spread
from lossmith.core.tree import mapped
from lossmith.functional.checks import in_dtype, promote, require
from lossmith.losses.fitting import finite, quartiles, spread_of
from lossmith.losses.regression import MSE
from lossmith.losses.wrapping import refit

_FUNCTIONS = ("identity", "log1p", "power")


class TransformedTarget(Pointwise):
    r"""Any regression loss on a transformed target; raw targets go in, raw predictions come out.

    .. math:: \ell(x, y) = \text{loss}\left(x, \frac{g(y) - \text{center}}{\text{scale}}\right)

    with :math:`g(y) = y`, :math:`\log(1 + y)` or :math:`\operatorname{sign}(y)|y|^{p}`.

    Shapes: those of the inner loss. The input lives in the transformed space; targets, and what
    `decode` gives, in the target's own unit. `decode` clamps to the dtype's range, so that no
    finite output gives an infinite prediction. Note that g moves the mean: squared error after
    log1p predicts exp(mean of the log) − 1, the minimiser of RMSLE. Quantiles are kept.

    Args:
        loss: the loss in the transformed space; squared error if None.
        function: g, "identity", "log1p" (targets above −1) or "power".
        exponent: p of "power"; the default is the square root.
        center: subtracted after g.
        scale: divided by after g.
        relative: multiply each sample's value by scale/max(|y|, floor), so that absolute error is
            the absolute percentage error, batch by batch: a weight of 1/|y| would cancel in the
            weighted mean of a batch of one.
        floor: the least |y| that relative divides by, in the target's unit.

    Raises:
        TypeError: if loss is not a regression loss with a value a sample.
        ValueError: if function is unknown, or log1p meets a target of −1 or below.

    Source: Box & Cox, An Analysis of Transformations (1964), whose powers these are.

    >>> loss = TransformedTarget(function="log1p")
    >>> loss(torch.zeros(1), torch.tensor([1.7182819])), loss.decode(torch.ones(1))
    (tensor(1.), tensor([1.7183]))
    """

    card: ClassVar[Card] = Card(
        key="transformed",
        tasks=("regression",),
        target="values",
        input="values",
        formula="loss(x, (g(y) - center) / scale), g = identity, log1p or power",
        use_when="The target is skewed or far from unit scale, or relative errors count.",
        avoid_when="The mean of a skewed target is wanted: log1p and power move the minimiser.",
        paper=Paper(
            authors="G. E. P. Box, D. R. Cox", title="An Analysis of Transformations", year=1964
        ),
        # squared error of 0 against log(1 + (e - 1)) = 1
        example=Example(
            input=[0.0],
            target=[1.718281828459045],
            value=1.0,
            arguments={"function": "log1p"},
        ),
        hypers={
            "loss": Hyper(default=None, meaning="loss in the transformed space; None is MSE"),
            "function": Hyper(default="identity", meaning=f"one of {', '.join(_FUNCTIONS)}"),
            "exponent": Hyper(default=0.5, low=0.0, open=True, meaning="power of the target"),
            "center": Hyper(default=0.0, meaning="subtracted after the function"),
            "scale": Hyper(default=1.0, low=0.0, open=True, meaning="divided by after it"),
            "relative": Hyper(default=False, meaning="multiply by scale/max(|y|, floor)"),
            "floor": Hyper(
                default=1e-6, low=0.0, open=True, meaning="least |y| that relative divides by"
            ),
        },
    )

    loss: Pointwise
    function: str
    exponent: Tensor
    center: Tensor
    scale: Tensor
    relative: bool
    floor: Tensor

    def __init__(
        self,
        loss: Pointwise | None = None,
        *,
        function: str = "identity",
        exponent: Number = 0.5,
        center: Number = 0.0,
        scale: Number = 1.0,
        relative: bool = False,
        floor: Number = 1e-6,
    ) -> None:
        inner = MSE() if loss is None else loss
        if (
            not isinstance(inner, Pointwise)
            or isinstance(inner, TransformedTarget)
            or "regression" not in inner.card.tasks
        ):
            raise TypeError(
                f"TransformedTarget: loss must be a regression loss with a value a sample, and not "
                f"another TransformedTarget; got {inner!r}"
            )
        if function not in _FUNCTIONS:
            raise ValueError(
                f"TransformedTarget: function must be one of {', '.join(_FUNCTIONS)}; "
                f"got {function!r}"
            )
        super().__init__(
            loss=inner,
            function=function,
            exponent=exponent,
            center=center,
            scale=scale,
            relative=relative,
            floor=floor,
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
        return cls(refit(inner, cls(**hypers).encode(target)), **hypers)

    @property
    def out_features(self) -> int:
        """The width of the inner loss's head."""
        return self.loss.out_features

    def encode(self, target: Tensor) -> Tensor:
        """Return targets in the transformed space, where the inner loss sees them.

        Raises:
            ValueError: if the function is log1p and a target is −1 or below.
        """
        target = _floating(target)
        if self.function == "log1p":
            require(
                (target > -1).all(),
                "function 'log1p' needs targets above -1; choose 'identity' or 'power' instead",
            )
            target = target.log1p()
        elif self.function == "power":
            target = target.sign() * target.abs() ** in_dtype(self.exponent, target)
        return (target - in_dtype(self.center, target)) / in_dtype(self.scale, target)

    def decode(self, output: Tensor) -> Tensor:
        """Return the inner loss's reading of the head in the target's own unit, always finite."""
        reading = promote(self.loss.decode(output))
        reading = reading * in_dtype(self.scale, reading) + in_dtype(self.center, reading)
        most = torch.finfo(reading.dtype).max
        if self.function == "log1p":
            return reading.clamp(max=math.log(most) - 1).expm1()
        if self.function == "power":
            reading = reading.sign() * reading.abs() ** in_dtype(1 / self.exponent, reading)
        return reading.clamp(-most, most)

    def values(self, input: Tensor, target: Tensor) -> Any:
        """Return the inner loss's values of the transformed targets, relative to these if asked."""
        values = self.loss.values(input, self.encode(target))
        if not self.relative:
            return values
        share = self.scale / _floating(target).abs().clamp(min=self.floor)
        return mapped(lambda part: part * spread(share, part), values)

    def weights(self, target: Tensor) -> Tensor | None:
        """Return the inner loss's weights."""
        return self.loss.weights(self.encode(target))


def _floating(target: Tensor) -> Tensor:
    return promote(target if target.is_floating_point() else target.float())
