"""Label smoothing by what the model itself confuses."""

import math

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.progress import Progress
from lossmith.losses.classes import ClassLoss


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
        needs=("input", "target"),
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

    def update(self, progress: Progress) -> None:
        """Gather a step's correct predictions; where an epoch ends, make soft labels of them."""
        if progress.epoch is None:
            raise ValueError(
                "OnlineLabelSmoothing counts epochs; drive it with "
                "LossScheduler(..., steps_per_epoch=...) or step(epoch=...)"
            )
        input, target = (torch.as_tensor(progress.signals[name]) for name in self.card.needs)
        sums, counts = F.correct_predictions(input, target, ignore_index=self.ignore_index)
        self.sums += sums.to(self.sums)
        self.counts += counts.to(self.counts)
        if progress.epoch <= self.epoch:
            return
        means = self.sums / self.counts.clamp(min=1).unsqueeze(1)
        seen = self.counts.unsqueeze(1) > 0
        self.soft_labels.copy_(torch.where(seen, means, 1 / len(means)))
        self.sums.zero_()
        self.counts.zero_()
        self.epoch.fill_(progress.epoch)
