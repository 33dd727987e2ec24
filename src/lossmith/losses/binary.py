"""Losses of one logit against labels from 0 to 1, elementwise."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.loss import Pointwise

LOG3 = math.log(3)  # a logit of log 3 has the probability 3/4


class BinaryCrossEntropy(Pointwise):
    r"""Binary cross-entropy of logits, the negative log-likelihood of a Bernoulli label.

    .. math:: \ell(x, y) = -w y \log \sigma(x) - (1 - y) \log \sigma(-x)

    Shapes: input and target alike, any shape; labels float, integer or boolean. Values in nats.

    positive_weight w is torch's pos_weight: a factor of the positive term, not a sample weight,
    so the mean is over all elements. `decode` is the sigmoid; where w is not 1 it is the
    probability that would hold if each positive occurred w times.

    Use when: Probabilities of two classes are wanted, or nothing speaks for another loss.
    Avoid when: Many labels are wrong, or positives are rare and must count as much.
    Source: Cox, The Regression Analysis of Binary Sequences (1958).

    >>> BinaryCrossEntropy()(torch.zeros(2), torch.tensor([True, False]))
    tensor(0.6931)
    """

    function = staticmethod(F.binary_cross_entropy)
    positive_weight: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="factor of the positive term"
    )
    card = Card(
        key="binary_cross_entropy",
        tasks=("binary",),
        input="logits",
        target="labels",
        example=Example(
            input=[LOG3, LOG3],
            target=[1.0, 0.0],
            value=-(math.log(3 / 4) + math.log(1 / 4)) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True, proper=True, elicits="probabilities"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid: the probability of the positive class, of output's shape."""
        return F.sigmoid(output)


class BinaryFocal(Pointwise):
    r"""Sigmoid focal loss, as for RetinaNet: binary cross-entropy that fades for easy elements.

    .. math:: \ell(x, y) = -\alpha y (1 - p)^\gamma \log p - (1 - \alpha) (1 - y) p^\gamma
        \log (1 - p) \qquad p = \sigma(x)

    Shapes: input and target alike, any shape; labels float, integer or boolean. Values in nats.

    alpha is a factor and no sample weight, so the mean is over all elements, as in torchvision;
    the paper divides by the number of positives instead: pass it as `denominator`. MONAI and
    segmentation_models_pytorch call this loss "focal" with alpha left out. The minimiser is not
    the probability: `decode` undoes gamma (Charoenphakdee et al., 2021) and alpha, exactly.

    Use when: Easy negatives swamp the few positives, as in dense detection.
    Avoid when: Labels are noisy: wrong labels are the hardest of all.
    Source: Lin, Goyal, Girshick, He, Dollár, Focal Loss for Dense Object Detection (2017).

    >>> BinaryFocal(gamma=2.0, alpha=0.25)(torch.zeros(1), torch.ones(1))
    tensor(0.0433)
    """

    function = staticmethod(F.binary_focal)
    gamma: Real = Real(
        default=2.0, low=0.0, search=(2.0,), doc="how fast well-predicted elements fade"
    )
    alpha: Real = Real(
        default=0.25,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="factor of positives; negatives have 1 − alpha. At ½ both count alike",
    )
    card = Card(
        key="binary_focal",
        tasks=("binary",),
        input="logits",
        target="labels",
        example=Example(
            arguments={"gamma": 2.0, "alpha": 0.25},
            input=[LOG3, LOG3],
            target=[1.0, 0.0],
            value=-(math.log(3 / 4) / 4 / 16 + 9 / 16 * math.log(1 / 4) * 3 / 4) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="probabilities"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the probability of the positive class: gamma and alpha undone."""
        return F.binary_focal_probability(output, gamma=self.gamma, alpha=self.alpha)
