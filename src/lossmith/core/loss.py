"""The contract that every loss keeps: `combine ∘ terms`, a head it reads, plain data."""

import functools
import inspect
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from lossmith.core.card import Card
from lossmith.core.progress import Progress
from lossmith.core.reduce import reduce, spread
from lossmith.core.tree import check_names

FORMAT = 1


class Loss(nn.Module, ABC):
    """A differentiable objective that knows the head it needs and how to read it.

    A subclass states its `card`, its `out_features` where the head has more than one output, and
    its `terms`; most derive from `Pointwise` and write `values` alone. Every argument of a
    constructor is kept as an attribute of the same name: hyperparameters as buffers of float64,
    which no cast of the model rounds.
    """

    card: ClassVar[Card]
    observed: Tensor  # the last step that was taken in, where the card's `needs` is not empty

    def __init__(self, **hypers: Any) -> None:
        super().__init__()
        for name, value in hypers.items():
            if name not in _arguments(type(self)):
                known = ", ".join(_arguments(type(self))) or "none"
                raise TypeError(
                    f"{type(self).__name__} has no hyperparameter {name!r}; it has: {known}"
                )
            self._keep(name, value)
        if self.card.needs:
            self.register_buffer("observed", torch.zeros((), dtype=torch.int64))

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
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the named scalars that the loss is made of."""

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Make one scalar of the terms: their sum."""
        return functools.reduce(torch.add, terms.values())

    def forward(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> Tensor:
        """Return the loss as one scalar."""
        card, owner = self.card, type(self).__name__
        check_names(owner, "input", input, card.input, card.optional)
        check_names(owner, "target", target, card.target, card.optional)
        return self.combine(self.terms(input, target, weight=weight, denominator=denominator))

    def observe(self, progress: Progress) -> None:
        """Take in how far training is; nothing else writes the loss's state.

        Positions are absolute: a step that was observed before changes nothing.

        Raises:
            ValueError: if a signal that the card's `needs` names is missing.
        """
        for child in self.children():
            if isinstance(child, Loss):
                child.observe(progress)
        if not self.card.needs or progress.step <= int(self.observed):
            return
        missing = [name for name in self.card.needs if name not in progress.signals]
        if missing:
            raise ValueError(
                f"{type(self).__name__} needs the signals {', '.join(missing)} at step "
                f"{progress.step}; training gave {', '.join(progress.signals) or 'none'}"
            )
        with torch.no_grad():
            self.update(progress)
            self.observed.fill_(progress.step)

    def update(self, progress: Progress) -> None:
        """Change the state to what a new step's signals say; called by `observe`, without grad."""

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain data."""
        return {name: _plain(getattr(self, name)) for name in _arguments(type(self))}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the loss as plain JSON, to be read by `lossmith.load`."""
        document = {"lossmith": FORMAT, **_plain(self)}
        Path(path).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    def learned(self) -> dict[str, Tensor]:
        """Return the state beyond the constructor's arguments: parameters, memories, centres."""
        arguments = _arguments(type(self))
        state = self.state_dict(keep_vars=False)
        return {name: value for name, value in state.items() if name.split(".")[0] not in arguments}

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
    def values(self, input: Any, target: Any) -> Any:
        """Return one value a sample or element, unreduced; a dict of them for several terms."""

    def weights(self, target: Any) -> Tensor | None:
        """Return the weights that the targets themselves carry: ignored rows, classes; or None."""
        return None

    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted mean of the values, by name; under the loss's key if there is one."""
        values, own = self.values(input, target), self.weights(target)
        parts = {self.card.key: values} if isinstance(values, Tensor) else values
        means = {}
        for name, part in parts.items():
            both = weight
            if own is not None:
                both = spread(own, part)
                both = both if weight is None else both * spread(weight, part)
            means[name] = reduce(part, weight=both, denominator=denominator)
        return means


class Batchwise(Loss, ABC):
    """A loss that is one number of the whole batch: a statistic, or a distance between sets.

    Its card's reduction is "statistic", where it takes weights, or "set", where it takes none.
    """

    @abstractmethod
    def value(self, input: Any, target: Any, weight: Tensor | None) -> Any:
        """Return the number, or a dict of several that add up."""

    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Tensor | None = None,
        denominator: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """Return the number under the loss's key, or the named ones.

        Raises:
            ValueError: if a denominator is given, or a weight where the loss takes none.
        """
        owner = type(self).__name__
        if denominator is not None:
            raise ValueError(
                f"{owner} is one number of the whole batch, not a mean over rows: it has no "
                "denominator; give it the whole batch at once"
            )
        if weight is not None and self.card.reduction == "set":
            raise ValueError(f"{owner} is one number of the batch as a whole; it takes no weight")
        value = self.value(input, target, weight)
        return {self.card.key: value} if isinstance(value, Tensor) else value


def _arguments(kind: type[Loss]) -> list[str]:
    parameters = inspect.signature(kind).parameters.values()
    return [one.name for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD]


def _plain(value: Any) -> Any:
    if isinstance(value, Loss):
        state = {name: tensor.tolist() for name, tensor in value.learned().items()}
        known = {"loss": value.card.key, "arguments": value.config()}
        return {**known, "state": state} if state else known
    return value.tolist() if isinstance(value, Tensor) else value
