"""What every hyperparameter declares: a default, what is searched, what it means, its range."""

import math
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, ClassVar, cast

from torch import Tensor

from lossmith.core.adaptive import Adaptive
from lossmith.core.plain import shown

REQUIRED: Any = Parameter.empty  # the default of what must be given, or is fitted by `for_target`


@dataclass(frozen=True, kw_only=True)
class Hyperparameter:
    """One argument of a loss's constructor; its kind is the subclass.

    default: what it is where it is not given; without one it must be given, or found. fitted:
    whether `for_target` finds it, anew for other targets. search: the values that a study tries;
    empty means the default alone. doc: what it means.
    """

    doc: str
    default: Any = REQUIRED
    fitted: bool = False
    search: tuple[Any, ...] = ()
    kw_only: bool = True

    wanted: ClassVar[str] = "a value"
    annotation: ClassVar[Any] = Any
    optional: ClassVar[bool] = False  # whether None stands for none

    @property
    def range(self) -> str | None:
        """What it may be, as text for errors and listings; None where anything of its kind."""
        return None

    def keep(self, loss: Adaptive, name: str, value: Any) -> None:
        """Check a value and keep it on a loss under a name.

        Raises:
            TypeError: if it is of another kind.
            ValueError: if it is out of range.
        """
        if value is not None or not self.optional:
            value = self.checked(type(loss).__name__, name, value)
        setattr(loss, name, value)

    def checked(self, owner: str, name: str, value: Any) -> Any:
        """Return the value as it is kept; raise as `keep` does."""
        return value

    def _wrong(self, owner: str, name: str, value: Any) -> TypeError:
        return TypeError(f"{owner}: {name} must be {self.wanted}, got {shown(value)}")

    def parameter(self, name: str) -> Parameter:
        """Return the constructor's parameter."""
        kind = Parameter.KEYWORD_ONLY if self.kw_only else Parameter.POSITIONAL_OR_KEYWORD
        return Parameter(name, kind, default=self.default, annotation=self.annotation)


@dataclass(frozen=True, kw_only=True)
class Ranged(Hyperparameter):
    """A number, or several, within a range.

    low, high: the ends, inclusive unless `exclusive` is true. allow_infinite: ±infinity is a value
    too, where the formula has a limit.
    """

    low: float | None = None
    high: float | None = None
    exclusive: bool = False
    allow_infinite: bool = False

    def check(self, owner: str, name: str, value: float) -> None:
        """Raise ValueError when a number lies outside the range, or is infinite and must not."""
        if not self._inside(value) or (abs(value) == math.inf and not self.allow_infinite):
            shown = self.range or "(-inf, inf)"
            raise ValueError(f"{owner}: {name} must be in {shown}, got {value}")

    def holds(self, numbers: Tensor) -> Tensor:
        """Return whether all numbers lie within the range, as a 0-dim tensor."""
        return cast(Tensor, self._inside(numbers)).all()

    def _inside(self, number: Any) -> Any:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if self.exclusive:
            return (low < number) & (number < high)
        return (low <= number) & (number <= high)

    @property
    def range(self) -> str | None:
        """The range as text; None where any number is in it."""
        if self.low is None and self.high is None and not self.allow_infinite:
            return None
        left, right = ("(", ")") if self.exclusive else ("[", "]")
        ends = ("[-inf", "inf]") if self.allow_infinite else ("(-inf", "inf)")
        low = ends[0] if self.low is None else f"{left}{self.low:g}"
        high = ends[1] if self.high is None else f"{self.high:g}{right}"
        return f"{low}, {high}"
