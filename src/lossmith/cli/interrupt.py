"""Ctrl-C: the first ends a study with what is finished, the second stops at once."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

Report = Callable[[float, str], None]


class Interruption:
    """Handles SIGINT while a study runs.

    A search is stopped where it stands, and ends with what it has measured until then. Before its
    first report nothing is measured, and Ctrl-C ends everything; after its end the final models
    are trained to the end.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.asked = False
        self.running = False  # a search, since its first report
        self.racing = False  # and not yet over

    def __enter__(self) -> Self:
        self.previous: Any = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.previous)

    def watched(self, progress: Report) -> Report:
        """Return the progress callback, made to tell whether a search is on."""

        def report(share: float, text: str) -> None:
            self.running, self.racing = True, share < 1
            progress(share, text)

        return report

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        first, self.asked = not self.asked, True
        if not self.running:
            raise KeyboardInterrupt
        if not first:
            self.say("stopped; nothing was written")
            raise SystemExit(128 + signal.SIGINT)  # a search would catch a KeyboardInterrupt
        self.say("stopping; what is finished is kept, if anything (Ctrl-C again stops at once)")
        if self.racing:
            raise KeyboardInterrupt
