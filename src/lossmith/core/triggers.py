"""Schedules that wait for what training shows: a plateau, or a signal past a threshold."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from lossmith.core.progress import Progress
from lossmith.core.schedule import Schedule


@dataclass(frozen=True)
class _Triggered(Schedule):
    """A schedule whose number depends on the signals seen so far, not on the position alone."""

    @property
    def signals(self) -> tuple[str, ...]:
        """The one signal that it watches."""
        return (self.signal,)  # type: ignore[attr-defined]

    def __call__(self, progress: Progress) -> float:
        """Return the number before anything was seen."""
        return self.bounds()[0]

    def _seen(self, progress: Progress) -> float:
        value = float(progress.signals[self.signal])  # type: ignore[attr-defined]
        if math.isnan(value):
            raise ValueError(f"signal {self.signal!r} is NaN")  # type: ignore[attr-defined]
        return value


@dataclass(frozen=True)
class When(_Triggered):
    """One number until a signal reaches a threshold, another from then on.

    Give `above` or `below`. The signal may be missing at most steps, as validation metrics are.

    >>> When("accuracy", above=0.9, before=0.0, after=1.0).signals
    ('accuracy',)
    """

    state_size: ClassVar[int] = 1  # whether it has happened

    signal: str
    above: float | None = None
    below: float | None = None
    before: float = 0.0
    after: float = 1.0

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None):
            raise ValueError("When: give above or below, one of them")

    def step(self, progress: Progress, memory: list[float]) -> tuple[float, list[float]]:
        """Return the number and the memory after a progress."""
        happened = memory[0] > 0
        if not happened and self.signal in progress.signals:
            value = self._seen(progress)
            up = self.above is not None and value >= self.above
            happened = up or (self.below is not None and value <= self.below)
        return (self.after if happened else self.before), [float(happened)]

    def bounds(self) -> tuple[float, ...]:
        """Return both numbers."""
        return self.before, self.after


@dataclass(frozen=True)
class Plateau(_Triggered):
    """Times a factor whenever a signal has not improved for longer than `patience` sightings.

    The rule of torch's ReduceLROnPlateau with a relative threshold and no cooldown. For a switch,
    `Plateau("valid_loss", start=1.0, factor=0.0)` goes from 1 to 0 at the first plateau.
    """

    state_size: ClassVar[int] = 4  # best so far, whether there is one, bad sightings, the number

    signal: str
    start: float = 1.0
    factor: float = 0.1
    patience: int = 10
    mode: Literal["min", "max"] = "min"
    threshold: float = 1e-4
    least: float = 0.0

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max"):
            raise ValueError(f"Plateau: mode must be 'min' or 'max', got {self.mode!r}")
        if not (0 <= self.factor < 1 and self.patience >= 0):
            raise ValueError("Plateau: factor must be in [0, 1) and patience 0 or more")

    def initial_state(self) -> list[float]:
        """Return the memory at the start."""
        return [0.0, 0.0, 0.0, self.start]

    def step(self, progress: Progress, memory: list[float]) -> tuple[float, list[float]]:
        """Return the number and the memory after a progress."""
        best, any_yet, bad, number = memory
        if self.signal not in progress.signals:
            return number, memory
        value = self._seen(progress)
        if not any_yet or self._better(value, best):
            return number, [value, 1.0, 0.0, number]
        bad += 1
        if bad > self.patience:
            number, bad = max(number * self.factor, self.least), 0.0
        return number, [best, 1.0, bad, number]

    def _better(self, value: float, best: float) -> bool:
        slack = self.threshold * abs(best)
        return value < best - slack if self.mode == "min" else value > best + slack

    def bounds(self) -> tuple[float, ...]:
        """Return the start and the least."""
        return self.start, min(self.start, self.least)


@dataclass(frozen=True)
class Complement(Schedule):
    """One less another schedule: what the other half of a switch weighs.

    >>> Complement(Plateau("valid_loss", start=1.0)).bounds()
    (0.0, 1.0)
    """

    of: Schedule

    @property
    def state_size(self) -> int:  # type: ignore[override]
        """What the other must remember."""
        return self.of.state_size

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals of the other."""
        return self.of.signals

    def initial_state(self) -> list[float]:
        """Return the other's memory at the start."""
        return self.of.initial_state()

    def __call__(self, progress: Progress) -> float:
        """Return one less the other's number."""
        return 1 - self.of(progress)

    def step(self, progress: Progress, memory: list[float]) -> tuple[float, list[float]]:
        """Return the number and the memory after a progress."""
        value, memory = self.of.step(progress, memory)
        return 1 - value, memory

    def bounds(self) -> tuple[float, ...]:
        """Return one less each of the other's."""
        return tuple(1 - number for number in self.of.bounds())
