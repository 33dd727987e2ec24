"""The card: the frozen facts of a loss, from which tests, listings and documentation follow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from torch import Tensor

Task = Literal[
    "regression",
    "binary",
    "multiclass",
    "ordinal",
    "multilabel",
    "survival",
    "ranking",
    "segmentation",
    "detection",
    "image",
    "audio",
    "metric_learning",
    "self_supervised",
    "gan",
    "diffusion",
    "autoencoder",
    "text",
    "preference",
    "distillation",
    "transfer",
    "divergence",
]
# What one tensor holds. Any real number: values, logits, parameters of a distribution, scores,
# embeddings. Within bounds: log_probabilities (at most 0), probabilities (of dimension 1, summing
# to 1), labels (0 to 1), positive, counts (0, 1, 2 …), boxes (x1, y1, x2, y2 of dimension 1).
# Integers: classes, indices (all different).
Kind = Literal[
    "values",
    "logits",
    "parameters",
    "scores",
    "embeddings",
    "log_probabilities",
    "probabilities",
    "labels",
    "positive",
    "counts",
    "boxes",
    "classes",
    "indices",
]
Kinds = Kind | Mapping[str, Kind]
Reduction = Literal["mean", "anchors", "statistic", "set"]
_HEADS = frozenset({"regression", "binary", "multiclass", "ordinal"})
Elicits = Literal["mean", "median", "quantile", "expectile", "mode", "probabilities", "balanced"]


@dataclass(frozen=True, kw_only=True)
class Hyper:
    """One hyperparameter: its default, the open or closed range it may take, what a study tries.

    `low` and `high` are inclusive unless `open` is true. `search` lists the values that a study
    tries; empty means the default only. A default of None marks a value that must be given or
    is fitted to the targets by `for_target`. `several` allows a list of real numbers for one;
    `fixed` is what is read once, when the loss is built, so that no schedule can move it.
    `infinite` allows ±infinity, where the formula has a limit. `choices` lists the texts that are
    allowed; the suite tries each.
    """

    default: Any
    meaning: str
    low: float | None = None
    high: float | None = None
    open: bool = False
    search: tuple[Any, ...] = ()
    several: bool = False
    fixed: bool = False
    infinite: bool = False
    choices: tuple[str, ...] = ()

    def check_type(self, owner: str, name: str, value: Any) -> None:
        """Raise unless a value is of the default's kind: switch, whole number, text of the choices.

        Raises:
            TypeError: if it is of another kind.
            ValueError: if it is a text that is none of the choices.
        """
        kind = type(self.default)
        wrong = kind in (bool, int, str) and type(value) is not kind
        if wrong or (kind is float and isinstance(value, (str, type(None)))):
            wanted = {bool: "True or False", int: "a whole number", str: "text", float: "a number"}
            raise TypeError(f"{owner}: {name} must be {wanted[kind]}, got {value!r}")
        if self.choices and value not in self.choices:
            raise ValueError(f"{owner}: {name} must be {self.range}, got {value!r}")

    def check(self, owner: str, name: str, value: float) -> None:
        """Raise ValueError when a number lies outside the range, or is infinite and must not."""
        if not self._inside(value) or (abs(value) == math.inf and not self.infinite):
            raise ValueError(f"{owner}: {name} must be in {self.range}, got {value}")

    def holds(self, numbers: Tensor) -> Tensor:
        """Return whether all numbers lie within the range, as a 0-dim tensor."""
        return self._inside(numbers).all()

    def _inside(self, number: Any) -> Any:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if self.open:
            return (low < number) & (number < high)
        return (low <= number) & (number <= high)

    @property
    def range(self) -> str:
        """The range as text, for errors and listings."""
        if self.choices:
            return " or ".join(repr(choice) for choice in self.choices)
        left, right = ("(", ")") if self.open else ("[", "]")
        ends = ("[-inf", "inf]") if self.infinite else ("(-inf", "inf)")
        low = ends[0] if self.low is None else f"{left}{self.low:g}"
        high = ends[1] if self.high is None else f"{self.high:g}{right}"
        return f"{low}, {high}"


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a loss claims of its values as a function of its input; every field has a test.

    convex: in the input. lipschitz: the gradient is bounded. bounded: the values are bounded.
    proper: expected value is least at the true probabilities or distribution. elicits: the
    functional of the target that the decoded minimiser gives.
    """

    convex: bool = False
    lipschitz: bool = False
    bounded: bool = False
    proper: bool = False
    elicits: Elicits | None = None


@dataclass(frozen=True, kw_only=True)
class Paper:
    """Where a loss comes from."""

    authors: str
    title: str
    year: int


@dataclass(frozen=True, kw_only=True)
class Example:
    """A worked value: constructor arguments, input, target, and the mean value expected."""

    input: Any
    target: Any
    value: float
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Card:
    """The facts of one loss.

    key: its name in the catalogue. tasks: what it can train. input, target: the kind of tensor
    that is passed, or a kind for each name where named tensors are; target is None where a loss
    has none. optional: the names that may be left out. needs: the signals of training that its
    state follows. double_backward, vmap, fullgraph: what it can do beyond training, fullgraph that
    it compiles to one full graph. detached: its gradient
    holds a part of the value constant, as its paper says, so that finite differences do not apply.
    learns: it has parameters of its own, which must be given to the optimizer.

    reduction: how the rows of a batch become one number.

    - "mean": the weighted mean of one value a row (or element), each independent of the others.
    - "anchors": the same of values that depend on the whole batch: a weight weighs a row's own
      value, the row stays in the others'.
    - "statistic": one number of the weighted sample: a weight of 2 still equals the row twice.
    - "set": one number of the batch as a whole; it takes no weight.

    symmetric: gradients flow into the target as into the input: two views, two samples.
    """

    key: str
    tasks: tuple[Task, ...]
    target: Kinds | None
    input: Kinds
    formula: str
    use_when: str
    avoid_when: str
    paper: Paper
    example: Example
    claims: Claims = Claims()
    hypers: Mapping[str, Hyper] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    reduction: Reduction = "mean"
    symmetric: bool = False
    detached: bool = False
    learns: bool = False
    double_backward: bool = True
    vmap: bool = True
    fullgraph: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "hypers", MappingProxyType(dict(self.hypers)))

    @property
    def reads_head(self) -> bool:
        """Whether it trains the head of a model of rows: one tensor in, one target a row."""
        alone = isinstance(self.input, str) and isinstance(self.target, str)
        return alone and bool(_HEADS & set(self.tasks))
