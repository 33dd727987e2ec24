"""What a study asks of the place that keeps its journal."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from lossmith.study.journal.facts import Claim, Facts, State, Training


class Storage(Protocol):
    """The facts of one study. Every method is durable when it returns."""

    def transaction(self) -> AbstractContextManager[None]:
        """Let this process alone write for a while; what it wrote counts whole or not at all."""

    def facts(self) -> Facts:
        """Return all that is known now."""

    def plan(self, trainings: Iterable[Training]) -> None:
        """Add trainings that are wanted; those known already stay as they are."""

    def decide(self, name: str, outcome: Any, stopped: Iterable[tuple[Training, str]]) -> None:
        """Write a decision down, with the trainings that it ends and why."""

    def resume(self, training: Training) -> None:
        """Let a paused training be claimed again."""

    def claim(self, training: Training, worker: str, patience: float) -> Claim:
        """Take a training that is planned; others may take it over once patience is spent."""

    def report(
        self, claim: Claim, epoch: int, score: float, influences: np.ndarray | None, patience: float
    ) -> bool:
        """Write what a training said; False where it was taken over, and nothing is written."""

    def end(self, claim: Claim, state: State, note: str = "") -> bool:
        """Say that an attempt ended or paused; False where it was taken over."""

    def influences(self, training: Training, epoch: int) -> np.ndarray | None:
        """Return what each unit adds to a reported score, or None where it was not yet formed."""

    def keep_influences(self, training: Training, epoch: int, influences: np.ndarray) -> None:
        """Add what was formed later."""

    def release(self) -> list[Training]:
        """Plan anew the trainings whose process died or whose patience is spent; return them."""
