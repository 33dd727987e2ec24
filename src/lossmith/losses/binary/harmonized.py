"""Losses whose rows count by how many have a gradient of like size."""

import math

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core import execution
from lossmith.core.bases import Statistic
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Whole
from lossmith.core.reduce import broadcast_weight
from lossmith.functional.checks import promote
from lossmith.losses._classes import LOG3


class Harmonized(Statistic):
    """The mean over bins of gradients' sizes of the means within."""

    bins: Whole = Whole(
        default=10,
        low=1,
        doc="how many bins the sizes are counted in; 10 as in mmdetection, whose detectors take 30 "
        "for classes",
    )

    def value(self, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """Return the mean over bins."""
        input = promote(input)
        weight = torch.ones_like(input) if weight is None else broadcast_weight(weight, input)
        return execution.call(self, input, target, weight=weight)


class GHMC(Harmonized):
    r"""Binary cross-entropy in which gradients of each size count alike: easy ones, outliers less.

    .. math:: \ell = \frac{1}{M} \sum_{b: n_b > 0} \frac{1}{n_b} \sum_{i: g_i \in b} -\log p_i
        \qquad g = |\sigma(x) - y|, \quad p = \begin{cases} \sigma(x) & y = 1 \\ \sigma(-x) & y = 0
        \end{cases}

    with M how many of the bins of g from 0 to 1 hold any of the batch. The counts are constant in
    the gradient.

    Shapes: input and target alike, any shape, all elements in one count. One number of the batch,
    in nats.

    M is mmdetection's; the paper's formula divides by all bins, empty ones too. Its moving average
    of the counts, `momentum` of mmdetection, is left out: it starts from 0, where weights are too
    large. `decode` is the sigmoid, right in its order, not calibrated.

    Use when: Most elements are easy negatives, and the hardest are labelled wrongly.
    Avoid when: Batches are small: a bin's count is noise there; focal loss needs none.
    Source: Li, Liu, Wang, Gradient Harmonized Single-Stage Detector (2019).

    >>> GHMC()(torch.tensor([0.0, 0.0, 9.0]), torch.tensor([0.0, 1.0, 1.0]))  # log 2 and 0, halved
    tensor(0.3466)
    """

    function = staticmethod(F.ghm_c)
    card = Card(
        key="ghm_c",
        tasks=("binary", "multilabel", "detection"),
        input="logits",
        target="labels",
        # two of size 1/4 and one of 3/4
        example=Example(
            input=[LOG3, -LOG3, LOG3],
            target=[1.0, 0.0, 0.0],
            value=(math.log(4 / 3) + math.log(4)) / 2,
        ),
        detached=True,
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid: right in its order, not calibrated."""
        return F.sigmoid(output)


class GHMR(Harmonized):
    r"""A smooth absolute error in which gradients of each size count alike: outliers count less.

    .. math:: \ell = \frac{1}{M} \sum_{b: n_b > 0} \frac{1}{n_b} \sum_{i: g_i \in b} \sqrt{r_i^2 +
        \mu^2} - \mu \qquad r = x - y, \quad g = \frac{|r|}{\sqrt{r^2 + \mu^2}}

    with M how many of the bins of g from 0 to 1 hold any of the batch. The counts are constant in
    the gradient.

    Shapes: input and target alike, any shape, all elements in one count. One number of the batch,
    in the target's unit.

    M is mmdetection's; the paper's formula divides by all bins, empty ones too. Its moving average
    of the counts, `momentum` of mmdetection, is left out.

    Use when: Offsets of boxes are regressed, most of them easy and some outliers.
    Avoid when: Targets have another scale than mu; Huber's delta can be searched.
    Source: Li, Liu, Wang, Gradient Harmonized Single-Stage Detector (2019).

    >>> GHMR(mu=3.0)(torch.tensor([0.0, 0.0, 4.0]), torch.zeros(3))  # 0 and 5 − 3, halved
    tensor(1.)
    """

    function = staticmethod(F.ghm_r)
    mu: Real = Real(
        default=0.02,
        low=0.0,
        exclusive=True,
        doc="the error, in the target's unit, around which squared turns into absolute",
    )
    card = Card(
        key="ghm_r",
        tasks=("detection",),
        input="values",
        target="values",
        example=Example(
            arguments={"mu": 3.0}, input=[[0.0, 0.0, 4.0]], target=[[0.0, 0.0, 0.0]], value=1.0
        ),
        detached=True,
    )
