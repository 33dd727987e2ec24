"""Metrics of how labels rank the rows, by their pairs: a part of the AUC, average precision."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import OptionalReal, Real
from lossmith.losses._classes import LOG3
from lossmith.losses.binary.multilabel import LabelStatistic

MARGIN = Real(
    default=1.0, low=0.0, exclusive=True, doc="m, the gap that scores of a pair should have"
)


class PartialAUC(LabelStatistic):
    r"""Partial AUC by distributionally robust pairs: each positive above its hardest negatives.

    .. math:: \ell = \frac{1}{|P|} \sum_{i \in P} \lambda \log \frac{1}{|Q|} \sum_{j \in Q}
        e^{(m - p_i + p_j)_+^2 / \lambda} \qquad p = \sigma(x)

    over positives P and negatives Q: the one-way partial AUC, at low rates of false positives.
    With `positive_temperature` the mean over positives is such a soft maximum too: the two-way
    one, at high rates of true positives as well.

    Shapes: input and target alike, (N,) or (N, L): the mean over L labels. Memory is N²·L numbers.

    As λ grows it is the mean over pairs, as it falls each positive's worst negative alone. LibAUC
    follows each positive's mean of exponentials through training, by the row's number in the data
    set, for small batches; here it is that of the batch, and the gradient is its at gamma = 1.
    LibAUC leaves the sigmoid to the caller. A batch without one of the classes teaches nothing.

    Use when: False positives must be rare, and batches hold many negatives of each label.
    Avoid when: The whole AUC counts: AUCMargin, which forms no pairs.
    Source: Zhu, Li, Wang, Wu, Yang, When AUC Meets DRO: Optimizing Partial AUC for Deep Learning
    with Non-Convex Convergence Guarantee (2022).

    >>> PartialAUC()(torch.zeros(3), torch.tensor([1.0, 0.0, 0.0]))
    tensor(1.)
    """

    margin: Real = MARGIN
    temperature: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="λ; the lower, the fewer negatives count"
    )
    positive_temperature: OptionalReal = OptionalReal(
        default=None,
        low=0.0,
        exclusive=True,
        doc="the positives' λ, the lower, the fewer count; None is all of them alike",
    )
    card = Card(
        key="partial_auc",
        tasks=("binary", "multilabel"),
        input="logits",
        target="labels",
        example=Example(
            # scores 3/4 of the positive, 3/4 and 1/4 of the negatives: costs 1 and 1/4
            input=[LOG3, LOG3, -LOG3],
            target=[1.0, 0.0, 0.0],
            value=math.log((math.exp(1.0) + math.exp(0.25)) / 2),
        ),
        studied=False,  # how few negatives count, no data tell; pairs of many rows are dear
    )

    def each_label(self, input: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value of each label, and which have both classes."""
        return F.partial_auc(
            input,
            target,
            weight,
            margin=self.margin,
            temperature=self.temperature,
            positive_temperature=self.positive_temperature,
        )


class APLoss(LabelStatistic):
    r"""One minus average precision, its counts made of squared hinges: SOAP's objective.

    .. math:: \ell = 1 - \frac{1}{|P|} \sum_{i \in P} \frac{\sum_{j \in P} (m - p_i + p_j)_+^2}
        {\sum_j (m - p_i + p_j)_+^2} \qquad p = \sigma(x)

    over positives P, and all rows j, i among them.

    Shapes: input and target alike, (N,) or (N, L): the mean over L labels. Memory is N²·L numbers.

    LibAUC's has minus the ratio, follows the two sums of each positive through training, by the
    row's number in the data set, for small batches, and leaves the sigmoid to the caller; here they
    are the batch's, and the gradient is its at gamma = 1. A batch without one of the classes
    teaches nothing. The AP loss of detectors (Chen et al., 2019) is another.

    Use when: Average precision is the metric, positives are rare, as in fraud detection, and
    batches large.
    Avoid when: Batches hold few positives: the ratio of so few is far from the metric.
    Source: Qi, Luo, Xu, Ji, Yang, Stochastic Optimization of Areas Under Precision-Recall Curves
    with Provable Convergence (2021).

    >>> APLoss()(torch.zeros(4), torch.tensor([1.0, 0.0, 0.0, 0.0]))
    tensor(0.7500)
    """

    margin: Real = MARGIN
    card = Card(
        key="ap_loss",
        tasks=("binary", "multilabel"),
        input="logits",
        target="labels",
        example=Example(
            # scores 3/4 of the positive, 3/4 and 1/4 of the negatives: costs 1, 1 and 1/4
            input=[LOG3, LOG3, -LOG3],
            target=[1.0, 0.0, 0.0],
            value=1 - 1 / 2.25,
        ),
        claims=Claims(bounded=True),
        studied=False,  # pairs of many rows are dear
    )

    def each_label(self, input: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value of each label, and which have both classes."""
        return F.ap_loss(input, target, weight, margin=self.margin)
