"""Losses of samples with any number of labels, which rank labels against each other."""

import math
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Batchwise, Pointwise
from lossmith.core.reduce import reduce
from lossmith.losses.coupled import GATHER

LOG3 = math.log(3)


class ZLPR(Pointwise):
    r"""Log-sum-exp ranking of labels with a threshold at 0: softmax cross-entropy for many labels.

    .. math:: \ell(x, y) = \log\Big(1 + \sum_c (1 - y_c) e^{x_c}\Big) +
        \log\Big(1 + \sum_c y_c e^{-x_c}\Big)

    Shapes: input (N, L) and target (N, L) of labels from 0 to 1; one value a sample, in nats.

    Labels between 0 and 1 follow the paper's soft version; other code rounds them. `decode` is
    the sigmoid: above ½ where the label is predicted, no calibrated probability.

    Raises:
        ValueError: if the shapes of input and target differ or a label lies outside 0 … 1.

    Source: Su, Zhu, Murtadha, Pan, Wen, Liu, ZLPR: A Novel Loss for Multi-Label Classification
    (2022).

    >>> ZLPR()(torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]]))
    tensor(1.7918)
    """

    card: ClassVar[Card] = Card(
        key="zlpr",
        tasks=("multilabel",),
        target="labels",
        input="logits",
        formula="log(1 + sum_neg exp x) + log(1 + sum_pos exp(-x))",
        use_when="A sample has few of many labels, and the right ones must come first.",
        avoid_when="A calibrated probability of each label is wanted.",
        paper=Paper(
            authors="J. Su, M. Zhu, A. Murtadha, S. Pan, B. Wen, Y. Liu",
            title="ZLPR: A Novel Loss for Multi-Label Classification",
            year=2022,
        ),
        example=Example(
            input=[[LOG3, 0.0, 0.0], [0.0, LOG3, LOG3]],
            target=[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]],
            value=(math.log(3) + math.log(4 / 3) + math.log(2) + math.log(5 / 3)) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the value of each sample."""
        return F.zlpr(input, target)

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid: above ½ where the label is predicted."""
        return F.sigmoid(output)


class TwoWay(Batchwise):
    r"""Two-way multi-label loss: positives above negatives in each sample, and in each label.

    .. math:: \ell = \operatorname*{mean}_n \mathrm{sp}\Big(T_n \log \sum_{c \in N} e^{x_{nc}/T_n}
        + T_p \log \sum_{c \in P} e^{-x_{nc}/T_p}\Big) + \operatorname*{mean}_c (\ldots)

    Shapes: input (N, L) and target (N, L) of labels; a label above ½ is a positive.

    sp is the softplus, P and N are the positives and negatives of a sample, and in the second
    term those of a label over the batch. Rows and columns without a positive do not count. The
    second term grows with the batch, so there are no sample weights. The outputs are scores:
    `decode` is the sigmoid for their order, no calibrated probability.

    Args:
        positive_temperature: of the soft minimum over positives.
        negative_temperature: of the soft maximum over negatives.
        gather: over several processes, whether the batch is that of all ranks.

    Raises:
        ValueError: if the shapes of input and target differ or a label lies outside 0 … 1.

    Source: Kobayashi, Two-Way Multi-Label Loss (2023).

    >>> TwoWay()(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """

    positive_temperature: Tensor
    negative_temperature: Tensor
    card: ClassVar[Card] = Card(
        key="two_way",
        tasks=("multilabel",),
        target="labels",
        input="logits",
        reduction="set",
        formula="softplus(softmax of negatives - softmin of positives), along rows and columns",
        use_when="Average precision of samples and of labels is what counts.",
        avoid_when="Batches are small and labels rare: few columns then have a positive.",
        paper=Paper(authors="T. Kobayashi", title="Two-Way Multi-Label Loss", year=2023),
        example=Example(
            # rows: ln(1 + 1/3), ln(1 + 3/3) (T = 1); columns: ln(1 + 1/3), ln(1 + 3/3)
            arguments={"positive_temperature": 1.0, "negative_temperature": 1.0},
            input=[[LOG3, 0.0], [LOG3, LOG3]],
            target=[[1.0, 0.0], [0.0, 1.0]],
            value=(math.log(4 / 3) + math.log(2)) / 2 + (math.log(2) + math.log(4 / 3)) / 2,
        ),
        hypers={
            "positive_temperature": Hyper(
                default=4.0, low=0.0, open=True, meaning="of the soft minimum over positives"
            ),
            "negative_temperature": Hyper(
                default=1.0, low=0.0, open=True, meaning="of the soft maximum over negatives"
            ),
            "gather": GATHER,
        },
    )

    def __init__(
        self,
        *,
        positive_temperature: Number = 4.0,
        negative_temperature: Number = 1.0,
        gather: bool = True,
    ) -> None:
        super().__init__(
            positive_temperature=positive_temperature,
            negative_temperature=negative_temperature,
            gather=gather,
        )

    def value(self, input: Tensor, target: Tensor, weight: Tensor | None) -> dict[str, Tensor]:
        """Return the term of the samples and that of the labels."""
        samples, columns = F.two_way(
            input,
            target,
            positive_temperature=self.positive_temperature,
            negative_temperature=self.negative_temperature,
        )
        return {
            "samples": reduce(samples[0], weight=samples[1]),
            "labels": reduce(columns[0], weight=columns[1]),
        }

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid of the scores."""
        return F.sigmoid(output)
