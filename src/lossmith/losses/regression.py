"""Losses for point regression: one output, elementwise."""

from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Pointwise


class MSE(Pointwise):
    r"""Mean squared error: the mean is its minimiser.

    .. math:: \ell(x, y) = (x - y)^2

    Shapes: input and target alike, any shape. Values in the target's unit squared.

    Raises:
        ValueError: if the shapes of input and target differ.

    Source: Gauss, Theoria combinationis observationum erroribus minimis obnoxiae (1823).

    >>> MSE()(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor(2.)
    """

    card: ClassVar[Card] = Card(
        key="mse",
        tasks=("regression",),
        target="values",
        input="values",
        formula="(x - y)^2",
        use_when="Large errors cost disproportionately and the targets are clean: RMSE or R² is the metric.",
        avoid_when="Targets hold gross outliers: one wrong row of 100 can dominate the gradient.",
        paper=Paper(
            authors="C. F. Gauss",
            title="Theoria combinationis observationum erroribus minimis obnoxiae",
            year=1823,
        ),
        example=Example(input=[1.0, 3.0], target=[1.0, 1.0], value=2.0),
        claims=Claims(convex=True, elicits="mean"),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return (x − y)² for each element."""
        return F.mse(input, target)


class Huber(Pointwise):
    r"""Squared near zero, absolute beyond delta: robust to outliers, smooth at the minimum.

    .. math:: \ell(x, y) = \begin{cases} r^2 / 2 & |r| \le \delta \\
        \delta (|r| - \delta / 2) & |r| > \delta \end{cases} \qquad r = x - y

    Shapes: input and target alike, any shape. Values in the target's unit squared.

    Args:
        delta: the size of residual at which squared turns into absolute, in the target's unit.

    Raises:
        ValueError: if the shapes of input and target differ, or delta is not positive.

    Source: Huber, Robust Estimation of a Location Parameter (1964).

    >>> Huber(delta=1.0)(torch.tensor([0.5, 3.0]), torch.zeros(2))
    tensor(1.3125)
    """

    card: ClassVar[Card] = Card(
        key="huber",
        tasks=("regression",),
        target="values",
        input="values",
        formula="r^2/2 if |r| <= delta else delta (|r| - delta/2)",
        use_when="Some targets are outliers, yet errors near zero should count squared.",
        avoid_when="Delta cannot be set on the target's scale; then MAE or log-cosh needs no choice.",
        paper=Paper(
            authors="P. J. Huber", title="Robust Estimation of a Location Parameter", year=1964
        ),
        example=Example(input=[0.5, 3.0], target=[0.0, 0.0], value=1.3125),
        claims=Claims(convex=True, lipschitz=True),
        hypers={
            "delta": Hyper(
                default=1.0,
                low=0.0,
                open=True,
                search=(0.1, 0.5, 1.345),
                meaning="residual at which squared turns into absolute",
            )
        },
    )

    def __init__(self, *, delta: float = 1.0) -> None:
        super().__init__(delta=delta)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the Huber value of each element."""
        return F.huber(input, target, delta=self.delta)
