"""Losses for imbalanced classes: cross-entropy that knows the counts of the training rows."""

import math
from typing import Any

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.schedule import Piecewise
from lossmith.functional.checks import promote
from lossmith.losses._classes import LOG3, CountedLoss


class BalancedSoftmax(CountedLoss):
    r"""Cross-entropy of a softmax that is weighted by the class counts.

    .. math:: \ell(x, y) = -\log \frac{n_y e^{x_y}}{\sum_c n_c e^{x_c}}

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    The counts are in training alone. `decode` is the softmax of the raw outputs: the
    probabilities that would hold if all classes were equally common. A class without rows is
    treated as if it had as many as the rarest that has some. Any multiple of the counts does,
    the priors too.

    Use when: Classes are imbalanced and each must count alike: balanced accuracy.
    Avoid when: Probabilities under the data's own class frequencies are wanted.
    Source: Ren, Yu, Sheng, Ma, Zhao, Yi, Li, Balanced Meta-Softmax for Long-Tailed Visual
    Recognition (2020).

    >>> BalancedSoftmax(counts=[3, 1])(torch.zeros(1, 2), torch.tensor([1]))
    tensor(1.3863)
    """

    function = staticmethod(F.balanced_softmax)
    card = Card(
        key="balanced_softmax",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"counts": [3.0, 1.0]},
            input=[[0.0, LOG3], [0.0, LOG3]],
            target=[0, 1],
            value=math.log(2),
        ),
        claims=Claims(convex=True, lipschitz=True, elicits="balanced"),
    )


class LogitAdjusted(CountedLoss):
    r"""Logit-adjusted cross-entropy: common classes get a head start in training alone.

    .. math:: \ell(x, y) = -\log \mathrm{softmax}(x + \tau \log \pi)_y \qquad
        \pi_c = n_c / \textstyle\sum_j n_j

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    `decode` is the softmax of the raw outputs, proportional to p_c / π_c^τ: at the default τ = 1
    the probabilities that would hold if all classes were equally common, and the loss is
    `BalancedSoftmax`. A class without rows is treated as if it had as many as the rarest that
    has some. Any multiple of the counts does, the priors too.

    Use when: Classes are imbalanced and each must count alike: balanced accuracy.
    Avoid when: Probabilities under the data's own class frequencies are wanted.
    Source: Menon, Jayasumana, Rawat, Jain, Veit, Kumar, Long-Tail Learning via Logit Adjustment
    (2021).

    >>> LogitAdjusted(counts=[3, 1])(torch.zeros(1, 2), torch.tensor([1]))
    tensor(1.3863)
    """

    function = staticmethod(F.logit_adjusted)
    tau: Real = Real(
        default=1.0,
        low=0.0,
        search=(0.5, 1.5),
        doc="strength of the adjustment; 0 is cross-entropy, 1 the balanced error's",
    )
    card = Card(
        key="logit_adjusted",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"counts": [9.0, 1.0], "tau": 0.5},
            input=[[0.0, 0.0], [0.0, 0.0]],
            target=[0, 1],
            value=-(math.log(3 / 4) + math.log(1 / 4)) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True, elicits="balanced"),
    )


class ClassBalanced(CountedLoss):
    r"""Cross-entropy weighted by the effective number of samples of each class.

    .. math:: \ell(x, y) = -w_y \log \mathrm{softmax}(x)_y \qquad
        w_c \propto \frac{1 - \beta}{1 - \beta^{n_c}}, \quad \textstyle\sum_c w_c = C

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    The weights enter the weighted mean as sample weights; well-known code divides by the number
    of samples instead, which `denominator` gives. The paper tries beta from 0.9 to 0.9999; the
    default is the one of its large data sets. Towards 0 all classes weigh alike, towards 1 they
    weigh 1/n. `decode` is the softmax: the probabilities of the weighted classes. A class
    without rows is treated as if it had as many as the rarest that has some.

    Use when: Classes are imbalanced and rows of one class repeat each other.
    Avoid when: Classes are separable: weights then change little, logit adjustment does more.
    Source: Cui, Jia, Lin, Song, Belongie, Class-Balanced Loss Based on Effective Number of
    Samples (2019).

    >>> ClassBalanced(counts=[1, 2], beta=0.5)(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6931)
    """

    beta: Real = Real(
        default=0.999,
        low=0.0,
        high=1.0,
        exclusive=True,
        search=(0.999, 0.9999, Piecewise(((0.0, 1e-6), (0.8, 0.9999)), hold=True)),
        doc="1 − 1/N, where N is the number of rows that a class can use at most",
    )
    card = Card(
        key="class_balanced",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            # effective numbers 1 and 1.5: weights 1 and 2/3 up to scale
            arguments={"counts": [1.0, 2.0], "beta": 0.5},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=-(3 / 5 * math.log(3 / 4) + 2 / 5 * math.log(1 / 4)),
        ),
        claims=Claims(convex=True, lipschitz=True),
    )

    def check_given(self, input: Any, target: Any) -> None:
        """Raise as losses of classes do, and ValueError unless there is one count a class."""
        super().check_given(input, target)
        F.per_class("counts", self.counts, input)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy of each sample, without class weights."""
        return F.cross_entropy(input, target, ignore_index=self.ignore_index)

    def weights(self, target: Tensor) -> Tensor | None:
        """Return each sample's class weight, 0 where it is ignored."""
        weight = F.class_balanced_weights(self.counts, beta=self.beta)
        return F.target_weights(target, weight, ignore_index=self.ignore_index)


