"""Losses that hold the linear head they train, because their logits are too many to pass on."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Loss
from lossmith.core.reduce import reduce, spread
from lossmith.losses.classes import IGNORE


class LinearCrossEntropy(Loss):
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
        z_loss: weight of the squared log-normaliser.
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

    in_features: int
    classes: int
    bias: bool
    label_smoothing: Tensor
    z_loss: Tensor
    softcap: Tensor | None
    class_weight: Tensor | None
    ignore_index: int
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
            "in_features": Hyper(default=None, low=1, meaning="width of what the head reads"),
            "classes": Hyper(default=None, low=2, meaning="number of classes"),
            "bias": Hyper(default=False, meaning="whether the head has a bias"),
            "label_smoothing": Hyper(
                default=0.0,
                low=0.0,
                high=1.0,
                meaning="share of the target spread evenly over all classes",
            ),
            "z_loss": Hyper(default=0.0, low=0.0, meaning="weight of the squared log-normaliser"),
            "softcap": Hyper(default=None, low=0.0, open=True, meaning="bound of the logits"),
            "class_weight": Hyper(default=None, low=0.0, meaning="one weight a class"),
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
        z_loss: Number = 0.0,
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
        self.head = nn.Linear(self.in_features, self.classes, self.bias)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    @property
    def out_features(self) -> int:
        """The width of what the head reads."""
        return self.in_features

    def decode(self, output: Tensor) -> Tensor:
        """Return probabilities: the softmax of the head's logits, in the last dimension."""
        logits = self.head(output.to(self.head.weight.dtype))
        if self.softcap is not None:
            cap = self.softcap.to(logits.dtype)
            logits = cap * (logits / cap).tanh()
        return logits.softmax(-1)

    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted mean of the rows' values under the loss's key."""
        own = F.target_weights(target, self.class_weight, ignore_index=self.ignore_index)
        own = own.to(self.head.weight.dtype)
        if weight is not None:
            own = own * spread(weight, own)
        values = F.linear_cross_entropy(
            input,
            self.head.weight,
            target,
            bias=self.head.bias,
            label_smoothing=self.label_smoothing,
            z_loss=self.z_loss,
            softcap=self.softcap,
            row_weight=own,
            ignore_index=self.ignore_index,
        )
        return {self.card.key: reduce(values, weight=own, denominator=denominator)}
