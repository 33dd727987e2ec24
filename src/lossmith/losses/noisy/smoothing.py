"""Targets softened by what the model itself believed before."""

import math

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import State
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real, Whole
from lossmith.core.progress import Progress
from lossmith.functional.checks import check_range, promote
from lossmith.losses._classes import IGNORE, LOG3, ClassLoss


class OnlineLabelSmoothing(ClassLoss):
    r"""Cross-entropy, half of it against soft labels: the mean correct predictions of an epoch.

    .. math:: \ell(x, y) = -\alpha \log p_y - (1 - \alpha) \sum_c S_{yc} \log p_c
        \qquad p = \mathrm{softmax}(x)

    with S_y the mean of p over the samples of class y which the model predicted right in the epoch
    before; uniform in the first epoch, and where it predicted none right.

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in nats.

    The soft labels are state: `observe` with the signals `input` and `target` of each step gathers
    correct predictions, and renews the labels where an epoch ends. Drive it with epochs:
    `LossScheduler(..., steps_per_epoch=...)` or `step(epoch=...)`. `decode` is the softmax.

    The authors' code for CIFAR has alpha = 0.5, and soft labels of 0 in the first epoch; their
    code for fine-grained classes starts uniformly, weighs both parts by 1, and stops renewing a
    class whose largest soft label reached 0.88.

    Use when: Classes are many and resemble one another, and the model is overconfident.
    Avoid when: Probabilities must be calibrated: its own minimum is smoothed.
    Source: Zhang, Jiang, Hou, Wei, Han, Li, Cheng, Delving Deep into Label Smoothing (2021).

    >>> loss = OnlineLabelSmoothing(classes=2)
    >>> seen = {"input": torch.tensor([[2.0, 0.0]]), "target": torch.tensor([0])}
    >>> loss.observe(Progress(step=1, epoch=1, signals=seen))
    >>> loss.soft_labels
    tensor([[0.8808, 0.1192],
            [0.5000, 0.5000]])
    """

    function = staticmethod(F.online_label_smoothing)
    alpha: Real = Real(
        default=0.5, low=0.0, high=1.0, doc="weight of the given label; 1 is cross-entropy"
    )
    card = Card(
        key="online_label_smoothing",
        tasks=("multiclass",),
        input="logits",
        target="classes",
        # probabilities 3/4 and 1/4: the given label, and uniform ones in the first epoch
        example=Example(
            arguments={"classes": 2, "alpha": 0.8},
            input=[[math.log(3), 0.0]],
            target=[0],
            value=-0.9 * math.log(3 / 4) - 0.1 * math.log(1 / 4),
        ),
        claims=Claims(convex=True, lipschitz=True),
        required_signals=("input", "target"),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return even soft labels, and an epoch in which nothing was seen."""
        width = self.out_features
        return {
            "soft_labels": torch.full((width, width), 1 / width),
            "sums": torch.zeros(width, width),
            "counts": torch.zeros(width),
            "epoch": torch.zeros((), dtype=torch.int64),
        }

    def update(self, progress: Progress) -> State:
        """Gather a step's correct predictions; where an epoch ends, make soft labels of them."""
        if progress.epoch is None:
            raise ValueError(
                "OnlineLabelSmoothing counts epochs; drive it with "
                "LossScheduler(..., steps_per_epoch=...) or step(epoch=...)"
            )
        input, target = (
            torch.as_tensor(progress.signals[name]) for name in self.card.required_signals
        )
        sums, counts = F.correct_predictions(input, target, ignore_index=self.ignore_index)
        sums, counts = self.sums + sums.to(self.sums), self.counts + counts.to(self.counts)
        if progress.epoch <= self.epoch:
            return {"sums": sums, "counts": counts}
        means = sums / counts.clamp(min=1).unsqueeze(1)
        seen = counts.unsqueeze(1) > 0
        return {
            "soft_labels": torch.where(seen, means, 1 / len(means)),
            "sums": torch.zeros_like(sums),
            "counts": torch.zeros_like(counts),
            "epoch": torch.as_tensor(progress.epoch),
        }


class EarlyLearning(Pointwise):
    r"""Cross-entropy that is drawn towards a running mean of each sample's own predictions (ELR).

    .. math:: \ell(x, y) = -\log p_y + \lambda \log (1 - m^\top p) \qquad
        m = \beta m' + (1 - \beta) p, \quad p = \mathrm{softmax}(x)

    Shapes: input (N, C); target a dict of `classes` (N,) and `indices` (N,), the place of each
    sample in the training data. Values in nats, below 0 where the memory is sure.

    The memory m is constant in the gradient. It is state: `forward` mixes the present prediction
    into what is remembered and leaves the memory as it is, `observe` with the signals `logits`
    and `indices` of the step writes it. So values and gradients are those of the authors' code,
    which writes while it computes. As there, p is held within 10⁻⁴ of 0 and 1. Defaults are the
    authors' for CIFAR-10.

    Use when: Many labels are wrong and each sample is seen many times.
    Avoid when: Samples are seen once, or have no index that stays.
    Source: Liu, Niles-Weed, Razavian, Fernandez-Granda, Early-Learning Regularization Prevents
    Memorization of Noisy Labels (2020).

    >>> loss = EarlyLearning(samples=10, classes=2, lambda_=0.0)
    >>> loss(torch.zeros(1, 2), {"classes": torch.tensor([1]), "indices": torch.tensor([7])})
    tensor(0.6931)
    """

    samples: Whole = Whole(low=1, doc="number of training samples, the rows of the memory")
    classes: Whole = Whole(low=2, doc="number of classes")
    beta: Real = Real(
        default=0.7, low=0.0, high=1.0, doc="how much of the memory stays at each step"
    )
    lambda_: Real = Real(default=3.0, low=0.0, doc="factor of the regularizer")
    ignore_index: Whole = IGNORE
    card = Card(
        key="early_learning",
        tasks=("multiclass",),
        input="logits",
        target={"classes": "classes", "indices": "indices"},
        example=Example(
            # the memory is empty: m.p = (9 + 1)/16/2
            arguments={"samples": 16, "classes": 2, "beta": 0.5, "lambda_": 2.0},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target={"classes": [0, 1], "indices": [3, 8]},
            value=-(math.log(3 / 4) + math.log(1 / 4)) / 2 + 2 * math.log(1 - 5 / 16),
        ),
        required_signals=("logits", "indices"),
        detached=True,
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return an empty memory."""
        return {"memory": torch.zeros(self.samples, self.classes)}

    @property
    def out_features(self) -> int:
        """The number of classes."""
        return int(self.memory.shape[1])

    def values(self, input: Tensor, target: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the cross-entropy of each sample and its pull towards the memory."""
        input, classes, indices = promote(input), target["classes"], target["indices"]
        indices = self._checked(input, classes, indices)
        surprise = F.cross_entropy(input, classes, ignore_index=self.ignore_index)
        pull = F.early_learning(input, self.memory[indices], beta=self.beta)
        return {"cross_entropy": surprise, "early_learning": self.lambda_.to(pull.dtype) * pull}

    def weights(self, target: dict[str, Tensor]) -> Tensor:
        """Return weight 0 for ignored samples, 1 for the others."""
        return F.target_weights(target["classes"], ignore_index=self.ignore_index)

    def update(self, progress: Progress) -> State:
        """Mix a step's predictions into the memory of its samples."""
        logits, indices = (
            torch.as_tensor(progress.signals[name]) for name in self.card.required_signals
        )
        p = F.held_probabilities(logits).to(self.memory)
        rows = indices.long().to(self.memory.device)
        beta = self.beta.to(self.memory.dtype)
        return {"memory": (rows, F.mixed_memory(self.memory[rows], p, beta=beta))}

    def decode(self, output: Tensor) -> Tensor:
        """Return the softmax: one probability a class."""
        return F.softmax(output)

    def _checked(self, input: Tensor, classes: Tensor, indices: Tensor) -> Tensor:
        """Return the indices as what tensors are indexed by: of uint8 they would be a mask."""
        samples, width = self.memory.shape
        rows = classes.shape == indices.shape and classes.ndim == 1
        if not rows or input.shape != (*classes.shape, width):
            raise ValueError(
                f"input has shape {tuple(input.shape)}, classes {tuple(classes.shape)} and indices "
                f"{tuple(indices.shape)}; they must be (N, {width}), (N,) and (N,)"
            )
        if indices.is_floating_point() or indices.dtype == torch.bool:
            raise TypeError(f"indices must hold integers, got {indices.dtype}; use .long()")
        indices = indices.long()
        check_range(
            indices,
            0,
            samples - 1,
            f"indices holds a place outside 0 … {samples - 1}, the memory's {samples} samples",
        )
        return indices
