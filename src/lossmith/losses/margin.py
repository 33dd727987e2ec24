"""Margin losses: a sample that is right by a margin of 1 costs nothing."""

from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example, Paper
from lossmith.core.loss import Pointwise
from lossmith.losses.classes import CLASSES, IGNORE, ClassLoss


class Hinge(Pointwise):
    r"""Hinge loss of a binary score, that of the support vector machine.

    .. math:: \ell(x, y) = \max(0, 1 - s x) \qquad s = 2 y - 1

    Shapes: input and target alike, any shape; labels from 0 to 1, not −1 and 1. A label between
    gives the mean of both values in that proportion.

    `decode` is the sigmoid of the score: above ½ for a positive score, and no calibrated
    probability, for the minimiser tells the more probable label alone.

    Raises:
        ValueError: if the shapes of input and target differ or a label lies outside 0 … 1.

    Source: Cortes, Vapnik, Support-Vector Networks (1995).

    >>> Hinge()(torch.tensor([0.5, 2.0]), torch.tensor([1, 1]))
    tensor(0.2500)
    """

    card: ClassVar[Card] = Card(
        key="hinge",
        tasks=("binary",),
        target="labels",
        input="logits",
        formula="max(0, 1 - (2 y - 1) x)",
        use_when="The decision alone counts, not its probability.",
        avoid_when="Probabilities are wanted, or rows must be ranked.",
        paper=Paper(authors="C. Cortes, V. Vapnik", title="Support-Vector Networks", year=1995),
        example=Example(
            input=[0.5, 2.0, -3.0, 0.25],
            target=[1.0, 1.0, 1.0, 0.0],
            value=(0.5 + 0 + 4 + 1.25) / 4,
        ),
        claims=Claims(convex=True, lipschitz=True, elicits="mode"),
    )

    def __init__(self) -> None:
        super().__init__()

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the hinge value of each element."""
        return F.hinge(input, target)

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid of the score, which is not calibrated."""
        return F.sigmoid(output)


class MultiHinge(ClassLoss):
    r"""Crammer & Singer's multi-class hinge: the true class must lead the best rival by 1.

    .. math:: \ell(x, y) = \max\big(0, 1 + \max_{c \ne y} x_c - x_y\big)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and ().

    torch's multi_margin_loss is another loss: Weston & Watkins' sum over all rivals, divided by
    C. scikit-learn's hinge_loss is this one. `decode` is the softmax of the scores, which is not
    calibrated; where no class has more than half of the probability, the minimiser does not tell
    which is the most probable.

    Args:
        classes: number of classes, needed for the head alone.
        ignore_index: the target whose samples have weight 0.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a class lies outside the head.

    Source: Crammer, Singer, On the Algorithmic Implementation of Multiclass Kernel-based Vector
    Machines (2001).

    >>> MultiHinge()(torch.tensor([[0.5, 0.0, 2.0]]), torch.tensor([0]))
    tensor(2.5000)
    """

    card: ClassVar[Card] = Card(
        key="multi_hinge",
        tasks=("binary", "multiclass"),
        target="classes",
        input="logits",
        formula="max(0, 1 + max_{c != y} x_c - x_y)",
        use_when="The decision alone counts and most samples have one clear class.",
        avoid_when="Probabilities are wanted, or classes overlap.",
        paper=Paper(
            authors="K. Crammer, Y. Singer",
            title="On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines",
            year=2001,
        ),
        example=Example(
            arguments={"classes": 3},
            input=[[0.5, 0.0, 2.0], [0.5, 0.0, 2.0]],
            target=[0, 2],
            value=(2.5 + 0) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True),
        hypers={"classes": CLASSES, "ignore_index": IGNORE},
    )

    def __init__(self, *, classes: int | None = None, ignore_index: int = -100) -> None:
        super().__init__(classes=classes, ignore_index=ignore_index)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the hinge value of each sample."""
        return F.multi_hinge(input, target, ignore_index=self.ignore_index)
