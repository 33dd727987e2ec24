"""Losses of ordered classes: a mistake costs more the farther off it is."""

import math

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Statistic
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Choice, OptionalWhole, Real
from lossmith.core.reduce import broadcast_weight
from lossmith.functional.checks import promote
from lossmith.losses._classes import LOG3, ClassHead, ClassLoss

_ORDERED = OptionalWhole(
    default=None, fitted=True, low=3, doc="number of ordered classes; for_target finds it"
)
_GRADES = OptionalWhole(default=None, fitted=True, low=2, doc="K, needed for the head alone")


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
            input=[[LOG3, -LOG3], [LOG3, -LOG3]],
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
            input=[[LOG3, -LOG3], [LOG3, -LOG3]],
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
    classes: OptionalWhole = _GRADES
    card = Card(
        key="squared_emd",
        tasks=("ordinal",),
        input="logits",
        target="classes",
        # p = 3/5, 1/5, 1/5: cumulated 3/5, 4/5, 1
        example=Example(
            arguments={"classes": 3},
            input=[[LOG3, 0.0, 0.0], [LOG3, 0.0, 0.0]],
            target=[0, 2],
            value=(0.16 + 0.04 + 0.36 + 0.64) / 2,
        ),
        claims=Claims(lipschitz=True, bounded=True, proper=True, elicits="probabilities"),
    )


class CDWCE(ClassLoss):
    r"""Class distance weighted cross-entropy: each wrong class is made less likely, far ones most.

    .. math:: \ell(x, y) = -\sum_c |c - y|^\alpha \log(1 - p_c) \qquad p = \operatorname{softmax}(x)

    Shapes: input (N, K, …) and target (N, …) of integers 0 … K − 1, or (K,) and (). Values in
    nats, times distances to the power of alpha.

    Nothing asks for the true class but that all others are unlikely. Under uncertainty the mass
    goes where :math:`\sum_y P(y) |c - y|^\alpha` is small: as alpha grows from the likeliest grade
    towards the middle of the likely ones, past the mean. `decode` is the softmax, no probability.

    Use when: Classes are ordered and far misses are far worse than near ones.
    Avoid when: Probabilities are wanted; SquaredEMD, CORAL and CORN give them.
    Source: Polat, Ergenc, Kani, Alahdab, Atug, Temizel, Class Distance Weighted Cross-Entropy Loss
    for Ulcerative Colitis Severity Estimation (2022), without the later margin.

    >>> CDWCE()(torch.zeros(1, 3), torch.tensor([0]))  # 3 log(3/2)
    tensor(1.2164)
    """

    function = staticmethod(F.cdwce)
    classes: OptionalWhole = _GRADES
    alpha: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        search=(1.0, 2.0),
        doc="power of the distance. The paper tunes it and ends at 5 to 7 for four grades of clean "
        "images; dlordinal has ½",
    )
    card = Card(
        key="cdwce",
        tasks=("ordinal",),
        input="logits",
        target="classes",
        # p = 3/5, 1/5, 1/5: log(5/4) once and twice; log(5/2) twice and log(5/4)
        example=Example(
            arguments={"classes": 3},
            input=[[LOG3, 0.0, 0.0], [LOG3, 0.0, 0.0]],
            target=[0, 2],
            value=(4 * math.log(5 / 4) + 2 * math.log(5 / 2)) / 2,
        ),
        claims=Claims(lipschitz=True),
    )


class SORD(ClassLoss):
    r"""Cross-entropy against soft labels that fall with a grade's distance from the true one.

    .. math:: \ell(x, y) = -\sum_c t_c \log p_c \qquad
        t = \operatorname{softmax}(-\alpha |c - y|^\beta) \qquad p = \operatorname{softmax}(x)

    Shapes: input (N, K, …) and target (N, …) of integers 0 … K − 1, or (K,) and (). Values in
    nats; the least is the entropy of the soft labels, not 0. At power 2 the labels are a Gaussian
    cut to the grades; other code calls them exponential, with 1/alpha as tau.

    Use when: Classes are ordered and near grades are often confused by those who label.
    Avoid when: Probabilities are wanted: `decode` gives the smoothed ones.
    Source: Díaz, Marathe, Soft Labels for Ordinal Regression (2019).

    >>> SORD()(torch.zeros(1, 3), torch.tensor([0]))
    tensor(1.0986)
    """

    function = staticmethod(F.sord)
    classes: OptionalWhole = _GRADES
    alpha: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        search=(1.0, 2.0),
        doc="how fast labels fall. The paper chooses distances a task, with no factor: 1",
    )
    power: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="β, of the distance: 1 is absolute, 2 squared"
    )
    card = Card(
        key="sord",
        tasks=("ordinal",),
        input="logits",
        target="classes",
        # alpha log 3: labels 9/13, 3/13, 1/13; p = 3/5, 1/5, 1/5
        example=Example(
            arguments={"classes": 3, "alpha": LOG3},
            input=[[LOG3, 0.0, 0.0]],
            target=[0],
            value=(9 * math.log(5 / 3) + 4 * math.log(5)) / 13,
        ),
        claims=Claims(convex=True, lipschitz=True),
    )


