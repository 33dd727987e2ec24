"""Tables as something to train on: features encoded fold by fold, bodies stacked."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, cached_property, partial

import numpy as np
import torch
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.study.candidates import CandidateSpec
from lossmith.study.data.cells import Cells
from lossmith.study.data.encoder import Encoder
from lossmith.study.data.folds import Split
from lossmith.study.data.problem import Problem
from lossmith.study.data.table_problem import TableProblem
from lossmith.study.multitarget.heads import bare
from lossmith.study.tasks import TABLE_TASKS
from lossmith.study.tasks.timed import TimedLoss
from lossmith.study.training.budget import Budget, TrialSpec
from lossmith.study.training.heads import AS_DECODED, HeadReader
from lossmith.study.training.mlp import StackedMLP
from lossmith.study.training.predictor import CHUNK, TableModel
from lossmith.study.training.stacked import Rows, StackedBatch
from lossmith.study.training.timing import StepTimer

ENSEMBLE = 4  # seeds of the final model
LISTS = 8  # of a ranking that share a batch, at least
MOST_STEPS = 8  # times the steps on a fold; of a large table the folds are of a sample


class TableTrainer:
    """Trains trials on the folds of a table; each fold's encoder saw its training rows only.

    readings: of each target's head, in a final model.
    """

    ensemble = ENSEMBLE

    def __init__(
        self,
        problem: Problem | TableProblem,
        split: Split,
        readings: Sequence[HeadReader] = (AS_DECODED,),
        *,
        epochs: int | None = None,
        batch: int | None = None,
    ) -> None:
        self.problem, self.split, self.readings = problem, split, tuple(readings)
        of, own = TABLE_TASKS.get(problem.task), problem.target[split.train]
        self.length = of.list_length(own) if of is not None else 0
        least = LISTS * len(own) // len(np.unique(own[:, 1])) if self.length else 1
        rows = len(split.folds[0].train)
        self.budget = Budget.for_rows(rows, epochs=epochs, batch=batch, least=least)
        self.encoding = 0.0  # seconds
        self.timer: StepTimer | None = None
        self._rows = cache(self._encode)

    def losses(self, candidate: CandidateSpec, folds: Sequence[int]) -> tuple[Loss, ...]:
        """Return the candidate fitted to the training targets of each fold."""
        return tuple(candidate.fit(self._target(self.split.folds[fold].train)) for fold in folds)

    def start(self, folds: Sequence[int], trials: Sequence[TrialSpec]) -> StackedBatch:
        """Return trials ready to train on folds."""
        return StackedBatch(self._rows(tuple(folds)), trials, self.budget)

    def valid_target(self, fold: int) -> np.ndarray:
        """Return the targets of a fold's validation rows."""
        return self.problem.target[self.split.folds[fold].valid]

    def reference_seconds(self, loss: Loss, epochs: int, settings: int, longest: int) -> float:
        """Return what the default alone takes by plain sequential training.

        That is its settings on the screening folds, the best of them trained to the same end as in
        the study there and on all others, and the final
        model, at the time that one step of the ordinary loop takes; with the same encoding of
        features. The second setting that a search gives the default is not counted.
        """
        screening, others = self.split.screening_folds, self.split.confirmation_folds
        rows = self._rows(tuple(screening))
        timer = self._timer(loss)
        if not timer.count:  # nothing was trained here: all was measured before
            timer.measure()
        steps = len(rows.target[0]) // self.budget.batch
        first = (settings - 1) * len(screening) * self.budget.epochs
        best = (len(screening) + len(others)) * longest
        last = self._final_epochs(epochs)
        final = self.ensemble * last * (len(self.split.train) // self.budget.batch)
        return self.encoding + timer.step * ((first + best) * steps + final)

    def time_reference(self, loss: Loss) -> None:
        """Time a few steps of the ordinary loop beside the search."""
        self._timer(loss).measure()

    def _timer(self, loss: Loss) -> StepTimer:
        if self.timer is None:
            rows = self._rows(tuple(self.split.screening_folds))
            shuffle = partial(rows.batches, 0, self.budget.batch)
            self.timer = StepTimer(loss, rows.features[0], rows.target[0], shuffle)
        return self.timer

    def siblings(self, fold: int, folds: Sequence[int]) -> list[int]:
        """Return the other folds that share no validation row with a fold."""
        return self.split.siblings(fold, folds)

    def final(
        self, candidate: CandidateSpec, rate: float, epochs: int, models: int = ENSEMBLE
    ) -> TableModel:
        """Train a candidate on all rows but the test rows, under several seeds."""
        encoder, features = self._develop
        target = self._target(self.split.train)
        seeds = [self.split.folds[0].seed + number for number in range(models)]
        rows = Rows([(features, target)] * models, [features[:1]] * models, seeds, self.length)
        losses = tuple(candidate.fit(target) for _ in seeds)
        trial = TrialSpec(candidate=candidate.name, learning_rate=rate, losses=losses)
        budget = replace(self.budget, epochs=self._final_epochs(self.budget.epochs))
        batch = StackedBatch(rows, [trial], budget)
        batch.advance(self._final_epochs(epochs))
        body = batch.stacks[0].averaged()
        loss = candidate.fit(target)
        if isinstance(loss, TimedLoss) and loss.waits:
            _calibrate(loss, body, rows)
        horizons = loss.horizons if isinstance(loss, TimedLoss) else ()
        return TableModel(
            encoder=encoder,
            loss=bare(loss),
            body=body,
            embedding=rows.embedding,
            readings=[replace(one, horizons=horizons) for one in self.readings],
        )

    def _final_epochs(self, epochs: int) -> int:
        """Return how many epochs of all rows stand for epochs of a fold, which may be a sample."""
        share = MOST_STEPS * len(self.split.folds[0].train) / len(self.split.train)
        return max(1, round(epochs * min(1.0, share)))

    def _encode(self, folds: tuple[int, ...]) -> Rows:
        start = time.perf_counter()
        train, valid = [], []
        for number in folds:
            fold = self.split.folds[number]
            encoder, features = self._fitted(fold.train)
            train.append((features, self._target(fold.train)))
            valid.append(torch.from_numpy(encoder.transform(self._cells.at(fold.valid))))
        seeds = [self.split.folds[number].seed for number in folds]
        rows = Rows(train, valid, seeds, self.length)
        self.encoding += time.perf_counter() - start
        return rows

    def _fitted(self, rows: np.ndarray) -> tuple[Encoder, Tensor]:
        """Return an encoder of some rows, and these as it encodes them for training."""
        encoder = Encoder()
        encoded = encoder.fit_transform(
            self._cells.at(rows),
            self.problem.target[rows, 0] if self.length else self.problem.target[rows],
            self.problem.columns,
            self.split.units(rows),
        )
        return encoder, torch.from_numpy(encoded)

    @cached_property
    def _develop(self) -> tuple[Encoder, Tensor]:
        """All rows but the test rows, as an encoder of them encodes them."""
        start = time.perf_counter()
        found = self._fitted(self.split.train)
        self.encoding += time.perf_counter() - start
        return found

    @cached_property
    def _cells(self) -> Cells:
        return self.problem.columns.read(self.problem.features)

    def _target(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.problem.target[rows])


@torch.no_grad()
def _calibrate(loss: TimedLoss, body: StackedMLP, rows: Rows) -> None:
    """Tell a loss of risks alone what those of its training rows are, of all seeds together.

    Risks have no origin that seeds would share: it becomes the mean of each seed's.
    """
    every = torch.arange(rows.target.shape[1]).split(CHUNK)
    parts = [body(rows.batch(some.expand(len(rows.seeds), -1)))[0] for some in every]
    output = torch.cat(parts, dim=2)
    origin = output.mean(dim=2, keepdim=True)
    body.biases[0].sub_(origin)
    loss.calibrate((output - origin).flatten(), rows.target.flatten(0, 1))
