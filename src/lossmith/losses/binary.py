"""Losses of one logit against labels from 0 to 1, elementwise."""

import math
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Pointwise

LOG3 = math.log(3)  # a logit of log 3 has the probability 3/4


class BinaryCrossEntropy(Pointwise):
    r"""Binary cross-entropy of logits, the negative log-likelihood of a Bernoulli label.

    .. math:: \ell(x, y) = -w y \log \sigma(x) - (1 - y) \log \sigma(-x)

    Shapes: input and target alike, any shape; labels float, integer or boolean. Values in nats.

    positive_weight w is torch's pos_weight: a factor of the positive term, not a sample weight,
    so the mean is over all elements. `decode` is the sigmoid; where w is not 1 it is the
    probability that would hold if each positive occurred w times.

    Args:
        positive_weight: factor of the positive term.

    Raises:
        ValueError: if the shapes of input and target differ or a label lies outside 0 … 1.

    Source: Cox, The Regression Analysis of Binary Sequences (1958).

    >>> BinaryCrossEntropy()(torch.zeros(2), torch.tensor([True, False]))
    tensor(0.6931)
    """

    positive_weight: Tensor
    card: ClassVar[Card] = Card(
        key="binary_cross_entropy",
        tasks=("binary",),
        target="labels",
        input="logits",
        formula="-w y log sigmoid(x) - (1 - y) log sigmoid(-x)",
        use_when="Probabilities of two classes are wanted, or nothing speaks for another loss.",
        avoid_when="Many labels are wrong, or positives are rare and must count as much.",
        paper=Paper(
            authors="D. R. Cox", title="The Regression Analysis of Binary Sequences", year=1958
        ),
        example=Example(
            input=[LOG3, LOG3],
            target=[1.0, 0.0],
            value=-(math.log(3 / 4) + math.log(1 / 4)) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True, proper=True, elicits="probabilities"),
        hypers={
            "positive_weight": Hyper(
                default=1.0, low=0.0, open=True, meaning="factor of the positive term"
            )
        },
    )

    def __init__(self, *, positive_weight: Number = 1.0) -> None:
        super().__init__(positive_weight=positive_weight)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy of each element."""
        return F.binary_cross_entropy(input, target, positive_weight=self.positive_weight)

    def mean_at_once(self, input: Tensor, target: Tensor) -> Tensor | None:
        """Return the mean of all values by torch's one operation, if it can."""
        return F.mean_binary_cross_entropy(input, target, positive_weight=self.positive_weight)

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

    Args:
        gamma: how fast well-predicted elements fade.
        alpha: factor of positives; negatives have 1 − alpha. At ½ both count alike.

    Raises:
        ValueError: if the shapes of input and target differ or a label lies outside 0 … 1.

    Source: Lin, Goyal, Girshick, He, Dollár, Focal Loss for Dense Object Detection (2017).

    >>> BinaryFocal(gamma=2.0, alpha=0.25)(torch.zeros(1), torch.ones(1))
    tensor(0.0433)
    """

    gamma: Tensor
    alpha: Tensor
    card: ClassVar[Card] = Card(
        key="binary_focal",
        tasks=("binary",),
        target="labels",
        input="logits",
        formula="-alpha_t (1 - p_t)^gamma log p_t, p = sigmoid(x)",
        use_when="Easy negatives swamp the few positives, as in dense detection.",
        avoid_when="Labels are noisy: wrong labels are the hardest of all.",
        paper=Paper(
            authors="T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollár",
            title="Focal Loss for Dense Object Detection",
            year=2017,
        ),
        example=Example(
            arguments={"gamma": 2.0, "alpha": 0.25},
            input=[LOG3, LOG3],
            target=[1.0, 0.0],
            value=-(math.log(3 / 4) / 4 / 16 + 9 / 16 * math.log(1 / 4) * 3 / 4) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="probabilities"),
        hypers={
            "gamma": Hyper(
                default=2.0, low=0.0, search=(2.0,), meaning="how fast easy elements fade"
            ),
            "alpha": Hyper(
                default=0.25, low=0.0, high=1.0, open=True, meaning="factor of positives"
            ),
        },
    )

    def __init__(self, *, gamma: Number = 2.0, alpha: Number = 0.25) -> None:
        super().__init__(gamma=gamma, alpha=alpha)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the focal value of each element."""
        return F.binary_focal(input, target, gamma=self.gamma, alpha=self.alpha)

    def decode(self, output: Tensor) -> Tensor:
        """Return the probability of the positive class: gamma and alpha undone."""
        return F.binary_focal_probability(output, gamma=self.gamma, alpha=self.alpha)
