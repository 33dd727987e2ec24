"""Margin losses: a sample that is right by a margin of 1 costs nothing."""

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.loss import Pointwise
from lossmith.losses.classes import ClassLoss


class Hinge(Pointwise):
    r"""Hinge loss of a binary score, that of the support vector machine.

    .. math:: \ell(x, y) = \max(0, 1 - s x) \qquad s = 2 y - 1

    Shapes: input and target alike, any shape; labels from 0 to 1, not −1 and 1. A label between
    gives the mean of both values in that proportion.

    `decode` is the sigmoid of the score: above ½ for a positive score, and no calibrated
    probability, for the minimiser tells the more probable label alone.

    Use when: The decision alone counts, not its probability.
    Avoid when: Probabilities are wanted, or rows must be ranked.
    Source: Cortes, Vapnik, Support-Vector Networks (1995).

    >>> Hinge()(torch.tensor([0.5, 2.0]), torch.tensor([1, 1]))
    tensor(0.2500)
    """

    function = staticmethod(F.hinge)
    card = Card(
        key="hinge",
        tasks=("binary",),
        input="logits",
        target="labels",
        example=Example(
            input=[0.5, 2.0, -3.0, 0.25],
            target=[1.0, 1.0, 1.0, 0.0],
            value=(0.5 + 0 + 4 + 1.25) / 4,
        ),
        claims=Claims(convex=True, lipschitz=True, elicits="mode"),
    )

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

    Use when: The decision alone counts and most samples have one clear class.
    Avoid when: Probabilities are wanted, or classes overlap.
    Source: Crammer, Singer, On the Algorithmic Implementation of Multiclass Kernel-based Vector
    Machines (2001).

    >>> MultiHinge()(torch.tensor([[0.5, 0.0, 2.0]]), torch.tensor([0]))
    tensor(2.5000)
    """

    function = staticmethod(F.multi_hinge)
    card = Card(
        key="multi_hinge",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 3},
            input=[[0.5, 0.0, 2.0], [0.5, 0.0, 2.0]],
            target=[0, 2],
            value=(2.5 + 0) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True),
    )
