"""Softmax losses of labels whose confusions are known."""

import math
from typing import Any, Self

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Table
from lossmith.losses._classes import ClassLoss, count_classes

_HALF = [[0.5, 0.5, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


class ForwardCorrection(ClassLoss):
    r"""Cross-entropy of what labels would be, were the prediction true: confusions are known.

    .. math:: \ell(x, y) = -\log \sum_c T_{cy} \, p_c \qquad p = \mathrm{softmax}(x)

    T_cy is the chance that a row of class c is labelled as y.

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats. `decode`
    gives the probabilities of the true classes. The paper estimates T by a model trained without
    correction: row c is what it predicts for the row that it is surest of as class c.

    Use when: Labels are wrong at rates that are known for each pair of classes, or estimated.
    Avoid when: Rates depend on the row, or cannot be told: generalized cross-entropy needs none.
    Source: Patrini, Rozza, Menon, Nock, Qu, Making Deep Neural Networks Robust to Label Noise: A
    Loss Correction Approach (2017), theorem 2.

    >>> loss = ForwardCorrection(transition=[[0.8, 0.2], [0.4, 0.6]])
    >>> loss(torch.zeros(1, 2), torch.tensor([0]))  # −log(0.5·0.8 + 0.5·0.4)
    tensor(0.5108)
    """

    function = staticmethod(F.forward_correction)
    classes: Any = None  # as many as the table has
    transition: Table = Table(
        low=0.0,
        doc="T, the chance that the class of a row is labelled as a column's, or counts of that: "
        "rows are divided by their sums",
    )
    card = Card(
        key="forward_correction",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        # all classes alike: class 0 is labelled by an eighth, class 1 by three
        example=Example(
            arguments={"transition": _HALF},
            input=[[0.0] * 4, [0.0] * 4],
            target=[0, 1],
            value=(math.log(8) + math.log(8 / 3)) / 2,
        ),
        claims=Claims(lipschitz=True),
        studied=False,  # a table of rows says nothing of the rates
    )

    def __post_init__(self) -> None:
        table = self.transition
        square = table.shape[0] == table.shape[1] >= 2 and bool(table.isfinite().all())
        if not (square and bool((table.sum(1) > 0).all())):
            raise ValueError(
                "ForwardCorrection: transition must have one row and one column a class, and no "
                f"row of zeros, got {table.tolist()}"
            )
        self.classes = len(table)

    @classmethod
    def for_target(cls, target: Tensor, *, classes: int | None = None, **hypers: Any) -> Self:
        """Return the loss for integer training targets, whose transition must be given.

        Raises:
            TypeError: if target holds no integers, or no transition is given.
            ValueError: if a target lies outside the table's classes, or none is left.
        """
        loss = cls(**hypers)
        count_classes(target, classes or loss.classes, loss.ignore_index)
        return loss
