"""Losses by which a student learns from a teacher: its outputs, features and relations."""

import math
from abc import ABC

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Coupled, Pointwise, SetLoss
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Whole
from lossmith.core.loss import Loss, UnknownHeadError
from lossmith.functional.checks import promote
from lossmith.losses._classes import IGNORE

TEMPERATURE = Real(default=4.0, low=0.0, exclusive=True, doc="divides the logits of both")


class StudentLogits(Loss, ABC):
    """One logit a class of a student, as many as its teacher has."""

    @property
    def out_features(self) -> int:
        """UnknownHeadError: the teacher's logits alone tell how many classes there are."""
        raise UnknownHeadError(f"{type(self).__name__} reads as many logits as the teacher has")

    def decode(self, output: Tensor) -> Tensor:
        """Return the softmax of the student's logits: one probability a class."""
        return F.softmax(output)


class Distillation(StudentLogits, Pointwise):
    r"""A teacher's softened probabilities, and the true classes beside them.

    .. math:: \ell = \alpha T^2 \, \mathrm{KL} \bigl( \mathrm{softmax}(t / T) \,\|\,
        \mathrm{softmax}(s / T) \bigr) + (1 - \alpha) \, \mathrm{CE}(s, y)

    Shapes: input (N, C) of the student's logits; target a dict of "teacher", (N, C) of logits, and
    "classes", (N,) of integers, which may be left out: then the second term is. Two terms a row,
    in nats. The paper has the cross-entropy of the teacher, which differs by its entropy, a
    constant, and sets no one temperature; 4 and 0.9 are those of mdistiller. T² keeps the size of
    the gradient as T changes.

    Use when: A small model should do what a large one does on the same classes.
    Avoid when: The teacher is sure of everything: its probabilities tell no more than labels.
    Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network (2015).

    >>> Distillation(alpha=1.0)(torch.zeros(1, 2), {"teacher": torch.zeros(1, 2)})
    tensor(0.)
    """

    temperature: Real = TEMPERATURE
    alpha: Real = Real(default=0.9, low=0.0, high=1.0, doc="share of the teacher")
    ignore_index: Whole = IGNORE
    card = Card(
        key="distillation",
        tasks=("distillation",),
        input="logits",
        target={"teacher": "logits", "classes": "classes"},
        optional=("classes",),
        # at T = 2 the teacher's logits (2 log 3, 0) are probabilities (3/4, 1/4)
        example=Example(
            arguments={"temperature": 2.0, "alpha": 0.75},
            input=[[0.0, 0.0], [0.0, 0.0]],
            target={"teacher": [[2 * math.log(3), 0.0]] * 2, "classes": [0, 1]},
            value=0.75 * 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5)) + 0.25 * math.log(2),
        ),
    )

    def weights(self, target: dict[str, Tensor]) -> Tensor | None:
        """Return weight 0 for rows whose class is ignored, 1 for the others."""
        if "classes" not in target:
            return None
        return F.target_weights(target["classes"], ignore_index=self.ignore_index)

    def values(self, input: Tensor, target: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the teacher and the classes cost in each row."""
        input = promote(input)  # once: two casts would add up gradients in half precision
        soft = F.distillation(input, target["teacher"], temperature=self.temperature)
        alpha = self.alpha.to(soft.dtype)
        terms = {"teacher": alpha * soft}
        if "classes" in target:
            surprise = F.cross_entropy(input, target["classes"], ignore_index=self.ignore_index)
            terms["classes"] = (1 - alpha) * surprise
        return terms


class DKD(StudentLogits, Pointwise):
    r"""Distillation in two parts: of the true class against the rest, and among the rest.

    .. math:: \ell = \alpha T^2 \, \mathrm{KL}(b^t \| b^s) + \beta T^2 \, \mathrm{KL}(\hat p^t \|
        \hat p^s)

    b are the probabilities of the true class and of all others together, p̂ those among the others,
    of the logits divided by T.

    Shapes: input (N, C) of the student's logits; target a dict of "teacher", (N, C) of logits, and
    "classes", (N,) of integers. Two terms a row, in nats. With alpha = 1 and beta the teacher's
    probability of all others it is plain distillation. The authors train with cross-entropy
    beside it, and raise its weight over the first epochs: add these.

    Use when: The teacher is sure: plain distillation hides what it knows of wrong classes.
    Avoid when: Labels are missing, or there are two classes alone.
    Source: Zhao, Cui, Song, Qiu, Liang, Decoupled Knowledge Distillation (2022).

    >>> target = {"teacher": torch.zeros(1, 3), "classes": torch.tensor([0])}
    >>> DKD()(torch.zeros(1, 3), target)
    tensor(0.)
    """

    temperature: Real = TEMPERATURE
    alpha: Real = Real(default=1.0, low=0.0, doc="weight of the true class")
    beta: Real = Real(
        default=8.0,
        low=0.0,
        doc="weight of the others; tuned for each pair of nets; 8 is one of the authors' values",
    )
    ignore_index: Whole = IGNORE
    card = Card(
        key="dkd",
        tasks=("distillation",),
        input="logits",
        target={"teacher": "logits", "classes": "classes"},
        # teacher (1/2, 3/8, 1/8), student (1/3, 1/3, 1/3)
        example=Example(
            arguments={"temperature": 1.0, "beta": 2.0},
            input=[[0.0, 0.0, 0.0]],
            target={"teacher": [[math.log(4), math.log(3), 0.0]], "classes": [0]},
            value=0.5 * math.log(3 / 2)
            + 0.5 * math.log(3 / 4)
            + 2 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5)),
        ),
    )

    def weights(self, target: dict[str, Tensor]) -> Tensor:
        """Return weight 0 for rows whose class is ignored, 1 for the others."""
        return F.target_weights(target["classes"], ignore_index=self.ignore_index)

    def values(self, input: Tensor, target: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what the true class and the others cost in each row."""
        input = promote(input)
        own, others = F.decoupled_distillation(
            input,
            target["teacher"],
            target["classes"],
            temperature=self.temperature,
            ignore_index=self.ignore_index,
        )
        alpha, beta = self.alpha.to(own.dtype), self.beta.to(own.dtype)
        return {"own": alpha * own, "others": beta * others}


class Hint(Pointwise):
    r"""A student's features near a teacher's: half the squared distance.

    .. math:: \ell = \tfrac12 \| s - t \|^2

    Shapes: input (N, …) of the student's features, brought to the teacher's shape by a regressor
    that trains with it; target the teacher's. One value a row: the sum over its features, as in
    the paper; mdistiller has their mean without the half.

    Use when: A deep thin student needs guidance half-way, before it sees labels.
    Avoid when: The teacher's features are far larger in scale: normalise both first.
    Source: Romero, Ballas, Ebrahimi Kahou, Chassang, Gatta, Bengio, FitNets: Hints for Thin Deep
    Nets (2015).

    >>> Hint()(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2))
    tensor(2.5000)
    """

    function = staticmethod(F.hint)
    card = Card(
        key="hint",
        tasks=("distillation",),
        input="values",
        target="values",
        example=Example(input=[[1.0, 2.0]], target=[[0.0, 0.0]], value=2.5),
    )


class AttentionTransfer(Pointwise):
    r"""Where a student looks, as a teacher does: maps of activity, channels pooled.

    .. math:: \ell = \frac{1}{S} \Bigl\| \frac{a(s)}{\|a(s)\|} - \frac{a(t)}{\|a(t)\|} \Bigr\|^2
        \qquad a(x)_k = \frac{1}{C} \sum_c |x_{ck}|^p

    Shapes: input and target (N, C, …) of features, alike but for C, with S places. One value a
    row. It is the authors' code and mdistiller's, the mean of squares over places; the paper's
    text has the distance itself, whose gradient is unbounded in curvature where maps agree.

    Use when: Student and teacher are convolutional and differ in width.
    Avoid when: Features have no places, or the two see different ones.
    Source: Zagoruyko, Komodakis, Paying More Attention to Attention: Improving the Performance of
    Convolutional Neural Networks via Attention Transfer (2017).

    >>> AttentionTransfer()(torch.ones(1, 2, 3), torch.ones(1, 5, 3))
    tensor(0.)
    """

    function = staticmethod(F.attention_transfer)
    p: Real = Real(default=2.0, low=1.0, doc="the power of the activity")
    card = Card(
        key="attention_transfer",
        tasks=("distillation",),
        input="values",
        target="values",
        # maps (1, 0) and (0, 1)
        example=Example(
            input=[[[1.0, 0.0], [2.0, 0.0]]], target=[[[0.0, 3.0], [0.0, 0.0]]], value=1.0
        ),
    )


class RKD(Coupled):
    r"""How a batch's rows lie to each other, as for a teacher: distances and angles.

    .. math:: \ell_i = \lambda_D \frac{1}{N} \sum_j h(d^s_{ij}, d^t_{ij}) + \lambda_A
        \frac{1}{N^2} \sum_{j, k} h(c^s_{ijk}, c^t_{ijk})

    h is the Huber loss with delta 1, d are distances divided by their mean in the batch, and
    c_ijk the cosine at row i of the angle between rows j and k.

    Shapes: input (N, D) of the student's embeddings, target (N, D') of the teacher's. One value a
    row; N³ in memory. Pairs of a row with itself are part of the mean, as in the authors' code.

    Use when: Embeddings of another width: only how samples relate can be passed on.
    Avoid when: Batches are large: all triples of rows are compared.
    Source: Park, Kim, Lu, Cho, Relational Knowledge Distillation (2019).

    >>> RKD()(torch.eye(3), 5 * torch.eye(3))
    tensor(0.)
    """

    function = staticmethod(F.relational_distillation)
    distance_weight: Real = Real(
        default=25.0, low=0.0, doc="weight of the distances; the paper's 25"
    )
    angle_weight: Real = Real(default=50.0, low=0.0, doc="weight of the angles; the paper's 50")
    card = Card(
        key="rkd",
        tasks=("distillation",),
        input="embeddings",
        target="embeddings",
        # on a line at 0, 1, 3 and 0, 2, 3: means 2, gaps 1/2 of two pairs twice each; the angles
        # at rows 0 and 2 agree, at row 1 too
        example=Example(
            input=[[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]],
            target=[[0.0, 0.0], [2.0, 0.0], [3.0, 0.0]],
            value=25 * 4 * (0.5**2 / 2) / 9,
        ),
    )


class SimilarityPreserving(Coupled):
    r"""Rows that are alike for a teacher are alike for the student: inner products of features.

    .. math:: \ell_i = \frac1N \sum_j \Bigl( \frac{g^s_{ij}}{\lVert g^s_i \rVert} - \frac{g^t_{ij}}
        {\lVert g^t_i \rVert} \Bigr)^2 \qquad g_{ij} = f_i \cdot f_j

    Shapes: input (N, …) of the student's features and target (N, …) of the teacher's, each of any
    size a sample. One value a row. The authors train with cross-entropy beside it, and a weight of
    3000.

    Use when: Features of another size: activations of one layer each, without a map between them.
    Avoid when: Batches are small: nothing but pairs within them is passed on.
    Source: Tung, Mori, Similarity-Preserving Knowledge Distillation (2019).

    >>> SimilarityPreserving()(torch.eye(2), torch.ones(2, 3))  # rows (1, 0) against (1, 1)/√2
    tensor(0.2929)
    """

    function = staticmethod(F.similarity_preserving)
    card = Card(
        key="similarity_preserving",
        tasks=("distillation",),
        input="embeddings",
        target="embeddings",
        # of the teacher all rows are alike, of the student none: (1 − 1/√2)² + 1/2, halved
        example=Example(
            input=[[2.0, 0.0], [0.0, 2.0]],
            target=[[1.0, 3.0], [1.0, 3.0]],
            value=((1 - math.sqrt(0.5)) ** 2 + 0.5) / 2,
        ),
    )


class PKT(Coupled):
    r"""The chance that one row picks another, by their cosine, is that of the teacher.

    .. math:: \ell_i = \frac1N \sum_j q_{ij} \log \frac{q_{ij}}{p_{ij}} \qquad p_{ij} = \frac{1 +
        \cos(f_i, f_j)}{\sum_k 1 + \cos(f_i, f_k)}

    q are those of the teacher's features.

    Shapes: input (N, …) of the student's features and target (N, …) of the teacher's, each of any
    size a sample. One value a row. As in the authors' code a row's pair with itself counts, the sum
    is divided by N, and 10⁻⁷ is added to p and q in the logarithm; the paper leaves the pair out,
    and sums.

    Use when: Features of another size: embeddings of the last layer, for retrieval.
    Avoid when: Batches are small: nothing but pairs within them is passed on.
    Source: Passalis, Tefas, Learning Deep Representations with Probabilistic Knowledge Transfer
    (2018).

    >>> PKT()(torch.eye(2), torch.ones(2, 3))  # (2/3, 1/3) against even: log(9/8)/2 each
    tensor(0.0294)
    """

    function = staticmethod(F.probabilistic_transfer)
    card = Card(
        key="pkt",
        tasks=("distillation",),
        input="embeddings",
        target="embeddings",
        # student (2/3, 1/3), teacher even: (log(3/4) + log(3/2))/2, over 2
        example=Example(
            input=[[2.0, 0.0], [0.0, 2.0]],
            target=[[1.0, 3.0], [1.0, 3.0]],
            value=math.log(9 / 8) / 4,
        ),
    )


class DIST(StudentLogits, SetLoss):
    r"""A student's probabilities correlate with a teacher's, along classes and along samples.

    .. math:: \ell = \beta T^2 \Bigl(1 - \frac1N \sum_i \rho(p^s_{i \cdot}, p^t_{i \cdot})\Bigr) +
        \gamma T^2 \Bigl(1 - \frac1C \sum_c \rho(p^s_{\cdot c}, p^t_{\cdot c})\Bigr)

    with Pearson's correlation ρ, and p the softmax of logits divided by T.

    Shapes: input (N, C) of the student's logits, target (N, C) of the teacher's. Two numbers of
    the batch: rows, the relations between classes of a sample, and classes, those between samples
    in a class. The authors train with cross-entropy beside it: add that.

    Use when: The teacher is far stronger than the student: a match of relations asks for less.
    Avoid when: Batches are small, or probabilities themselves must be the teacher's.
    Source: Huang, You, Wang, Qian, Xu, Knowledge Distillation from A Stronger Teacher (2022).

    >>> DIST()(torch.eye(2), torch.eye(2).flip(0))  # both correlations are −1
    tensor(4.)
    """

    temperature: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        doc="divides the logits of both. The paper's for ImageNet; 4 for CIFAR-100",
    )
    beta: Real = Real(
        default=1.0, low=0.0, doc="weight of rows. The paper's for ImageNet; 2 for CIFAR-100"
    )
    gamma: Real = Real(
        default=1.0, low=0.0, doc="weight of classes. The paper's for ImageNet; 2 for CIFAR-100"
    )
    card = Card(
        key="dist",
        tasks=("distillation",),
        input="logits",
        target="logits",
        # students 3/4, 1/4 and 1/4, 3/4; the teacher has both rows alike: correlations 1 and −1,
        # and columns that do not vary
        example=Example(
            arguments={"beta": 2.0, "gamma": 3.0},
            input=[[math.log(3), 0.0], [0.0, math.log(3)]],
            target=[[math.log(3), 0.0], [math.log(3), 0.0]],
            value=2 * 1.0 + 3 * 1.0,
        ),
    )

    def value(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return what the relations within rows and within classes cost."""
        rows, classes = F.correlation_distillation(input, target, temperature=self.temperature)
        beta, gamma = self.beta.to(rows.dtype), self.gamma.to(rows.dtype)
        return {"rows": beta * rows, "classes": gamma * classes}
