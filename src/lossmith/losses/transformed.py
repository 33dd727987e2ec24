"""A wrapper that trains any regression loss on a transformed target and predicts on its own."""

import math
from typing import Any, Self

import torch
from torch import Tensor

from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Choice, Inner, Real, Switch
from lossmith.core.loss import Pointwise
from lossmith.core.reduce import spread
from lossmith.core.tree import mapped
from lossmith.functional.checks import in_dtype, promote, require
from lossmith.losses.fitting import finite, quartiles, spread_of
from lossmith.losses.regression import MSE
from lossmith.losses.wrapping import refit


def _of_raw_targets(owner: str, loss: Any) -> None:
    fine = isinstance(loss, Pointwise) and not isinstance(loss, TransformedTarget)
    if not fine or "regression" not in loss.card.tasks:
        raise TypeError(
            f"{owner}: loss must be a regression loss with a value a sample, and not another "
            f"TransformedTarget; got {loss!r}"
        )


class TransformedTarget(Pointwise):
    r"""Any regression loss on a transformed target; raw targets go in, raw predictions come out.

    .. math:: \ell(x, y) = \text{loss}\left(x, \frac{g(y) - \text{center}}{\text{scale}}\right)

    with :math:`g(y) = y`, :math:`\log(1 + y)` or :math:`\operatorname{sign}(y)|y|^{p}`.

    Shapes: those of the inner loss. The input lives in the transformed space; targets, and what
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
