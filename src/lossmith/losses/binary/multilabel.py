"""Samples with any number of labels: ranks among them, and metrics of the batch as losses."""

import math
from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise, SetLoss, Statistic
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Choice, Real, Reals
from lossmith.core.reduce import broadcast_weight, reduce
from lossmith.functional.checks import promote
from lossmith.losses._classes import LOG3


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


class DistributionBalanced(Pointwise):
    r"""Focal loss of rare labels: rebalanced for rows of several, and tolerant of negatives.

    .. math:: \ell(x, y) = \begin{cases} 2 w (1 - p)^\gamma (-\log p) & y = 1, \;
        p = \sigma(x - \nu) \\ \frac{2 w}{\lambda} q^\gamma (-\log(1 - q)) & y = 0, \;
        q = \sigma(\lambda (x - \nu)) \end{cases}

    with w = α + σ(β(r − μ)), where r is the label's 1/n over the sum of 1/n of the labels that its
    row has, and ν = κ/λ·log(N/n − 1).

    Shapes: input (N, L) and target (N, L) of labels; values in nats, one a label. `for_target`
    counts the n rows of each label and all N. Drawing rows of rare labels more often draws their
    common labels too, which w takes back. A row without labels has w = α + 1; a label that no row,
    or every row, has counts as one of half a row, or all but half. The defaults are the authors'
    for COCO; for VOC they take mu = 0.3 and lambda = 5. `decode` is the sigmoid, as they read it:
    right in their order, no calibrated probability.

    Use when: Few rows have the rare labels, mostly beside common ones.
    Avoid when: Labels are equally common, or calibrated probabilities are wanted.
    Source: Wu, Huang, Liu, Wang, Lin, Distribution-Balanced Loss for Multi-Label Classification in
    Long-Tailed Datasets (2020).

    >>> loss = DistributionBalanced(counts=[50.0, 50.0], rows=100.0, alpha=0.5, beta=0.0)
    >>> loss(torch.zeros(1, 2), torch.tensor([[1.0, 1.0]]))  # 2·(½)²·log 2
    tensor(0.3466)
    """

    function = staticmethod(F.distribution_balanced)
    counts: Reals = Reals(
        fitted=True, low=0.0, doc="training rows of each label; for_target counts them"
    )
    rows: Real = Real(
        fitted=True, low=0.0, exclusive=True, doc="training rows; for_target counts them"
    )
    alpha: Real = Real(default=0.1, low=0.0, doc="the least weight of a label")
    beta: Real = Real(default=10.0, low=0.0, doc="how steeply weights rise with rarity")
    mu: Real = Real(default=0.2, doc="the relative rarity at which weights are halfway up")
    kappa: Real = Real(default=0.05, low=0.0, doc="how far logits start from their prior")
    lambda_: Real = Real(
        default=2.0, low=0.0, exclusive=True, doc="how much sooner negatives are let be"
    )
    gamma: Real = Real(default=2.0, low=0.0, doc="how far easy labels fade, as in focal loss")
    card = Card(
        key="distribution_balanced",
        tasks=("multilabel",),
        input="logits",
        target="labels",
        # no shift, w = 1; chances 3/4 and, with logits doubled, 3/4
        example=Example(
            arguments={"counts": [50.0, 50.0], "rows": 100.0, "alpha": 0.5, "beta": 0.0},
            input=[[LOG3, LOG3 / 2]],
            target=[[1.0, 0.0]],
            value=(2 / 16 * math.log(4 / 3) + 9 / 16 * math.log(4)) / 2,
        ),
        studied=False,
    )

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> Self:
        """Return the loss for training labels (N, L): how many rows have each, and all.

        Raises:
            ValueError: if target is no table of labels, or has no rows.
        """
        if target.ndim != 2 or not len(target):
            raise ValueError(f"target must be (N, L), labels of rows, got {tuple(target.shape)}")
        fitted = {"counts": target.double().sum(0).tolist(), "rows": float(len(target))}
        return cls(**{**fitted, **hypers})

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid of the logits."""
        return F.sigmoid(output)


class LabelStatistic(Statistic, ABC):
    """One number of a weighted batch for each label, averaged over the labels that have one."""

    def value(self, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """Return the mean over the labels."""
        input = promote(input)
        weight = torch.ones_like(input) if weight is None else broadcast_weight(weight, input)
        if input.ndim == 0 and target.ndim == 0:
            input, target, weight = (one.unsqueeze(0) for one in (input, target, weight))
        values, counts = self.each_label(input, target, weight)
        return reduce(values, weight=counts.to(values.dtype))

    @abstractmethod
    def each_label(self, input: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value of each label, and which count."""

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid: right in its order, not calibrated."""
        return F.sigmoid(output)


class SoftF1(LabelStatistic):
    r"""One minus the F measure of a batch, counted with probabilities instead of decisions.

    .. math:: \ell = 1 - \frac{(1 + \beta^2) TP}{(1 + \beta^2) TP + \beta^2 FN + FP} \qquad
        TP = \sum_n w_n y_n p_n, \;\ldots, \quad p = \sigma(x)

    Shapes: input and target alike, (N,) or (N, L): the mean over L labels, macro F1.

    It is a statistic of the batch: batches should be large, and hold positives. A label without
    a positive in the batch has no F measure to improve and is left out of the mean.

    Use when: F1 is the metric, positives are rare, and batches large.
    Avoid when: Probabilities are wanted, or batches often lack positives.
    Source: Pastor-Pellicer, Zamora-Martínez, España-Boquera, Castro-Bleda, F-Measure as the Error
    Function to Train Neural Networks (2013).

    >>> SoftF1()(torch.zeros(2), torch.tensor([1.0, 0.0]))
    tensor(0.5000)
    """

    beta: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        doc="how many times as much recall weighs as precision",
    )
    card = Card(
        key="soft_f1",
        tasks=("binary", "multilabel"),
        input="logits",
        target="labels",
        example=Example(
            # TP 3/4, FN 1/4, FP 1/2
            input=[LOG3, 0.0],
            target=[1.0, 0.0],
            value=1 - 1.5 / 2.25,
        ),
        claims=Claims(bounded=True),
    )

    def each_label(self, input: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return 1 − F of each label, and which have positives."""
        return F.soft_f1(input, target, weight, beta=self.beta)


