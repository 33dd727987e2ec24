"""A study's time, and where its progress goes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


class OutOfTimeError(BaseException):
    """The study's time is used up; like Ctrl-C it is no fault of the training that it ends."""


@dataclass
class Clock:
    """The study's time, and where its progress goes."""

    limit: float | None
    report: Callable[[float, str], None]
    start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.start

    def tick(self, share: float, text: str, reserve: float = 0.0) -> None:
        """Report progress; raise OutOfTimeError when the time, less a reserve, is used up."""
        self.report(share, text)
        if self.limit is not None and self.seconds > self.limit - reserve:
            raise OutOfTimeError
