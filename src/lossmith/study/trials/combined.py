"""What is measured of a trial of several targets: by each target's own scorer, made into one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.study.journal import Setting
from lossmith.study.multitarget.combine import GeometricMean
from lossmith.study.training.heads import read
from lossmith.study.trials.measured import History
from lossmith.study.trials.scoring import Scorer, Scoring

Array = np.ndarray


def combine(scorers: Sequence[Scorer], targets: Sequence[Array]) -> Scoring:
    """Return one scorer of several: of a single one, itself.

    Args:
        scorers: one a target, over the same folds.
        targets: of each, values among which a constant prediction gives its unit.
    """
    if len(scorers) == 1:
        return scorers[0]
    metrics = [scorer.metric for scorer in scorers]
    known = [scorer.scored_targets(target) for scorer, target in zip(scorers, targets, strict=True)]
    return CombinedScorer(GeometricMean.of(metrics, known), scorers)


class CombinedScorer:
    """Scores each target by its own scorer, and combines what they say."""

    excluded = 0.0  # a target's own scorer may leave rows out; the combined score counts all

    def __init__(self, metric: GeometricMean, scorers: Sequence[Scorer]) -> None:
        self.metric, self.targets = metric, tuple(scorers)
        self._histories: dict[Setting, History] = {}

    def scored(self, fold: int) -> slice:
        """Return which of a fold's validation rows are scored: all, for some target."""
        return slice(None)

    def history(self, key: Setting) -> History:
        """Return an empty history."""
        parts = tuple(History(key) for _ in self.targets)
        self._histories[key] = History(key, parts=parts)
        return self._histories[key]

    def predictions(self, losses: Sequence[Loss], outputs: Sequence[Tensor]) -> tuple[Array, ...]:
        """Return what trials predict of each target from their raw outputs on one fold."""
        readings, pairs = [one.reading for one in self.targets], zip(losses, outputs, strict=True)
        predictions = [read(loss, raw, readings) for loss, raw in pairs]
        return tuple(np.stack(of_target) for of_target in zip(*predictions, strict=True))

    def record(
        self, histories: Sequence[History], predictions: Mapping[int, Any], epoch: int
    ) -> None:
        """Score every target's predictions of each fold, and combine the scores."""
        for place, scorer in enumerate(self.targets):
            of_target = {fold: values[place] for fold, values in predictions.items()}
            scorer.record([history.parts[place] for history in histories], of_target, epoch)
        for history in histories:
            for fold in predictions:
                self._combine(history, fold, epoch)

    def exclude_outliers(self, folds: Sequence[int]) -> None:
        """Let each target's scorer decide which of its rows are scored; combine the scores again.

        Nothing is combined again where no target's scorer left rows out.
        """
        before = [scorer.scored_rows.keys() & set(folds) for scorer in self.targets]
        for scorer in self.targets:
            scorer.exclude_outliers(folds)
        if before == [scorer.scored_rows.keys() & set(folds) for scorer in self.targets]:
            return
        for history in self._histories.values():
            for fold in set(folds) & set(history.errors):
                for epoch in history.errors[fold]:
                    self._combine(history, fold, epoch)

    def _combine(self, history: History, fold: int, epoch: int) -> None:
        pairs = zip(self.metric.metrics, history.parts, strict=True)
        scores = [metric.error(part.errors[fold][epoch]) for metric, part in pairs]
        scored = [scorer.scored_mask(fold) for scorer in self.targets]
        parts = [part.influences[fold][epoch] for part in history.parts]
        influences = self.metric.influences(scores, parts, scored)
        history.influences.setdefault(fold, {})[epoch] = influences
        history.errors.setdefault(fold, {})[epoch] = self.metric.combine(scores, len(scored[0]))
