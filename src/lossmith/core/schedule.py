"""Schedules: numbers that depend on training's progress, as frozen data."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from lossmith.core.progress import Progress

By = Literal["fraction", "step", "epoch"]
KINDS: dict[str, type["Schedule"]] = {}


@dataclass(frozen=True)
class Schedule(ABC):
    """A number as a function of progress; any hyperparameter and any weight takes one.

    A schedule is a value: it has no state of its own, compares equal, pickles and is written as
    JSON. What a triggered schedule must remember is passed in and handed back, and kept by the
    loss that uses it.
    """

    state_size: ClassVar[int] = 0  # numbers that it must remember

    def __init_subclass__(cls) -> None:
        KINDS[cls.__name__] = cls

    @abstractmethod
    def __call__(self, progress: Progress) -> float:
        """Return the number at a progress."""

    @abstractmethod
    def bounds(self) -> tuple[float, ...]:
        """Return numbers between which all that it can give lie."""

    def step(self, progress: Progress, memory: list[float]) -> tuple[float, list[float]]:
        """Return the number and the memory after a progress."""
        return self(progress), memory

    def initial_state(self) -> list[float]:
        """Return the memory at the start."""
        return [0.0] * self.state_size

    @property
    def signals(self) -> tuple[str, ...]:
        """The names of the signals that it needs."""
        return ()

    def __str__(self) -> str:
        ends = self.bounds()
        return f"{type(self).__name__.lower()} {ends[0]:g} to {ends[-1]:g}"

    def __format__(self, spec: str) -> str:
        return str(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the schedule as plain data, to be read by `schedule_of`."""
        return {"schedule": type(self).__name__, **{f.name: _plain(self, f) for f in fields(self)}}


def schedule_of(data: dict[str, Any]) -> Schedule:
    """Return the schedule that plain data describes; ValueError if there is no such kind."""
    given = {name: _read(value) for name, value in data.items() if name != "schedule"}
    kind = KINDS.get(str(data["schedule"]))
    if kind is None:
        raise ValueError(
            f"no schedule is called {data['schedule']!r}; there are {', '.join(KINDS)}"
        )
    return kind(**given)


@dataclass(frozen=True)
class Constant(Schedule):
    """The same number all the time.

    >>> Constant(0.3)(Progress(step=5))
    0.3
    """

    value: float

    def __call__(self, progress: Progress) -> float:
        """Return the number."""
        return self.value

    def bounds(self) -> tuple[float, ...]:
        """Return the number."""
        return (self.value,)


@dataclass(frozen=True)
class _Ramp(Schedule):
    """From one number to another between two positions: shares of training, steps or epochs."""

    start: float
    end: float
    begin: float = 0.0
    until: float = 1.0
    by: By = "fraction"

    def __post_init__(self) -> None:
        if not self.begin < self.until:
            raise ValueError(
                f"{type(self).__name__}: begin must be before until, got {self.begin} and "
                f"{self.until}"
            )
        if self.by != "fraction" and (self.begin, self.until) == (0.0, 1.0):
            raise ValueError(
                f"{type(self).__name__}: by={self.by!r} needs until, in {self.by}s of training"
            )
        _check_by(self.by, self.begin, self.until)

    def __call__(self, progress: Progress) -> float:
        """Return the number at a progress."""
        place = (position(progress, self.by) - self.begin) / (self.until - self.begin)
        return self.between(min(max(place, 0.0), 1.0))

    @abstractmethod
    def between(self, share: float) -> float:
        """Return the number at a share of the way."""

    def bounds(self) -> tuple[float, ...]:
        """Return both ends."""
        return self.start, self.end


@dataclass(frozen=True)
class Linear(_Ramp):
    """In a straight line from start to end.

    >>> Linear(3.0, 1.0)(Progress(step=25, total=100))
    2.5
    """

    def between(self, share: float) -> float:
        """Return the number at a share of the way."""
        return self.start * (1 - share) + self.end * share


