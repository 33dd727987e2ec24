"""Losses of sequences of tokens."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Whole
from lossmith.losses._classes import IGNORE, LOG3


class Unlikelihood(Pointwise):
    r"""Token cross-entropy that also lowers the tokens a text has used before.

    .. math:: \ell_t = -\log p(y_t) - \alpha \sum_{c \in \{y_1 \ldots y_{t-1}\} \setminus \{y_t\}}
        \log(1 - p(c))

    Shapes: input (N, C, T), logits of C tokens at T places, as in cross-entropy; target (N, T)
    of integers. One value a token, in nats: the mean is over all tokens of a batch that are not
    ignored, so accumulated batches and ranks need `denominator`, their common count. Each earlier
    token counts once, ignored ones never. With alpha = 0 it is `CrossEntropy`, which is the loss
    of plain language modelling.

    Use when: Greedy or beam search repeats itself.
    Avoid when: Texts repeat tokens rightly, as code and tables do.
    Source: Welleck, Kulikov, Roller, Dinan, Cho, Weston, Neural Text Generation with Unlikelihood
    Training (2020), the token level.

    >>> Unlikelihood()(torch.zeros(1, 2, 2), torch.tensor([[0, 1]]))
    tensor(1.0397)
    """

    function = staticmethod(F.unlikelihood)
    alpha: Real = Real(default=1.0, low=0.0, doc="weight of the unlikelihood")
    ignore_index: Whole = IGNORE
    card = Card(
        key="unlikelihood",
        tasks=("text",),
        input="logits",
        target="classes",
        # Places: token 0 at 3/4; token 1 at 1/4, where token 0 was seen and has 3/4.
        example=Example(
            arguments={"alpha": 2.0},
            input=[[[LOG3, LOG3], [0.0, 0.0]]],
            target=[[0, 1]],
            value=(-math.log(3 / 4) - math.log(1 / 4) - 2 * math.log(1 / 4)) / 2,
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the softmax: one probability a token, along dimension 1."""
        return F.softmax(output)

    def weights(self, target: Tensor) -> Tensor | None:
        """Return 1 for each token, 0 where it is ignored."""
        return F.target_weights(target, ignore_index=self.ignore_index)
