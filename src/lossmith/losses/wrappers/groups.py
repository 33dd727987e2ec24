"""Losses that look after groups of rows."""

import math
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import State
from lossmith.core.bases import Statistic
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Inner, Real, Whole
from lossmith.core.progress import Progress
from lossmith.losses._classes import LOG3
from lossmith.losses._wrapping import Wrapping, check_inner
from lossmith.losses.classification.multiclass import CrossEntropy


class GroupDRO(Wrapping, Statistic):
    r"""The worst group's mean loss, nearly: groups weigh by how much they cost so far.

    .. math:: L = \sum_g q_g L_g \qquad q_g = \frac{q'_g e^{\eta L_g}}{\sum_h q'_h e^{\eta L_h}}

    with L_g the mean of the inner loss over the rows of group g in the batch, 0 where it has none,
    and q' the shares so far, equal at the start; q is constant in the gradient.

    Shapes: input as the inner loss takes it; target a dict of `target`, the inner loss's, and
    `groups` (N,), the group of each row. One number of the batch, in the inner loss's unit.

    The shares are state: `forward` moves them by the present batch and leaves them, `observe` with
    the signals `input`, `target` and `groups` of the step writes them, so values and gradients are
    those of the authors' code, which writes while it computes. Their adjustment by group sizes is
    left out. The paper draws groups alike often, and needs strong weight decay or early stopping:
    without, all groups are fitted and shares change nothing.

    Use when: Groups are known in training, and the worst one's error matters most.
    Avoid when: Groups are unknown; `CVaR` looks after the worst rows, whatever their group.
    Source: Sagawa, Koh, Hashimoto, Liang, Distributionally Robust Neural Networks for Group Shifts
    (2020).

    >>> loss = GroupDRO(groups=2, step=1.0)
    >>> target = {"target": torch.tensor([0, 0]), "groups": torch.tensor([0, 1])}
    >>> loss(torch.tensor([[0.0, 9.0], [9.0, 0.0]]), target)  # nearly 9 of the first group
    tensor(8.9990)
    """

    loss: Inner = Inner(
        default=None,
        kw_only=False,
        make=CrossEntropy,
        accepts=check_inner,
        doc="a loss with a value a row; None is CrossEntropy",
    )
    groups: Whole = Whole(low=1, doc="number of groups; for_target counts them")
    step: Real = Real(default=0.01, low=0.0, doc="η, how fast shares follow the losses")
    card = Card(
        key="group_dro",
        tasks=("multiclass",),
        input="logits",
        target={"target": "classes", "groups": "classes"},
        # losses log 4/3 and log 4, whose exponentials are 1 to 3
        example=Example(
            arguments={"loss": CrossEntropy(classes=2), "groups": 2, "step": 1.0},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target={"target": [0, 1], "groups": [0, 1]},
            value=math.log(4 / 3) / 4 + 3 / 4 * math.log(4),
        ),
        required_signals=("input", "target", "groups"),
        detached=True,
    )

    @classmethod
    def for_target(  # type: ignore[override]
        cls, target: Mapping[str, Tensor], *, classes: int | None = None, **hypers: Any
    ) -> Self:
        """Return the wrapper of the inner loss fitted to `target`, for the groups of `groups`.

        classes: their number, where the targets may lack some.
        """
        given = {"groups": int(target["groups"].max()) + 1, **hypers}
        return super().for_target(target["target"], classes=classes, **given)

    def initial_state(self) -> dict[str, Tensor]:
        """Return equal shares."""
        return {"shares": torch.full((self.groups,), 1 / self.groups)}

    def check_given(self, input: Any, target: Any) -> None:
        """Raise as every loss does, and as the inner loss does."""
        Statistic.check_given(self, input, target)
        self.loss.check_given(input, target["target"])

    def value(self, input: Tensor, target: Mapping[str, Tensor], weight: Tensor | None) -> Tensor:
        """Return the groups' means, weighed by their shares."""
        means = self._means(input, target["target"], target["groups"], weight)
        return (F.group_shares(means, self.shares, step=self.step) * means).sum()

    def update(self, progress: Progress) -> State:
        """Move the shares by a step's losses."""
        input, target, groups = (
            torch.as_tensor(progress.signals[name]) for name in self.card.required_signals
        )
        means = self._means(input, target, groups, None)
        return {"shares": F.group_shares(means, self.shares, step=self.step)}

    def _means(
        self, input: Tensor, target: Tensor, groups: Tensor, weight: Tensor | None
    ) -> Tensor:
        if groups.shape != target.shape[:1]:
            raise ValueError(
                f"groups has shape {tuple(groups.shape)} but target has shape "
                f"{tuple(target.shape)}; give one group a row"
            )
        values, weight = self.loss.values_and_weights(input, target, weight)
        trailing = (1,) * (values.ndim - groups.ndim)
        rows = groups.reshape(*groups.shape, *trailing).expand_as(values)
        return F.group_means(values.flatten(), weight.flatten(), rows.flatten(), count=self.groups)
