"""Ctrl-C: the first ends a study with what is finished, the second stops at once."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

Report = Callable[[float, str], None]


class Interruption:
    """Handles SIGINT while a study runs.

    The study stops where it reports progress, so that all that it has recorded fits together.
    Before its first report nothing is finished, and Ctrl-C stops at once.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.asked = False
        self.running = False

    def __enter__(self) -> Self:
        self.previous: Any = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.previous)

    def watched(self, progress: Report) -> Report:
        """Return the progress callback, made to end the race where Ctrl-C was pressed."""

        def report(share: float, text: str) -> None:
            self.running = True
            progress(share, text)
            if self.asked and share < 1:
                raise KeyboardInterrupt

        return report

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        first, self.asked = not self.asked, True
        if not self.running:
            raise KeyboardInterrupt
        if not first:
            self.say("stopped; nothing was written")
            raise SystemExit(128 + signal.SIGINT)  # a race would catch a KeyboardInterrupt
        self.say("stopping; what is finished is kept (Ctrl-C again stops at once)")
