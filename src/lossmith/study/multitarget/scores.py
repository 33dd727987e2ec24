"""One number for several metrics: the geometric mean of errors, each against a constant's.

Two candidates then differ by the mean of the metrics' relative changes, whatever units these have,
and everything a race does with one metric holds for several: ranking, pairing, the test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.study.metrics import Metric
from lossmith.study.search.scoring import Scorer, Track
from lossmith.study.search.trial import Key

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class JointMetric:
    """The geometric mean, over metrics, of a model's error in units of a constant prediction's.

    The error is the metric, or 1 − metric where higher is better; 1 is no better than a constant.
    """

    metrics: tuple[Metric, ...]
    units: tuple[float, ...]  # the errors of constant predictions
    name: str = "relative error"
    better: Literal["lower", "higher"] = "lower"
    tuned: bool = False

    @classmethod
    def of(cls, metrics: Sequence[Metric], targets: Sequence[Array]) -> "JointMetric":
        """Return the measure in units of the best constant predictions of some targets."""
        units = [_unit(metric, target) for metric, target in zip(metrics, targets, strict=True)]
        return cls(metrics=tuple(metrics), units=tuple(units))

    def combine(self, scores: Sequence[float], rows: int) -> float:
        """Make one number of one score a metric."""
        logs = [
            np.log(error(metric, score, rows) / unit)
            for metric, score, unit in zip(self.metrics, scores, self.units, strict=True)
        ]
        return float(np.exp(np.mean(logs)))


@dataclass
class JointTrack(Track):
    """A candidate's joint scores, and beside them its scores by each metric."""

    parts: tuple[Track, ...] = field(default_factory=tuple)


class JointScorer:
    """Scores each target by its own scorer, and joins what they say.

    Args:
        scorers: one a target, over the same cells.
    """

    def __init__(self, metric: JointMetric, scorers: Sequence[Scorer]) -> None:
        self.metric, self.scorers = metric, tuple(scorers)
        self.judged: dict[int, Array] = {}  # all rows; a target's own scorer may leave some out
        self._tracks: dict[Key, JointTrack] = {}

    @property
    def contaminated(self) -> bool:
        """Whether some target holds gross errors that do not count."""
        return any(scorer.contaminated for scorer in self.scorers)

    def track(self, key: Key) -> JointTrack:
        """Return an empty track."""
        self._tracks[key] = JointTrack(key, parts=tuple(Track(key) for _ in self.scorers))
        return self._tracks[key]

    def read(self, losses: Sequence[Loss], outputs: Sequence[Tensor]) -> tuple[Array, ...]:
        """Return what members predict of each target from their raw outputs on one cell."""
        predictions = [loss.predict(raw) for loss, raw in zip(losses, outputs, strict=True)]  # type: ignore[operator]
        return tuple(np.stack(of_target) for of_target in zip(*predictions, strict=True))

    def record(
        self, tracks: Sequence[JointTrack], predictions: Mapping[int, Any], epoch: int
    ) -> None:
        """Score every target's predictions of each cell, and join the scores."""
        for number, scorer in enumerate(self.scorers):
            own = {cell: values[number] for cell, values in predictions.items()}
            scorer.record([track.parts[number] for track in tracks], own, epoch)
        for track in tracks:
            for cell in predictions:
                self._join(track, cell, epoch)

    def find_gross(self, cells: Sequence[int]) -> None:
        """Let each target's scorer decide which of its rows count; join the scores again."""
        before = [scorer.judged.keys() & set(cells) for scorer in self.scorers]
        for scorer in self.scorers:
            scorer.find_gross(cells)
        if before == [scorer.judged.keys() & set(cells) for scorer in self.scorers]:
            return
        for track in self._tracks.values():
            for cell in set(cells) & set(track.scores):
                for epoch in track.scores[cell]:
                    self._join(track, cell, epoch)

    def rows(self, number: int, cell: int) -> Array:
        """Return which of a cell's rows count for a target."""
        scorer = self.scorers[number]
        every = np.ones(len(scorer.cells.valid_target(cell)), bool)
        return scorer.judged.get(cell, every)

    def _join(self, track: JointTrack, cell: int, epoch: int) -> None:
        scores = [part.scores[cell][epoch] for part in track.parts]
        counts = [self.rows(number, cell) for number in range(len(self.scorers))]
        joined = self.metric.combine(scores, len(counts[0]))
        influence = np.zeros(len(counts[0]))
        for part, metric, counted in zip(track.parts, self.metric.metrics, counts, strict=True):
            sign = 1 if metric.better == "lower" else -1
            scale = error(metric, part.scores[cell][epoch], len(counted)) * counted.mean()
            influence[counted] += sign * part.influences[cell][epoch] / scale
        own = joined * influence / len(scores)
        track.influences.setdefault(cell, {})[epoch] = np.where(np.isfinite(own), own, 0.0)
        track.scores.setdefault(cell, {})[epoch] = joined
        track.diverged = any(part.diverged for part in track.parts)


def error(metric: Metric, score: float, rows: int) -> float:
    """Return a score as an error, at least what half a row would give where it is a share."""
    if metric.better == "lower":
        return max(score, float(np.finfo(float).tiny))
    return max(1 - score, 0.5 / rows)


def _unit(metric: Metric, target: Array) -> float:
    """Return the error of the best constant, or 1 where it has none: half the targets are alike."""
    score = metric.constant_score(target)
    return 1.0 if score == metric.best else error(metric, score, len(target))
