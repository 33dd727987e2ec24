"""Losses by which a student learns from a teacher: its outputs, features and relations."""

import math
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Paper
from lossmith.core.loss import Pointwise
from lossmith.functional.checks import promote
from lossmith.losses.classes import IGNORE
from lossmith.losses.coupled import GATHER

TEMPERATURE = Hyper(default=4.0, low=0.0, open=True, meaning="divides the logits of both")


class Distillation(Pointwise):
    r"""A teacher's softened probabilities, and the true classes beside them.

    .. math:: \ell = \alpha T^2 \, \mathrm{KL} \bigl( \mathrm{softmax}(t / T) \,\|\,
        \mathrm{softmax}(s / T) \bigr) + (1 - \alpha) \, \mathrm{CE}(s, y)

    Shapes: input (N, C) of the student's logits; target a dict of "teacher", (N, C) of logits, and
    "classes", (N,) of integers, which may be left out: then the second term is. Two terms a row,
    in nats. The paper has the cross-entropy of the teacher, which differs by its entropy, a
    constant, and sets no one temperature; 4 and 0.9 are those of mdistiller. T² keeps the size of
    the gradient as T changes.

    Args:
        temperature: divides the logits of both.
        alpha: share of the teacher.
        ignore_index: the class whose rows have weight 0.

    Raises:
        ValueError: if shapes do not fit or a class or hyperparameter is out of range.

    Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network (2015).

    >>> Distillation(alpha=1.0)(torch.zeros(1, 2), {"teacher": torch.zeros(1, 2)})
    tensor(0.)
    """

    temperature: Tensor
    alpha: Tensor
    ignore_index: int
    card: ClassVar[Card] = Card(
        key="distillation",
        tasks=("distillation",),
        target={"teacher": "logits", "classes": "classes"},
        input="logits",
        optional=("classes",),
        formula="alpha T^2 KL(softmax(t/T) || softmax(s/T)) + (1 - alpha) CE(s, y)",
        use_when="A small model should do what a large one does on the same classes.",
        avoid_when="The teacher is sure of everything: its probabilities tell no more than labels.",
        paper=Paper(
            authors="G. Hinton, O. Vinyals, J. Dean",
            title="Distilling the Knowledge in a Neural Network",
            year=2015,
        ),
        # at T = 2 the teacher's logits (2 log 3, 0) are probabilities (3/4, 1/4)
        example=Example(
            arguments={"temperature": 2.0, "alpha": 0.75},
            input=[[0.0, 0.0], [0.0, 0.0]],
            target={"teacher": [[2 * math.log(3), 0.0]] * 2, "classes": [0, 1]},
            value=0.75 * 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5)) + 0.25 * math.log(2),
        ),
        hypers={
            "temperature": TEMPERATURE,
            "alpha": Hyper(default=0.9, low=0.0, high=1.0, meaning="share of the teacher"),
            "ignore_index": IGNORE,
        },
    )

    def __init__(
        self, *, temperature: Number = 4.0, alpha: Number = 0.9, ignore_index: int = -100
    ) -> None:
        super().__init__(temperature=temperature, alpha=alpha, ignore_index=ignore_index)

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


