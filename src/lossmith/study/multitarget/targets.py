"""What a search over several targets says of each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossmith.study.conclude import (
    decision_of,
    notes_of,
    outlier_finding,
    scored_test_rows,
    test_scores,
)
from lossmith.study.multitarget.problem import JointProblem, under
from lossmith.study.multitarget.scores import JointHistory, JointScorer, relative_to_best
from lossmith.study.result import Finding, TargetResult, WeightSweep
from lossmith.study.rules.compare import FoldErrors, evaluate_at
from lossmith.study.rules.measurements import Measurements
from lossmith.study.rules.paired_test import Estimate
from lossmith.study.search.trainer import Trainer

SHARE_ROWS = 1000  # rows of which half a one bounds a share from below


@dataclass(frozen=True)
class TargetView:
    """The measurements of a joint search as each target sees them."""

    measurements: Measurements
    trainer: Trainer
    scorer: JointScorer
    problem: JointProblem

    def decisions(self, history: JointHistory) -> list[np.ndarray | None]:
        """Return each target's decision, at the epoch best for all of them."""
        epoch = self.measurements.evaluate(history).best_epoch
        pairs = zip(self.scorer.metric.metrics, history.parts, strict=True)
        return [decision_of(metric, part, self.measurements.folds, epoch) for metric, part in pairs]

    def estimates(self, history: Any) -> tuple[tuple[Estimate, Estimate], ...]:
        """Return of each target a trial's score, and its difference to the default's."""
        default, found = self.measurements.default_history(), []
        for place, metric in enumerate(self.scorer.metric.metrics):
            errors, base = self._evaluate(history, place), self._evaluate(default, place)
            score = errors.mean_error.in_metric_direction(metric.error)
            found.append((score, errors.difference(base).in_metric_direction(metric.error)))
        return tuple(found)

    def _evaluate(self, history: Any, place: int) -> FoldErrors:
        """Read one target's history at the epochs that suit all targets together."""
        joint = self.measurements.evaluate(history)
        folds, every = self.measurements.folds, self.measurements.rows
        rows = {fold: every[fold][self.scorer.rows(place, fold)] for fold in folds}
        by_ratio = self.scorer.metric.metrics[place].by_ratio
        part = history.parts[place]
        return evaluate_at(part, folds, rows, by_ratio, joint.epochs, joint.best_epoch)

    def results(
        self,
        estimates: Mapping[str, Sequence[tuple[Estimate, Estimate]]],
        selected: str,
        predictions: Sequence[Sequence[np.ndarray]],
        decisions: Sequence[Sequence[np.ndarray | None]],
    ) -> tuple[TargetResult, ...]:
        """Return what was found for each target."""
        test, found = self.trainer.split.test, []
        default = estimates[self.measurements.candidates.default]
        pairs = zip(self.problem.problems, self.scorer.scorers, strict=True)
        for place, (one, scorer) in enumerate(pairs):
            metric, (score, difference) = scorer.metric, estimates[selected][place]
            target, values = one.target[test], [value[place] for value in predictions]
            rows = scored_test_rows(metric, scorer.excluded > 0, target, values)
            tuned = [value[place] for value in decisions]
            found.append(
                TargetResult(
                    name=one.name,
                    task=one.task,
                    metric=metric.name,
                    better=metric.better,
                    default=default[place][0].mean,
                    selected=score.mean,
                    difference=difference.mean,
                    difference_low=difference.low,
                    difference_high=difference.high,
                    test=test_scores(metric, rows, target, values, tuned),
                    classes=len(one.classes),
                )
            )
        return tuple(found)

    def notes(self) -> tuple[Finding, ...]:
        """Return what is known of the targets beside the diagnosis.

        Outliers come last: the screen shows what it has not shown before.
        """
        pairs = list(zip(self.problem.problems, self.scorer.scorers, strict=True))
        notes = [under(one, notes_of(one)) for one, _ in pairs]
        outliers = [
            under(one, outlier_finding(scorer.metric, scorer.excluded)) for one, scorer in pairs
        ]
        return sum((*notes, *outliers), ())

    def weight_sweeps(self) -> tuple[WeightSweep, ...]:
        """Return what the default's other weights give on the screening folds, each at its best."""
        chosen = self.measurements.default_history().key
        errors = {
            variant: self._target_errors(history, epoch)
            for variant, (history, epoch) in self._best_by_variant(chosen.candidate).items()
        }
        default: Any = self.measurements.candidates[chosen.candidate]
        return tuple(
            WeightSweep(
                shares=default.variants[variant].shares,
                changes=tuple((100 * (1 - found / errors[chosen.variant])).tolist()),
            )
            for variant, found in errors.items()
            if chosen.variant in errors
        )

    def _best_by_variant(self, candidate: str) -> dict[int, tuple[Any, int]]:
        """Return of each variant its trial of least error on the screening folds, and its epoch."""
        best: dict[int, tuple[Any, FoldErrors]] = {}
        for history in self.measurements.of_candidate(candidate):
            if history.diverged:
                continue
            errors = self.measurements.evaluate(history, self.measurements.screening_folds)
            variant = history.key.variant
            if variant not in best or errors.errors.mean() < best[variant][1].errors.mean():
                best[variant] = history, errors
        return {variant: (history, e.best_epoch) for variant, (history, e) in best.items()}

    def _target_errors(self, history: JointHistory, epoch: int) -> np.ndarray:
        """Return each target's mean distance from the best score on the screening folds."""
        found = []
        for metric, part in zip(self.scorer.metric.metrics, history.parts, strict=True):
            folds = self.measurements.screening_folds
            scores = [metric.error(part.errors[fold][epoch]) for fold in folds]
            found.append(np.mean([relative_to_best(metric, s, SHARE_ROWS) for s in scores]))
        return np.array(found)
