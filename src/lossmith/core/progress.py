"""Progress: what training tells its losses, the only channel by which their state changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far training is, in absolute terms, and what was seen there.

    step: optimizer steps done. total: steps planned, if known. epoch: epochs done, if counted.
    signals: what losses declare on their cards that they need, by name: detached outputs and
    targets, validation metrics, gradient norms.

    Raises:
        ValueError: if step is negative, or total is given and not positive.

    >>> Progress(step=250, total=1000).fraction
    0.25
    """

    step: int
    total: int | None = None
    epoch: int | None = None
    signals: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.step < 0:
            raise ValueError(f"Progress: step must be 0 or more, got {self.step}")
        if self.total is not None and self.total <= 0:
            raise ValueError(f"Progress: total must be positive, got {self.total}")

    @property
    def fraction(self) -> float:
        """The share of training that is done, 0 to 1; ValueError where total is not known."""
        if self.total is None:
            raise ValueError("Progress has no total; give total_steps where training is driven")
        return min(self.step / self.total, 1.0)
