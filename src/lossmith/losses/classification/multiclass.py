"""Cross-entropy and what was made of it, margins and square losses, against integer classes."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import OptionalReal, PerClass, Real
from lossmith.functional.checks import promote
from lossmith.losses._classes import LOG3, ClassLoss


class CrossEntropy(ClassLoss):
    r"""Softmax cross-entropy: the negative log-probability of the target's class.

    .. math:: \ell(x, y) = -\sum_c t_c \log p_c \qquad p = \mathrm{softmax}(x) \qquad
        t_c = (1 - \varepsilon) 1[c = y] + \varepsilon / C

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and () for one sample; or a
    float target of input's shape, the probabilities of the classes. Values in nats. For texts, and
    recommenders taught every next item of a history (cumulative cross-entropy: Li et al., 2023),
    input is (N, C, T), padding is `ignore_index`, and the mean is over the tokens of the batch:
    accumulated batches and ranks need `denominator`, their common count.

    Class weights multiply a sample's whole value and enter the weighted mean as its weight; a
    soft target has the mean weight of its classes. torch weighs each smoothed term by its own
    class instead, which distorts the smoothed target. Without smoothing both are equal.
    `decode` is the softmax: the probabilities at the defaults; under class weights those of the
    weighted classes, under smoothing the smoothed ones, of the same order.

    For large models: softcap bounds the logits, softcap·tanh(x/softcap), in training and in
    `decode` alike; z_loss adds z_loss·(log Σ exp x_c)² to each value, under its own name in
    `terms`, which keeps the logits near normalised. Usual numbers are 30 and 0.0001.

    Use when: Probabilities are wanted, or nothing speaks for another loss.
    Avoid when: Many labels are wrong, or rare classes must count as much as common ones.
    Source: Cox, The Regression Analysis of Binary Sequences (1958); smoothing: Szegedy et al.,
    Rethinking the Inception Architecture for Computer Vision (2016); z_loss: Chowdhery et al.,
    PaLM: Scaling Language Modeling with Pathways (2022); softcap: Gemma Team, Gemma 2: Improving
    Open Language Models at a Practical Size (2024).

    >>> CrossEntropy()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6931)
    """

    mean_function = staticmethod(F.mean_cross_entropy)
    label_smoothing: Real = Real(
        default=0.0,
        low=0.0,
        high=1.0,
        search=(0.1,),
        doc="share of the target spread evenly over all classes",
    )
    class_weight: PerClass = PerClass(default=None, low=0.0, doc="one weight a class")
    z_loss: OptionalReal = OptionalReal(
        default=None,
        low=0.0,
        doc="factor of the squared log of the softmax's normaliser; None for none",
    )
    softcap: OptionalReal = OptionalReal(
        default=None, low=0.0, exclusive=True, doc="bound of the logits; None for none"
    )
    card = Card(
        key="cross_entropy",
        tasks=(
            *("binary", "multiclass", "ordinal", "segmentation", "text"),
            *("distillation", "transfer"),  # the baseline of both
        ),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=-(math.log(3 / 4) + math.log(1 / 4)) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True, proper=True, elicits="probabilities"),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor | dict[str, Tensor]:
        """Return the cross-entropy of each sample, without class weights, and its z-loss if any."""
        input = promote(input)
        if self.softcap is not None:
            input = F.softcapped(input, softcap=self.softcap)
        value = F.cross_entropy(
            input, target, label_smoothing=self.label_smoothing, ignore_index=self.ignore_index
        )
        if self.z_loss is None:
            return value
        penalty = self.z_loss.to(value.dtype) * F.z_penalty(input)
        return {"cross_entropy": value, "z_loss": penalty}

    def decode(self, output: Tensor) -> Tensor:
        """Return the softmax of the logits, capped as in training."""
        if self.softcap is not None:
            output = F.softcapped(output, softcap=self.softcap)
        return super().decode(output)

    def weights(self, target: Tensor) -> Tensor | None:
        """Return each sample's class weight, 0 where it is ignored."""
        if not target.is_floating_point():
            return F.target_weights(target, self.class_weight, ignore_index=self.ignore_index)
        return None if self.class_weight is None else F.soft_weights(target, self.class_weight)


