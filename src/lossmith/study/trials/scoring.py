"""What is measured of each trial: an error for each fold and epoch, on rows that count."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.study.journal import Setting
from lossmith.study.metrics import Metric, shifted
from lossmith.study.rules.measurements import Measure
from lossmith.study.training.heads import AS_DECODED, HeadReader, predict
from lossmith.study.trials.measured import History
from lossmith.study.trials.outliers import FAR, has_outliers, residual_scales


class Scoring(Protocol):
    """What a search asks of that which scores: by one metric, or by several made into one."""

    @property
    def metric(self) -> Measure:
        """What trials are compared by."""

    @property
    def targets(self) -> tuple["Scorer", ...]:
        """The scorers of each target by itself."""

    @property
    def excluded(self) -> float:
        """The share of validation rows that are outliers and not scored."""

    def scored(self, fold: int) -> np.ndarray | slice:
        """Return which of a fold's validation rows are scored."""

    def history(self, key: Setting) -> History:
        """Return an empty history."""

    def predictions(self, losses: Sequence[Loss], outputs: Sequence[Tensor]) -> Any:
        """Return what trials predict from their raw outputs on one fold."""

    def record(self, histories: Sequence[Any], predictions: Mapping[int, Any], epoch: int) -> None:
        """Score predictions of each fold and write them to the histories."""

    def exclude_outliers(self, folds: Sequence[int]) -> None:
        """Decide which rows are scored, by the latest predictions."""


class FoldTargets(Protocol):
    """What a scorer asks of the folds."""

    def valid_target(self, fold: int) -> np.ndarray:
        """Return the targets of a fold's validation rows."""

    def siblings(self, fold: int, folds: Sequence[int]) -> list[int]:
        """Return the other folds that share no validation row with a fold."""


class Scorer:
    """Scores predictions fold by fold, alike for all candidates.

    A tuned metric's decision for a fold comes from other folds. A metric of squared errors
    leaves out rows whose targets are gross errors, where there are such (see `outliers`).
    """

    def __init__(
        self,
        metric: Metric,
        folds: FoldTargets,
        exclude_outliers: bool,
        reading: HeadReader = AS_DECODED,
    ) -> None:
        self.metric, self.folds, self.reading = metric, folds, reading
        self.outlier_sensitive = (
            exclude_outliers and metric.elicits == "mean" and not metric.minimiser
        )
        self.has_outliers: bool | None = None  # None until it is known
        self.scored_rows: dict[int, np.ndarray] = {}  # by fold, where not all are scored
        self._pending: list[tuple[list[History], int, int, np.ndarray]] = []

    @property
    def excluded(self) -> float:
        """The share of validation rows that are outliers and not scored."""
        rows = list(self.scored_rows.values())
        return 1 - float(np.concatenate(rows).mean()) if rows else 0.0

    @property
    def targets(self) -> tuple["Scorer", ...]:
        """The scorers of each target by itself: this one."""
        return (self,)

    def scored(self, fold: int) -> np.ndarray | slice:
        """Return which of a fold's validation rows are scored."""
        return self.scored_rows.get(fold, slice(None))

    def scored_mask(self, fold: int) -> np.ndarray:
        """Return the same for each of the rows."""
        mask = self.scored_rows.get(fold)
        return np.ones(len(self.folds.valid_target(fold)), bool) if mask is None else mask

    def scored_targets(self, target: np.ndarray) -> np.ndarray:
        """Return the targets, or where outliers are not scored, those known to be none."""
        known = [self.folds.valid_target(fold)[rows] for fold, rows in self.scored_rows.items()]
        return np.concatenate(known) if known else target

    def history(self, key: Setting) -> History:
        """Return an empty history."""
        return History(key)

    def predictions(self, losses: Sequence[Loss], outputs: Sequence[Tensor]) -> np.ndarray:
        """Return what trials predict from their raw outputs on one fold, (trials, rows, …)."""
        pairs = zip(losses, outputs, strict=True)
        return np.stack([predict(*pair, self.reading) for pair in pairs])

    def record(
        self, histories: Sequence[History], predictions: Mapping[int, np.ndarray], epoch: int
    ) -> None:
        """Score (trials, rows, …) predictions of each fold and write them to the histories."""
        pending = self.outlier_sensitive and self.has_outliers is not False
        for fold, values in predictions.items():
            if self.metric.tuned:
                self._tune(histories, fold, predictions, epoch)
            self._score(histories, fold, epoch, values)
            if pending and fold not in self.scored_rows:
                self._pending.append((list(histories), fold, epoch, values))

    def exclude_outliers(self, folds: Sequence[int]) -> None:
        """Decide which rows are scored, by the latest predictions; score earlier epochs again."""
        if not self.outlier_sensitive or self.has_outliers is False:
            return
        latest = {fold: values for _, fold, _, values in self._pending if fold in folds}
        log = self.metric.transform == "log1p"
        scales = {
            fold: residual_scales(self.folds.valid_target(fold), values, log)
            for fold, values in latest.items()
        }
        if self.has_outliers is None:
            self.has_outliers = has_outliers(np.concatenate(list(scales.values())))
        if self.has_outliers:
            self.scored_rows |= {fold: scale <= FAR for fold, scale in scales.items()}
            for histories, fold, epoch, values in self._pending:
                self._score(histories, fold, epoch, values)
        self._pending = []

    def left_out(self, folds: Sequence[int]) -> dict[str, Any]:
        """Return as plain data which rows of some folds are not scored, for `leave_out`."""
        known = [fold for fold in folds if fold in self.scored_rows]
        rows = {str(fold): np.flatnonzero(~self.scored_rows[fold]).tolist() for fold in known}
        return {"outliers": self.has_outliers, "rows": rows}

    def leave_out(self, said: Mapping[str, Any]) -> None:
        """Score no rows that were left out before."""
        self.has_outliers = said["outliers"]
        for fold, rows in said["rows"].items():
            mask = np.ones(len(self.folds.valid_target(int(fold))), bool)
            mask[rows] = False
            self.scored_rows[int(fold)] = mask

    def _score(
        self, histories: Sequence[History], fold: int, epoch: int, values: np.ndarray
    ) -> None:
        rows = self.scored(fold)
        target, values = self.folds.valid_target(fold)[rows], values[:, rows]
        if self.metric.tuned:
            values = shifted(values, np.stack([h.decisions[fold][epoch] for h in histories]))
        errors = self.metric.error(self.metric.scores(target, values))
        influences = self.metric.error(self.metric.influence_matrix(target, values))
        parts = influences.astype(np.float32)
        for history, error, part in zip(histories, errors, parts, strict=True):
            history.influences.setdefault(fold, {})[epoch] = part
            # Last: a stop may come between, and a history has what it has an error of.
            history.errors.setdefault(fold, {})[epoch] = float(error)

    def _tune(
        self,
        histories: Sequence[History],
        fold: int,
        predictions: Mapping[int, np.ndarray],
        epoch: int,
    ) -> None:
        others = self.folds.siblings(fold, list(predictions)) or [fold]
        target = np.concatenate([self.folds.valid_target(other) for other in others])
        for index, history in enumerate(histories):
            pooled = np.concatenate([predictions[other][index] for other in others])
            decision = self.metric.tune(target, pooled)
            assert decision is not None
            history.decisions.setdefault(fold, {})[epoch] = decision