@dataclass(frozen=True)
class Cosine(_Ramp):
    """Along half a cosine: slow at both ends (Loshchilov & Hutter, SGDR, 2017).

    >>> Cosine(1.0, 0.0)(Progress(step=50, total=100))
    0.5
    """

    def between(self, share: float) -> float:
        """Return the number at a share of the way."""
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Exponential(_Ramp):
    """By equal factors from start to end, both positive.

    >>> Exponential(1.0, 0.01)(Progress(step=50, total=100))
    0.1
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.start > 0 and self.end > 0):
            raise ValueError(
                f"Exponential: start and end must be positive, got {self.start} and {self.end}"
            )

    def between(self, share: float) -> float:
        """Return the number at a share of the way."""
        return self.start ** (1 - share) * self.end**share


@dataclass(frozen=True)
class Step(Schedule):
    """Start times a factor for each `every` that has passed, as far as a limit.

    Without a limit it tends to 0, or grows without end, which a hyperparameter's range may forbid.

    >>> Step(1.0, factor=0.5, every=10)(Progress(step=25))
    0.25
    >>> Step(1.0, factor=0.5, every=10, limit=0.4)(Progress(step=25))
    0.4
    """

    start: float
    factor: float
    every: float
    by: By = "step"
    limit: float | None = None

    def __post_init__(self) -> None:
        _check_by(self.by, self.every)
        if not (self.every > 0 and self.factor > 0):
            raise ValueError("Step: factor and every must be positive")
        towards = (self.factor - 1) * self.start
        if self.limit is not None and (self.limit - self.start) * towards < 0:
            raise ValueError(
                f"Step: from {self.start} by the factor {self.factor} it moves away from the "
                f"limit {self.limit}"
            )

    def __call__(self, progress: Progress) -> float:
        """Return the number at a progress."""
        times = math.floor(position(progress, self.by) / self.every)
        try:
            value = self.start * self.factor**times
        except OverflowError:
            value = self.bounds()[-1]
        low, high = sorted((self.start, self.bounds()[-1]))
        return min(max(value, low), high)

    def bounds(self) -> tuple[float, ...]:
        """Return the start and where it ends or tends to."""
        if self.limit is not None:
            return self.start, self.limit
        if self.factor == 1 or self.start == 0:
            return (self.start,)
        return self.start, self.start * (0.0 if self.factor < 1 else math.inf)


@dataclass(frozen=True)
class Piecewise(Schedule):
    """Through points (position, number): straight between them, or held until the next.

    >>> Piecewise(((0.0, 1.0), (0.5, 3.0)), hold=True)(Progress(step=40, total=100))
    1.0
    """

    points: tuple[tuple[float, float], ...]
    hold: bool = False
    by: By = "fraction"

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple((float(a), float(b)) for a, b in self.points))
        places = [place for place, _ in self.points]
        _check_by(self.by, *places)
        if not places or places != sorted(set(places)):
            raise ValueError(f"Piecewise: positions must be given and ascend, got {places}")

    def __call__(self, progress: Progress) -> float:
        """Return the number at a progress."""
        place = position(progress, self.by)
        before = [point for point in self.points if point[0] <= place]
        after = [point for point in self.points if point[0] > place]
        if not before or not after:
            return (before[-1] if before else after[0])[1]
        (left, low), (right, high) = before[-1], after[0]
        return low if self.hold else low + (high - low) * (place - left) / (right - left)

    def bounds(self) -> tuple[float, ...]:
        """Return all numbers."""
        return tuple(number for _, number in self.points)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Another schedule, or a number, reached in a straight line from `start`.

    >>> WarmUp(2.0, until=0.1)(Progress(step=5, total=100))
    1.0
    """

    then: "float | Schedule"
    until: float
    start: float = 0.0
    by: By = "fraction"

    def __post_init__(self) -> None:
        _check_by(self.by, self.until)
        if not self.until > 0:
            raise ValueError(f"WarmUp: until must be positive, got {self.until}")
        if isinstance(self.then, Schedule) and self.then.state_size:
            raise TypeError("WarmUp: a triggered schedule cannot be warmed up")

    def __call__(self, progress: Progress) -> float:
        """Return the number at a progress."""
        goal = self.then(progress) if isinstance(self.then, Schedule) else self.then
        share = min(position(progress, self.by) / self.until, 1.0)
        return self.start + (goal - self.start) * share

    def bounds(self) -> tuple[float, ...]:
        """Return the start and what the other reaches."""
        goal = self.then.bounds() if isinstance(self.then, Schedule) else (self.then,)
        return (self.start, *goal)


def position(progress: Progress, by: By) -> float:
    """Return how far training is, in shares, steps or epochs; ValueError where it isn't told."""
    if by == "fraction":
        return progress.fraction
    if by == "step":
        return float(progress.step)
    if progress.epoch is None:
        raise ValueError(
            "a schedule counts epochs, but nothing tells them: give LossScheduler "
            "steps_per_epoch=, or each step its epoch="
        )
    return float(progress.epoch)


def _check_by(by: str, *positions: float) -> None:
    if by not in ("fraction", "step", "epoch"):
        raise ValueError(f"a schedule counts by 'fraction', 'step' or 'epoch', not {by!r}")
    beyond = [one for one in positions if by == "fraction" and one > 1]
    if beyond:
        raise ValueError(
            f"a position in shares of training is at most 1, got {beyond[0]:g}; steps and epochs "
            "need by='step' or by='epoch'"
        )


def _plain(schedule: Schedule, entry: Any) -> Any:
    value = getattr(schedule, entry.name)
    if isinstance(value, Schedule):
        return value.to_dict()
    return [list(point) for point in value] if isinstance(value, tuple) else value


def _read(value: Any) -> Any:
    if isinstance(value, dict) and "schedule" in value:
        return schedule_of(value)
    return tuple(tuple(p) for p in value) if isinstance(value, list) else value
