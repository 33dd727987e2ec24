"""The kinds of hyperparameters, declared once on a loss's class.

A declaration checks what the constructor is given, keeps it on the loss, documents itself and types
the constructor: `delta: Real = Real(default=1.0, low=0.0, exclusive=True, doc="…")` makes
`Huber(delta=1.5)` and reads, on an instance, as the tensor that the loss keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from lossmith.core.adaptive import Adaptive, Number
from lossmith.core.declaration import Hyperparameter, Ranged
from lossmith.core.distributed import kept
from lossmith.core.plain import shown
from lossmith.core.schedule import Schedule

if TYPE_CHECKING:
    from lossmith.core.loss import Loss


@dataclass(frozen=True, kw_only=True)
class Numbers(Ranged):
    """Real numbers within a range, kept as a tensor of float64.

    static: none of what moves, a schedule or a learned parameter, may stand for them.
    """

    static: bool = False

    dimensions: ClassVar[tuple[int, ...]] = (0,)

    def keep(self, loss: Adaptive, name: str, value: Any) -> None:
        """Check numbers, a schedule or a parameter and keep them."""
        owner = type(loss).__name__
        if value is None and self.optional:
            setattr(loss, name, None)
            return
        if self.static and isinstance(value, (Schedule, nn.Parameter)):
            raise TypeError(f"{owner}: {name} must be a plain value, got {shown(value)}")
        if not isinstance(value, Schedule):
            self._check_numbers(owner, name, value)
        loss.register_number(name, value, lambda number: self.check(owner, name, number))

    def _check_numbers(self, owner: str, name: str, value: Any) -> None:
        try:
            with torch.device("cpu"):
                numbers = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise self._wrong(owner, name, value) from error
        if numbers.is_complex() or isinstance(value, bool):
            raise self._wrong(owner, name, value)
        learned = isinstance(value, nn.Parameter)
        fits = numbers.numel() == 1 if learned else numbers.ndim in self.dimensions
        if not fits and (learned or self.dimensions == (0,)):
            raise TypeError(f"{owner}: {name} must be one number, got {shown(value)}")
        if not fits:
            raise self._wrong(owner, name, value)


@dataclass(frozen=True, kw_only=True)
class Real(Numbers):
    """A real number, which a schedule or a learned parameter may stand for unless it is static.

    It is kept as a 0-dim tensor of float64 on the CPU.
    """

    wanted = "a number"
    annotation = Number

    if TYPE_CHECKING:  # how a declaration reads on an instance; it is no descriptor at run time

        def __get__(self, loss: Any, owner: Any = None) -> Tensor: ...
        def __set__(self, loss: Any, value: Number) -> None: ...


@dataclass(frozen=True, kw_only=True)
class OptionalReal(Real):
    """A real number, a schedule or a learned parameter; None for none."""

    annotation = Number | None
    optional = True

    if TYPE_CHECKING:

        def __get__(self, loss: Any, owner: Any = None) -> Tensor | None: ...  # type: ignore[override]
        def __set__(self, loss: Any, value: Number | None) -> None: ...


@dataclass(frozen=True, kw_only=True)
class RealOrReals(Numbers):
    """A real number, a schedule or a learned parameter, or several real numbers."""

    wanted = "a number, or several"
    annotation = Number | Sequence[float]
    dimensions = (0, 1)

    if TYPE_CHECKING:

        def __get__(self, loss: Any, owner: Any = None) -> Tensor: ...
        def __set__(self, loss: Any, value: Number | Sequence[float] | Tensor) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Reals(Numbers):
    """Several real numbers."""

    static: bool = True

    wanted = "several numbers"
    annotation = Sequence[float]
    dimensions = (1,)

    if TYPE_CHECKING:

        def __get__(self, loss: Any, owner: Any = None) -> Tensor: ...
        def __set__(self, loss: Any, value: Sequence[float] | Tensor) -> None: ...


@dataclass(frozen=True, kw_only=True)
class OptionalReals(Reals):
    """Several real numbers; None for none."""

    annotation = Sequence[float] | None
    optional = True

    if TYPE_CHECKING:

        def __get__(self, loss: Any, owner: Any = None) -> Tensor | None: ...  # type: ignore[override]
        def __set__(  # type: ignore[override]
            self, loss: Any, value: Sequence[float] | Tensor | None
        ) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Table(Reals):
    """Rows of real numbers, all of one length."""

    wanted = "rows of numbers"
    annotation = Sequence[Sequence[float]]
    dimensions = (2,)

    if TYPE_CHECKING:

        def __set__(  # type: ignore[override]
            self, loss: Any, value: Sequence[Sequence[float]] | Tensor
        ) -> None: ...


@dataclass(frozen=True, kw_only=True)
class PerClass(OptionalReals):
    """One real number a class, which `for_target` may count; None for none.

    Numbers given in float32 stay so: they hold no more digits, and no call has to narrow them.
    """

    wanted = "one number a class"

    def keep(self, loss: Adaptive, name: str, value: Any) -> None:
        """Check numbers and keep them."""
        super().keep(loss, name, value)
        if isinstance(value, Tensor) and value.dtype == torch.float32:
            loss.register_buffer(name, getattr(loss, name).float())


@dataclass(frozen=True, kw_only=True)
class Whole(Ranged):
    """A whole number."""

    wanted = "a whole number"
    annotation = int

    if TYPE_CHECKING:

        def __get__(self, loss: Any, owner: Any = None) -> int: ...
        def __set__(self, loss: Any, value: int) -> None: ...

    def checked(self, owner: str, name: str, value: Any) -> int:
        """Return the number as an int."""
        number = _whole(value)
        if number is None:
            raise self._wrong(owner, name, value)
        self.check(owner, name, number)
        return number


@dataclass(frozen=True, kw_only=True)
class OptionalWhole(Whole):
    """A whole number; None where it is not told."""

    annotation = int | None
    optional = True

    if TYPE_CHECKING:

        def __get__(self, loss: Any, owner: Any = None) -> int | None: ...  # type: ignore[override]
        def __set__(self, loss: Any, value: int | None) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Wholes(Ranged):
    """Several whole numbers, kept as a list."""

    wanted = "whole numbers"
    annotation = Sequence[int]

    if TYPE_CHECKING:

        def __get__(self, loss: Any, owner: Any = None) -> list[int]: ...
        def __set__(self, loss: Any, value: Sequence[int]) -> None: ...

    def checked(self, owner: str, name: str, value: Any) -> list[int]:
        """Return the numbers as a list."""
        found = [_whole(one) for one in value] if isinstance(value, (list, tuple)) else [None]
        numbers = [one for one in found if one is not None]
        if len(numbers) < len(found):
            raise self._wrong(owner, name, value)
        for one in numbers:
            self.check(owner, name, one)
        return numbers


@dataclass(frozen=True, kw_only=True)
class Switch(Hyperparameter):
    """Yes or no."""

    wanted = "True or False"
    annotation = bool

    if TYPE_CHECKING:

        def __get__(self, loss: Any, owner: Any = None) -> bool: ...
        def __set__(self, loss: Any, value: bool) -> None: ...

    def checked(self, owner: str, name: str, value: Any) -> bool:
        """Return the value."""
        if type(value) is not bool:
            raise self._wrong(owner, name, value)
        return value


@dataclass(frozen=True, kw_only=True)
class Gathering(Hyperparameter):
    """Whether the batch is that of all ranks, or the process group whose it is."""

    wanted = "True, False or a process group that this rank is in"
    annotation = bool | ProcessGroup

    if TYPE_CHECKING:

        def __get__(self, loss: Any, owner: Any = None) -> bool | str: ...
        def __set__(self, loss: Any, value: bool | ProcessGroup) -> None: ...

    def checked(self, owner: str, name: str, value: Any) -> Any:
        """Return a switch or a group as it is."""
        try:
            kept(value)
        except TypeError as error:
            raise self._wrong(owner, name, value) from error
        return value


@dataclass(frozen=True, kw_only=True)
class Choice(Hyperparameter):
    """One of a few texts; any text where `choices` is empty."""

    choices: tuple[str, ...] = ()

    wanted = "text"
    annotation = str

    if TYPE_CHECKING:

        def __get__(self, loss: Any, owner: Any = None) -> str: ...
        def __set__(self, loss: Any, value: str) -> None: ...

    @property
    def range(self) -> str | None:
        """The texts."""
        return " or ".join(repr(choice) for choice in self.choices) or None

    def checked(self, owner: str, name: str, value: Any) -> str:
        """Return the text."""
        if not isinstance(value, str):
            raise self._wrong(owner, name, value)
        if self.choices and value not in self.choices:
            raise ValueError(f"{owner}: {name} must be {self.range}, got {shown(value)}")
        return value


@dataclass(frozen=True, kw_only=True)
class Inner(Hyperparameter):
    """A loss that another one wraps, given first; without one it is what `make` makes.

    accepts: raises where a loss of another kind is given, for an owner named.
    """

    make: Callable[[], Any]
    accepts: Callable[[str, Any], None]

    wanted = "a loss"
    annotation = Any

    if TYPE_CHECKING:

        def __get__(self, loss: Any, owner: Any = None) -> Any: ...
        def __set__(self, loss: Any, value: Loss | None) -> None: ...

    def checked(self, owner: str, name: str, value: Any) -> Any:
        """Return the loss, that of `make` for None."""
        value = self.make() if value is None else value
        self.accepts(owner, value)
        return value


def _whole(value: Any) -> int | None:
    """Return a whole number as an int, also one of numpy or a tensor; None where it is none."""
    if isinstance(value, Tensor) and not value.ndim:
        value = value.item()
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    return int(value) if whole else None
