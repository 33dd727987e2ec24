"""Losses that hold the linear head they train, because their logits are too many to pass on."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.left_out import without_ignored, without_left_out
from lossmith.core.loss import Loss
from lossmith.core.reduce import reduce, spread
from lossmith.functional.checks import check_classes, head_dim, promote
from lossmith.functional.sharded import as_forward, whole
from lossmith.losses.classes import IGNORE

IN_FEATURES = Hyper(default=None, low=1, meaning="width of what the head reads")
CLASSES = Hyper(default=None, low=2, meaning="number of classes")
BIAS = Hyper(default=False, meaning="whether the head has a bias")
CLASS_WEIGHT = Hyper(default=None, low=0.0, meaning="one weight a class")


class LinearHead(Loss, ABC):
    """A loss of classes that holds the linear head which it trains, as the parameters of `head`.

    A subclass states each row's value. The head starts at 0, where all classes are equally likely.
    """

    in_features: int
    classes: int
    bias: bool
    class_weight: Tensor | None
    ignore_index: int

    def __init__(self, **hypers: Any) -> None:
        super().__init__(**hypers)
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
            features, target, weight = without_left_out(features, target, weight)
        check_classes(target.masked_fill(target == self.ignore_index, 0), self.classes)
        own = F.target_weights(target, self.class_weight, ignore_index=self.ignore_index)
        own = own.to(torch.promote_types(self.head.weight.dtype, torch.float32))
        if weight is not None:
            own = own * spread(weight, own)
        features, _ = without_ignored(features, target, own)
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

    Args:
        in_features: width of what the head reads.
        classes: number of classes.
        bias: whether the head has a bias.
        label_smoothing: share of the target spread evenly over all classes.
        z_loss: weight of the squared log-normaliser; None for none.
        softcap: bound of the logits; None for none.
        class_weight: one weight a class.
        ignore_index: the target whose rows are left out.

    Raises:
        TypeError: if the target holds no integers.
        ValueError: if shapes do not fit or a class lies outside the head.

    Source: Wijmans et al., Cut Your Losses in Large-Vocabulary Language Models (2025).

    >>> loss = LinearCrossEntropy(in_features=3, classes=2)
    >>> loss(torch.randn(5, 3), torch.tensor([0, 1, 1, 0, -100]))
    tensor(0.6931, grad_fn=<DivBackward0>)
    """

    label_smoothing: Tensor
    z_loss: Tensor | None
    softcap: Tensor | None
    card: ClassVar[Card] = Card(
        key="linear_cross_entropy",
        tasks=("text",),
        target="classes",
        input="embeddings",
        formula="-log softmax(W h + b)_y",
        use_when="Classes are so many that their logits fill the memory, as in language models.",
        avoid_when="Classes are few: cross_entropy on an ordinary head is as fast.",
        paper=Paper(
            authors="E. Wijmans, B. Huval, A. Hertzberg, V. Koltun, P. Krähenbühl",
            title="Cut Your Losses in Large-Vocabulary Language Models",
            year=2025,
        ),
        example=Example(
            arguments={"in_features": 3, "classes": 2},
            input=[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
            target=[0, 1],
            value=math.log(2),
        ),
        claims=Claims(convex=True, lipschitz=True),
        learns=True,
        hypers={
            "in_features": IN_FEATURES,
            "classes": CLASSES,
            "bias": BIAS,
            "label_smoothing": Hyper(
                default=0.0,
                low=0.0,
                high=1.0,
                meaning="share of the target spread evenly over all classes",
            ),
            "z_loss": Hyper(default=None, low=0.0, meaning="weight of the squared log-normaliser"),
            "softcap": Hyper(default=None, low=0.0, open=True, meaning="bound of the logits"),
            "class_weight": CLASS_WEIGHT,
            "ignore_index": IGNORE,
        },
    )

    def __init__(
        self,
        *,
        in_features: int,
        classes: int,
        bias: bool = False,
        label_smoothing: Number = 0.0,
        z_loss: Number | None = None,
        softcap: Number | None = None,
        class_weight: Sequence[float] | None = None,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(
            in_features=in_features,
            classes=classes,
            bias=bias,
            label_smoothing=label_smoothing,
            z_loss=z_loss,
            softcap=softcap,
            class_weight=class_weight,
            ignore_index=ignore_index,
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
