"""Losses of samples with any number of labels, which rank labels against each other."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.loss import Pointwise, SetLoss
from lossmith.core.reduce import reduce

LOG3 = math.log(3)


class ZLPR(Pointwise):
    r"""Log-sum-exp ranking of labels with a threshold at 0: softmax cross-entropy for many labels.

    .. math:: \ell(x, y) = \log\Big(1 + \sum_c (1 - y_c) e^{x_c}\Big) +
        \log\Big(1 + \sum_c y_c e^{-x_c}\Big)

    Shapes: input (N, L) and target (N, L) of labels from 0 to 1; one value a sample, in nats.

    Labels between 0 and 1 follow the paper's soft version; other code rounds them. `decode` is
    the sigmoid: above ½ where the label is predicted, no calibrated probability.

    Use when: A sample has few of many labels, and the right ones must come first.
    Avoid when: A calibrated probability of each label is wanted.
    Source: Su, Zhu, Murtadha, Pan, Wen, Liu, ZLPR: A Novel Loss for Multi-Label Classification
    (2022).

    >>> ZLPR()(torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]]))
    tensor(1.7918)
    """

    function = staticmethod(F.zlpr)
    card = Card(
        key="zlpr",
        tasks=("multilabel",),
        input="logits",
        target="labels",
        example=Example(
            input=[[LOG3, 0.0, 0.0], [0.0, LOG3, LOG3]],
            target=[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]],
            value=(math.log(3) + math.log(4 / 3) + math.log(2) + math.log(5 / 3)) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid: above ½ where the label is predicted."""
        return F.sigmoid(output)


class TwoWay(SetLoss):
    r"""Two-way multi-label loss: positives above negatives in each sample, and in each label.

    .. math:: \ell = \operatorname*{mean}_n \mathrm{sp}\Big(T_n \log \sum_{c \in N} e^{x_{nc}/T_n}
        + T_p \log \sum_{c \in P} e^{-x_{nc}/T_p}\Big) + \operatorname*{mean}_c (\ldots)

    Shapes: input (N, L) and target (N, L) of labels; a label above ½ is a positive.

    sp is the softplus, P and N are the positives and negatives of a sample, and in the second
    term those of a label over the batch. Rows and columns without a positive do not count. The
    second term grows with the batch, so there are no sample weights. The outputs are scores:
    `decode` is the sigmoid for their order, no calibrated probability.

    Use when: Average precision of samples and of labels is what counts.
    Avoid when: Batches are small and labels rare: few columns then have a positive.
    Source: Kobayashi, Two-Way Multi-Label Loss (2023).

    >>> TwoWay()(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """

    positive_temperature: Real = Real(
        default=4.0, low=0.0, exclusive=True, doc="of the soft minimum over positives"
    )
    negative_temperature: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="of the soft maximum over negatives"
    )
    card = Card(
        key="two_way",
        tasks=("multilabel",),
        input="logits",
        target="labels",
        example=Example(
            # rows: ln(1 + 1/3), ln(1 + 3/3) (T = 1); columns: ln(1 + 1/3), ln(1 + 3/3)
            arguments={"positive_temperature": 1.0, "negative_temperature": 1.0},
            input=[[LOG3, 0.0], [LOG3, LOG3]],
            target=[[1.0, 0.0], [0.0, 1.0]],
            value=(math.log(4 / 3) + math.log(2)) / 2 + (math.log(2) + math.log(4 / 3)) / 2,
        ),
    )

    def value(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
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
