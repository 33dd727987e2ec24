"""Losses of one logit against labels from 0 to 1, elementwise."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.losses._classes import LOG3


class BinaryCrossEntropy(Pointwise):
    r"""Binary cross-entropy of logits, the negative log-likelihood of a Bernoulli label.

    .. math:: \ell(x, y) = -w y \log \sigma(x) - (1 - y) \log \sigma(-x)

    Shapes: input and target alike, any shape; labels float, integer or boolean. Values in nats.

    positive_weight w is torch's pos_weight: a factor of the positive term, not a sample weight,
    so the mean is over all elements. `decode` is the sigmoid; where w is not 1 it is the
    probability that would hold if each positive occurred w times.

    Use when: Probabilities of two classes are wanted, as a click-through rate or the risk of churn
    or fraud, or nothing speaks for another loss.
    Avoid when: Many labels are wrong, or positives are rare and must count as much.
    Source: Cox, The Regression Analysis of Binary Sequences (1958).

    >>> BinaryCrossEntropy()(torch.zeros(2), torch.tensor([True, False]))
    tensor(0.6931)
    """

    function = staticmethod(F.binary_cross_entropy)
    mean_function = staticmethod(F.mean_binary_cross_entropy)
    positive_weight: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="factor of the positive term"
    )
    card = Card(
        key="binary_cross_entropy",
        tasks=("binary", "multilabel", "segmentation"),
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

    Use when: Classes are imbalanced: easy negatives swamp the few positives, as in dense detection.
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
        tasks=("binary", "multilabel", "segmentation"),
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


class Hinge(Pointwise):
    r"""Hinge loss of a binary score, that of the support vector machine.

    .. math:: \ell(x, y) = \max(0, 1 - s x) \qquad s = 2 y - 1

    Shapes: input and target alike, any shape; labels from 0 to 1, not −1 and 1. A label between
    gives the mean of both values in that proportion.

    `decode` is the sigmoid of the score: above ½ for a positive score, and no calibrated
    probability, for the minimiser tells the more probable label alone.

    Use when: The decision alone counts, not its probability.
    Avoid when: Probabilities are wanted, or rows must be ranked.
    Source: Cortes, Vapnik, Support-Vector Networks (1995).

    >>> Hinge()(torch.tensor([0.5, 2.0]), torch.tensor([1, 1]))
    tensor(0.2500)
    """

    function = staticmethod(F.hinge)
    card = Card(
        key="hinge",
        tasks=("binary",),
        input="logits",
        target="labels",
        example=Example(
            input=[0.5, 2.0, -3.0, 0.25],
            target=[1.0, 1.0, 1.0, 0.0],
            value=(0.5 + 0 + 4 + 1.25) / 4,
        ),
        claims=Claims(convex=True, lipschitz=True, elicits="mode"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid of the score, which is not calibrated."""
        return F.sigmoid(output)


