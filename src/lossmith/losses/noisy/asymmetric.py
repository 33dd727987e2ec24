"""Softmax losses for wrong labels under which the commonest label of an input wins alone."""

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.functional.checks import promote
from lossmith.losses._classes import LOG3, ClassLoss


class AGCE(ClassLoss):
    r"""Asymmetric generalized cross-entropy: learns most where the label's chance is small.

    .. math:: \ell(x, y) = \frac{(a + 1)^q - (a + p_y)^q}{q} \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values from 0 to
    ((a + 1)^q − a^q)/q.

    Towards a = 0 it is generalized cross-entropy; the offset bounds its slope, and lets the label
    that is commonest for an input win alone, though others are seen too. q = 1 is 1 − p_y. The
    defaults are the authors' for CIFAR-10; for MNIST they take a = 4 and q = 0.2, for more classes
    the sum of this and normalized cross-entropy. `decode` is the softmax: right in the order of
    the first, no estimate of probabilities.

    Use when: Many labels are wrong, and accuracy is what counts.
    Avoid when: Probabilities are wanted, or labels are clean.
    Source: Zhou, Liu, Jiang, Gao, Ji, Asymmetric Loss Functions for Learning with Noisy Labels
    (2021).

    >>> AGCE(a=1.0, q=2.0)(torch.zeros(1, 2), torch.tensor([1]))  # (2² − 1.5²)/2
    tensor(0.8750)
    """

    function = staticmethod(F.agce)
    a: Real = Real(default=0.6, low=0.0, exclusive=True, doc="what is added to the probability")
    q: Real = Real(default=0.6, low=0.0, exclusive=True, doc="exponent; below 1 steeper at p = 0")
    card = Card(
        key="agce",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2, "a": 0.5, "q": 2.0},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=(1.5**2 - 1.25**2 + 1.5**2 - 0.75**2) / 4,
        ),
        claims=Claims(lipschitz=True, bounded=True, elicits="mode"),
        studied=False,
    )


class AUL(ClassLoss):
    r"""Asymmetric unhinged loss: 1 − p to a power, moved off its flat end.

    .. math:: \ell(x, y) = \frac{(a - p_y)^q - (a - 1)^q}{q} \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values from 0 to
    (a^q − (a − 1)^q)/q.

    q = 1 is 1 − p_y; so is any q, up to a factor, where a is large. The label that is commonest
    for an input wins alone once it is more common than any other by (a/(a − 1))^(q − 1). The
    defaults are the authors' for CIFAR-10; for MNIST they take a = 3 and q = 0.1. Their code calls
    it AUE. `decode` is the softmax: right in the order of the first, no estimate of probabilities.

    Use when: Many labels are wrong, and accuracy is what counts.
    Avoid when: Probabilities are wanted, or labels are clean.
    Source: Zhou, Liu, Jiang, Gao, Ji, Asymmetric Loss Functions for Learning with Noisy Labels
    (2021).

    >>> AUL(a=2.0, q=2.0)(torch.zeros(1, 2), torch.tensor([1]))  # (1.5² − 1)/2
    tensor(0.6250)
    """

    function = staticmethod(F.aul)
    a: Real = Real(default=5.5, low=1.0, exclusive=True, doc="what the probability is taken from")
    q: Real = Real(default=3.0, low=0.0, exclusive=True, doc="exponent")
    card = Card(
        key="aul",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2, "a": 1.5, "q": 3.0},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=(0.75**3 - 0.5**3 + 1.25**3 - 0.5**3) / 6,
        ),
        claims=Claims(lipschitz=True, bounded=True, elicits="mode"),
        studied=False,
    )


class ActiveNegative(ClassLoss):
    r"""Normalized cross-entropy, and its negative: other classes are made unlikely, all alike.

    .. math:: \ell(x, y) = \alpha \frac{\log p_y}{\sum_c \log p_c} + \beta \Bigl( 1 - \frac{A +
        \log p_y}{\sum_c A + \log p_c} \Bigr) \qquad p = \mathrm{softmax}(x), \; A = -\log
        p_{\min}

    with p held at its floor p_min in the second term.

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values from 0 to
    alpha + beta.

    The paper's ANL-CE. Where `ActivePassive` has a multiple of 1 − p_y, whose gradient is small for
    what is learnt late, the second term has the loss of the other labels turned round. Both are
    robust as they are. The authors add δ times the absolute values of all weights of the network,
    5·10⁻⁵ for CIFAR-10, which belongs to the optimizer; alpha = beta = 5 are theirs there, for
    CIFAR-100 they take 10 and 1. `decode` is the softmax: right in the order of the first, no
    estimate of probabilities.

    Use when: Many labels are wrong, and `ActivePassive` learns too little.
    Avoid when: Probabilities are wanted, or labels are clean.
    Source: Ye, Li, Dai, Liu, Sun, Tong, Active Negative Loss Functions for Learning with Noisy
    Labels (2023).

    >>> ActiveNegative(alpha=1.0, beta=1.0)(torch.zeros(1, 2), torch.tensor([1]))
    tensor(1.)
    """

    alpha: Real = Real(
        default=5.0, low=0.0, exclusive=True, doc="factor of the normalized cross-entropy"
    )
    beta: Real = Real(default=5.0, low=0.0, doc="factor of its negative")
    min_prob: Real = Real(
        default=1e-7, low=0.0, high=0.1, exclusive=True, doc="the floor of p in the second term"
    )
    card = Card(
        key="active_negative",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        # each term's two values sum to 1
        example=Example(
            arguments={"classes": 2, "alpha": 2.0, "beta": 0.5},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=1.25,
        ),
        claims=Claims(lipschitz=True, elicits="mode"),
        studied=False,
    )

    def values(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the active and the negative loss, each with its factor."""
        input = promote(input)
        active = F.normalized_cross_entropy(input, target, ignore_index=self.ignore_index)
        negative = F.normalized_negative_cross_entropy(
            input, target, min_prob=self.min_prob, ignore_index=self.ignore_index
        )
        return {
            "normalized_cross_entropy": self.alpha.to(active.dtype) * active,
            "normalized_negative_cross_entropy": self.beta.to(negative.dtype) * negative,
        }
