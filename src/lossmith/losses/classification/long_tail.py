"""Losses of long tails whose weights follow what training saw of each class."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lossmith import functional as F
from lossmith.core import execution
from lossmith.core.adaptive import State
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Switch
from lossmith.core.progress import Progress
from lossmith.functional.checks import check_classes, promote
from lossmith.losses._classes import LOG3, ClassLoss


class Seesaw(ClassLoss):
    r"""Cross-entropy in which common classes press less on rare ones, unless they are confused.

    .. math:: \ell(x, y) = -\log \frac{e^{x_y}}{e^{x_y} + \sum_{c \ne y} S_c e^{x_c}} \qquad
        S_c = \min\Bigl(1, \frac{n_c}{n_y}\Bigr)^p \max\Bigl(1, \frac{\sigma_c}{\max(\sigma_y,
        \epsilon)}\Bigr)^q

    with σ the softmax, constant in the gradient, and n_c how many rows of class c were seen so far,
    at least 1.

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    The counts are state: `observe` with the signal `target` of each step adds to them. The authors'
    code counts a batch before it computes its loss; here it counts from the next step on. Their
    detectors have a second loss, of objectness, beside it, and a normalised last layer. `decode` is
    the softmax.

    Use when: Classes have a long tail, and their counts are not known beforehand.
    Avoid when: Counts are known: logit adjustment has a calibrated aim.
    Source: Wang, Zhang, Zang, Cao, Pang, Gong, Chen, Liu, Loy, Lin, Seesaw Loss for Long-Tailed
    Instance Segmentation (2021).

    >>> loss = Seesaw(classes=2)
    >>> loss.observe(Progress(step=1, signals={"target": torch.tensor([0, 0, 0, 1])}))
    >>> loss.counts
    tensor([3., 1.])
    """

    function = staticmethod(F.seesaw)
    p: Real = Real(default=0.8, low=0.0, doc="how much less a rarer class is pressed")
    q: Real = Real(
        default=2.0, low=0.0, doc="how much more a class is pressed that it is taken for"
    )
    epsilon: Real = Real(
        default=0.01, low=0.0, exclusive=True, high=1.0, doc="the least probability divided by"
    )
    card = Card(
        key="seesaw",
        tasks=("multiclass",),
        input="logits",
        target="classes",
        # nothing seen; S_1 = (3/4 over 1/4)² where 1 is taken for 0
        example=Example(
            arguments={"classes": 2},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=(math.log(4 / 3) + math.log(1 + 27)) / 2,
        ),
        required_signals=("target",),
        detached=True,
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return counts of nothing seen."""
        return {"counts": torch.zeros(self.out_features)}

    def update(self, progress: Progress) -> State:
        """Add a step's rows to the counts."""
        target = torch.as_tensor(progress.signals["target"]).flatten()
        target = target[target != self.ignore_index].long()
        check_classes(target, self.out_features)
        seen = torch.bincount(target, minlength=len(self.counts)).to(self.counts)
        return {"counts": self.counts + seen}


class EqualizationV2(ClassLoss):
    r"""One sigmoid a class, whose positives and negatives weigh by the gradients gathered so far.

    .. math:: \ell(x, y) = -(1 + \alpha (1 - f_y)) \log \sigma(x_y) - \sum_{c \ne y} f_c \log
        \sigma(-x_c) \qquad f_c = \sigma\Bigl(\gamma \Bigl(\frac{g^+_c}{g^-_c} - \mu\Bigr)\Bigr)

    with g the sum of the weighted gradients' sizes of logit c, as positive and as negative.

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats, summed
    over classes.

    The gradients are state: `observe` with the signals `input` and `target` of each step gathers
    them, after the loss of that step, as the authors' code does in `forward`. Before any, f is 1.
    `decode` is the sigmoids over their sum.

    Use when: Detectors or classifiers have a long tail, and one sigmoid a class.
    Avoid when: Calibrated probabilities are wanted, or the softmax's classes exclude each other.
    Source: Tan, Lu, Zhang, Yin, Li, Equalization Loss v2: A New Gradient Balance Approach for
    Long-Tailed Object Detection (2021).

    >>> EqualizationV2(classes=2)(torch.zeros(1, 2), torch.tensor([1]))  # 2 log 2
    tensor(1.3863)
    """

    function = staticmethod(F.equalization_v2)
    alpha: Real = Real(default=4.0, low=0.0, doc="how much more positives of rare classes weigh")
    gamma: Real = Real(default=12.0, low=0.0, doc="how steeply weights follow the ratio")
    mu: Real = Real(default=0.8, doc="the ratio of gradients at which negatives weigh half")
    background: Switch = Switch(
        default=False,
        doc="whether the last class is the background, with weights of 1, as in the authors' "
        "detectors",
    )
    card = Card(
        key="equalization_v2",
        tasks=("multiclass",),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=(math.log(4 / 3) + math.log(4) + 2 * math.log(2)) / 2,
        ),
        required_signals=("input", "target"),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return gradients of nothing seen."""
        width = self.out_features
        return {"positive": torch.zeros(width), "negative": torch.zeros(width)}

    def update(self, progress: Progress) -> State:
        """Add the sizes of a step's gradients."""
        input, target = (
            torch.as_tensor(progress.signals[name]).to(self.positive.device)
            for name in self.card.required_signals
        )
        self.check_given(input, target)
        given = execution.numbers(self, self.takes["function"], look=False)  # which takes the same
        seen, unseen = F.equalization_gradients(input, target, **given)
        return {
            "positive": self.positive + seen.to(self.positive),
            "negative": self.negative + unseen.to(self.negative),
        }

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoids over their sum, along the class dimension."""
        return F.softmax(logsigmoid(promote(output)))
