"""Softmax losses that forgive wrong labels, or mix them with what the model predicts."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.functional.checks import promote
from lossmith.losses._classes import LOG3, ClassLoss

LOG_ZERO = math.log(1e-4)
FLOOR = Real(default=LOG_ZERO, high=0.0, exclusive=True, doc="what stands for log 0")
BETA = Real(default=1.0, low=0.0, doc="factor of the reverse cross-entropy")


class GeneralizedCrossEntropy(ClassLoss):
    r"""Generalized cross-entropy: between cross-entropy (q → 0) and absolute error (q = 1).

    .. math:: \ell(x, y) = \frac{1 - \max(p_y, k)^q}{q} \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values from 0 to 1/q.

    The minimiser's softmax is v with v^(1 − q) proportional to the class probabilities, and
    `decode` gives these. At q = 1 nothing of them is left, so q stays below 1.

    With k > 0 it is the paper's truncated loss: samples whose label has at most the probability k
    are held to be wrong and teach nothing. The paper starts without and takes k = ½ once the
    model has learnt something: a schedule of k that steps from 0 to 0.5.

    Use when: Some labels are wrong.
    Avoid when: Labels are clean and classes many: it learns slowly where p_y is small.
    Source: Zhang, Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with
    Noisy Labels (2018).

    >>> GeneralizedCrossEntropy(q=0.5)(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    tensor(0.5858)
    """

    function = staticmethod(F.generalized_cross_entropy)
    q: Real = Real(
        default=0.7,
        low=0.0,
        high=1.0,
        exclusive=True,
        search=(0.7,),
        doc="how robust to wrong labels",
    )
    k: Real = Real(
        default=0.0,
        low=0.0,
        high=1.0,
        doc="probability of a label at or below which its sample is left out",
    )
    card = Card(
        key="generalized_cross_entropy",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2, "q": 0.5},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=((1 - math.sqrt(3) / 2) / 0.5 + (1 - 1 / 2) / 0.5) / 2,
        ),
        claims=Claims(lipschitz=True, bounded=True, elicits="probabilities"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return probabilities: the softmax to the power 1 − q, normalised."""
        return F.generalized_probabilities(output, q=self.q)


class SymmetricCrossEntropy(ClassLoss):
    r"""Cross-entropy plus its reverse, in which prediction and label have changed places.

    .. math:: \ell(x, y) = -\alpha \log p_y - \beta A (1 - p_y) \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    The reverse −Σ p_c log t_c needs a number A for log 0. The default is log 10⁻⁴, for the
    authors' code holds labels at 10⁻⁴ or more; alpha and beta are the paper's for ten classes,
    for a hundred it takes 6 and 0.1. Divided by alpha the loss is Poly-1 with epsilon =
    −beta·A/alpha, and `decode` gives the class probabilities by the same map. The authors' code
    also holds p at 10⁻⁷ in the reverse, which changes values by less than 10⁻⁵; left out here.

    Use when: Some labels are wrong and cross-entropy alone would learn them by heart.
    Avoid when: Labels are clean, or classes many and beta cannot be tuned.
    Source: Wang, Ma, Chen, Luo, Yi, Bailey, Symmetric Cross Entropy for Robust Learning with
    Noisy Labels (2019).

    >>> SymmetricCrossEntropy(alpha=1.0, beta=1.0, A=-2.0)(torch.zeros(1, 2), torch.tensor([1]))
    tensor(1.6931)
    """

    alpha: Real = Real(
        default=0.1, low=0.0, exclusive=True, search=(0.1,), doc="factor of the cross-entropy"
    )
    beta: Real = BETA
    A: Real = FLOOR
    card = Card(
        key="symmetric_cross_entropy",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2, "alpha": 0.5, "beta": 1.0, "A": -4.0},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=(-0.5 * math.log(3 / 4) + 4 / 4 - 0.5 * math.log(1 / 4) + 4 * 3 / 4) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="probabilities"),
    )

    def values(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the cross-entropy and its reverse, each with its factor."""
        input = promote(input)
        ahead = F.cross_entropy(input, target, ignore_index=self.ignore_index)
        back = F.reverse_cross_entropy(input, target, A=self.A, ignore_index=self.ignore_index)
        return {
            "cross_entropy": self.alpha.to(ahead.dtype) * ahead,
            "reverse_cross_entropy": self.beta.to(back.dtype) * back,
        }

    def decode(self, output: Tensor) -> Tensor:
        """Return probabilities: those of Poly-1 with epsilon = −beta·A/alpha."""
        return F.poly1_probabilities(output, epsilon=-self.beta * self.A / self.alpha)


class ActivePassive(ClassLoss):
    r"""Normalized plus reverse cross-entropy: an active and a passive loss, both robust.

    .. math:: \ell(x, y) = \alpha \frac{\log p_y}{\sum_c \log p_c} - \beta A (1 - p_y)
        \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values from 0 to
    alpha − beta·A.

    The paper's NCE+RCE, its best pair. NCE+MAE is the same with another beta, for both passive
    losses are multiples of 1 − p_y. A is log 10⁻⁴ as in the authors' code, which also holds p at
    10⁻⁷ in the reverse; that changes values by less than 10⁻⁵, left out here. alpha = beta = 1
    are the paper's for ten classes; for a hundred it takes 10 and 0.1. The loss is robust because
    the head of least expected loss has the commonest class alone: `decode` is the softmax, right
    in the order of the first, no estimate of probabilities.

    Use when: Many labels are wrong, up to most, and accuracy is what counts.
    Avoid when: Probabilities are wanted, or labels are clean.
    Source: Ma, Huang, Wang, Romano, Erfani, Bailey, Normalized Loss Functions for Deep Learning
    with Noisy Labels (2020).

    >>> ActivePassive(A=-2.0)(torch.zeros(1, 2), torch.tensor([1]))
    tensor(1.5000)
    """

    alpha: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="factor of the normalized cross-entropy"
    )
    beta: Real = BETA
    A: Real = FLOOR
    card = Card(
        key="active_passive",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2, "alpha": 2.0, "beta": 0.5, "A": -4.0},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=(2.0 + 2 * 1 / 4 + 2 * 3 / 4) / 2,  # the two normalized ones sum to 1
        ),
        claims=Claims(lipschitz=True, elicits="mode"),
    )

    def values(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the active and the passive loss, each with its factor."""
        input = promote(input)
        active = F.normalized_cross_entropy(input, target, ignore_index=self.ignore_index)
        passive = F.reverse_cross_entropy(input, target, A=self.A, ignore_index=self.ignore_index)
        return {
            "normalized_cross_entropy": self.alpha.to(active.dtype) * active,
            "reverse_cross_entropy": self.beta.to(passive.dtype) * passive,
        }


class JensenShannon(ClassLoss):
    r"""Jensen-Shannon divergence of label and prediction: between cross-entropy and absolute error.

    .. math:: \ell(x, y) = \frac{H(\pi e_y + (1 - \pi) p) - (1 - \pi) H(p)}
        {-(1 - \pi) \log(1 - \pi)} \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values from 0 to a
    bound that grows as pi falls.

    H is the entropy and e_y the one-hot label. Towards pi = 0 it is cross-entropy, towards 1 it
    is 1 − p_y. The paper tunes pi; ½ is the plain divergence. timm's loss of this name adds
    the divergence between augmented views to cross-entropy, and is another (AugMix). `decode`
    is the softmax: right in its order, not calibrated.

    Use when: Some labels are wrong and one number may be tuned to how many.
    Avoid when: Probabilities are wanted.
    Source: Englesson, Azizpour, Generalized Jensen-Shannon Divergence Loss for Learning with
    Noisy Labels (2021); the loss of one prediction.

    >>> JensenShannon()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6226)
    """

    function = staticmethod(F.jensen_shannon)
    pi: Real = Real(
        default=0.5,
        low=0.0,
        high=1.0,
        exclusive=True,
        search=(0.5,),
        doc="weight of the label in the mixture",
    )
    card = Card(
        key="jensen_shannon",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            # mixtures [7/8, 1/8] and [3/8, 5/8] of the labels and [3/4, 1/4]
            arguments={"classes": 2, "pi": 0.5},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=(
                math.log(8 / 7)
                + 3 / 4 * math.log(6 / 7)
                + 1 / 4 * math.log(2)
                + math.log(8 / 5)
                + 3 / 4 * math.log(2)
                + 1 / 4 * math.log(2 / 5)
            )
            / 2
            / math.log(2),
        ),
        claims=Claims(lipschitz=True, bounded=True, elicits="mode"),
    )


