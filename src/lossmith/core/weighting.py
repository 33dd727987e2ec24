"""Weightings: how the terms of a hybrid become one scalar."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor

from lossmith.core.adaptive import Adaptive, Number
from lossmith.core.serial import WEIGHTINGS, plain

if TYPE_CHECKING:
    from lossmith.core.loss import Loss


class Weighting(Adaptive, ABC):
    """The rule by which named terms become one scalar; its state is written by `observe` alone.

    A hybrid hands it the names of its terms once, by `start`. Arguments of a constructor are kept
    as attributes of the same name.
    """

    signals: ClassVar[tuple[str, ...]] = ()  # that each step of training must bring
    names: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        WEIGHTINGS.setdefault(cls.__name__, cls)

    @property
    def required_signals(self) -> tuple[str, ...]:
        """The signals that each step of training must bring."""
        return self.signals

    def start(self, losses: Mapping[str, "Loss"]) -> Self:
        """Make room for the terms of a hybrid; called once, by the hybrid.

        Raises:
            ValueError: if it holds the terms of another hybrid already.
        """
        if self.names and self.names != tuple(losses):
            raise ValueError(
                f"{type(self).__name__} weighs {', '.join(self.names)} already; "
                f"make another for {', '.join(losses)}"
            )
        self.names = tuple(losses)
        self.begin(losses)
        self.register_observed()
        return self

    def begin(self, losses: Mapping[str, "Loss"]) -> None:
        """Create parameters and buffers, one entry a term."""

    @abstractmethod
    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Make one scalar of the terms."""

    def weights(self) -> dict[str, float]:
        """Return the present factor of each term, for logging; empty where there is none."""
        return {}

    def extra_repr(self) -> str:
        """Show the constructor's arguments."""
        return ", ".join(f"{name}={value}" for name, value in self.config().items())

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain data."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """Return the weighting as plain data, without its state."""
        return {"weighting": type(self).__name__, "arguments": self.config()}

    def stacked(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Return the terms as one vector, in the order of the names."""
        return torch.stack([terms[name] for name in self.names])

    def vector(self, name: str, values: Sequence[float]) -> None:
        """Register a buffer of one float64 a term."""
        self.register_buffer(name, torch.tensor(values, dtype=torch.float64))


class Fixed(Weighting):
    r"""A weighted sum; each weight is a number, a schedule or a parameter.

    .. math:: L = \sum_k w_k L_k

    Args:
        weights: by name of the term; those not named weigh 1.

    Raises:
        ValueError: if a weight is negative, or belongs to no term.

    >>> rule = Fixed({"price": 0.3})
    >>> rule.config()
    {'weights': {'price': 0.3}}
    """

    def __init__(self, weights: Mapping[str, Number] | None = None) -> None:
        super().__init__()
        self._given = dict(weights or {})

    def begin(self, losses: Mapping[str, "Loss"]) -> None:
        """Keep each term's weight as a number, or as a parameter."""
        unknown = [name for name in self._given if name not in losses]
        if unknown:
            raise ValueError(
                f"Fixed: no term is called {', '.join(unknown)}; the terms are {', '.join(losses)}"
            )
        for name in losses:
            value = self._given.get(name, 1.0)

            def check(entry: float, name: str = name) -> None:
                if not 0 <= entry < float("inf"):
                    raise ValueError(
                        f"the weight of {name} must be 0 or more and finite, got {entry}"
                    )

            self.register_number(_slot(name), value, check)

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum; a term of weight 0 adds nothing to it, whatever its value."""
        total: Tensor | None = None
        for name in self.names:
            weight, term = getattr(self, _slot(name)), terms[name]
            part = torch.where(weight == 0, torch.zeros_like(term), weight.to(term.dtype) * term)
            total = part if total is None else total + part
        assert total is not None
        return total

    def weights(self) -> dict[str, float]:
        """Return the present weights."""
        return {name: float(getattr(self, _slot(name)).detach()) for name in self.names}

    def config(self) -> dict[str, Any]:
        """Return the weights as they were given."""
        return {"weights": {name: plain(value) for name, value in self._given.items()}}

    def given(self) -> dict[str, Number]:
        """Return the weights that were given, by name."""
        return dict(self._given)


class Equal(Weighting):
    r"""The plain sum of the terms.

    .. math:: L = \sum_k L_k
    """

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Return the sum."""
        return self.stacked(terms).sum()

    def weights(self) -> dict[str, float]:
        """Return ones."""
        return dict.fromkeys(self.names, 1.0)


def _slot(name: str) -> str:
    return f"weight_{name}"
