"""Cox's partial likelihood: the order of events, given who was still at risk."""

import math
from collections.abc import Mapping

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example, Kind
from lossmith.core.hyperparameter import Choice
from lossmith.core.loss import SetLoss
from lossmith.core.reduce import reduce

_TARGET: Mapping[str, Kind] = {"time": "positive", "event": "labels"}
_LOG3 = math.log(3)


class Cox(SetLoss):
    r"""Negative log partial likelihood of proportional hazards.

    .. math:: L = \frac{1}{\sum_i d_i} \sum_{i: d_i = 1} \left(\log \sum_{j: t_j \ge t_i} s_{ij}
        e^{x_j} - x_i\right)

    with time t, and event d = 1, or 0 where a row was censored at t. s is 1, or under Efron's
    ties :math:`1 - r/m` for the m rows that have their event at :math:`t_i`, r = 0 … m − 1 in
    turn: those that went before in the tie count no more in full.

    Shapes: input (N,), the log hazard of each row; target a dict of `time` and `event`, both
    (N,). Values in nats an event, where Cox's own sum is not divided. Rows compete with the
    others of their batch alone, so that batches should be large; memory grows with N². A batch
    without events gives 0. It takes no weights: a row twice is a tie, not a weight of 2.

    Use when: Times to an event are partly censored and risks need only be ordered.
    Avoid when: Hazards of two groups cross over time, or batches hold few events.
    Source: Cox, Regression Models and Life-Tables (1972); ties after Efron (1977) and Breslow
    (1974).

    >>> target = {"time": torch.tensor([1.0, 1.0]), "event": torch.tensor([1, 1])}
    >>> Cox()(torch.zeros(2), target), Cox(ties="breslow")(torch.zeros(2), target)
    (tensor(0.3466), tensor(0.6931))
    """

    ties: Choice = Choice(
        default="efron", choices=("efron", "breslow"), doc='"efron", the more exact, or "breslow"'
    )
    card = Card(
        key="cox",
        tasks=("survival",),
        input="scores",
        target=_TARGET,
        # hazards 3, 1, 1, the first two tied: log(5/3), and log 3 with 5 - 4/2 at risk
        example=Example(
            input=[_LOG3, 0.0, 0.0],
            target={"time": [1.0, 1.0, 3.0], "event": [1.0, 1.0, 0.0]},
            value=(math.log(5 / 3) + math.log(3)) / 2,
        ),
    )

    def value(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the negative log partial likelihood an event."""
        values = F.cox(input, target["time"], target["event"], ties=self.ties)
        return reduce(values, weight=target["event"].to(values.dtype))