class QualityFocal(Pointwise):
    r"""Quality focal loss: a box's score learns its IoU, most where it is far off.

    .. math:: \ell(x, y) = |y - p|^\beta \bigl(-y \log p - (1 - y) \log(1 - p)\bigr) \qquad
        p = \sigma(x)

    Shapes: input and target alike, any shape: one logit a box and class, and its quality from 0
    to 1: the IoU of the predicted box with the true one in the true class, 0 in all others. The
    gradient reaches the scores alone. The papers divide by the number of positives: pass it as
    `denominator`. At qualities of 0 and 1 alone it is BinaryFocal, alpha left out. `decode` is the
    sigmoid: at the minimum over one quality it is that quality.

    Use when: Scores of dense detectors rank boxes, and should tell how well each is placed.
    Avoid when: Labels are 0 and 1 alone: it is the focal loss then.
    Source: Li, Wang, Wu, Chen, Hu, Li, Tang, Yang, Generalized Focal Loss: Learning Qualified and
    Distributed Bounding Boxes for Dense Object Detection (2020).

    >>> QualityFocal()(torch.zeros(2), torch.tensor([0.5, 0.0]))
    tensor(0.0866)
    """

    function = staticmethod(F.quality_focal)
    beta: Real = Real(default=2.0, low=1.0, doc="how fast scores near their quality fade")
    card = Card(
        key="quality_focal",
        tasks=("detection",),
        input="logits",
        target="labels",
        # p = 3/4, off by 1/4 and 3/4
        example=Example(
            input=[LOG3, LOG3],
            target=[0.5, 0.0],
            value=(-math.log(3 / 16) / 32 + 9 / 16 * math.log(4)) / 2,
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid: the quality, of output's shape."""
        return F.sigmoid(output)


class Varifocal(Pointwise):
    r"""Varifocal loss: easy negatives fade, positives count by their quality and never fade.

    .. math:: \ell(x, y) = \begin{cases} -y \bigl(y \log p + (1 - y) \log(1 - p)\bigr) & y > 0 \\
        -\alpha p^\gamma \log(1 - p) & y = 0 \end{cases} \qquad p = \sigma(x)

    Shapes: input and target alike, any shape: one logit a box and class, and its quality from 0
    to 1: the IoU of the predicted box with the true one in the true class, 0 in all others. The
    paper divides by the number of positives: pass it as `denominator`. `decode` is the sigmoid.

    Use when: Dense detectors rank boxes by one score; good positives are rare and matter most.
    Avoid when: Positives of low quality should be learned as well; quality focal weighs them alike.
    Source: Zhang, Wang, Dayoub, Sünderhauf, VarifocalNet: An IoU-Aware Dense Object Detector
    (2021).

    >>> Varifocal()(torch.zeros(2), torch.tensor([0.5, 0.0]))
    tensor(0.2383)
    """

    function = staticmethod(F.varifocal)
    alpha: Real = Real(default=0.75, low=0.0, exclusive=True, doc="factor of negatives")
    gamma: Real = Real(default=2.0, low=0.0, doc="how fast easy negatives fade")
    card = Card(
        key="varifocal",
        tasks=("detection",),
        input="logits",
        target="labels",
        # p = 3/4
        example=Example(
            input=[LOG3, LOG3],
            target=[0.5, 0.0],
            value=(-math.log(3 / 16) / 4 + 27 / 64 * math.log(4)) / 2,
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid: the quality, of output's shape."""
        return F.sigmoid(output)


class GaussianFocal(Pointwise):
    r"""Focal loss of a heat map: negatives near a peak count little.

    .. math:: \ell(x, y) = \begin{cases} -(1 - p)^\alpha \log p & y = 1 \\ -(1 - y)^\gamma p^\alpha
        \log(1 - p) & y < 1 \end{cases} \qquad p = \sigma(x)

    Shapes: input and target alike, any shape: one logit a place and class, and its height from 0 to
    1, which is 1 at an object's place and falls around it. The paper divides the sum by the number
    of objects: pass it as `denominator`, that is `(target == 1).sum()`. `decode` is the sigmoid.

    The paper's β is gamma here, as in mmdetection.

    Use when: Objects are found as peaks of a heat map: corners, centres, key points.
    Avoid when: Heights between 0 and 1 are to be met themselves; quality focal does.
    Source: Law, Deng, CornerNet: Detecting Objects as Paired Keypoints (2018).

    >>> GaussianFocal()(torch.zeros(2), torch.tensor([1.0, 0.5]))  # (1 + 1/16)/4·log 2, halved
    tensor(0.0921)
    """

    function = staticmethod(F.gaussian_focal)
    alpha: Real = Real(default=2.0, low=0.0, doc="how fast easy places fade")
    gamma: Real = Real(default=4.0, low=0.0, doc="how fast negatives fade towards a peak")
    card = Card(
        key="gaussian_focal",
        tasks=("detection",),
        input="logits",
        target="labels",
        # p = 3/4
        example=Example(
            input=[LOG3, LOG3],
            target=[1.0, 0.5],
            value=(math.log(4 / 3) / 16 + 9 / 16 / 16 * math.log(4)) / 2,
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the sigmoid: the height, of output's shape."""
        return F.sigmoid(output)