class SoftBootstrapping(ClassLoss):
    r"""Cross-entropy against a mixture of the label and the model's own probabilities.

    .. math:: \ell(x, y) = -\sum_c (\beta 1[c = y] + (1 - \beta) p_c) \log p_c
        \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    Gradients flow through both factors p, as in the paper, where the loss is cross-entropy with
    a penalty on entropy; some ports hold the first constant. The minimiser v has class
    probabilities v_c·(1 − (1 − beta)/beta·(H(v) + log v_c)), which `decode` gives.

    Use when: A few labels are wrong and probabilities are wanted.
    Avoid when: Many labels are wrong: the label still has most of the weight.
    Source: Reed, Lee, Anguelov, Szegedy, Erhan, Rabinovich, Training Deep Neural Networks on Noisy
    Labels with Bootstrapping (2015).

    >>> SoftBootstrapping()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6931)
    """

    function = staticmethod(F.soft_bootstrapping)
    beta: Real = Real(
        default=0.95,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="weight of the label; 1 is cross-entropy",
    )
    card = Card(
        key="soft_bootstrapping",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2, "beta": 0.8},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=-(0.95 * math.log(3 / 4) + 0.05 * math.log(1 / 4)) / 2
            - (0.15 * math.log(3 / 4) + 0.85 * math.log(1 / 4)) / 2,
        ),
        claims=Claims(elicits="probabilities"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return probabilities: the softmax with the entropy's pull undone."""
        return F.bootstrapped_probabilities(output, beta=self.beta)


class HardBootstrapping(ClassLoss):
    r"""Cross-entropy against a mixture of the label and the class that the model predicts.

    .. math:: \ell(x, y) = -\beta \log p_y - (1 - \beta) \log \max_c p_c
        \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    `decode` is the softmax, which leans towards the likeliest class by 1 − beta.

    Use when: Some labels are wrong and the model is trained far enough to know better.
    Avoid when: Training starts from nothing with most labels wrong.
    Source: Reed, Lee, Anguelov, Szegedy, Erhan, Rabinovich, Training Deep Neural Networks on Noisy
    Labels with Bootstrapping (2015).

    >>> HardBootstrapping()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6931)
    """

    function = staticmethod(F.hard_bootstrapping)
    beta: Real = Real(
        default=0.8,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="weight of the label; 1 is cross-entropy",
    )
    card = Card(
        key="hard_bootstrapping",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2, "beta": 0.8},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=-(1.2 * math.log(3 / 4) + 0.8 * math.log(1 / 4)) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="mode"),
    )
