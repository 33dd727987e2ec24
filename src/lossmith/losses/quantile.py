"""Losses whose minimiser lies off the centre: quantiles and expectiles."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Pointwise
from lossmith.core.schedule import Schedule


class Quantile(Pointwise):
    r"""The pinball loss: its minimiser is a quantile, or several that cannot cross.

    .. math:: \ell(x, y) = \max(q e, (q - 1) e) \qquad e = y - x

    Shapes: with one level, input and target alike, any shape. With L increasing levels, input
    has a head of L outputs in dimension 1, (N, L) for target (N,): output 0 is the value of the
    middle level, level[L // 2], and the others are gaps through a softplus, so that the values
    `decode` gives, one a level in the order of the levels, never cross. The value of a target is
    the mean over its levels. Values in the target's unit. The gradient at e = 0 is 0.

    Args:
        level: the quantile's level q, or several in increasing order, each in (0, 1).

    Raises:
        ValueError: if the shapes do not fit, a level is outside (0, 1) or they do not increase.

    Source: Koenker & Bassett, Regression Quantiles (1978).

    >>> Quantile(level=0.9)(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 1.0]))
    tensor(0.5000)
    >>> Quantile(level=(0.1, 0.5, 0.9)).decode(torch.tensor([[2.0, 0.0, 0.0]]))
    tensor([[1.3069, 2.0000, 2.6931]])
    """

    level: Tensor
    card: ClassVar[Card] = Card(
        key="quantile",
        tasks=("regression",),
        target="values",
        input="values",
        formula="max(level e, (level - 1) e), e = y - x; the mean over several levels",
        use_when="Errors on one side cost more, or an interval is wanted beside the prediction.",
        avoid_when="A level is so near 0 or 1 that hardly any row lies beyond it.",
        paper=Paper(authors="R. Koenker, G. Bassett", title="Regression Quantiles", year=1978),
        example=Example(input=[1.0, 2.0], target=[2.0, 1.0], value=0.5, arguments={"level": 0.9}),
        # Not convex: several levels pass through a softplus.
        claims=Claims(lipschitz=True, elicits="quantile"),
        hypers={
            "level": Hyper(
                default=0.5,
                low=0.0,
                high=1.0,
                open=True,
                several=True,
                meaning="level of the quantile, or several increasing levels",
            )
        },
    )

    def __init__(self, *, level: Number | Sequence[float] = 0.5) -> None:
        if isinstance(level, (Schedule, nn.Parameter)):
            super().__init__(level=level)
            return
        levels = torch.as_tensor(level, dtype=torch.float64, device="cpu").reshape(-1)
        if levels.numel() == 0 or (levels.diff() <= 0).any():
            raise ValueError(f"Quantile: level must be one number or increasing ones, got {level}")
        super().__init__(level=levels.tolist() if levels.numel() > 1 else levels.item())

    @property
    def out_features(self) -> int:
        """One output a level."""
        return self.level.numel()

    def decode(self, output: Tensor) -> Tensor:
        """Return the quantiles: of one level as they are, of several with one column a level."""
        return output if self.level.ndim == 0 else F.non_crossing(output)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the pinball value of each target."""
        return F.quantile(self.decode(input), target, level=self.level)


class Expectile(Pointwise):
    r"""Asymmetric squared error: its minimiser is an expectile, the mean at level 0.5.

    .. math:: \ell(x, y) = |\tau - 1[e < 0]| \, e^2 \qquad e = y - x

    Shapes: input and target alike, any shape. Values in the target's unit squared; at level 0.5
    half the squared error.

    Args:
        level: the expectile's level :math:`\tau`, in (0, 1).

    Raises:
        ValueError: if the shapes of input and target differ, or level is outside (0, 1).

    Source: Newey & Powell, Asymmetric Least Squares Estimation and Testing (1987).

    >>> Expectile(level=0.8)(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 0.0]))
    tensor(1.7000)
    """

    level: Tensor
    card: ClassVar[Card] = Card(
        key="expectile",
        tasks=("regression",),
        target="values",
        input="values",
        formula="|level - 1[e < 0]| e^2, e = y - x",
        use_when="Errors on one side cost more and large errors cost disproportionately.",
        avoid_when="Targets hold gross outliers: it is as open to them as squared error.",
        paper=Paper(
            authors="W. K. Newey, J. L. Powell",
            title="Asymmetric Least Squares Estimation and Testing",
            year=1987,
        ),
        example=Example(input=[0.0, 1.0], target=[2.0, 0.0], value=1.7, arguments={"level": 0.8}),
        claims=Claims(convex=True, elicits="expectile"),
        hypers={
            "level": Hyper(
                default=0.5, low=0.0, high=1.0, open=True, meaning="level of the expectile"
            )
        },
    )

    def __init__(self, *, level: Number = 0.5) -> None:
        super().__init__(level=level)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the asymmetric squared error of each element."""
        return F.expectile(input, target, level=self.level)
