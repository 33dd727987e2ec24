"""What is measured of each candidate: a score for each cell and epoch, on rows that count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.study.metrics import Metric, shifted
from lossmith.study.search.outliers import FAR, has_gross_errors, residual_scales
from lossmith.study.search.trial import Key


@dataclass
class Track:
    """What is known of one candidate at one setting."""

    key: Key
    scores: dict[int, dict[int, float]] = field(default_factory=dict)  # by cell and epoch
    influences: dict[int, dict[int, np.ndarray]] = field(default_factory=dict)  # of rows on them
    decisions: dict[int, dict[int, np.ndarray]] = field(default_factory=dict)
    outputs: dict[int, tuple[Loss, Tensor]] = field(default_factory=dict)  # of the first cell
    diverged: bool = False

    @property
    def learning_rate(self) -> float:
        """The learning rate of its setting."""
        return self.key.learning_rate

    def table(self, cells: Sequence[int]) -> tuple[np.ndarray, list[int]]:
        """Return the scores as (cells, epochs) with the epochs that all cells have."""
        epochs = sorted(set.intersection(*(set(self.scores[cell]) for cell in cells)))
        rows = [[self.scores[cell][epoch] for epoch in epochs] for cell in cells]
        return np.array(rows), epochs


class Measure(Protocol):
    """What a race compares by: one metric, or one number made of several."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def better(self) -> Literal["lower", "higher"]:
        """Which way it improves."""


class Cells(Protocol):
    """What a scorer asks of the cells."""

    def valid_target(self, cell: int) -> np.ndarray:
        """Return the targets of a cell's validation rows."""

    def siblings(self, cell: int, cells: Sequence[int]) -> list[int]:
        """Return the other cells that share no validation row with a cell."""


class Scorer:
    """Scores predictions cell by cell, alike for all candidates.

    A tuned metric's decision for a cell comes from other cells. A metric of squared errors
    leaves out rows whose targets are gross errors, where there are such (see `gross`).
    """

    def __init__(self, metric: Metric, cells: Cells, exclude_gross: bool) -> None:
        self.metric, self.cells = metric, cells
        self.sensitive = exclude_gross and metric.elicits == "mean"
        self.contaminated: bool | None = None
        self.judged: dict[int, np.ndarray] = {}  # which rows of a cell count
        self._pending: list[tuple[list[Track], int, int, np.ndarray]] = []

    @property
    def excluded(self) -> float:
        """The share of validation rows that do not count."""
        rows = list(self.judged.values())
        return 1 - float(np.concatenate(rows).mean()) if rows else 0.0

    def track(self, key: Key) -> Track:
        """Return an empty track."""
        return Track(key)

    def read(self, losses: Sequence[Loss], outputs: Sequence[Tensor]) -> np.ndarray:
        """Return what members predict from their raw outputs on one cell, (members, rows, …)."""
        return np.stack([predict(*pair) for pair in zip(losses, outputs, strict=True)])

    def record(
        self, tracks: Sequence[Track], predictions: Mapping[int, np.ndarray], epoch: int
    ) -> None:
        """Score (members, rows, …) predictions of each cell and write them to the tracks."""
        for cell, values in predictions.items():
            if self.metric.tuned:
                self._tune(tracks, cell, predictions, epoch)
            self._score(tracks, cell, epoch, values)
            if self.sensitive and self.contaminated is not False and cell not in self.judged:
                self._pending.append((list(tracks), cell, epoch, values))

    def find_gross(self, cells: Sequence[int]) -> None:
        """Decide which rows count, by the latest predictions, and score earlier epochs again."""
        if not self.sensitive or self.contaminated is False:
            return
        latest = {cell: values for _, cell, _, values in self._pending if cell in cells}
        scales = {
            cell: residual_scales(
                self.cells.valid_target(cell), values, self.metric.transform == "log1p"
            )
            for cell, values in latest.items()
        }
        if self.contaminated is None:
            self.contaminated = has_gross_errors(np.concatenate(list(scales.values())))
        if self.contaminated:
            self.judged |= {cell: far <= FAR for cell, far in scales.items()}
            for tracks_then, cell, epoch, values in self._pending:
                self._score(tracks_then, cell, epoch, values)
        self._pending = []

    def _score(self, tracks: Sequence[Track], cell: int, epoch: int, values: np.ndarray) -> None:
        rows = self.judged.get(cell, slice(None))
        target, values = self.cells.valid_target(cell)[rows], values[:, rows]
        if self.metric.tuned:
            values = shifted(values, np.stack([t.decisions[cell][epoch] for t in tracks]))
        scores = self.metric.scores(target, values)
        of_rows = self.metric.influence_matrix(target, values).astype(np.float32)
        for track, score, own in zip(tracks, scores, of_rows, strict=True):
            track.influences.setdefault(cell, {})[epoch] = own
            track.scores.setdefault(cell, {})[epoch] = float(score)  # last: a stop may come between
            track.diverged |= not np.isfinite(score)

    def _tune(
        self,
        tracks: Sequence[Track],
        cell: int,
        predictions: Mapping[int, np.ndarray],
        epoch: int,
    ) -> None:
        others = self.cells.siblings(cell, list(predictions)) or [cell]
        target = np.concatenate([self.cells.valid_target(other) for other in others])
        for index, track in enumerate(tracks):
            pooled = np.concatenate([predictions[other][index] for other in others])
            decision = self.metric.tune(target, pooled)
            assert decision is not None
            track.decisions.setdefault(cell, {})[epoch] = decision


def predict(loss: Loss, output: Tensor) -> np.ndarray:
    """Return points (n,), or probabilities (n, C) with two columns for a binary head of one."""
    decoded = loss.decode(output).detach().double().numpy()
    if loss.card.tasks == ("regression",) or decoded.ndim > 1:
        return decoded
    return np.stack([1 - decoded, decoded], axis=-1)
