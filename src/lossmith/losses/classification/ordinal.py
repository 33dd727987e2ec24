"""Losses of ordered classes: a mistake costs more the farther off it is."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import OptionalWhole
from lossmith.losses._classes import ClassLoss

_LOG3 = math.log(3)
_ORDERED = OptionalWhole(default=None, low=3, doc="number of ordered classes; for_target finds it")


class CORAL(ClassLoss):
    r"""Ordered classes as K − 1 questions, whether the class exceeds k, each a logit of its own.

    .. math:: \ell(x, y) = \sum_{k=0}^{K-2} \log\left(1 + e^{\mp x_k}\right) \qquad
        - \text{ where } y > k, + \text{ elsewhere}

    Shapes: input (N, K − 1, …) and target (N, …) of integers 0 … K − 1, or (K − 1,) and ().
    Values in nats, summed over the questions. `decode` gives one probability a class; answers
    that contradict each other, a larger k more likely exceeded, are lowered first. The paper's
    consistency is its head's: K − 1 outputs that share their weights and differ by a bias alone.
    On a plain linear head this is the extended binary decomposition that the paper starts from.

    Use when: Classes are ordered and a model's head may share its weights over thresholds.
    Avoid when: A plain linear head is used and probabilities must be consistent: CORN then.
    Source: Cao, Mirjalili & Raschka, Rank Consistent Ordinal Regression for Neural Networks with
    Application to Age Estimation (2020), with importance weights of 1.

    >>> CORAL()(torch.zeros(1, 2), torch.tensor([1]))  # 2 log 2
    tensor(1.3863)
    >>> CORAL().decode(torch.zeros(1, 2))
    tensor([[0.5000, 0.0000, 0.5000]])
    """

    function = staticmethod(F.coral)
    classes: OptionalWhole = _ORDERED
    card = Card(
        key="coral",
        tasks=("ordinal",),
        input="logits",
        target="classes",
        # class 1 exceeds 0 alone: log(1 + 1/3) + log(1 + 1/3); class 0 none: log 4 + log(4/3)
        example=Example(
            arguments={"classes": 3},
            input=[[_LOG3, -_LOG3], [_LOG3, -_LOG3]],
            target=[1, 0],
            value=(3 * math.log(4 / 3) + math.log(4)) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True, proper=True, elicits="probabilities"),
    )

    @property
    def out_features(self) -> int:
        """One output a threshold, K − 1."""
        return self.known_classes() - 1

    def decode(self, output: Tensor) -> Tensor:
        """Return one probability a class, along the head's dimension."""
        return F.coral_probabilities(output)


class CORN(ClassLoss):
    r"""Ordered classes as a chain: whether the class exceeds k, given that it is at least k.

    .. math:: L = \frac{\sum_k \sum_{i: y_i \ge k} \log(1 + e^{\mp x_{ik}})}{\sum_k
        |\{i: y_i \ge k\}|} \qquad - \text{ where } y_i > k, + \text{ elsewhere}

    Shapes: input (N, K − 1, …) and target (N, …) of integers 0 … K − 1, or (K − 1,) and ().
    Values in nats a question asked: a row of class y answers min(y + 1, K − 1) of them, and the
    mean is over all answers of the batch, as in the paper. Probabilities are products along the
    chain, so that they are consistent for any head.

    Use when: Classes are ordered and the model has a plain linear head.
    Avoid when: High classes are very rare: their questions are asked of few rows.
    Source: Shi, Cao & Raschka, Deep Neural Networks for Rank-Consistent Ordinal Regression Based
    On Conditional Probabilities (2021).

    >>> CORN(classes=3)(torch.zeros(1, 2), torch.tensor([0]))  # one question, log 2
    tensor(0.6931)
    >>> CORN(classes=3).decode(torch.zeros(1, 2))
    tensor([[0.5000, 0.2500, 0.2500]])
    """

    function = staticmethod(F.corn)
    classes: OptionalWhole = _ORDERED
    card = Card(
        key="corn",
        tasks=("ordinal",),
        input="logits",
        target="classes",
        # class 1 answers both, log(4/3) each; class 0 the first alone, log 4
        example=Example(
            arguments={"classes": 3},
            input=[[_LOG3, -_LOG3], [_LOG3, -_LOG3]],
            target=[1, 0],
            value=(2 * math.log(4 / 3) + math.log(4)) / 3,
        ),
        claims=Claims(convex=True, lipschitz=True, proper=True, elicits="probabilities"),
    )

    @property
    def out_features(self) -> int:
        """One output a threshold, K − 1."""
        return self.known_classes() - 1

    def decode(self, output: Tensor) -> Tensor:
        """Return one probability a class, along the head's dimension."""
        return F.corn_probabilities(output)

    def weights(self, target: Tensor) -> Tensor:
        """Return 1 for each question that a sample is asked."""
        if self.classes is None:
            raise ValueError("CORN needs classes; pass classes= or use CORN.for_target(target)")
        return F.corn_weights(target, classes=self.classes, ignore_index=self.ignore_index)


class SquaredEMD(ClassLoss):
    r"""The squared earth mover's distance of the predicted classes from the true one.

    .. math:: \ell(x, y) = \sum_k \left(\sum_{c \le k} p_c - 1[y \le k]\right)^2 \qquad
        p = \operatorname{softmax}(x)

    Shapes: input (N, K, …) and target (N, …) of integers 0 … K − 1, or (K,) and (). Values from 0
    to K − 1, one for each class that all probability is off by. It is the ranked probability
    score; image-quality work divides it by K and takes the root.

    Use when: Classes are ordered, far misses cost more and some labels are wrong.
    Avoid when: The start is confidently wrong: the gradient vanishes with the softmax's.
    Source: Hou, Yu & Samaras, Squared Earth Mover's Distance-Based Loss for Training Deep Neural
    Networks (2016).

    >>> SquaredEMD()(torch.tensor([[50.0, 0.0, 0.0]]), torch.tensor([2]))
    tensor(2.)
    """

    function = staticmethod(F.squared_emd)
    classes: OptionalWhole = OptionalWhole(default=None, low=2, doc="K, needed for the head alone")
    card = Card(
        key="squared_emd",
        tasks=("ordinal",),
        input="logits",
        target="classes",
        # p = 3/5, 1/5, 1/5: cumulated 3/5, 4/5, 1
        example=Example(
            arguments={"classes": 3},
            input=[[_LOG3, 0.0, 0.0], [_LOG3, 0.0, 0.0]],
            target=[0, 2],
            value=(0.16 + 0.04 + 0.36 + 0.64) / 2,
        ),
        claims=Claims(lipschitz=True, bounded=True, proper=True, elicits="probabilities"),
    )