class DKD(Pointwise):
    r"""Distillation in two parts: of the true class against the rest, and among the rest.

    .. math:: \ell = \alpha T^2 \, \mathrm{KL}(b^t \| b^s) + \beta T^2 \, \mathrm{KL}(\hat p^t \|
        \hat p^s)

    b are the probabilities of the true class and of all others together, p̂ those among the others,
    of the logits divided by T.

    Shapes: input (N, C) of the student's logits; target a dict of "teacher", (N, C) of logits, and
    "classes", (N,) of integers. Two terms a row, in nats. With alpha = 1 and beta the teacher's
    probability of all others it is plain distillation. The authors train with cross-entropy
    beside it, and raise its weight over the first epochs: add these.

    Args:
        temperature: divides the logits of both.
        alpha: weight of the true class.
        beta: weight of the others; tuned for each pair of nets; 8 is one of the authors' values.
        ignore_index: the class whose rows have weight 0.

    Raises:
        ValueError: if shapes do not fit or a class or hyperparameter is out of range.

    Source: Zhao, Cui, Song, Qiu, Liang, Decoupled Knowledge Distillation (2022).

    >>> target = {"teacher": torch.zeros(1, 3), "classes": torch.tensor([0])}
    >>> DKD()(torch.zeros(1, 3), target)
    tensor(0.)
    """

    temperature: Tensor
    alpha: Tensor
    beta: Tensor
    ignore_index: int
    card: ClassVar[Card] = Card(
        key="dkd",
        tasks=("distillation",),
        target={"teacher": "logits", "classes": "classes"},
        input="logits",
        formula="alpha T^2 KL(b_t || b_s) + beta T^2 KL(p_t || p_s)",
        use_when="The teacher is sure: plain distillation hides what it knows of wrong classes.",
        avoid_when="Labels are missing, or there are two classes alone.",
        paper=Paper(
            authors="B. Zhao, Q. Cui, R. Song, Y. Qiu, J. Liang",
            title="Decoupled Knowledge Distillation",
            year=2022,
        ),
        # teacher (1/2, 3/8, 1/8), student (1/3, 1/3, 1/3)
        example=Example(
            arguments={"temperature": 1.0, "beta": 2.0},
            input=[[0.0, 0.0, 0.0]],
            target={"teacher": [[math.log(4), math.log(3), 0.0]], "classes": [0]},
            value=0.5 * math.log(3 / 2)
            + 0.5 * math.log(3 / 4)
            + 2 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5)),
        ),
        hypers={
            "temperature": TEMPERATURE,
            "alpha": Hyper(default=1.0, low=0.0, meaning="weight of the true class"),
            "beta": Hyper(default=8.0, low=0.0, meaning="weight of the others"),
            "ignore_index": IGNORE,
        },
    )

    def __init__(
        self,
        *,
        temperature: Number = 4.0,
        alpha: Number = 1.0,
        beta: Number = 8.0,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(temperature=temperature, alpha=alpha, beta=beta, ignore_index=ignore_index)

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

    Raises:
        ValueError: if the shapes of input and target differ.

    Source: Romero, Ballas, Ebrahimi Kahou, Chassang, Gatta, Bengio, FitNets: Hints for Thin Deep
    Nets (2015).

    >>> Hint()(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2))
    tensor(2.5000)
    """

    card: ClassVar[Card] = Card(
        key="hint",
        tasks=("distillation",),
        target="values",
        input="values",
        formula="||s - t||^2 / 2",
        use_when="A deep thin student needs guidance half-way, before it sees labels.",
        avoid_when="The teacher's features are far larger in scale: normalise both first.",
        paper=Paper(
            authors="A. Romero, N. Ballas, S. Ebrahimi Kahou, A. Chassang, C. Gatta, Y. Bengio",
            title="FitNets: Hints for Thin Deep Nets",
            year=2015,
        ),
        example=Example(input=[[1.0, 2.0]], target=[[0.0, 0.0]], value=2.5),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return half the squared distance of each sample."""
        return F.hint(input, target)


