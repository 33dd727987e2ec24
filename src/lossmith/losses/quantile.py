"""Losses whose minimiser lies off the centre: quantiles and expectiles."""

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real, Reals
from lossmith.core.loss import Pointwise


class Quantile(Pointwise):
    r"""The pinball loss: its minimiser is a quantile, or several that cannot cross.

    .. math:: \ell(x, y) = \max(q e, (q - 1) e) \qquad e = y - x

    Shapes: with one level, input and target alike, any shape. With L increasing levels, input
    has a head of L outputs in dimension 1, (N, L) for target (N,): output 0 is the value of the
    middle level, level[L // 2], and the others are gaps through a softplus, so that the values
    `decode` gives, one a level in the order of the levels, never cross. The value of a target is
    the mean over its levels. Values in the target's unit. The gradient at e = 0 is 0.

    Use when: Errors on one side cost more, or an interval is wanted beside the prediction.
    Avoid when: A level is so near 0 or 1 that hardly any row lies beyond it.
    Source: Koenker & Bassett, Regression Quantiles (1978).

    >>> Quantile(level=0.9)(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 1.0]))
    tensor(0.5000)
    >>> Quantile(level=(0.1, 0.5, 0.9)).decode(torch.tensor([[2.0, 0.0, 0.0]]))
    tensor([[1.3069, 2.0000, 2.6931]])
    """

    level: Reals = Reals(
        default=0.5,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="the quantile's level q, or several in increasing order, each in (0, 1)",
    )
    card = Card(
        key="quantile",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[1.0, 2.0], target=[2.0, 1.0], value=0.5, arguments={"level": 0.9}),
        # Not convex: several levels pass through a softplus.
        claims=Claims(lipschitz=True, elicits="quantile"),
    )

    def __post_init__(self) -> None:
        levels = self.level.detach()
        if levels.shape == (1,):  # a list of one is one level
            self.keep_number("level", levels[0], lambda level: None)
        elif levels.ndim and (not levels.numel() or (levels.diff() <= 0).any()):
            raise ValueError(
                f"Quantile: level must be one number or increasing ones, got {levels.tolist()}"
            )

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

    Use when: Errors on one side cost more and large errors cost disproportionately.
    Avoid when: Targets hold gross outliers: it is as open to them as squared error.
    Source: Newey & Powell, Asymmetric Least Squares Estimation and Testing (1987).

    >>> Expectile(level=0.8)(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 0.0]))
    tensor(1.7000)
    """

    function = staticmethod(F.expectile)
    level: Real = Real(
        default=0.5,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="the expectile's level :math:`\\tau`, in (0, 1)",
    )
    card = Card(
        key="expectile",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[0.0, 1.0], target=[2.0, 0.0], value=1.7, arguments={"level": 0.8}),
        claims=Claims(convex=True, elicits="expectile"),
    )
