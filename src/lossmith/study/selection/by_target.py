"""What a search says of each target by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lossmith.study.base.result import CandidateResult, Finding, TargetResult, WeightSweep
from lossmith.study.data.folds import Split
from lossmith.study.data.problem import Problem
from lossmith.study.data.table_problem import TableProblem
from lossmith.study.journal import Setting
from lossmith.study.metrics import Metric, shifted
from lossmith.study.metrics.base import relative_to_best
from lossmith.study.rules.compare import FoldErrors
from lossmith.study.rules.measurements import Measurements
from lossmith.study.rules.paired_test import Estimate
from lossmith.study.tasks import TABLE_TASKS
from lossmith.study.trials.outliers import FAR, residual_scales
from lossmith.study.trials.scoring import Scorer, Scoring

ROLES = ("default", "selected", "ensemble")  # of models; the last only where it was asked for
SHARE_ROWS = 1000  # rows of which half a one bounds a share from below

Arrays = Sequence[np.ndarray]
Estimates = Mapping[str, Sequence[tuple[Estimate, Estimate]]]  # by candidate, then by target


@dataclass(frozen=True)
class ByTarget:
    """The measurements of a search as each target sees them."""

    measurements: Measurements
    scorer: Scoring
    split: Split
    problem: TableProblem

    @property
    def _pairs(self) -> list[tuple[Problem, Scorer]]:
        return list(zip(self.problem.targets, self.scorer.targets, strict=True))

    def decisions(self, setting: Setting) -> list[np.ndarray | None]:
        """Return each target's decision: the mean over folds, at the epoch best for all targets."""
        measured, found = self.measurements, []
        epoch = measured.evaluate(setting).best_epoch
        for place, scorer in enumerate(self.scorer.targets):
            parts = [measured.of_target(setting, f, epoch, place) for f in measured.folds]
            tuned = [part.decision for part in parts if part.decision is not None]
            found.append(np.mean(tuned, axis=0) if scorer.metric.tuned else None)
        return found

    def estimates(self) -> Estimates:
        """Return of each finalist and target the score, and its difference to the default's."""
        default = self.measurements.default
        found = {}
        for name, setting in self.measurements.settings.items():
            of_targets = []
            for place, scorer in enumerate(self.scorer.targets):
                errors, base = self._evaluate(setting, place), self._evaluate(default, place)
                score = errors.mean_error.in_metric_direction(scorer.metric.error)
                difference = errors.difference(base).in_metric_direction(scorer.metric.error)
                of_targets.append((score, difference))
            found[name] = of_targets
        return found

    def _evaluate(self, setting: Setting, place: int) -> FoldErrors:
        """Read what was measured of one target at the epochs that suit all targets together."""
        joint, split = self.measurements.evaluate(setting), self.split
        folds, scorer = self.measurements.folds, self.scorer.targets[place]
        parts = [
            self.measurements.of_target(setting, fold, epoch, place)
            for fold, epoch in zip(folds, joint.epochs, strict=True)
        ]
        return FoldErrors(
            errors=np.array([part.error for part in parts]),
            influences=tuple(part.influences for part in parts),
            rows=tuple(split.units(split.folds[f].valid[scorer.scored(f)]) for f in folds),
            epochs=joint.epochs,
            best_epoch=joint.best_epoch,
            by_ratio=scorer.metric.by_ratio,
        )

    def scored_rows(self, predictions: Sequence[Arrays]) -> list[np.ndarray]:
        """Return which untouched rows each target scores: no gross errors where it has such."""
        found = []
        for place, (one, scorer) in enumerate(self._pairs):
            target = one.target[self.split.test]
            rows = np.ones(len(target), bool)
            if scorer.excluded > 0:
                values = np.stack([model[place] for model in predictions])
                rows = residual_scales(target, values, scorer.metric.transform == "log1p") <= FAR
            found.append(rows)
        return found

    def tests(
        self,
        rows: Arrays,
        predictions: Sequence[Arrays],
        decisions: Sequence[Sequence[np.ndarray | None]],
    ) -> list[dict[str, float | None]]:
        """Score the models on the untouched rows, once, by target: see `ROLES`."""
        found = []
        for place, (one, scorer) in enumerate(self._pairs):
            values = [
                shifted(model[place], tuned[place])
                for model, tuned in zip(predictions, decisions, strict=True)
            ]
            target = one.target[self.split.test]
            found.append(_test_scores(scorer.metric, rows[place], target, values))
        return found

    def results(
        self, estimates: Estimates, selected: str, tests: Sequence[dict[str, float | None]]
    ) -> tuple[TargetResult, ...]:
        """Return what was found for each target."""
        default = estimates[self.measurements.candidates.default]
        found = []
        for place, (one, scorer) in enumerate(self._pairs):
            score, difference = estimates[selected][place]
            found.append(
                TargetResult(
                    name=one.name,
                    task=one.task,
                    metric=scorer.metric.name,
                    better=scorer.metric.better,
                    default=default[place][0].mean,
                    selected=score.mean,
                    difference=difference.mean,
                    difference_low=difference.low,
                    difference_high=difference.high,
                    test=tests[place],
                    classes=len(one.classes),
                    source=source(one.task, scorer.metric),
                )
            )
        return tuple(found)

    def rows(
        self, estimates: Estimates, candidates: Sequence[CandidateResult]
    ) -> tuple[CandidateResult, ...]:
        """Return the candidates with what was found of each for every target."""
        names = [one.name for one in self.problem.targets]
        return tuple(
            replace(
                row,
                by_target={
                    name: _plain(*pair)
                    for name, pair in zip(names, estimates.get(row.name, ()), strict=False)
                },
            )
            for row in candidates
        )

    def notes(self) -> tuple[Finding, ...]:
        """Return what is known of the targets beside the diagnosis.

        Outliers come last: the screen shows what it has not shown before.
        """
        prefixed = self.problem.prefixed
        notes = [prefixed(one, _notes_of(one)) for one, _ in self._pairs]
        outliers = [prefixed(one, _outliers(scorer)) for one, scorer in self._pairs]
        return sum((*notes, *outliers), ())

    def weight_sweeps(self) -> tuple[WeightSweep, ...]:
        """Return what the default's other weights give on the screening folds, each at its best."""
        chosen = self.measurements.default
        errors = {
            variant: self._target_errors(setting, epoch)
            for variant, (setting, epoch) in self._best_by_variant(chosen.candidate).items()
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

    def _best_by_variant(self, candidate: str) -> dict[int, tuple[Setting, int]]:
        """Return each variant's setting of least error on the screening folds, and its epoch."""
        best: dict[int, tuple[Setting, FoldErrors]] = {}
        for setting in self.measurements.of_candidate(candidate):
            if self.measurements.diverged(setting):
                continue
            errors = self.measurements.evaluate(setting, self.measurements.design.screening)
            known = best.get(setting.variant)
            if known is None or errors.errors.mean() < known[1].errors.mean():
                best[setting.variant] = setting, errors
        return {variant: (setting, e.best_epoch) for variant, (setting, e) in best.items()}

    def _target_errors(self, setting: Setting, epoch: int) -> np.ndarray:
        """Return each target's mean distance from the best score on the screening folds."""
        found = []
        for place, scorer in enumerate(self.scorer.targets):
            metric, folds = scorer.metric, self.measurements.design.screening
            parts = [self.measurements.of_target(setting, f, epoch, place) for f in folds]
            scores = [metric.error(part.error) for part in parts]
            found.append(np.mean([relative_to_best(metric, s, SHARE_ROWS) for s in scores]))
        return np.array(found)


def source(task: str, metric: Metric) -> str:
    """Return why the default of a metric is the loss to beat, in words."""
    return TABLE_TASKS[task].baseline(metric).why


def _plain(score: Estimate, difference: Estimate) -> dict[str, float]:
    return {
        "score": score.mean,
        "low": score.low,
        "high": score.high,
        "difference_to_default": difference.mean,
        "difference_low": difference.low,
        "difference_high": difference.high,
    }


def _test_scores(
    metric: Metric, rows: np.ndarray, target: np.ndarray, values: Arrays
) -> dict[str, float | None]:
    models = dict(zip(ROLES, values, strict=False))
    scores = {role: metric.score(target[rows], one[rows]) for role, one in models.items()}
    every = {f"{role}_all_rows": metric.score(target, one) for role, one in models.items()}
    return {**scores, "rows": float(rows.sum()), **every}


def _notes_of(problem: Problem) -> tuple[Finding, ...]:
    """Return what the user should know of how a problem was read."""
    return tuple(Finding(name="note", value="", meaning=note) for note in problem.notes)


def _outliers(scorer: Scorer) -> tuple[Finding, ...]:
    """Say which share of the rows is not scored, where there is such."""
    if not scorer.excluded:
        return ()
    return (
        Finding(
            name="gross errors in the target",
            value=f"{100 * scorer.excluded:.1f} % of the validation rows",
            meaning=f"no loss predicts them within {FAR:g} robust scales, and their squares would "
            f"decide {scorer.metric.name} alone: scores leave these rows out (keep_outliers, or "
            "--keep-outliers, counts them)",
            level="warning",
        ),
    )
