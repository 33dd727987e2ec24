"""Cross-entropy and what was made of it: softmax losses against integer classes."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.functional.checks import promote
from lossmith.losses.classes import CLASSES, IGNORE, ClassLoss

LOG3 = math.log(3)  # logits [log 3, 0] have probabilities [3/4, 1/4]


class CrossEntropy(ClassLoss):
    r"""Softmax cross-entropy: the negative log-probability of the target's class.

    .. math:: \ell(x, y) = -\sum_c t_c \log p_c \qquad p = \mathrm{softmax}(x) \qquad
        t_c = (1 - \varepsilon) 1[c = y] + \varepsilon / C

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and () for one sample; or a
    float target of input's shape, the probabilities of the classes. Values in nats. For texts
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

    Args:
        classes: number of classes, needed for the head alone.
        label_smoothing: share of the target spread evenly over all classes.
        class_weight: one weight a class.
        z_loss: factor of the squared log of the softmax's normaliser; None for none.
        softcap: bound of the logits; None for none.
        ignore_index: the target whose samples have weight 0.

    Raises:
        TypeError: if the target holds neither integers nor floats of input's shape.
        ValueError: if shapes do not fit or a class lies outside the head.

    Source: Cox, The Regression Analysis of Binary Sequences (1958); smoothing: Szegedy et al.,
    Rethinking the Inception Architecture for Computer Vision (2016); z_loss: Chowdhery et al.,
    PaLM: Scaling Language Modeling with Pathways (2022); softcap: Gemma Team, Gemma 2: Improving
    Open Language Models at a Practical Size (2024).

    >>> CrossEntropy()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6931)
    """

    label_smoothing: Tensor
    class_weight: Tensor | None
    z_loss: Tensor | None
    softcap: Tensor | None
    card: ClassVar[Card] = Card(
        key="cross_entropy",
        tasks=("binary", "multiclass", "text"),
        target="classes",
        input="logits",
        formula="-log softmax(x)_y",
        use_when="Probabilities are wanted, or nothing speaks for another loss.",
        avoid_when="Many labels are wrong, or rare classes must count as much as common ones.",
        paper=Paper(
            authors="D. R. Cox", title="The Regression Analysis of Binary Sequences", year=1958
        ),
        example=Example(
            arguments={"classes": 2},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=-(math.log(3 / 4) + math.log(1 / 4)) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True, proper=True, elicits="probabilities"),
        hypers={
            "classes": CLASSES,
            "label_smoothing": Hyper(
                default=0.0,
                low=0.0,
                high=1.0,
                search=(0.1,),
                meaning="share of the target spread evenly over all classes",
            ),
            "class_weight": Hyper(default=None, low=0.0, meaning="one weight a class"),
            "z_loss": Hyper(
                default=None, low=0.0, meaning="factor of the squared log of the normaliser"
            ),
            "softcap": Hyper(default=None, low=0.0, open=True, meaning="bound of the logits"),
            "ignore_index": IGNORE,
        },
    )

    def __init__(
        self,
        *,
        classes: int | None = None,
        label_smoothing: Number = 0.0,
        class_weight: Sequence[float] | None = None,
        z_loss: Number | None = None,
        softcap: Number | None = None,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(
            classes=classes,
            label_smoothing=label_smoothing,
            class_weight=class_weight,
            z_loss=z_loss,
            softcap=softcap,
            ignore_index=ignore_index,
        )

    def check_given(self, input: Any, target: Any) -> None:
        """Raise as losses of classes do, and ValueError unless there is one weight a class."""
        super().check_given(input, target)
        weight = self.class_weight
        if weight is not None and weight.shape != input.shape[1:2]:
            F.per_class("class_weight", weight, input)

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

    def mean_at_once(self, input: Tensor, target: Tensor) -> Tensor | None:
        """Return the mean cross-entropy by torch's one operation, where that is the same."""
        if self.z_loss is not None or self.softcap is not None:
            return None
        return F.mean_cross_entropy(
            input,
            target,
            label_smoothing=self.label_smoothing,
            class_weight=self.class_weight,
            ignore_index=self.ignore_index,
        )

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

    Args:
        classes: number of classes, needed for the head alone.
        gamma: how fast well-predicted samples fade; 0 is cross-entropy.
        alpha: one weight a class.
        ignore_index: the target whose samples have weight 0.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a class lies outside the head.

    Source: Lin, Goyal, Girshick, He, Dollár, Focal Loss for Dense Object Detection (2017).

    >>> Focal(gamma=2.0)(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.1733)
    """

    gamma: Tensor
    alpha: Tensor | None
    card: ClassVar[Card] = Card(
        key="focal",
        tasks=("binary", "multiclass"),
        target="classes",
        input="logits",
        formula="-(1 - p_y)^gamma log p_y, p = softmax(x)",
        use_when="Easy samples swamp the hard ones, as in dense detection.",
        avoid_when="Labels are noisy: wrong labels are the hardest samples of all.",
        paper=Paper(
            authors="T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollár",
            title="Focal Loss for Dense Object Detection",
            year=2017,
        ),
        example=Example(
            arguments={"classes": 2, "gamma": 2.0},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=-(math.log(3 / 4) / 16 + 9 * math.log(1 / 4) / 16) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="probabilities"),
        hypers={
            "classes": CLASSES,
            "gamma": Hyper(
                default=2.0, low=0.0, search=(2.0,), meaning="how fast easy samples fade"
            ),
            "alpha": Hyper(default=None, low=0.0, meaning="one weight a class"),
            "ignore_index": IGNORE,
        },
    )

    def __init__(
        self,
        *,
        classes: int | None = None,
        gamma: Number = 2.0,
        alpha: Sequence[float] | None = None,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(classes=classes, gamma=gamma, alpha=alpha, ignore_index=ignore_index)

    def check_given(self, input: Any, target: Any) -> None:
        """Raise as losses of classes do, and ValueError unless there is one alpha a class."""
        super().check_given(input, target)
        if self.alpha is not None:
            F.per_class("alpha", self.alpha, input)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the focal value of each sample, without alpha."""
        return F.focal(input, target, gamma=self.gamma, ignore_index=self.ignore_index)

    def weights(self, target: Tensor) -> Tensor | None:
        """Return each sample's alpha, 0 where it is ignored."""
        return F.target_weights(target, self.alpha, ignore_index=self.ignore_index)

    def decode(self, output: Tensor) -> Tensor:
        """Return probabilities: the softmax mapped back through gamma."""
        return F.focal_probabilities(output, gamma=self.gamma)


