"""What times to an event say: how many are seen, how long rows are followed, and ties."""

from collections.abc import Iterator

import numpy as np

from lossmith.study.base.formatting import percent
from lossmith.study.base.result import Finding
from lossmith.study.metrics.censored import Steps, horizons

Array = np.ndarray
FEW_EVENTS = 100
THIN = 0.1  # share not censored, below which late errors rest on few rows
TIED = 0.5  # share of events at the time of another


def of_times(target: Array) -> Iterator[Finding]:
    """Yield what times and events, (n, 2), say."""
    time, event = target[:, 0], target[:, 1].astype(bool)
    yield _events(event)
    yield _survival(time, event)
    yield _follow_up(time, event)
    seen = time[event]
    _, counts = np.unique(seen, return_counts=True)
    tied = counts[counts > 1].sum() / len(seen)
    if tied > TIED:
        yield Finding(
            name="tied events",
            value=percent(tied),
            meaning="share their time with another event: times are coarse, which losses of "
            "intervals take as they are",
        )


def _events(event: Array) -> Finding:
    few = event.sum() < FEW_EVENTS
    rest = "of the others it is known that they came so far without one"
    meaning = (
        "few: what can be proven rests on events, not on rows"
        if few
        else ("none is censored" if event.all() else rest)
    )
    return Finding(
        name="events",
        value=f"{int(event.sum()):,} ({percent(event.mean())})",
        meaning=meaning,
        level="warning" if few else "info",
    )


def _survival(time: Array, event: Array) -> Finding:
    curve = Steps.surviving(time, event)
    below = curve.times[curve.values <= 0.5]
    if len(below):
        return Finding(
            name="median survival", value=f"{below[0]:.4g}", meaning="by Kaplan and Meier"
        )
    return Finding(
        name="survival at the end",
        value=percent(float(curve.values[-1])),
        meaning=f"by Kaplan and Meier at {time.max():.4g}: more than half are not seen to fall, "
        "so that median times are guesses beyond the data",
    )


def _follow_up(time: Array, event: Array) -> Finding:
    last = horizons(time, event)[-1]
    share = float(Steps.uncensored(time, event).at(last))
    return Finding(
        name="followed long enough",
        value=percent(share),
        meaning=f"not censored by {last:.4g}, up to where predictions are judged"
        + ("; late ones rest on few rows, which weigh much" if share < THIN else ""),
        level="warning" if share < THIN else "info",
    )
