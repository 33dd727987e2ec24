"""Self-distillation: a student predicts what a teacher, or another view, makes of a sample."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lossmith import functional as F
from lossmith.core.adaptive import State
from lossmith.core.bases import Coupled, Pointwise, SetLoss
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Switch, Whole
from lossmith.core.progress import Progress

STUDENT = Real(
    default=0.1, low=0.0, exclusive=True, doc="τ_s, what the student's logits are divided by"
)
MOMENTUM = Real(default=0.9, low=0.0, high=1.0, doc="the share of the centre that a step keeps")


class NegativeCosine(Pointwise):
    r"""The prediction of one view points where the other view's projection does.

    .. math:: \ell(x, y) = -\frac{x \cdot y}{\lVert x \rVert \lVert y \rVert}

    No gradient flows into the target: the stop-gradient of SimSiam and BYOL is here. The papers'
    symmetrised form is the mean over both directions,
    `loss(torch.cat([p1, p2]), torch.cat([z2, z1]))`. BYOL's loss is 2 + 2 times this one.

    Shapes: input, the predictor's output, and target, the other view's projection, alike (…, D).
    Values from −1 to 1, no unit; a row of zeros has the value 0.

    Use when: SimSiam or BYOL: two views, a predictor, no negatives.
    Avoid when: There is no predictor or slowly moving copy: all embeddings collapse to one.
    Source: Chen, He, Exploring Simple Siamese Representation Learning (2021); Grill et al.,
    Bootstrap Your Own Latent (2020).

    >>> NegativeCosine()(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0]]))
    tensor(-0.6000)
    """

    card = Card(
        key="negative_cosine",
        tasks=("self_supervised",),
        input="embeddings",
        target="embeddings",
        example=Example(input=[[3.0, 4.0]], target=[[1.0, 0.0]], value=-0.6),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return −cos of each row and its target."""
        return F.negative_cosine(input, target.detach())


