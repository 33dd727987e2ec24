"""How far confidence is from accuracy: what is added to a loss of classes, or bounds it."""

import math

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core import execution
from lossmith.core.bases import Statistic
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.reduce import broadcast_weight
from lossmith.functional.checks import divisor, head_dim, promote
from lossmith.losses._classes import LOG3, ClassHead, ClassLoss


class Calibration(ClassHead, Statistic):
    """One number of the batch's confidence beside its accuracy."""

    def value(self, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """Return the number of the weighted batch."""
        input = promote(input)
        like = torch.ones_like(target, dtype=input.dtype)
        weight = like if weight is None else broadcast_weight(weight, like)
        return execution.call(self, input, target, weight=weight)


class MMCE(Calibration):
    r"""Maximum mean calibration error: confidence beside accuracy, of rows of like confidence.

    .. math:: \ell = \frac{1}{N^2} \sum_{i, j} (c_i - r_i)(c_j - r_j) e^{-|r_i - r_j| / \sigma}
        \qquad r = \max_c p_c, \quad p = \mathrm{softmax}(x)

    with c whether the likeliest class is the target's, constant in the gradient.

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). One number of the batch,
    from 0 to 1, of N² pairs: pixels are rows as well.

    It is the squared error, the plain form in the authors' code; the paper trains on its root, and
    on a form in which right and wrong rows count alike, beside cross-entropy:
    `CrossEntropy() + MMCE()`.

    Use when: Confidence must be right, beside cross-entropy, in batches of 100 rows or more.
    Avoid when: Alone: a constant confidence of the base rate satisfies it.
    Source: Kumar, Sarawagi, Jain, Trainable Calibration Measures for Neural Networks from Kernel
    Mean Embeddings (2018).

    >>> MMCE()(torch.zeros(2, 2), torch.tensor([0, 1]))  # (½ − ½)²: right on average
    tensor(0.)
    """

    function = staticmethod(F.mmce)
    width: Real = Real(default=0.4, low=0.0, exclusive=True, doc="σ, how far confidences are alike")
    card = Card(
        key="mmce",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        # one right and one wrong at 3/4, two pairs alike: (1/4 − 3/4)²/4
        example=Example(
            arguments={"classes": 2}, input=[[LOG3, 0.0], [LOG3, 0.0]], target=[0, 1], value=1 / 16
        ),
        claims=Claims(bounded=True),
        studied=False,
    )


class MDCA(Calibration):
    r"""The gap between each class's mean probability and its share of the batch.

    .. math:: \ell = \frac1C \sum_c \Bigl| \frac1N \sum_i p_{ic} - \frac1N \sum_i 1[y_i = c] \Bigr|
        \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). One number of the batch,
    from 0 to 2/C.

    The paper adds it to focal loss, or cross-entropy: `Focal() + MDCA()`; its weight is tuned.

    Use when: All classes' probabilities must be calibrated, beside a loss of classes.
    Avoid when: Alone: the class shares for every row satisfy it; or batches are small.
    Source: Hebbalaguppe, Prakash, Madan, Arora, A Stitch in Time Saves Nine: A Train-Time
    Regularizing Loss for Improved Neural Network Calibration (2022).

    >>> MDCA()(torch.zeros(2, 2), torch.tensor([0, 0]))
    tensor(0.5000)
    """

    function = staticmethod(F.mdca)
    card = Card(
        key="mdca",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        # means 3/4 and 1/4 beside shares of a half
        example=Example(
            arguments={"classes": 2}, input=[[LOG3, 0.0], [LOG3, 0.0]], target=[0, 1], value=1 / 4
        ),
        claims=Claims(lipschitz=True, bounded=True),
        studied=False,
    )


class LogitNorm(ClassLoss):
    r"""Cross-entropy of logits of one length: confidence cannot grow with the logits' size.

    .. math:: \ell(x, y) = -\log \frac{e^{x_y / (\tau \lVert x \rVert)}}{\sum_c e^{x_c / (\tau
        \lVert x \rVert)}}

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats, from 0 to
    √2/τ + log C. `decode` gives the probabilities that are trained; the paper's score of unlike
    data is the largest probability of the plain softmax of the same logits.

    Use when: Rows of unlike data must be told by low confidence, and none are at hand to train on.
    Avoid when: No unlike data ever comes: cross-entropy has no τ to tune.
    Source: Wei, Xie, Cheng, Feng, An, Li, Mitigating Neural Network Overconfidence with Logit
    Normalization (2022).

    >>> loss = LogitNorm(temperature=1.0)
    >>> loss(torch.tensor([[3.0, 4.0]]), torch.tensor([1])), loss.decode(torch.tensor([[3.0, 4.0]]))
    (tensor(0.5981), tensor([[0.4502, 0.5498]]))
    """

    function = staticmethod(F.logit_norm)
    temperature: Real = Real(
        default=0.04,
        low=0.0,
        exclusive=True,
        doc="τ; the paper tunes it for each data set, 0.04 for CIFAR-10",
    )
    card = Card(
        key="logit_norm",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        # unit rows (3/5, 4/5) over 1/5: logits 3 and 4
        example=Example(
            arguments={"classes": 2, "temperature": 0.2},
            input=[[6.0, 8.0], [6.0, 8.0]],
            target=[0, 1],
            value=math.log(1 + math.exp(-1)) + 0.5,
        ),
        claims=Claims(bounded=True, elicits="probabilities"),
        studied=False,  # its gain is on rows unlike those of a table
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the softmax of the normalized logits: one probability a class."""
        rows = F.unit_rows(output, head_dim(output))
        return F.softmax(rows / divisor(self.temperature, rows))
