"""Small losses of a user that keep the contract."""

from typing import Any

from torch import Tensor

from lossmith.core import Card, Claims, Coupled, Example, Pointwise, Real, Statistic, Whole, reduce
from lossmith.core.bases import ALL
from lossmith.functional.checks import (
    class_logits,
    flat_rows,
    matmul_full_precision,
    promote,
    same_shape,
)
from lossmith.functional.embeddings import unit_rows


class Square(Pointwise):
    scale: Real = Real(default=1.0, low=0.0, exclusive=True, search=(2.0,), doc="factor")
    card = Card(
        key="square",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[1.0, 3.0], target=[1.0, 1.0], value=2.0),
        claims=Claims(convex=True, elicits="mean"),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        input, target = same_shape(input, target)
        return (input - target).square() * self.scale.to(input.dtype)


class Softmax(Pointwise):
    classes: Whole = Whole(low=2, doc="number of classes")
    card = Card(
        key="softmax",
        tasks=("multiclass",),
        input="logits",
        target="classes",
        example=Example(
            input=[[0.0, 0.0]], target=[0], value=0.6931471805599453, arguments={"classes": 2}
        ),
        claims=Claims(convex=True, lipschitz=True, proper=True, elicits="probabilities"),
    )

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> "Softmax":
        return cls(**{**hypers, "classes": int(target.max()) + 1})

    @property
    def out_features(self) -> int:
        return self.classes

    def decode(self, output: Tensor) -> Tensor:
        return promote(output).softmax(-1)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        logits, target = class_logits(input, target)
        dim = 1 if input.ndim > 1 else 0
        return -logits.log_softmax(dim).gather(dim, target.unsqueeze(dim)).squeeze(dim)


class Views(Coupled):
    card = Card(
        key="views",
        tasks=("self_supervised",),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        example=Example(
            input=[[1.0, 0.0], [0.0, 1.0]], target=[[1.0, 0.0], [0.0, 1.0]], value=0.3132616875
        ),
    )

    def values(self, input: Tensor, target: Tensor, own: slice = ALL) -> Tensor:
        input, target = same_shape(input, target)
        input, target = unit_rows(flat_rows(input, dims=2)), unit_rows(flat_rows(target, dims=2))
        return -matmul_full_precision(input, target.T).log_softmax(1).diagonal()[own]


class Gap(Statistic):
    card = Card(
        key="gap",
        tasks=("gan",),
        input={"real": "scores", "fake": "scores"},
        target=None,
        example=Example(input={"real": [1.0, 2.0], "fake": [0.0, 1.0]}, target=None, value=-1.0),
    )

    def value(self, input: dict[str, Tensor], target: None, weight: Tensor | None) -> Tensor:
        real, fake = same_shape(input["real"], input["fake"])
        return reduce(fake - real, weight=weight)
