"""What a race asks of that which trains: stacked for tables, one after the other for any model."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from torch import Tensor

from lossmith.core.card import Task
from lossmith.core.loss import Loss
from lossmith.study.candidates import Entry
from lossmith.study.data.folds import Split
from lossmith.study.search.scoring import Track
from lossmith.study.search.trial import Budget, Member
from lossmith.study.training.predictor import Model


class Fleet(Protocol):
    """Members in training over the same cells."""

    @property
    def members(self) -> list[Member]:
        """The members, in the order of `outputs`."""

    def advance(self, epochs: int) -> None:
        """Train every member for some epochs."""

    def outputs(self) -> list[list[Tensor]]:
        """Return each member's raw outputs on each cell's validation rows."""

    def keep(self, kept: Sequence[int]) -> None:
        """Go on with some of the members only."""


class Trainer(Protocol):
    """What trains members: stacked for tables, one after the other for any model."""

    task: Task | Literal["joint"]
    split: Split
    budget: Budget
    ensemble: int  # trainings of a final model

    @property
    def rounds(self) -> tuple[Sequence[int], Sequence[int]]:
        """Cells: for screening, and all others."""

    def losses(self, candidate: Entry, cells: Sequence[int]) -> tuple[Loss, ...]:
        """Return the candidate fitted to the training targets of each cell."""

    def fleet(self, cells: Sequence[int], members: Sequence[Member]) -> Fleet:
        """Return members ready to train on cells."""

    def valid_target(self, cell: int) -> np.ndarray:
        """Return the targets of a cell's validation rows."""

    def valid_targets_tensor(self, cell: int) -> Tensor:
        """Return the same as a tensor."""

    def siblings(self, cell: int, cells: Sequence[int]) -> list[int]:
        """Return the other cells that share no validation row with a cell."""

    def final(self, candidate: Entry, rate: float, epochs: int) -> Model:
        """Train a candidate on all rows but the test rows."""

    def test_target(self) -> np.ndarray:
        """Return the targets of the untouched rows."""

    def predict_test(self, model: Any) -> np.ndarray:
        """Return a final model's predictions of the untouched rows."""

    def probe(self, loss: Loss) -> None:
        """Time a little of what evaluating the default alone takes; called now and then."""

    def default_seconds(self, track: Track, epochs: int, settings: int) -> float:
        """Return what evaluating the default alone takes by plain sequential training."""
