"""What a search asks of that which trains: stacked trainings of one or several targets."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from torch import Tensor

from lossmith.core.card import Task
from lossmith.core.loss import Loss
from lossmith.study.candidates import CandidateSpec
from lossmith.study.data.folds import Split
from lossmith.study.rules.history import TrialHistory
from lossmith.study.search.trial import Budget, TrialSpec


class Model(Protocol):
    """A trained model and the loss that decodes its head."""

    loss: Loss

    def predict(self, inputs: Any) -> Any:
        """Return points (n,) or probabilities (n, C); of several targets, one array each."""


class TrialBatch(Protocol):
    """Trials in training over the same folds."""

    @property
    def trials(self) -> list[TrialSpec]:
        """The trials, in the order of `outputs`."""

    def advance(self, epochs: int) -> None:
        """Train every trial for some epochs."""

    def outputs(self) -> list[list[Tensor]]:
        """Return each trial's raw outputs on each fold's validation rows."""

    def keep(self, kept: Sequence[int]) -> None:
        """Go on with some of the trials only."""


class Trainer(Protocol):
    """What trains trials: stacked, for one or several targets."""

    task: Task | Literal["joint"]
    split: Split
    budget: Budget
    ensemble: int  # trainings of a final model

    def losses(self, candidate: CandidateSpec, folds: Sequence[int]) -> tuple[Loss, ...]:
        """Return the candidate fitted to the training targets of each fold."""

    def start(self, folds: Sequence[int], trials: Sequence[TrialSpec]) -> TrialBatch:
        """Return trials ready to train on folds."""

    def valid_target(self, fold: int) -> np.ndarray:
        """Return the targets of a fold's validation rows."""

    def valid_targets_tensor(self, fold: int) -> Tensor:
        """Return the same as a tensor."""

    def siblings(self, fold: int, folds: Sequence[int]) -> list[int]:
        """Return the other folds that share no validation row with a fold."""

    def final(self, candidate: CandidateSpec, rate: float, epochs: int) -> Model:
        """Train a candidate on all rows but the test rows."""

    def test_target(self) -> np.ndarray:
        """Return the targets of the untouched rows."""

    def predict_test(self, model: Any) -> np.ndarray:
        """Return a final model's predictions of the untouched rows."""

    def time_reference(self, loss: Loss) -> None:
        """Time a little of what evaluating the default alone takes; called now and then."""

    def reference_seconds(self, history: TrialHistory, epochs: int, settings: int) -> float:
        """Return what evaluating the default alone takes by plain sequential training."""
