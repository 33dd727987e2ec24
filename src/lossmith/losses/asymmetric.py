"""The asymmetric loss: a focal loss whose negatives fade faster than its positives."""

import math
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Pointwise

LOG3 = math.log(3)  # a logit of log 3 has the probability 3/4


class Asymmetric(Pointwise):
    r"""Asymmetric focal loss: easy negatives fade, the easiest do not count at all.

    .. math:: \ell(x, y) = -y (1 - p)^{\gamma_+} \log p - (1 - y) q^{\gamma_-} \log (1 - q)
        \qquad p = \sigma(x), \quad q = (p - m)_+

    Shapes: input and target alike, (N, L) for L labels a sample, or any; labels float, integer
    or boolean. Values in nats, one a label.

    Defaults are those of the authors' code. It sums over labels and samples; here the mean is
    over all elements, so that the learning rate does not hang on the number of labels. A label
    between 0 and 1 gives the mean of both values in that proportion; timm mixes the factors
    instead. Some code holds the factors constant in the gradient, which the paper's formula does
    not. The minimiser is not the probability: `decode` undoes gammas and margin, exactly.

    Args:
        gamma_neg: how fast well-predicted negatives fade.
        gamma_pos: how fast well-predicted positives fade.
        clip: the margin m, the probability up to which a negative does not count.

    Raises:
        ValueError: if the shapes of input and target differ or a label lies outside 0 … 1.

    Source: Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor, Asymmetric Loss for
    Multi-Label Classification (2021).

    >>> Asymmetric(gamma_neg=2.0, gamma_pos=0.0, clip=0.25)(torch.zeros(1), torch.zeros(1))
    tensor(0.0180)
    """

    gamma_neg: Tensor
    gamma_pos: Tensor
    clip: Tensor
    card: ClassVar[Card] = Card(
        key="asymmetric",
        tasks=("binary", "multilabel"),
        target="labels",
        input="logits",
        formula="-y (1 - p)^gamma_pos log p - (1 - y) q^gamma_neg log(1 - q), q = (p - clip)+",
        use_when="A sample has few of many labels, and negatives swamp the positives.",
        avoid_when="Positives are common, or positive labels are often wrong.",
        paper=Paper(
            authors="T. Ridnik, E. Ben-Baruch, N. Zamir, A. Noy, I. Friedman, M. Protter, "
            "L. Zelnik-Manor",
            title="Asymmetric Loss for Multi-Label Classification",
            year=2021,
        ),
        example=Example(
            # p = 3/4: q = 1/2
            arguments={"gamma_neg": 2.0, "gamma_pos": 1.0, "clip": 0.25},
            input=[LOG3, LOG3],
            target=[1.0, 0.0],
            value=(-math.log(3 / 4) / 4 + math.log(2) / 4) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="probabilities"),
        hypers={
            "gamma_neg": Hyper(default=4.0, low=0.0, meaning="how fast easy negatives fade"),
            "gamma_pos": Hyper(default=1.0, low=0.0, meaning="how fast easy positives fade"),
            "clip": Hyper(
                default=0.05,
                low=0.0,
                high=0.99,
                meaning="probability up to which a negative does not count",
            ),
        },
    )

    def __init__(
        self, *, gamma_neg: Number = 4.0, gamma_pos: Number = 1.0, clip: Number = 0.05
    ) -> None:
        super().__init__(gamma_neg=gamma_neg, gamma_pos=gamma_pos, clip=clip)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the asymmetric value of each element."""
        return F.asymmetric(
            input, target, gamma_neg=self.gamma_neg, gamma_pos=self.gamma_pos, clip=self.clip
        )

    def decode(self, output: Tensor) -> Tensor:
        """Return the probability of the positive class: gammas and margin undone."""
        return F.asymmetric_probability(
            output, gamma_neg=self.gamma_neg, gamma_pos=self.gamma_pos, clip=self.clip
        )