class LDAM(CountedLoss):
    r"""Label-distribution-aware margins: rare classes must win by more.

    .. math:: \ell(x, y) = -w_y \log \mathrm{softmax}(s (x - \Delta_y e_y))_y \qquad
        \Delta_c \propto n_c^{-1/4}, \quad \max_c \Delta_c = m

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    The paper's outputs are cosines, from a head whose weights and features have length 1: s and
    the margins are sized for those. The weights w are those of `ClassBalanced`; the default
    beta = 0 weighs all alike, and the paper's deferred re-weighting is a schedule of beta from
    0 to 0.9999 late in training. `decode` is the softmax of s·x, in which rare classes gain.

    Use when: Classes are imbalanced and the head gives cosines.
    Avoid when: Probabilities are wanted.
    Source: Cao, Wei, Gaidon, Arechiga, Ma, Learning Imbalanced Datasets with
    Label-Distribution-Aware Margin Loss (2019).

    >>> LDAM(counts=[16, 1], max_m=0.5, s=2.0)(torch.zeros(1, 2), torch.tensor([1]))
    tensor(1.3133)
    """

    function = staticmethod(F.ldam)
    max_m: Real = Real(default=0.5, low=0.0, doc="the margin of the rarest class")
    s: Real = Real(default=30.0, low=0.0, exclusive=True, doc="scale of the outputs")
    beta: Real = Real(
        default=0.0,
        low=0.0,
        high=0.9999999,
        doc="class weights by effective number, 0 for none; see `ClassBalanced`",
    )
    card = Card(
        key="ldam",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            # margins 1/4 and 1/2; both rows end at logits [log 3, 0] or its mirror image
            arguments={"counts": [16.0, 1.0], "max_m": 0.5, "s": 4.0},
            input=[[0.25 + LOG3 / 4, 0.0], [0.0, 0.5 - LOG3 / 4]],
            target=[0, 1],
            value=-(math.log(3 / 4) + math.log(1 / 4)) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True),
    )

    def weights(self, target: Tensor) -> Tensor | None:
        """Return each sample's class weight, 0 where it is ignored."""
        weight = F.class_balanced_weights(self.counts, beta=self.beta)
        return F.target_weights(target, weight, ignore_index=self.ignore_index)

    def decode(self, output: Tensor) -> Tensor:
        """Return the softmax of the scaled outputs."""
        output = promote(output)
        return F.softmax(self.s.to(output.dtype) * output)


class VS(CountedLoss):
    r"""Vector scaling: logits of rare classes are shrunk and lowered while training.

    .. math:: \ell(x, y) = -\log \mathrm{softmax}(\Delta x + \tau \log \pi)_y \qquad
        \Delta_c = \Bigl(\frac{n_c}{\max n}\Bigr)^\gamma \qquad \pi_c = n_c / \textstyle\sum_j n_j

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    Where classes can be told apart wholly, what is added to logits moves the boundary less and less
    as training goes on, and what they are multiplied by moves it for good: both are here. gamma = 0
    is `LogitAdjusted`, tau = 0 class-dependent temperatures. The paper tunes both by data set;
    the defaults are those of the authors' code. `decode` is the softmax of the raw outputs, as
    they are read there: right in their order, no estimate of probabilities. A class without rows
    is treated as if it had as many as the rarest that has some.

    Use when: Classes are imbalanced, the model fits all training rows, and each class must count
    alike: balanced accuracy.
    Avoid when: Probabilities are wanted, or there is no validation data to tune gamma on.
    Source: Kini, Paraskevas, Oymak, Thrampoulidis, Label-Imbalanced and Group-Sensitive
    Classification under Overparameterization (2021).

    >>> VS(counts=[16, 1], gamma=0.25, tau=0.0)(torch.tensor([[1.0, 2.0]]), torch.tensor([1]))
    tensor(0.6931)
    """

    function = staticmethod(F.vs)
    gamma: Real = Real(default=0.3, low=0.0, doc="how much logits of rare classes are shrunk")
    tau: Real = Real(default=1.0, low=0.0, doc="how much logits of rare classes are lowered")
    card = Card(
        key="vs",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        # logits [log 3, 2·log 3/2] with priors 16/17 and 1/17: shares 16·3 and 3
        example=Example(
            arguments={"counts": [16.0, 1.0], "gamma": 0.25},
            input=[[LOG3, 2 * LOG3], [LOG3, 2 * LOG3]],
            target=[0, 1],
            value=-(math.log(16 / 17) + math.log(1 / 17)) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True),
        studied=False,
    )