class AttentionTransfer(Pointwise):
    r"""Where a student looks, as a teacher does: maps of activity, channels pooled.

    .. math:: \ell = \frac{1}{S} \Bigl\| \frac{a(s)}{\|a(s)\|} - \frac{a(t)}{\|a(t)\|} \Bigr\|^2
        \qquad a(x)_k = \frac{1}{C} \sum_c |x_{ck}|^p

    Shapes: input and target (N, C, …) of features, alike but for C, with S places. One value a
    row. It is the authors' code and mdistiller's, the mean of squares over places; the paper's
    text has the distance itself, whose gradient is unbounded in curvature where maps agree.

    Args:
        p: the power of the activity.

    Raises:
        ValueError: if shapes do not fit or p is below 1.

    Source: Zagoruyko, Komodakis, Paying More Attention to Attention: Improving the Performance of
    Convolutional Neural Networks via Attention Transfer (2017).

    >>> AttentionTransfer()(torch.ones(1, 2, 3), torch.ones(1, 5, 3))
    tensor(0.)
    """

    p: Tensor
    card: ClassVar[Card] = Card(
        key="attention_transfer",
        tasks=("distillation",),
        target="values",
        input="values",
        formula="mean over places of (a(s)/||a(s)|| - a(t)/||a(t)||)^2, a = mean over c of |x|^p",
        use_when="Student and teacher are convolutional and differ in width.",
        avoid_when="Features have no places, or the two see different ones.",
        paper=Paper(
            authors="S. Zagoruyko, N. Komodakis",
            title="Paying More Attention to Attention: Improving the Performance of Convolutional "
            "Neural Networks via Attention Transfer",
            year=2017,
        ),
        # maps (1, 0) and (0, 1)
        example=Example(
            input=[[[1.0, 0.0], [2.0, 0.0]]], target=[[[0.0, 3.0], [0.0, 0.0]]], value=1.0
        ),
        hypers={"p": Hyper(default=2.0, low=1.0, meaning="power of the activity")},
    )

    def __init__(self, *, p: Number = 2.0) -> None:
        super().__init__(p=p)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared gap of each sample's maps."""
        return F.attention_transfer(input, target, p=self.p)


class RKD(Pointwise):
    r"""How a batch's rows lie to each other, as for a teacher: distances and angles.

    .. math:: \ell_i = \lambda_D \frac{1}{N} \sum_j h(d^s_{ij}, d^t_{ij}) + \lambda_A
        \frac{1}{N^2} \sum_{j, k} h(c^s_{ijk}, c^t_{ijk})

    h is the Huber loss with delta 1, d are distances divided by their mean in the batch, and
    c_ijk the cosine at row i of the angle between rows j and k.

    Shapes: input (N, D) of the student's embeddings, target (N, D') of the teacher's. One value a
    row; N³ in memory. Pairs of a row with itself are part of the mean, as in the authors' code.

    Args:
        distance_weight: weight of the distances; the paper's 25.
        angle_weight: weight of the angles; the paper's 50.
        gather: over several processes, whether the batch is that of all ranks.

    Raises:
        ValueError: if shapes do not fit or a weight is negative.

    Source: Park, Kim, Lu, Cho, Relational Knowledge Distillation (2019).

    >>> RKD()(torch.eye(3), 5 * torch.eye(3))
    tensor(0.)
    """

    distance_weight: Tensor
    angle_weight: Tensor
    card: ClassVar[Card] = Card(
        key="rkd",
        tasks=("distillation",),
        target="embeddings",
        input="embeddings",
        reduction="anchors",
        formula="w_D mean_j huber(d_s, d_t) + w_A mean_jk huber(cos_s, cos_t)",
        use_when="Embeddings of another width: only how samples relate can be passed on.",
        avoid_when="Batches are large: all triples of rows are compared.",
        paper=Paper(
            authors="W. Park, D. Kim, Y. Lu, M. Cho",
            title="Relational Knowledge Distillation",
            year=2019,
        ),
        # on a line at 0, 1, 3 and 0, 2, 3: means 2, gaps 1/2 of two pairs twice each; the angles
        # at rows 0 and 2 agree, at row 1 too
        example=Example(
            input=[[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]],
            target=[[0.0, 0.0], [2.0, 0.0], [3.0, 0.0]],
            value=25 * 4 * (0.5**2 / 2) / 9,
        ),
        hypers={
            "distance_weight": Hyper(default=25.0, low=0.0, meaning="weight of the distances"),
            "angle_weight": Hyper(default=50.0, low=0.0, meaning="weight of the angles"),
            "gather": GATHER,
        },
    )

    def __init__(
        self, *, distance_weight: Number = 25.0, angle_weight: Number = 50.0, gather: bool = True
    ) -> None:
        super().__init__(distance_weight=distance_weight, angle_weight=angle_weight, gather=gather)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the gaps of each row's distances and angles."""
        return F.relational_distillation(
            input,
            target,
            distance_weight=self.distance_weight,
            angle_weight=self.angle_weight,
        )