class Focal(ClassLoss):
    r"""Softmax focal loss: cross-entropy that fades for samples already predicted well.

    .. math:: \ell(x, y) = -(1 - p_y)^\gamma \log p_y \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    The name has several meanings. This is the paper's formula on the softmax, averaged over the
    samples; kornia averages over the classes too, so that its value is 1/C of this one;
    segmentation libraries mean one sigmoid a class (`BinaryFocal`). alpha, one weight a class,
    multiplies a sample's value and enters the mean as its weight. The softmax of the minimiser
    is not the class probability: `decode` maps it back exactly (Charoenphakdee et al., 2021).

    Use when: Classes are imbalanced and easy samples swamp the hard ones, as in dense detection.
    Avoid when: Labels are noisy: wrong labels are the hardest samples of all.
    Source: Lin, Goyal, Girshick, He, Dollár, Focal Loss for Dense Object Detection (2017).

    >>> Focal(gamma=2.0)(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.1733)
    """

    function = staticmethod(F.focal)
    gamma: Real = Real(
        default=2.0,
        low=0.0,
        search=(2.0,),
        doc="how fast well-predicted samples fade; 0 is cross-entropy",
    )
    alpha: PerClass = PerClass(default=None, low=0.0, doc="one weight a class")
    card = Card(
        key="focal",
        tasks=("binary", "multiclass", "segmentation"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2, "gamma": 2.0},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=-(math.log(3 / 4) / 16 + 9 * math.log(1 / 4) / 16) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="probabilities"),
    )

    def weights(self, target: Tensor) -> Tensor | None:
        """Return each sample's alpha, 0 where it is ignored."""
        return F.target_weights(target, self.alpha, ignore_index=self.ignore_index)

    def decode(self, output: Tensor) -> Tensor:
        """Return probabilities: the softmax mapped back through gamma."""
        return F.focal_probabilities(output, gamma=self.gamma)


class Poly1(ClassLoss):
    r"""Poly-1: cross-entropy with another weight for the first term of its expansion.

    .. math:: \ell(x, y) = -\log p_y + \varepsilon (1 - p_y) \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    The default is the paper's for image classification, as in optax; many ports take 1, and the
    paper takes −1 for detection. The minimiser's softmax is v with v/(1 + ε·v) proportional to
    the class probabilities, and `decode` gives these.

    Use when: Cross-entropy works and one number may be tuned on top of it.
    Avoid when: No validation rows are left to tune epsilon on.
    Source: Leng, Tan, Liu, Cubuk, Shi, Cheng, Anguelov, PolyLoss: A Polynomial Expansion
    Perspective of Classification Loss Functions (2022).

    >>> Poly1(epsilon=2.0)(torch.zeros(1, 2), torch.tensor([1]))
    tensor(1.6931)
    """

    function = staticmethod(F.poly1)
    epsilon: Real = Real(
        default=2.0,
        low=-1.0,
        exclusive=True,
        search=(2.0,),
        doc="what is added to the weight of the first term",
    )
    card = Card(
        key="poly1",
        former_keys=("poly",),
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2, "epsilon": 2.0},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=(-math.log(3 / 4) + 2 / 4 - math.log(1 / 4) + 2 * 3 / 4) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="probabilities"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return probabilities: v / (1 + epsilon·v) of the softmax v, normalised."""
        return F.poly1_probabilities(output, epsilon=self.epsilon)


class Brier(ClassLoss):
    r"""Multi-class Brier score: the squared distance of the softmax from the target's class.

    .. math:: \ell(x, y) = \sum_c (p_c - 1[c = y])^2 \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values from 0 to 2,
    Brier's own range; for two classes this is twice the score of the positive class alone.
    The square loss on raw outputs, without softmax, is `SquareLoss`.

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


class SquareLoss(ClassLoss):
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

    >>> SquareLoss()(torch.tensor([[0.5, 0.5]]), torch.tensor([1]))
    tensor(0.2500)
    """

    function = staticmethod(F.square_loss)
    k: Real = Real(default=1.0, low=0.0, exclusive=True, doc="weight of the true class's term")
    M: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="the output that the true class should have"
    )
    card = Card(
        key="square_loss",
        former_keys=("square",),
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
        return F.square_loss_probabilities(output, k=self.k, M=self.M)


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


class MultiHinge(ClassLoss):
    r"""Crammer & Singer's multi-class hinge: the true class must lead the best rival by 1.

    .. math:: \ell(x, y) = \max\big(0, 1 + \max_{c \ne y} x_c - x_y\big)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and ().

    torch's multi_margin_loss is another loss: Weston & Watkins' sum over all rivals, divided by
    C. scikit-learn's hinge_loss is this one. `decode` is the softmax of the scores, which is not
    calibrated; where no class has more than half of the probability, the minimiser does not tell
    which is the most probable.

    Use when: The decision alone counts and most samples have one clear class.
    Avoid when: Probabilities are wanted, or classes overlap.
    Source: Crammer, Singer, On the Algorithmic Implementation of Multiclass Kernel-based Vector
    Machines (2001).

    >>> MultiHinge()(torch.tensor([[0.5, 0.0, 2.0]]), torch.tensor([0]))
    tensor(2.5000)
    """

    function = staticmethod(F.multi_hinge)
    card = Card(
        key="multi_hinge",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 3},
            input=[[0.5, 0.0, 2.0], [0.5, 0.0, 2.0]],
            target=[0, 2],
            value=(2.5 + 0) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True),
    )