class AnyLoss(LabelStatistic):
    r"""One minus a metric of the confusion matrix, counted with probabilities pushed to 0 and 1.

    .. math:: \ell = 1 - \mathrm{metric}(TP, FP, FN, TN) \qquad
        TP = \sum_n w_n y_n a_n, \;\ldots, \quad a = \sigma\big(A (\sigma(x) - \tfrac12)\big)

    Shapes: input and target alike, (N,) or (N, L): the mean over L labels.

    At the default amplification a probability of 0 or 1 is within 10⁻¹⁵ of its decision, and
    gradients vanish for elements that are sure, right or wrong: start from trained weights or
    with a smaller one. A class that the batch lacks is left out of the two balanced
    metrics, and a label without positives out of F1.

    Use when: A metric of decisions is the aim, classes are imbalanced, and batches large.
    Avoid when: Probabilities are wanted, or training starts from nothing on hard data.
    Source: Han, Moniz, Chawla, AnyLoss: Transforming Classification Metrics into Loss Functions
    (2024).

    >>> AnyLoss(metric="accuracy")(torch.zeros(2), torch.tensor([1.0, 0.0]))
    tensor(0.5000)
    """

    metric: Choice = Choice(
        default="f1",
        choices=("accuracy", "f1", "balanced_accuracy", "g_mean"),
        doc='"accuracy", "f1", "balanced_accuracy" (mean of recall and specificity) or "g_mean" '
        "(their geometric mean)",
    )
    amplification: Real = Real(
        default=73.0, low=0.0, exclusive=True, doc="the factor A, the paper's L"
    )
    card = Card(
        key="any_loss",
        tasks=("binary", "multilabel"),
        input="logits",
        target="labels",
        example=Example(
            # 4 log 3·(3/4 − 1/2) = log 3: amplified to 3/4, and ½ stays; TP 3/4, FN 1/4, FP 1/2
            arguments={"amplification": 4 * LOG3},
            input=[LOG3, 0.0],
            target=[1.0, 0.0],
            value=1 - 1.5 / 2.25,
        ),
        claims=Claims(bounded=True),
    )

    def each_label(self, input: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return 1 − metric of each label, and which have one."""
        return F.any_loss(
            input, target, weight, metric=self.metric, amplification=self.amplification
        )


class AUCMargin(LabelStatistic):
    r"""AUC margin loss: both classes' scores narrow, their means a margin apart.

    .. math:: \ell = \mathrm{Var}_+(p) + \mathrm{Var}_-(p) +
        (m - \bar p_+ + \bar p_-)_+^2 \qquad p = \sigma(x)

    Shapes: input and target alike, (N,) or (N, L): the mean over L labels.

    The paper's min-max problem solved in its auxiliary numbers: a and b are the classes' mean
    scores, α is how far their gap falls short of the margin. What is left is this statistic of
    the batch; the paper follows a, b and α through training instead, for small batches. Without
    the cut at 0 it is the mean of (m − p_i + p_j)² over pairs of a positive and a negative. A
    batch without one of the classes teaches nothing.

    Use when: AUC is the metric, positives are rare, and batches hold both classes.
    Avoid when: Probabilities are wanted, or batches often lack a class.
    Source: Yuan, Yan, Sonka, Yang, Large-Scale Robust Deep AUC Maximization: A New Surrogate Loss
    and Empirical Studies on Medical Image Classification (2021).

    >>> AUCMargin()(torch.zeros(2), torch.tensor([1.0, 0.0]))
    tensor(1.)
    """

    margin: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="the gap that the mean scores should have"
    )
    card = Card(
        key="auc_margin",
        tasks=("binary", "multilabel"),
        input="logits",
        target="labels",
        example=Example(
            # scores 3/4, 1/4 of positives, 1/4 of the negative: variance 1/16, gap 1/4
            input=[LOG3, -LOG3, -LOG3],
            target=[1.0, 1.0, 0.0],
            value=1 / 16 + 9 / 16,
        ),
        claims=Claims(bounded=True),
    )

    def each_label(self, input: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value of each label, and which have both classes."""
        return F.auc_margin(input, target, weight, margin=self.margin)
