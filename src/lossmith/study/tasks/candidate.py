"""A loss that takes part, or a sum of losses, still to be fitted to training targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lossmith.catalogue.names import loss_class
from lossmith.core.hybrid import Hybrid
from lossmith.core.loss import Loss
from lossmith.core.serial import plain
from lossmith.losses.regression.transformed import TransformedTarget


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A loss with its hyperparameters, still to be fitted to training targets."""

    key: str
    hypers: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)  # of the target, and in no name
    function: str | None = None  # of the target, for regression
    relative: bool = False
    classes: int | None = None

    @property
    def variants(self) -> tuple["Candidate", ...]:
        """What is tuned beside the learning rate: nothing, there is one."""
        return (self,)

    @property
    def name(self) -> str:
        """The name shown to people: huber(delta=0.5), log1p(mse)."""
        text = ", ".join(f"{name}={_told(value)}" for name, value in self.hypers.items())
        name = f"{self.key}({text})" if text else self.key
        if self.relative:
            name = f"relative({name})"
        return name if self.function in (None, "identity") else f"{self.function}({name})"

    @property
    def parameters(self) -> dict[str, Any]:
        """The hyperparameters and the treatment of the target as plain data."""
        treatment = {"function": self.function} if self.function not in (None, "identity") else {}
        relative = {"relative": True} if self.relative else {}
        return {**{n: plain(v) for n, v in self.hypers.items()}, **treatment, **relative}

    def fit(self, target: Tensor) -> Loss:
        """Return the loss with its head, scale and counts fitted to training targets."""
        kind = loss_class(self.key)
        if self.function is not None:
            inner = kind(**self.hypers) if self.hypers else kind
            return TransformedTarget.for_target(
                target, loss=inner, function=self.function, relative=self.relative, **self.given
            )
        hypers = {**self.given, **self.hypers}
        if self.classes is not None and kind.card.target == "classes":
            hypers["classes"] = self.classes
        return kind.for_target(target, **hypers)


def _told(value: Any) -> str:
    """Return a hyperparameter as a name holds it, of many levels the first and the last.

    >>> _told(0.5), _told((0.1, 0.9)), _told((0.1, 0.3, 0.5, 0.7, 0.9))
    ('0.5', '0.1,0.9', '0.1…0.9')
    """
    if not isinstance(value, tuple):
        return f"{value:g}"
    few = ",".join(f"{one:g}" for one in value)
    return few if len(value) < 4 else f"{value[0]:g}…{value[-1]:g}"


@dataclass(frozen=True, kw_only=True)
class Term:
    """A loss times a weight, as a part of a sum."""

    of: "Candidate | Sum"
    weight: float

    @property
    def key(self) -> str:
        """The key of the loss."""
        return self.of.key

    @property
    def name(self) -> str:
        """The name shown to people: 0.9 dkd."""
        return f"{self.weight:g} {self.of.name}"

    def fit(self, target: Any) -> Loss:
        """Return the loss fitted to training targets, times its weight."""
        return self.weight * self.of.fit(target)


@dataclass(frozen=True, kw_only=True)
class Sum:
    """Losses that read one head, added."""

    parts: Sequence["Candidate | Term | Sum"]

    @property
    def key(self) -> str:
        """The keys of the losses: cross_entropy + dice."""
        return " + ".join(one.key for one in self.parts)

    @property
    def name(self) -> str:
        """The name shown to people."""
        return " + ".join(one.name for one in self.parts)

    def fit(self, target: Any) -> Loss:
        """Return the sum with each loss fitted to training targets."""
        return Hybrid.summed(*(one.fit(target) for one in self.parts))
