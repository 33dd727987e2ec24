"""Bootstrapping: labels mixed with what the model itself predicts."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.losses.classes import ClassLoss

LOG3 = math.log(3)  # logits [log 3, 0] have probabilities [3/4, 1/4]


class SoftBootstrapping(ClassLoss):
    r"""Cross-entropy against a mixture of the label and the model's own probabilities.

    .. math:: \ell(x, y) = -\sum_c (\beta 1[c = y] + (1 - \beta) p_c) \log p_c
        \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    Gradients flow through both factors p, as in the paper, where the loss is cross-entropy with
    a penalty on entropy; some ports hold the first constant. The minimiser v has class
    probabilities v_c·(1 − (1 − beta)/beta·(H(v) + log v_c)), which `decode` gives.

    Use when: A few labels are wrong and probabilities are wanted.
    Avoid when: Many labels are wrong: the label still has most of the weight.
    Source: Reed, Lee, Anguelov, Szegedy, Erhan, Rabinovich, Training Deep Neural Networks on Noisy
    Labels with Bootstrapping (2015).

    >>> SoftBootstrapping()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6931)
    """

    function = staticmethod(F.soft_bootstrapping)
    beta: Real = Real(
        default=0.95,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="weight of the label; 1 is cross-entropy",
    )
    card = Card(
        key="soft_bootstrapping",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2, "beta": 0.8},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=-(0.95 * math.log(3 / 4) + 0.05 * math.log(1 / 4)) / 2
            - (0.15 * math.log(3 / 4) + 0.85 * math.log(1 / 4)) / 2,
        ),
        claims=Claims(elicits="probabilities"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return probabilities: the softmax with the entropy's pull undone."""
        return F.bootstrapped_probabilities(output, beta=self.beta)


class HardBootstrapping(ClassLoss):
    r"""Cross-entropy against a mixture of the label and the class that the model predicts.

    .. math:: \ell(x, y) = -\beta \log p_y - (1 - \beta) \log \max_c p_c
        \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    `decode` is the softmax, which leans towards the likeliest class by 1 − beta.

    Use when: Some labels are wrong and the model is trained far enough to know better.
    Avoid when: Training starts from nothing with most labels wrong.
    Source: Reed, Lee, Anguelov, Szegedy, Erhan, Rabinovich, Training Deep Neural Networks on Noisy
    Labels with Bootstrapping (2015).

    >>> HardBootstrapping()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6931)
    """

    function = staticmethod(F.hard_bootstrapping)
    beta: Real = Real(
        default=0.8,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="weight of the label; 1 is cross-entropy",
    )
    card = Card(
        key="hard_bootstrapping",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2, "beta": 0.8},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=-(1.2 * math.log(3 / 4) + 0.8 * math.log(1 / 4)) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="mode"),
    )