class DINO(Pointwise):
    r"""Distillation without labels: every view of the student predicts the teacher's global views.

    .. math:: \ell = -\frac{1}{|P|} \sum_{(g, v) \in P} \sum_k
        \operatorname{softmax}\Big(\frac{y_g - c}{\tau_t}\Big)_k
        \log \operatorname{softmax}\Big(\frac{x_v}{\tau_s}\Big)_k
        \qquad P = \{(g, v) : g \ne v\}

    Views are stacked: the teacher's are the student's first, and a view is not compared with
    itself. No gradient flows into the target. The centre c starts at 0; after each step `observe`
    moves it to the mean of the step's teacher logits, the signal "teacher":
    `clock.step(teacher=target)`.

    Shapes: input (N, V, K), the student's logits of all views; target (N, G, K), the teacher's of
    the G global ones. Values in nats.

    Use when: Vision transformers, many crops and a momentum teacher.
    Avoid when: Few views and small batches: the centre and the temperatures need care.
    Source: Caron et al., Emerging Properties in Self-Supervised Vision Transformers (2021).

    >>> loss = DINO(features=2, student_temperature=1.0, teacher_temperature=1.0)
    >>> loss(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2))
    tensor(0.6931)
    """

    features: Whole = Whole(low=1, doc="K, how many logits")
    student_temperature: Real = STUDENT
    teacher_temperature: Real = Real(
        default=0.04,
        low=0.0,
        exclusive=True,
        doc="τ_t; takes a schedule. The paper warms it up from 0.04 to 0.07",
    )
    momentum: Real = MOMENTUM
    card = Card(
        key="dino",
        tasks=("self_supervised",),
        input="logits",
        target="logits",
        # the pair (0, 1) alone: teacher (1/2, 1/2), student softmax(1, 0): log(1 + e) - 1/2
        example=Example(
            input=[[[5.0, 0.0], [1.0, 0.0]]],
            target=[[[0.0, 0.0]]],
            value=0.8132616875182228,
            arguments={"features": 2, "student_temperature": 1.0, "teacher_temperature": 1.0},
        ),
        required_signals=("teacher",),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return a centre at 0."""
        return {"centre": torch.zeros(self.features)}

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy over each sample's pairs of views."""
        _check_features(input, self.features)
        return F.dino(
            input,
            target.detach(),
            self.centre,
            student_temperature=self.student_temperature,
            teacher_temperature=self.teacher_temperature,
        )

    def update(self, progress: Progress) -> State:
        """Move the centre to the mean of the step's teacher logits."""
        return _moved(self.centre, progress.signals["teacher"], self.momentum)


class IBOT(Pointwise):
    r"""Masked patches of the student predict the teacher's, which sees them.

    .. math:: \ell = -\frac{\sum_p m_p \sum_k
        \operatorname{softmax}\big((y_p - c) / \tau_t\big)_k
        \log \operatorname{softmax}(x_p / \tau_s)_k}{\max(1, \sum_p m_p)}

    An image without masked patches has the value 0 and counts, as in the paper's code. iBOT adds
    this to the loss of its class tokens, which is `DINO`. No gradient flows into the target. After
    each step `observe` moves the centre c to the mean of the step's teacher logits of all patches,
    the signal "teacher_patches".

    Shapes: input (N, P, K), the student's logits of P patches; target a dict of "teacher"
    (N, P, K) and "mask" (N, P), 1 where the student's patch was masked. Values in nats.

    Use when: Beside DINO, for features of patches: segmentation, detection, retrieval.
    Avoid when: The network has no tokens that can be masked.
    Source: Zhou et al., iBOT: Image BERT Pre-Training with Online Tokenizer (2022).

    >>> loss = IBOT(features=2, student_temperature=1.0)
    >>> teacher, mask = torch.zeros(1, 2, 2), torch.tensor([[1.0, 0.0]])
    >>> loss(torch.zeros(1, 2, 2), {"teacher": teacher, "mask": mask})
    tensor(0.6931)
    """

    features: Whole = Whole(low=1, doc="K, how many logits")
    student_temperature: Real = STUDENT
    teacher_temperature: Real = Real(
        default=0.07,
        low=0.0,
        exclusive=True,
        doc="τ_t; takes a schedule. The paper's code warms it up from 0.04",
    )
    momentum: Real = MOMENTUM
    card = Card(
        key="ibot",
        tasks=("self_supervised",),
        input="logits",
        target={"teacher": "logits", "mask": "labels"},
        # teacher (1/2, 1/2), student softmax(1, 0): log(1 + e) - 1/2
        example=Example(
            input=[[[1.0, 0.0], [7.0, 0.0]]],
            target={"teacher": [[[0.0, 0.0], [0.0, 0.0]]], "mask": [[1.0, 0.0]]},
            value=0.8132616875182228,
            arguments={"features": 2, "student_temperature": 1.0},
        ),
        required_signals=("teacher_patches",),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return a centre at 0."""
        return {"centre": torch.zeros(self.features)}

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the mean cross-entropy over each image's masked patches."""
        _check_features(input, self.features)
        return F.ibot(
            input,
            target["teacher"].detach(),
            target["mask"],
            self.centre,
            student_temperature=self.student_temperature,
            teacher_temperature=self.teacher_temperature,
        )

    def update(self, progress: Progress) -> State:
        """Move the centre to the mean of the step's teacher logits."""
        return _moved(self.centre, progress.signals["teacher_patches"], self.momentum)


class SwAV(Coupled):
    r"""Swapped assignment: each view predicts the codes of another, balanced over the batch.

    .. math:: \ell_i = -\frac{1}{|P|} \sum_{(g, v) \in P} \sum_k q_{igk}
        \log \operatorname{softmax}\Big(\frac{x_{iv}}{\tau}\Big)_k
        \qquad P = \{(g, v) : g \le A,\ g \ne v\}

    The codes q are Sinkhorn's of the batch's scores exp(x / ε), every prototype used alike; no
    gradient flows through them. They are taken in logarithms: the paper's code overflows at
    scores of 5.

    Shapes: input (N, V, K), cosines of N samples' V views with K prototypes, the A views that give
    codes first; there is no target. Values in nats. Over several processes codes are balanced over
    all ranks: every rank calls the loss. It holds no queue of earlier embeddings.

    Use when: Many crops and prototypes, without a momentum encoder.
    Avoid when: Batches hold far fewer samples than there are prototypes: codes lose meaning.
    Source: Caron et al., Unsupervised Learning of Visual Features by Contrasting Cluster
    Assignments (2020).

    >>> scores = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
    >>> SwAV(temperature=1.0, epsilon=1.0)(scores)
    tensor(0.5822)
    """

    function = staticmethod(F.swav)
    temperature: Real = Real(default=0.1, low=0.0, exclusive=True, doc="τ, of the predictions")
    epsilon: Real = Real(default=0.05, low=0.0, exclusive=True, doc="ε, of the codes")
    iterations: Whole = Whole(default=3, low=1, doc="how often Sinkhorn's iteration balances")
    assigning: Whole = Whole(default=2, low=1, doc="A, how many views give codes")
    card = Card(
        key="swav",
        tasks=("self_supervised",),
        input="scores",
        target=None,
        detached=True,
        # balanced as they are, so q = softmax(1, 0): its entropy log(1 + e) - e/(1 + e)
        example=Example(
            input=[[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]],
            target=None,
            value=0.5822031088882179,
            arguments={"temperature": 1.0, "epsilon": 1.0},
        ),
    )


class MSN(SetLoss):
    r"""Masked siamese networks: masked views fall into the cluster of the whole one, all are used.

    .. math:: \ell = -\frac{1}{NV} \sum_{i, v} \sum_k q_{ik} \log p_{ivk} + \lambda \bigl( \log K -
        H(\bar p) \bigr) \qquad p_{iv} = \mathrm{softmax}\Bigl(\frac{\cos(x_{iv}, w_k)}{\tau}\Bigr)

    with learned prototypes w, clusters q of the target sharpened by p^{1/T} and, if balanced, made
    even over the batch by three of Sinkhorn's iterations; H is the entropy of the mean prediction.

    Shapes: input (N, V, D), V views of N samples, masked or cropped; target (N, D), the whole ones
    of the slowly moving copy, into which no gradient flows. One number of the batch, in nats.
    Terms: cross_entropy and mean_entropy. The prototypes are parameters: give them to the
    optimizer. They start as random directions, the same ones each time; the authors draw them
    uniformly. Their code can add the mean entropy of each prediction, at a weight of 0.

    Use when: Vision transformers with many patches left out, and few labels later.
    Avoid when: Clusters of the data are of very unlike size: it asks for even ones.
    Source: Assran, Caron, Misra, Bojanowski, Bordes, Vincent, Joulin, Rabbat, Ballas, Masked
    Siamese Networks for Label-Efficient Learning (2022).

    >>> loss = MSN(features=2, prototypes=3)
    >>> sorted(loss.terms(torch.ones(4, 2, 2), torch.ones(4, 2)))
    ['cross_entropy', 'mean_entropy']
    """

    features: Whole = Whole(low=1, doc="D, width of the embeddings")
    prototypes: Whole = Whole(default=1024, low=2, doc="K, how many clusters")
    temperature: Real = Real(default=0.1, low=0.0, exclusive=True, doc="τ, divides the cosines")
    sharpening: Real = Real(
        default=0.25, low=0.0, exclusive=True, doc="T; below 1 it makes targets surer"
    )
    mean_entropy: Real = Real(default=1.0, low=0.0, doc="λ, weight of even use")
    balanced: Switch = Switch(default=True, doc="whether targets are made even, as by the authors")
    card = Card(
        key="msn",
        tasks=("self_supervised",),
        input="embeddings",
        target="embeddings",
        learns=True,
        detached=True,
        # rows without a direction: all clusters alike
        example=Example(
            arguments={"features": 2, "prototypes": 3},
            input=[[[0.0, 0.0], [0.0, 0.0]]],
            target=[[0.0, 0.0]],
            value=math.log(3),
        ),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return the prototypes at the start."""
        return {"directions": nn.Parameter(F.init_proxies(self.prototypes, self.features))}

    def value(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the cross-entropy, and how far the clusters are from even use."""
        found = F.msn(
            input,
            target,
            prototypes=self.directions,
            temperature=self.temperature,
            sharpening=self.sharpening,
            balanced=self.balanced,
        )
        uneven = found["mean_entropy"]
        return {**found, "mean_entropy": self.mean_entropy.to(uneven.dtype) * uneven}


def _check_features(input: Tensor, features: int) -> None:
    if input.ndim != 3 or input.shape[2] != features:
        raise ValueError(f"input must be (N, …, {features}), got {tuple(input.shape)}")


def _moved(centre: Tensor, seen: Tensor, momentum: Tensor) -> State:
    """Return a centre moved towards the mean of what was seen."""
    if not seen.numel():
        return {}
    mean = seen.to(centre).flatten(0, -2).mean(0)
    return {"centre": centre.lerp(mean, (1 - momentum).to(centre.dtype))}
