"""Losses that hold the linear head they train: all of its logits at once, or a sample."""

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Choice, OptionalReal, PerClass, Real, Switch, Whole
from lossmith.core.loss import Loss
from lossmith.core.progress import Progress
from lossmith.core.reduce import broadcast_weight, reduce
from lossmith.core.zero_weight import mask_ignored, mask_zero_weight
from lossmith.functional.checks import beside, check_classes, head_dim, promote
from lossmith.functional.classification.sharded import as_forward, whole
from lossmith.losses._classes import IGNORE, check_counts

IN_FEATURES = Whole(low=1, doc="width of what the head reads")
CLASSES = Whole(low=2, doc="number of classes")
BIAS = Switch(default=False, doc="whether the head has a bias")
CLASS_WEIGHT = PerClass(default=None, low=0.0, doc="one weight a class")


class LinearHead(Loss, ABC):
    """A loss of classes that holds the linear head which it trains, as the parameters of `head`.

    A subclass states each row's value. The head starts at 0, where all classes are equally likely.
    """

    in_features: Whole = IN_FEATURES
    classes: Whole = CLASSES
    bias: Switch = BIAS
    class_weight: PerClass = CLASS_WEIGHT
    ignore_index: Whole = IGNORE

    def __post_init__(self) -> None:
        self.head = nn.Linear(self.in_features, self.classes, self.bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the head to 0, and what else changes to what it is at the start."""
        super().reset_parameters()
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    @property
    def out_features(self) -> int:
        """The width of what the head reads."""
        return self.in_features

    def decode(self, output: Tensor) -> Tensor:
        """Return probabilities: the softmax of the head's logits, in the last dimension."""
        return promote(self.logits(output)).softmax(-1)

    def logits(self, output: Tensor) -> Tensor:
        """Return the head's logits, in the last dimension."""
        weight, bias = whole(self.head.weight), whole(self.head.bias)
        return linear(output.to(weight.dtype), weight, bias)

    @abstractmethod
    def row_values(self, input: Tensor, target: Tensor, row_weight: Tensor) -> Tensor:
        """Return each row's value; row_weight is what they will weigh."""

    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted mean of the rows' values under the loss's key."""
        input, target, weight = whole(input), whole(target), whole(weight)
        features = input.movedim(-1, head_dim(input))  # where other losses have their head
        if weight is not None:
            features, target, weight = mask_zero_weight(features, target, weight)
        check_classes(target.masked_fill(target == self.ignore_index, 0), self.classes)
        own = F.target_weights(target, self.class_weight, ignore_index=self.ignore_index)
        own = own.to(torch.promote_types(self.head.weight.dtype, torch.float32))
        if weight is not None:
            own = own * broadcast_weight(weight, own)
        features, _ = mask_ignored(features, target, own)
        features = features.movedim(head_dim(features), -1)
        values = as_forward(self.head, lambda rows: self.row_values(rows, target, own), features)
        return {self.card.key: reduce(values, weight=own, denominator=denominator)}


class LinearCrossEntropy(LinearHead):
    r"""Softmax cross-entropy of a linear head that the loss holds itself, for very many classes.

    .. math:: \ell(h, y) = -\sum_c t_c \log p_c + z \Bigl(\log \sum_c e^{x_c}\Bigr)^2 \qquad
        p = \mathrm{softmax}(x) \qquad x = s \tanh\frac{W h + b}{s}

    with t_c = (1 − label_smoothing)·1[c = y] + label_smoothing/C, and without the tanh where
    softcap s is None. The logits of all rows are never in memory at once; time is that of three
    matrix products. See `functional.linear_cross_entropy`.

    Shapes: input (…, in_features), what the head reads, and target (…) of integers. Values in
    nats. Class weights multiply a row's whole value and enter the weighted mean as its weight.

    `head` is an `nn.Linear`: pass the loss's parameters to the optimizer with the model's, and
    wrap model and loss as one module for DistributedDataParallel. It starts at 0, where all classes
    are equally likely. To tie it to an embedding, assign `loss.head.weight = embedding.weight`.
    `decode` gives probabilities.

    Use when: Classes are so many that their logits fill the memory, as in language models.
    Avoid when: Classes are few: cross_entropy on an ordinary head is as fast.
    Source: Wijmans et al., Cut Your Losses in Large-Vocabulary Language Models (2025).

    >>> loss = LinearCrossEntropy(in_features=3, classes=2)
    >>> loss(torch.randn(5, 3), torch.tensor([0, 1, 1, 0, -100]))
    tensor(0.6931, grad_fn=<DivBackward0>)
    """

    label_smoothing: Real = Real(
        default=0.0, low=0.0, high=1.0, doc="share of the target spread evenly over all classes"
    )
    z_loss: OptionalReal = OptionalReal(
        default=None, low=0.0, doc="weight of the squared log-normaliser; None for none"
    )
    softcap: OptionalReal = OptionalReal(
        default=None, low=0.0, exclusive=True, doc="bound of the logits; None for none"
    )
    card = Card(
        key="linear_cross_entropy",
        tasks=("text",),
        input="embeddings",
        target="classes",
        example=Example(
            arguments={"in_features": 3, "classes": 2},
            input=[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
            target=[0, 1],
            value=math.log(2),
        ),
        claims=Claims(convex=True, lipschitz=True),
        learns=True,
    )

    def logits(self, output: Tensor) -> Tensor:
        """Return the head's logits within the softcap, in the last dimension."""
        logits = super().logits(output)
        return logits if self.softcap is None else F.softcapped(logits, softcap=self.softcap)

    def row_values(self, input: Tensor, target: Tensor, row_weight: Tensor) -> Tensor:
        """Return the cross-entropy of each row."""
        return F.linear_cross_entropy(
            input,
            self.head.weight,
            target,
            bias=self.head.bias,
            label_smoothing=self.label_smoothing,
            z_loss=self.z_loss,
            softcap=self.softcap,
            row_weight=row_weight,
            ignore_index=self.ignore_index,
        )


class SampledLinearCrossEntropy(LinearHead):
    r"""Softmax cross-entropy of a linear head over a sample of its classes, corrected by log Q.

    .. math:: \ell(h, y) = -\log \frac{e^{x_y - \log Q_y}}{e^{x_y - \log Q_y}
        + \sum_{s \in S, s \ne y} e^{x_s - \log Q_s}} \qquad x = W h + b

    with S the classes drawn for all rows of a step, without replacement, and Q how often a class is
    drawn on average. A row's own class counts once, drawn or not. The sample is drawn anew at each
    step that `observe` tells of, the same for a step on every rank and in every run: drive the
    loss with a `LossScheduler`, or the sample of step 0 stays. In evaluation, after `.eval()`, the
    value is the full cross-entropy of `LinearCrossEntropy`.

    Bias: the value is not an estimate of the full one, which it underestimates; what it teaches is
    the full softmax, which is its minimum: exactly so where classes are drawn uniformly, nearly so
    otherwise. With `correct_target=False` the value estimates the full one, less about half the
    relative variance of the estimated normaliser, but what it teaches is overconfident where
    classes are likelier than they are drawn. Both biases vanish as samples grow to classes.
    docs/sampled.md has measurements.

    Shapes: input (…, in_features), what the head reads, and target (…) of integers. Values in
    nats. Computed in float32 or float64, also under autocast. Class weights multiply a row's whole
    value and enter the weighted mean as its weight. Memory grows with the rows and the samples, not
    the classes, but for the head itself and its gradient: dense, it is as large as the head;
    `sparse=True` gives one of the rows drawn alone, which SGD, Adagrad and SparseAdam take.

    `head` is an `nn.Linear`, tied and trained as that of `LinearCrossEntropy`.

    Use when: Classes are a million and more: the time of all their logits cannot be had.
    Avoid when: The full cross-entropy fits in time: linear_cross_entropy has no bias.
    Source: Bengio & Senécal, Adaptive Importance Sampling to Accelerate Training of a Neural
    Probabilistic Language Model (2008); Jean, Cho, Memisevic, Bengio, On Using Very Large Target
    Vocabulary for Neural Machine Translation (2015); the correction in retrieval: Yi et al.,
    Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations (2019).

    >>> loss = SampledLinearCrossEntropy(in_features=3, classes=1_000_000, samples=99)
    >>> loss(torch.randn(5, 3), torch.tensor([0, 7, 70, 700, -100]))
    tensor(4.6052, grad_fn=<DivBackward0>)
    """

    samples: Whole = Whole(default=8192, low=1, doc="how many classes are drawn for a step")
    distribution: Choice = Choice(
        default="uniform",
        choices=("uniform", "log_uniform"),
        doc='"uniform", or "log_uniform" for classes sorted from frequent to rare, which is '
        "TensorFlow's default",
    )
    counts: PerClass = PerClass(
        default=None,
        low=0.0,
        exclusive=True,
        doc="numbers in proportion to which classes are drawn instead, such as how often each "
        "occurs in training",
    )
    correct_target: Switch = Switch(
        default=True, doc="whether the target's own logit is corrected too, as TensorFlow does"
    )
    seed: Whole = Whole(default=0, low=0, doc="of the draws")
    sparse: Switch = Switch(
        default=False, doc="whether the gradient of the head's weight is a sparse tensor"
    )
    card = Card(
        key="sampled_linear_cross_entropy",
        tasks=("text",),
        input="embeddings",
        target="classes",
        # each of three classes once: two are drawn, whose rows have one rival, the other has two
        example=Example(
            arguments={"in_features": 3, "classes": 3, "samples": 2, "counts": [1.0, 1.0, 1.0]},
            input=[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]],
            target=[0, 1, 2],
            value=(2 * math.log(2) + math.log(3)) / 3,
        ),
        claims=Claims(convex=True, lipschitz=True),
        learns=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        with torch.device("cpu"):  # where classes are drawn
            self.register_buffer("cumulative", self._cumulative(), persistent=False)
            time = F.drawing_time(self.cumulative, self.samples)
            self.register_buffer("time", torch.tensor(time).double(), persistent=False)
            self.register_buffer("drawn", self._draw(0))

    def row_values(self, input: Tensor, target: Tensor, row_weight: Tensor) -> Tensor:
        """Return the sampled cross-entropy of each row, the full one in evaluation."""
        weight, bias, ignored = self.head.weight, self.head.bias, self.ignore_index
        if not self.training:
            return F.linear_cross_entropy(
                input, weight, target, bias=bias, row_weight=row_weight, ignore_index=ignored
            )
        known = target.long().clamp(0, self.classes - 1)
        return F.sampled_linear_cross_entropy(
            input,
            weight,
            target,
            self.drawn,
            expected=self._expected(self.drawn),
            target_expected=self._expected(known) if self.correct_target else None,
            bias=bias,
            sparse=self.sparse,
            ignore_index=ignored,
        )

    def observe_self(self, progress: Progress) -> None:
        """Draw the sample of a step."""
        super().observe_self(progress)
        self.drawn.copy_(self._draw(progress.step))

    def _draw(self, step: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        return F.draw_classes(
            self.cumulative.cpu(), self.samples, float(self.time), generator=generator
        )

    def _expected(self, classes: Tensor) -> Tensor:
        """Return how often classes are drawn on average."""
        sums = beside(self.cumulative, classes)
        share = sums[classes + 1] - sums[classes]
        return -torch.expm1(-share * self.time)

    def _cumulative(self) -> Tensor:
        """Return the shares by which classes are drawn, summed up from 0 to 1."""
        name = type(self).__name__
        if self.counts is not None:
            if check_counts(name, self.counts) != self.classes:
                raise ValueError(
                    f"{name}: counts has {len(self.counts)} numbers for {self.classes} classes; "
                    "give one a class"
                )
            counts = self.counts.cpu()
            sums = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        else:
            sums = torch.arange(self.classes + 1, dtype=torch.float64)
            sums = sums.log1p() if self.distribution == "log_uniform" else sums
        return sums / sums[-1]
