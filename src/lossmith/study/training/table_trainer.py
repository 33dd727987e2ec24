"""Tables as something to train on: features encoded cell by cell, bodies stacked."""

import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.study.candidates import Entry
from lossmith.study.data.encoder import Encoder
from lossmith.study.data.folds import Split
from lossmith.study.search.scoring import Track
from lossmith.study.search.trial import Budget, Member
from lossmith.study.training.predictor import TableModel
from lossmith.study.training.stacked import Rows, StackedFleet
from lossmith.study.training.timing import Pace

ENSEMBLE = 4  # seeds of the final model


class TableTrainer:
    """Trains members on the cells of a table; each cell's encoder saw its training rows only."""

    ensemble = ENSEMBLE
    delivers: type[TableModel] = TableModel

    def __init__(
        self, problem: Any, split: Split, *, epochs: int | None = None, batch: int | None = None
    ) -> None:
        self.problem, self.split, self.task = problem, split, problem.task
        self.budget = Budget.for_rows(len(split.cells[0].train), epochs=epochs, batch=batch)
        self.rounds = split.rounds
        self.encoding = 0.0  # seconds
        self.pace: Pace | None = None
        self._rows = cache(self._encode)

    def losses(self, candidate: Entry, cells: Sequence[int]) -> tuple[Loss, ...]:
        """Return the candidate fitted to the training targets of each cell."""
        return tuple(candidate.fit(self._target(self.split.cells[cell].train)) for cell in cells)

    def fleet(self, cells: Sequence[int], members: Sequence[Member]) -> StackedFleet:
        """Return members ready to train on cells."""
        return StackedFleet(self._rows(tuple(cells)), members, self.budget)

    def valid_target(self, cell: int) -> np.ndarray:
        """Return the targets of a cell's validation rows."""
        return self.problem.target[self.split.cells[cell].valid]

    def valid_targets_tensor(self, cell: int) -> Tensor:
        """Return the same as a tensor."""
        return self._target(self.split.cells[cell].valid)

    def test_target(self) -> np.ndarray:
        """Return the targets of the untouched rows."""
        return self.problem.target[self.split.test]

    def predict_test(self, model: TableModel) -> np.ndarray:
        """Return a final model's predictions of the untouched rows."""
        return model.predict(self.problem.features.iloc[self.split.test])

    def default_seconds(self, track: Track, epochs: int, settings: int) -> float:
        """Return what the default alone takes by plain sequential training.

        That is its settings on the screening cells, the best of them on all others, and the final
        model, at the time that one step of the ordinary loop takes; with the same encoding of
        features. The second setting that the race gives the default is not counted.
        """
        screening, others = self.rounds
        rows = self._rows(tuple(screening))
        step = self._pace(track.outputs[max(track.outputs)][0]).step
        steps = len(rows.target[0]) // self.budget.batch
        trainings = settings * len(screening) + len(others)
        final = self.ensemble * epochs * (len(self.split.develop) // self.budget.batch)
        return self.encoding + step * (trainings * self.budget.epochs * steps + final)

    def probe(self, loss: Loss) -> None:
        """Time a few steps of the ordinary loop beside the race."""
        self._pace(loss).take()

    def _pace(self, loss: Loss) -> Pace:
        if self.pace is None:
            rows = self._rows(tuple(self.rounds[0]))
            self.pace = Pace(loss, rows.features[0], rows.target[0], self.budget.batch)
        return self.pace

    def siblings(self, cell: int, cells: Sequence[int]) -> list[int]:
        """Return the other cells that share no validation row with a cell."""
        return self.split.siblings(cell, cells)

    def final(self, candidate: Entry, rate: float, epochs: int) -> TableModel:
        """Train a candidate on all rows but the test rows, under several seeds."""
        develop = self.split.develop
        frame = self.problem.features.iloc[develop]
        start = time.perf_counter()
        encoder = Encoder().fit(frame, self.problem.columns)
        features, target = torch.from_numpy(encoder.transform(frame)), self._target(develop)
        self.encoding += time.perf_counter() - start
        seeds = [self.split.cells[0].seed + number for number in range(ENSEMBLE)]
        rows = Rows([(features, target)] * ENSEMBLE, [features[:1]] * ENSEMBLE, seeds)
        losses = tuple(candidate.fit(target) for _ in seeds)
        member = Member(candidate=candidate.name, learning_rate=rate, losses=losses)
        fleet = StackedFleet(rows, [member], self.budget)
        fleet.advance(epochs)
        body = fleet.stacks[0].averaged()
        return self.delivers(encoder=encoder, loss=candidate.fit(target), body=body)

    def _encode(self, cells: tuple[int, ...]) -> Rows:
        start = time.perf_counter()
        train, valid = [], []
        for number in cells:
            cell = self.split.cells[number]
            frame = self.problem.features.iloc[cell.train]
            encoder = Encoder().fit(frame, self.problem.columns)
            features = torch.from_numpy(encoder.transform(frame))
            train.append((features, self._target(cell.train)))
            valid.append(
                torch.from_numpy(encoder.transform(self.problem.features.iloc[cell.valid]))
            )
        self.encoding += time.perf_counter() - start
        return Rows(train, valid, [self.split.cells[number].seed for number in cells])

    def _target(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.problem.target[rows])