class BinomialSmoothing(ClassLoss):
    r"""Cross-entropy against binomial soft labels: one peak, at the true grade.

    .. math:: \ell(x, y) = -\sum_c \bigl((1 - \eta) 1[c = y] + \eta b_c\bigr) \log p_c \qquad
        b_c = \binom{K - 1}{c} q^c (1 - q)^{K - 1 - c} \qquad q = 0.1 + \frac{0.8 y}{K - 1}

    Shapes: input (N, K, …) and target (N, …) of integers 0 … K − 1, or (K,) and (). Values in
    nats; the least is the entropy of the labels, not 0. The middle grades are smoothed most.

    Use when: Classes are ordered, and predictions should have one peak.
    Avoid when: Grades are many: the labels spread over about √K of them.
    Source: Liu, Fan, Xie, Song, Zhang, You, Kumar, Unimodal Regularized Neuron Stick-Breaking for
    Ordinal Classification (2020).

    >>> BinomialSmoothing()(torch.zeros(1, 3), torch.tensor([0]))
    tensor(1.0986)
    """

    function = staticmethod(F.binomial_smoothing)
    classes: OptionalWhole = _GRADES
    eta: Real = Real(default=1.0, low=0.0, high=1.0, search=(1.0,), doc="share of the soft labels")
    card = Card(
        key="binomial_smoothing",
        tasks=("ordinal",),
        input="logits",
        target="classes",
        # two trials of 1/10: 81/100, 18/100, 1/100; p = 3/5, 1/5, 1/5
        example=Example(
            arguments={"classes": 3},
            input=[[LOG3, 0.0, 0.0]],
            target=[0],
            value=0.81 * math.log(5 / 3) + 0.19 * math.log(5),
        ),
        claims=Claims(convex=True, lipschitz=True),
    )


class TriangularSmoothing(ClassLoss):
    r"""Cross-entropy against soft labels that give each neighbour of the true grade a little.

    .. math:: \ell(x, y) = -\sum_c \bigl((1 - \eta) 1[c = y] + \eta t_c\bigr) \log p_c \qquad
        t_{y \pm 1} = \alpha, \quad t_y = 1 - \textstyle\sum_{c \ne y} t_c, \quad p =
        \mathrm{softmax}(x)

    Shapes: input (N, K, …) and target (N, …) of integers 0 … K − 1, or (K,) and (). Values in
    nats; the least is the entropy of the labels, not 0.

    The labels are the masses of triangles over the grades; the one neighbour of the first grade and
    that of the last have masses by the authors' formulae, at alpha 0.05 about 0.028 and less.

    Use when: Classes are ordered and only the next grade is confused with the true one.
    Avoid when: Grades farther off are confused; SORD and binomial labels reach them.
    Source: Vargas, Gutiérrez, Barbero-Gómez, Hervás-Martínez, Soft Labelling Based on Triangular
    Distributions for Ordinal Classification (2023).

    >>> TriangularSmoothing()(torch.zeros(1, 3), torch.tensor([0]))
    tensor(1.0986)
    """

    function = staticmethod(F.triangular_smoothing)
    classes: OptionalWhole = _GRADES
    alpha: Real = Real(
        default=0.05,
        low=0.0,
        exclusive=True,
        high=0.2,
        search=(0.05, 0.1),
        doc="mass of each neighbour, the paper's α₂; beyond 2/9 triangles would reach farther",
    )
    eta: Real = Real(default=1.0, low=0.0, high=1.0, search=(1.0,), doc="share of the soft labels")
    card = Card(
        key="triangular_smoothing",
        tasks=("ordinal",),
        input="logits",
        target="classes",
        # p = 3/5, 1/5, 1/5 of the middle grade: 1/8 beside it on both sides
        example=Example(
            arguments={"classes": 3, "alpha": 0.125},
            input=[[0.0, LOG3, 0.0]],
            target=[1],
            value=0.75 * math.log(5 / 3) + 0.25 * math.log(5),
        ),
        claims=Claims(convex=True, lipschitz=True),
    )


class WeightedKappa(ClassHead, Statistic):
    r"""One minus Cohen's weighted kappa of a batch, counted with probabilities.

    .. math:: \ell = \frac{\sum_i w_i \sum_c d(c, y_i) p_{ic}}{\sum_{c, k} d(c, k) P_c Y_k / \sum_i
        w_i} \qquad P_c = \sum_i w_i p_{ic} \qquad Y_k = \sum_i w_i 1[y_i = k]

    with d(c, k) = (c − k)², and p the softmax.

    Shapes: input (N, K, …) and target (N, …) of integers 0 … K − 1, or (K,) and (). A pure number:
    0 where all are right, 1 where predictions are no better than chance. The authors train with
    its logarithm, which has the same minimum.

    It is a statistic of the batch: batches should be large. One in which all are of one grade has
    the value 1 and no gradient.

    Use when: Quadratic weighted kappa is the metric, and batches are large.
    Avoid when: Batches are small, or probabilities are wanted.
    Source: de la Torre, Puig, Valls, Weighted Kappa Loss Function for Multi-Class Classification of
    Ordinal Data in Deep Learning (2018).

    >>> WeightedKappa()(torch.zeros(2, 2), torch.tensor([0, 1]))
    tensor(1.)
    """

    classes: OptionalWhole = _GRADES
    distance: Choice = Choice(
        default="quadratic", choices=("quadratic", "linear"), doc="how a miss grows with distance"
    )
    card = Card(
        key="weighted_kappa",
        tasks=("ordinal",),
        input="logits",
        target="classes",
        # p = 3/5, 1/5, 1/5 and its mirror: seen 1 + 1; by chance (4 4/5 + 2 2/5 + 4 4/5)/2
        example=Example(
            arguments={"classes": 3},
            input=[[LOG3, 0.0, 0.0], [0.0, 0.0, LOG3]],
            target=[0, 2],
            value=5 / 9,
        ),
    )

    def value(self, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """Return the disagreement of the weighted batch over that of chance."""
        input = promote(input)
        like = torch.ones_like(target, dtype=input.dtype)
        weight = like if weight is None else broadcast_weight(weight, like)
        return F.weighted_kappa(
            input, target, weight=weight, distance=self.distance, ignore_index=self.ignore_index
        )
