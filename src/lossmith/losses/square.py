"""Square losses for classes: on probabilities (Brier), on raw outputs, and beside cross-entropy."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.losses.classes import ClassLoss

LOG3 = math.log(3)  # logits [log 3, 0] have probabilities [3/4, 1/4]


class Brier(ClassLoss):
    r"""Multi-class Brier score: the squared distance of the softmax from the target's class.

    .. math:: \ell(x, y) = \sum_c (p_c - 1[c = y])^2 \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values from 0 to 2,
    Brier's own range; for two classes this is twice the score of the positive class alone.
    The square loss on raw outputs, without softmax, is `Square`.

    Use when: Probabilities are wanted and a few wrong labels must not dominate.
    Avoid when: Classes are many: the gradient vanishes where the true class is improbable.
    Source: Brier, Verification of Forecasts Expressed in Terms of Probability (1950).

    >>> Brier()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.5000)
    """

    function = staticmethod(F.brier)
    card = Card(
        key="brier",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=(2 / 16 + 2 * 9 / 16) / 2,
        ),
        claims=Claims(lipschitz=True, bounded=True, proper=True, elicits="probabilities"),
    )


class Square(ClassLoss):
    r"""Square loss on the raw outputs against one-hot classes, with Hui & Belkin's scaling.

    .. math:: \ell(x, y) = \frac{1}{C} \Big( k (x_y - M)^2 + \sum_{c \ne y} x_c^2 \Big)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in the square
    of the outputs' unit.

    There is no softmax, neither in training nor in `decode`: the minimiser has
    x_c = M·k·p_c / (k·p_c + 1 − p_c), and `decode` inverts this, then takes the nearest
    distribution. At k = M = 1 the outputs are the probabilities themselves. The paper raises k
    and M where classes are many: k = 15, M = 30 for the 1000 classes of ImageNet.

    Use when: Accuracy is what counts; the paper finds it on a par with cross-entropy.
    Avoid when: Classes are many and k and M cannot be tuned.
    Source: Hui, Belkin, Evaluation of Neural Architectures Trained with Square Loss vs
    Cross-Entropy in Classification Tasks (2021).

    >>> Square()(torch.tensor([[0.5, 0.5]]), torch.tensor([1]))
    tensor(0.2500)
    """

    function = staticmethod(F.square)
    k: Real = Real(default=1.0, low=0.0, exclusive=True, doc="weight of the true class's term")
    M: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="the output that the true class should have"
    )
    card = Card(
        key="square",
        tasks=("binary", "multiclass"),
        input="values",
        target="classes",
        example=Example(
            arguments={"classes": 2, "k": 2.0, "M": 3.0},
            input=[[1.0, 0.5], [1.0, 0.5]],
            target=[0, 1],
            value=((2 * 4 + 0.25) / 2 + (2 * 6.25 + 1) / 2) / 2,
        ),
        claims=Claims(convex=True, elicits="probabilities"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the distribution nearest to what the outputs say; no softmax."""
        return F.square_probabilities(output, k=self.k, M=self.M)


class Squentropy(ClassLoss):
    r"""Cross-entropy plus the mean square of the outputs of the wrong classes.

    .. math:: \ell(x, y) = -\log p_y + \frac{1}{C - 1} \sum_{c \ne y} x_c^2 \qquad
        p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    `decode` is the softmax, as in the paper. It is not exactly the class probability: the
    squares shrink the outputs; the order of the classes is right.

    Use when: Accuracy counts and cross-entropy grows overconfident.
    Avoid when: Exact probabilities are wanted.
    Source: Hui, Belkin, Wright, Cut your Losses with Squentropy (2023).

    >>> Squentropy()(torch.tensor([[1.0, 1.0]]), torch.tensor([1]))
    tensor(1.6931)
    """

    function = staticmethod(F.squentropy)
    card = Card(
        key="squentropy",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 3},
            input=[[1.0, 1.0, 1.0]],
            target=[2],
            value=math.log(3) + (1 + 1) / 2,
        ),
        claims=Claims(convex=True, elicits="mode"),
    )
