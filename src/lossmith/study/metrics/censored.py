"""Times to an event, some of them censored: how many survive, and when to ask for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from lossmith.study.base.errors import InputError

Array = np.ndarray
MINIMUM_EVENTS = 20  # of a table; two or three a fold
LEVELS = np.arange(1, 20) / 20  # of the times of events, at which survival is asked for


@dataclass(frozen=True)
class Steps:
    """A function of time that falls in steps, from 1: `values` from each of `times` on."""

    times: Array
    values: Array

    @classmethod
    def surviving(cls, time: Array, event: Array) -> Self:
        """Return Kaplan & Meier's estimate of the share without an event, by time (1958).

        >>> Steps.surviving(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1, 0, 1, 0])).values.tolist()
        [0.75, 0.5, 0.5]
        """
        return cls._fallen(*_counts(time, event))

    @classmethod
    def uncensored(cls, time: Array, event: Array) -> Self:
        """Return the same of the share not censored; at equal times events come first."""
        times, events, censored, at_risk = _counts(time, event)
        return cls._fallen(times, censored, events, at_risk - events)

    @classmethod
    def _fallen(cls, times: Array, lost: Array, _other: Array, at_risk: Array) -> Self:
        return cls(times, np.cumprod(1 - lost / np.maximum(at_risk, 1)))

    def at(self, time: Any) -> Array:
        """Return the values at times."""
        return np.append(1.0, self.values)[np.searchsorted(self.times, time, side="right")]


def _counts(time: Array, event: Array) -> tuple[Array, Array, Array, Array]:
    """Return the different times, and of each the events, the censored and those at risk."""
    times, place = np.unique(time, return_inverse=True)
    events = np.bincount(place, event, len(times))
    every = np.bincount(place, minlength=len(times))
    return times, events, every - events, every[::-1].cumsum()[::-1]


def times_and_events(name: str, target: Any) -> tuple[Array, Array]:
    """Return times and events, (N,) each, of a metric's targets.

    Raises:
        InputError: for targets that are none.
    """
    if isinstance(target, Mapping):
        if set(target) != {"time", "event"}:
            raise InputError(f"{name} needs a dict of time and event, got {sorted(target)}")
        time, event = target["time"], target["event"]
    elif target.ndim == 2 and target.shape[1] == 2:
        time, event = target.T
    else:
        raise InputError(
            f"{name} needs targets with time and event, as a dict or in columns, got shape "
            f"{target.shape}"
        )
    if not np.isin(event, (0, 1)).all():
        raise InputError(f"{name} needs events of 0, censored, or 1")
    return time, event.astype(bool)


def horizons(time: Array, event: Array) -> tuple[float, ...]:
    """Return when survival is asked for: at 5 %, 10 %, … 95 % of the times of events.

    They have four digits at most; equal ones count once.

    >>> horizons(np.arange(1.0, 102.0), np.ones(101))[:3]
    (6.0, 11.0, 16.0)

    Raises:
        InputError: where events have fewer than two different times.
    """
    own = time[(event == 1) & (time > 0)]
    found = {float(f"{one:.4g}") for one in np.quantile(own, LEVELS)} if len(own) else set()
    if len(found) < 2:
        raise InputError("events have fewer than two different times; there is no order to learn")
    return tuple(sorted(found))
