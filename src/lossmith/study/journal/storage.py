"""What a study asks of the place that keeps its journal."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from lossmith.study.journal.facts import Claim, Decision, Facts, Report, State, Training


class Storage(Protocol):
    """The facts of one study. Every method is durable when it returns."""

    def create(self, spec: Mapping[str, Any], units: Iterable[np.ndarray]) -> bool:
        """Begin a study: what it is, and which units each fold validates on; False if it exists."""

    def spec(self) -> dict[str, Any] | None:
        """Return what the study is, or None before it was created."""

    def units(self) -> list[np.ndarray]:
        """Return the units that each fold validates on, by fold."""

    def facts(self) -> Facts:
        """Return all that is known at one moment, whoever writes meanwhile."""

    def decisions(self) -> dict[str, Any]:
        """Return what was decided, in order."""

    def decide(self, decision: Decision) -> bool:
        """Write a decision down and do what it says; False where another process already has."""

    def claim(self, worker: str, patience: float, most: int | None = 1) -> list[Claim]:
        """Take the first trainings that are planned, all of them where most is None."""

    def patience(self) -> float:
        """Return how long a training may be silent, by the longest wait for a report."""

    def transaction(self) -> AbstractContextManager[None]:
        """Let this process alone write for a while; what it wrote counts whole or not at all."""

    def holds(self, claim: Claim) -> bool:
        """Tell whether a training is still this attempt's."""

    def report(
        self,
        claim: Claim,
        said: Report,
        influences: np.ndarray | None,
        detail: Mapping[str, np.ndarray] | None = None,
    ) -> bool:
        """Write what a training said; False where it was taken over, and nothing is written."""

    def end(self, claim: Claim, state: State, note: str = "") -> bool:
        """Say that an attempt ended or paused; False where it was taken over."""

    def influences(self, training: Training, epoch: int) -> np.ndarray | None:
        """Return what each unit adds to a reported score, or None where it was not yet formed."""

    def detail(self, training: Training, epoch: int) -> dict[str, np.ndarray]:
        """Return the other arrays of a report by name."""

    def keep_influences(self, training: Training, epoch: int, influences: np.ndarray) -> None:
        """Add what was formed later."""

    def wait(self, seconds: float) -> None:
        """Return when another process has written something, or after some seconds."""

    def release(self) -> list[Training]:
        """Plan anew the trainings whose process died or whose patience is spent; return them."""
