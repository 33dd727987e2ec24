"""Bootstrapping: labels mixed with what the model itself predicts."""

import math
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.losses.classes import CLASSES, IGNORE, ClassLoss

LOG3 = math.log(3)  # logits [log 3, 0] have probabilities [3/4, 1/4]
PAPER = Paper(
    authors="S. E. Reed, H. Lee, D. Anguelov, C. Szegedy, D. Erhan, A. Rabinovich",
    title="Training Deep Neural Networks on Noisy Labels with Bootstrapping",
    year=2015,
)


class SoftBootstrapping(ClassLoss):
    r"""Cross-entropy against a mixture of the label and the model's own probabilities.

    .. math:: \ell(x, y) = -\sum_c (\beta 1[c = y] + (1 - \beta) p_c) \log p_c
        \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    Gradients flow through both factors p, as in the paper, where the loss is cross-entropy with
    a penalty on entropy; some ports hold the first constant. The minimiser v has class
    probabilities v_c·(1 − (1 − beta)/beta·(H(v) + log v_c)), which `decode` gives.

    Args:
        classes: number of classes, needed for the head alone.
        beta: weight of the label; 1 is cross-entropy.
        ignore_index: the target whose samples have weight 0.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit, a class lies outside the head, or beta outside 0 … 1.

    Source: Reed, Lee, Anguelov, Szegedy, Erhan, Rabinovich, Training Deep Neural Networks on Noisy
    Labels with Bootstrapping (2015).

    >>> SoftBootstrapping()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6931)
    """

    beta: Tensor
    card: ClassVar[Card] = Card(
        key="soft_bootstrapping",
        tasks=("binary", "multiclass"),
        target="classes",
        input="logits",
        formula="-sum_c (beta 1[c = y] + (1 - beta) p_c) log p_c, p = softmax(x)",
        use_when="A few labels are wrong and probabilities are wanted.",
        avoid_when="Many labels are wrong: the label still has most of the weight.",
        paper=PAPER,
        example=Example(
            arguments={"classes": 2, "beta": 0.8},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=-(0.95 * math.log(3 / 4) + 0.05 * math.log(1 / 4)) / 2
            - (0.15 * math.log(3 / 4) + 0.85 * math.log(1 / 4)) / 2,
        ),
        claims=Claims(elicits="probabilities"),
        hypers={
            "classes": CLASSES,
            "beta": Hyper(
                default=0.95, low=0.0, high=1.0, open=True, meaning="weight of the label"
            ),
            "ignore_index": IGNORE,
        },
    )

    def __init__(
        self, *, classes: int | None = None, beta: Number = 0.95, ignore_index: int = -100
    ) -> None:
        super().__init__(classes=classes, beta=beta, ignore_index=ignore_index)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy of each sample against its mixture."""
        return F.soft_bootstrapping(input, target, beta=self.beta, ignore_index=self.ignore_index)

    def decode(self, output: Tensor) -> Tensor:
        """Return probabilities: the softmax with the entropy's pull undone."""
        return F.bootstrapped_probabilities(output, beta=self.beta)


class HardBootstrapping(ClassLoss):
    r"""Cross-entropy against a mixture of the label and the class that the model predicts.

    .. math:: \ell(x, y) = -\beta \log p_y - (1 - \beta) \log \max_c p_c
        \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    `decode` is the softmax, which leans towards the likeliest class by 1 − beta.

    Args:
        classes: number of classes, needed for the head alone.
        beta: weight of the label; 1 is cross-entropy.
        ignore_index: the target whose samples have weight 0.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit, a class lies outside the head, or beta outside 0 … 1.

    Source: Reed, Lee, Anguelov, Szegedy, Erhan, Rabinovich, Training Deep Neural Networks on Noisy
    Labels with Bootstrapping (2015).

    >>> HardBootstrapping()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6931)
    """

    beta: Tensor
    card: ClassVar[Card] = Card(
        key="hard_bootstrapping",
        tasks=("binary", "multiclass"),
        target="classes",
        input="logits",
        formula="-beta log p_y - (1 - beta) log max_c p_c, p = softmax(x)",
        use_when="Some labels are wrong and the model is trained far enough to know better.",
        avoid_when="Training starts from nothing with most labels wrong.",
        paper=PAPER,
        example=Example(
            arguments={"classes": 2, "beta": 0.8},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=-(1.2 * math.log(3 / 4) + 0.8 * math.log(1 / 4)) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="mode"),
        hypers={
            "classes": CLASSES,
            "beta": Hyper(default=0.8, low=0.0, high=1.0, open=True, meaning="weight of the label"),
            "ignore_index": IGNORE,
        },
    )

    def __init__(
        self, *, classes: int | None = None, beta: Number = 0.8, ignore_index: int = -100
    ) -> None:
        super().__init__(classes=classes, beta=beta, ignore_index=ignore_index)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy of each sample against its mixture."""
        return F.hard_bootstrapping(input, target, beta=self.beta, ignore_index=self.ignore_index)
