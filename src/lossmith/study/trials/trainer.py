"""What a stacked worker asks of that which trains: stacked trainings of one or several targets."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.study.candidates import CandidateSpec
from lossmith.study.data.encoder import Encoder
from lossmith.study.data.folds import Split
from lossmith.study.training.budget import Budget, TrialSpec
from lossmith.study.training.heads import HeadReader
from lossmith.study.training.predictor import TableModel


class Model(Protocol):
    """A trained model and the loss that decodes its head."""

    loss: Loss

    @property
    def encoder(self) -> Encoder:
        """What reads a table's rows."""

    @property
    def readings(self) -> Sequence[HeadReader]:
        """How each target's head is read."""

    def predict(self, inputs: Any) -> tuple[np.ndarray, ...]:
        """Return each target's points (n,) or probabilities (n, C)."""


class TrialBatch(Protocol):
    """Trials in training over the same folds."""

    @property
    def trials(self) -> list[TrialSpec]:
        """The trials, in the order of `blocks`."""

    def advance(self, epochs: int) -> None:
        """Train every trial for some epochs."""

    def blocks(self) -> Iterator[list[list[Tensor]]]:
        """Yield raw outputs on each fold's validation rows, of a few trials after the other."""

    def keep(self, kept: Sequence[int]) -> None:
        """Go on with some of the trials only."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that training has changed, as tensors and numbers."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state of the same trials."""


class Trainer(Protocol):
    """What trains trials: stacked, for one or several targets."""

    split: Split
    budget: Budget
    ensemble: int  # models of a final one

    def losses(self, candidate: CandidateSpec, folds: Sequence[int]) -> tuple[Loss, ...]:
        """Return the candidate fitted to the training targets of each fold."""

    def start(self, folds: Sequence[int], trials: Sequence[TrialSpec]) -> TrialBatch:
        """Return trials ready to train on folds."""

    def final(self, candidate: CandidateSpec, rate: float, epochs: int, models: int) -> TableModel:
        """Train a candidate on all rows but the test rows, under so many seeds."""

    def time_reference(self, loss: Loss) -> None:
        """Time a little of what evaluating the default alone takes; called now and then."""

    def reference_seconds(self, loss: Loss, epochs: int, settings: int, longest: int) -> float:
        """Return what evaluating the default alone takes by plain sequential training."""
