"""Small losses of a user that keep the contract."""

from typing import Any, ClassVar

from torch import Tensor

from lossmith.core import Batchwise, Card, Claims, Example, Hyper, Paper, Pointwise, reduce
from lossmith.functional.checks import class_logits, flat_rows, product, same_shape
from lossmith.functional.embeddings import unit_rows


class Square(Pointwise):
    card: ClassVar[Card] = Card(
        key="square",
        tasks=("regression",),
        target="values",
        input="values",
        formula="scale (x - y)^2",
        use_when="Testing.",
        avoid_when="Otherwise.",
        paper=Paper(authors="A. Author", title="A Title", year=2000),
        example=Example(input=[1.0, 3.0], target=[1.0, 1.0], value=2.0),
        claims=Claims(convex=True, elicits="mean"),
        hypers={"scale": Hyper(default=1.0, low=0.0, open=True, search=(2.0,), meaning="factor")},
    )

    def __init__(self, *, scale: float = 1.0) -> None:
        super().__init__(scale=scale)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        input, target = same_shape(input, target)
        return (input - target).square() * self.scale.to(input.dtype)


class Softmax(Pointwise):
    card: ClassVar[Card] = Card(
        key="softmax",
        tasks=("multiclass",),
        target="classes",
        input="logits",
        formula="-log softmax(x)_y",
        use_when="Testing.",
        avoid_when="Otherwise.",
        paper=Paper(authors="A. Author", title="A Title", year=2000),
        example=Example(
            input=[[0.0, 0.0]], target=[0], value=0.6931471805599453, arguments={"classes": 2}
        ),
        claims=Claims(convex=True, lipschitz=True, proper=True, elicits="probabilities"),
        hypers={"classes": Hyper(default=None, low=2, meaning="number of classes")},
    )
    classes: int

    def __init__(self, *, classes: int) -> None:
        super().__init__(classes=classes)

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> "Softmax":
        return cls(**{**hypers, "classes": int(target.max()) + 1})

    @property
    def out_features(self) -> int:
        return self.classes

    def decode(self, output: Tensor) -> Tensor:
        return output.softmax(-1)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        logits, target = class_logits(input, target)
        dim = 1 if input.ndim > 1 else 0
        return -logits.log_softmax(dim).gather(dim, target.unsqueeze(dim)).squeeze(dim)


class Views(Pointwise):
    card: ClassVar[Card] = Card(
        key="views",
        tasks=("self_supervised",),
        target="embeddings",
        input="embeddings",
        reduction="coupled",
        symmetric=True,
        formula="-log softmax_j(cos(x_i, y_j))_i",
        use_when="Testing.",
        avoid_when="Otherwise.",
        paper=Paper(authors="A. Author", title="A Title", year=2000),
        example=Example(
            input=[[1.0, 0.0], [0.0, 1.0]], target=[[1.0, 0.0], [0.0, 1.0]], value=0.3132616875
        ),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        input, target = same_shape(input, target)
        input, target = unit_rows(flat_rows(input, dims=2)), unit_rows(flat_rows(target, dims=2))
        return -product(input, target.T).log_softmax(1).diagonal()


class Gap(Batchwise):
    card: ClassVar[Card] = Card(
        key="gap",
        tasks=("gan",),
        target=None,
        input={"real": "scores", "fake": "scores"},
        reduction="statistic",
        formula="mean(fake) - mean(real)",
        use_when="Testing.",
        avoid_when="Otherwise.",
        paper=Paper(authors="A. Author", title="A Title", year=2000),
        example=Example(input={"real": [1.0, 2.0], "fake": [0.0, 1.0]}, target=None, value=-1.0),
    )

    def value(self, input: dict[str, Tensor], target: None, weight: Tensor | None) -> Tensor:
        real, fake = same_shape(input["real"], input["fake"])
        return reduce(fake - real, weight=weight)
