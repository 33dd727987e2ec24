"""The asymmetric loss: a focal loss whose negatives fade faster than its positives."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
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

    Use when: A sample has few of many labels, and negatives swamp the positives.
    Avoid when: Positives are common, or positive labels are often wrong.
    Source: Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor, Asymmetric Loss for
    Multi-Label Classification (2021).

    >>> Asymmetric(gamma_neg=2.0, gamma_pos=0.0, clip=0.25)(torch.zeros(1), torch.zeros(1))
    tensor(0.0180)
    """

    function = staticmethod(F.asymmetric)
    gamma_neg: Real = Real(default=4.0, low=0.0, doc="how fast well-predicted negatives fade")
    gamma_pos: Real = Real(default=1.0, low=0.0, doc="how fast well-predicted positives fade")
    clip: Real = Real(
        default=0.05,
        low=0.0,
        high=0.99,
        doc="the margin m, the probability up to which a negative does not count",
    )
    card = Card(
        key="asymmetric",
        tasks=("binary", "multilabel"),
        input="logits",
        target="labels",
        example=Example(
            # p = 3/4: q = 1/2
            arguments={"gamma_neg": 2.0, "gamma_pos": 1.0, "clip": 0.25},
            input=[LOG3, LOG3],
            target=[1.0, 0.0],
            value=(-math.log(3 / 4) / 4 + math.log(2) / 4) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="probabilities"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the probability of the positive class: gammas and margin undone."""
        return F.asymmetric_probability(
            output, gamma_neg=self.gamma_neg, gamma_pos=self.gamma_pos, clip=self.clip
        )
