"""The card: the frozen facts of a loss, from which tests, listings and documentation follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Task = Literal["regression", "binary", "multiclass"]
Target = Literal["values", "classes", "labels"]
Input = Literal["values", "logits", "parameters"]
Elicits = Literal["mean", "median", "quantile", "expectile", "mode", "probabilities", "balanced"]


@dataclass(frozen=True, kw_only=True)
class Hyper:
    """One hyperparameter: its default, the open or closed range it may take, what a study tries.

    `low` and `high` are inclusive unless `open` is true. `search` lists the values that a study
    tries; empty means the default only. A default of None marks a value that must be given or
    is fitted to the targets by `for_target`. `several` allows a list of real numbers for one.
    """

    default: Any
    meaning: str
    low: float | None = None
    high: float | None = None
    open: bool = False
    search: tuple[Any, ...] = ()
    several: bool = False

    def check_type(self, owner: str, name: str, value: Any) -> None:
        """Raise TypeError when a value is not of the default's kind: switch, whole number, text."""
        kind = type(self.default)
        wrong = kind in (bool, int, str) and type(value) is not kind
        if wrong or (kind is float and isinstance(value, (str, type(None)))):
            wanted = {bool: "True or False", int: "a whole number", str: "text", float: "a number"}
            raise TypeError(f"{owner}: {name} must be {wanted[kind]}, got {value!r}")

    def check(self, owner: str, name: str, value: float) -> None:
        """Raise ValueError when a number lies outside the range."""
        below = self.low is not None and (value <= self.low if self.open else value < self.low)
        above = self.high is not None and (value >= self.high if self.open else value > self.high)
        if below or above or value != value:
            raise ValueError(f"{owner}: {name} must be in {self.range}, got {value}")

    @property
    def range(self) -> str:
        """The range as text, for errors and listings."""
        left, right = ("(", ")") if self.open else ("[", "]")
        low = "(-inf" if self.low is None else f"{left}{self.low:g}"
        high = "inf)" if self.high is None else f"{self.high:g}{right}"
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

    key: its name in the catalogue. tasks: what it can train. target: "values" (real numbers),
    "classes" (integers) or "labels" (0 to 1, of the input's shape). input: "values", "logits" or
    "parameters" of a distribution. double_backward, vmap: what it can do beyond training.
    """

    key: str
    tasks: tuple[Task, ...]
    target: Target
    input: Input
    formula: str
    use_when: str
    avoid_when: str
    paper: Paper
    example: Example
    claims: Claims = Claims()
    hypers: Mapping[str, Hyper] = field(default_factory=dict)
    double_backward: bool = True
    vmap: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "hypers", MappingProxyType(dict(self.hypers)))