class Poly(ClassLoss):
    r"""Poly-1: cross-entropy with another weight for the first term of its expansion.

    .. math:: \ell(x, y) = -\log p_y + \varepsilon (1 - p_y) \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    The default is the paper's for image classification, as in optax; many ports take 1, and the
    paper takes −1 for detection. The minimiser's softmax is v with v/(1 + ε·v) proportional to
    the class probabilities, and `decode` gives these.

    Args:
        classes: number of classes, needed for the head alone.
        epsilon: what is added to the weight of the first term, above −1.
        ignore_index: the target whose samples have weight 0.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit, a class lies outside the head, or epsilon is not above −1.

    Source: Leng, Tan, Liu, Cubuk, Shi, Cheng, Anguelov, PolyLoss: A Polynomial Expansion
    Perspective of Classification Loss Functions (2022).

    >>> Poly(epsilon=2.0)(torch.zeros(1, 2), torch.tensor([1]))
    tensor(1.6931)
    """

    epsilon: Tensor
    card: ClassVar[Card] = Card(
        key="poly",
        tasks=("binary", "multiclass"),
        target="classes",
        input="logits",
        formula="-log p_y + epsilon (1 - p_y), p = softmax(x)",
        use_when="Cross-entropy works and one number may be tuned on top of it.",
        avoid_when="No validation rows are left to tune epsilon on.",
        paper=Paper(
            authors="Z. Leng, M. Tan, C. Liu, E. D. Cubuk, X. Shi, S. Cheng, D. Anguelov",
            title="PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions",
            year=2022,
        ),
        example=Example(
            arguments={"classes": 2, "epsilon": 2.0},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=(-math.log(3 / 4) + 2 / 4 - math.log(1 / 4) + 2 * 3 / 4) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="probabilities"),
        hypers={
            "classes": CLASSES,
            "epsilon": Hyper(
                default=2.0,
                low=-1.0,
                open=True,
                search=(2.0,),
                meaning="added to the weight of the first term",
            ),
            "ignore_index": IGNORE,
        },
    )

    def __init__(
        self, *, classes: int | None = None, epsilon: Number = 2.0, ignore_index: int = -100
    ) -> None:
        super().__init__(classes=classes, epsilon=epsilon, ignore_index=ignore_index)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return −log p_t + epsilon·(1 − p_t) of each sample."""
        return F.poly(input, target, epsilon=self.epsilon, ignore_index=self.ignore_index)

    def decode(self, output: Tensor) -> Tensor:
        """Return probabilities: v / (1 + epsilon·v) of the softmax v, normalised."""
        return F.poly_probabilities(output, epsilon=self.epsilon)
