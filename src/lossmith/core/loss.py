"""The contract that every loss keeps: `combine ∘ terms`, a head it reads, plain data."""

import inspect
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from lossmith.core.card import Card
from lossmith.core.reduce import reduce, spread

FORMAT = 1


class Loss(nn.Module, ABC):
    """A differentiable objective that knows the head it needs and how to read it.

    A subclass states its `card`, its `out_features` where the head has more than one output, and
    its `terms`; most derive from `Pointwise` and write `values` alone. Every argument of a
    constructor is kept as an attribute of the same name: hyperparameters as buffers of float64,
    which no cast of the model rounds.
    """

    card: ClassVar[Card]

    def __init__(self, **hypers: Any) -> None:
        super().__init__()
        for name, value in hypers.items():
            if name not in _arguments(type(self)):
                known = ", ".join(_arguments(type(self))) or "none"
                raise TypeError(
                    f"{type(self).__name__} has no hyperparameter {name!r}; it has: {known}"
                )
            self._keep(name, value)

    def _keep(self, name: str, value: Any) -> None:
        """Keep a constructor argument: real numbers as buffers, the rest as plain attributes."""
        hyper, owner = self.card.hypers.get(name), type(self).__name__
        real = hyper is not None and isinstance(hyper.default, float)
        if hyper is not None:
            hyper.check_type(owner, name, value)
        whole = isinstance(value, Integral) and not real  # numpy's integers and bools too
        if value is None or isinstance(value, (str, Loss)) or whole:
            if whole and not isinstance(value, bool):
                value = int(value)
            if hyper is not None and whole:
                hyper.check(owner, name, value)
            setattr(self, name, value)
            return
        number = torch.as_tensor(value, dtype=torch.float64).detach().clone()
        if real and number.ndim > 0 and not hyper.several:  # type: ignore[union-attr]
            raise TypeError(f"{owner}: {name} must be one number, got {number.tolist()}")
        if hyper is not None:
            for entry in number.flatten().tolist():
                hyper.check(owner, name, entry)
        self.register_buffer(name, number)

    @property
    def out_features(self) -> int:
        """The width of the head that this loss reads."""
        return 1

    def decode(self, output: Tensor) -> Tensor:
        """Read a head: point predictions, or probabilities for classes."""
        return output

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> Self:
        """Return the loss fitted to the training targets: class counts, bin range, scale."""
        return cls(**hypers)

    @abstractmethod
    def terms(
        self,
        input: Tensor,
        target: Tensor,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the named scalars that the loss is made of."""

    def combine(self, terms: dict[str, Tensor]) -> Tensor:
        """Make one scalar of the terms: their sum."""
        return torch.stack(list(terms.values())).sum()

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> Tensor:
        """Return the loss as one scalar."""
        return self.combine(self.terms(input, target, weight=weight, denominator=denominator))

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain data."""
        return {name: _plain(getattr(self, name)) for name in _arguments(type(self))}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the loss as plain JSON, to be read by `lossmith.load`."""
        document = {"lossmith": FORMAT, **_plain(self)}
        Path(path).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    def extra_repr(self) -> str:
        """Show the constructor's arguments."""
        return ", ".join(f"{name}={value}" for name, value in self.config().items())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # A cast of the model must not round hyperparameters, so they follow the device alone.
        kept = {
            name: self._buffers.pop(name)
            for name in _arguments(type(self))
            if name in self._buffers
        }
        super()._apply(fn, recurse)
        if kept:
            moved = fn(torch.zeros((), device=next(iter(kept.values())).device))  # type: ignore[union-attr]
            exact = torch.float32 if moved.device.type == "mps" else torch.float64
            for name, number in kept.items():
                self._buffers[name] = number.to(moved.device, exact)  # type: ignore[union-attr]
        return self


class Pointwise(Loss, ABC):
    """A loss that is a weighted mean of one value a sample or element."""

    @abstractmethod
    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return one value a sample or element, unreduced."""

    def weights(self, target: Tensor) -> Tensor | None:
        """Return the weights that the targets themselves carry: ignored rows, classes; or None."""
        return None

    def terms(
        self,
        input: Tensor,
        target: Tensor,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted mean of the values under the loss's name."""
        values = self.values(input, target)
        own = self.weights(target)
        if own is not None:
            own = spread(own, values)
            weight = own if weight is None else own * spread(weight, values)
        return {self.card.key: reduce(values, weight=weight, denominator=denominator)}

    def combine(self, terms: dict[str, Tensor]) -> Tensor:
        """Return the only term."""
        return terms[self.card.key]


def _arguments(kind: type[Loss]) -> list[str]:
    parameters = inspect.signature(kind).parameters.values()
    return [one.name for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD]


def _plain(value: Any) -> Any:
    if isinstance(value, Loss):
        return {"loss": value.card.key, "arguments": value.config()}
    return value.tolist() if isinstance(value, Tensor) else value
