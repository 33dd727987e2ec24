"""Losses of sequences of tokens."""

import math
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Paper
from lossmith.core.loss import Pointwise
from lossmith.losses.classes import IGNORE

LOG3 = math.log(3)


class Unlikelihood(Pointwise):
    r"""Token cross-entropy that also lowers the tokens a text has used before.

    .. math:: \ell_t = -\log p(y_t) - \alpha \sum_{c \in \{y_1 \ldots y_{t-1}\} \setminus \{y_t\}}
        \log(1 - p(c))

    Shapes: input (N, C, T), logits of C tokens at T places, as in cross-entropy; target (N, T)
    of integers. One value a token, in nats: the mean is over all tokens of a batch that are not
    ignored, so accumulated batches and ranks need `denominator`, their common count. Each earlier
    token counts once, ignored ones never. With alpha = 0 it is `CrossEntropy`, which is the loss
    of plain language modelling.

    Args:
        alpha: weight of the unlikelihood.
        ignore_index: the target that marks padding.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a token lies outside the vocabulary.

    Source: Welleck, Kulikov, Roller, Dinan, Cho, Weston, Neural Text Generation with Unlikelihood
    Training (2020), the token level.

    >>> Unlikelihood()(torch.zeros(1, 2, 2), torch.tensor([[0, 1]]))
    tensor(1.0397)
    """

    alpha: Tensor
    ignore_index: int
    card: ClassVar[Card] = Card(
        key="unlikelihood",
        tasks=("text",),
        target="classes",
        input="logits",
        formula="-log p_y - alpha sum_c log(1 - p_c) over tokens c seen before",
        use_when="Greedy or beam search repeats itself.",
        avoid_when="Texts repeat tokens rightly, as code and tables do.",
        paper=Paper(
            authors="S. Welleck, I. Kulikov, S. Roller, E. Dinan, K. Cho, J. Weston",
            title="Neural Text Generation with Unlikelihood Training",
            year=2020,
        ),
        # Places: token 0 at 3/4; token 1 at 1/4, where token 0 was seen and has 3/4.
        example=Example(
            arguments={"alpha": 2.0},
            input=[[[LOG3, LOG3], [0.0, 0.0]]],
            target=[[0, 1]],
            value=(-math.log(3 / 4) - math.log(1 / 4) - 2 * math.log(1 / 4)) / 2,
        ),
        hypers={
            "alpha": Hyper(default=1.0, low=0.0, meaning="weight of the unlikelihood"),
            "ignore_index": IGNORE,
        },
    )

    def __init__(self, *, alpha: Number = 1.0, ignore_index: int = -100) -> None:
        super().__init__(alpha=alpha, ignore_index=ignore_index)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the value of each token."""
        return F.unlikelihood(input, target, alpha=self.alpha, ignore_index=self.ignore_index)

    def weights(self, target: Tensor) -> Tensor | None:
        """Return 1 for each token, 0 where it is ignored."""
        return F.target_weights(target, ignore_index=self.ignore_index)
