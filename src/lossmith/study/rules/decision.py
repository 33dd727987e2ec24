"""From measurements to a verdict: every candidate's evidence, and the loss to train with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossmith.study.base.direction import Better, as_error
from lossmith.study.base.result import CandidateResult, Status
from lossmith.study.candidates import CandidateSpec
from lossmith.study.rules.compare import FoldErrors
from lossmith.study.rules.measurements import Measurements
from lossmith.study.rules.paired_test import LEVEL
from lossmith.study.rules.weighing import Evidence


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The verdict and what it rests on; withheld: the loss that a switch was not made to."""

    selected: str
    equivalents: tuple[str, ...]
    candidates: tuple[CandidateResult, ...]
    withheld: str = ""


def decide(measurements: Measurements, *, doubted: bool = False) -> Decision:
    """Choose the best of those beyond doubt better than the default, or keep the default.

    A study that was stopped early keeps the default, and so does one whose rows are doubted to be
    independent. Equivalents are the finalists that the same test, uncorrected and two-sided, cannot
    tell from the selected loss.
    """
    found, default = measurements.weighed(), measurements.design.default
    best = found.selected if measurements.past_last_check else default
    selected = default if doubted else best
    results = [
        _result(measurements, candidate, found, selected)
        for candidate in measurements.candidates.candidates
    ]
    return Decision(
        selected=selected,
        equivalents=equivalents(found.errors, selected),
        candidates=ordered(results, measurements.design.better),
        withheld=best if best != selected else "",
    )


def equivalents(errors: Mapping[str, FoldErrors], selected: str) -> tuple[str, ...]:
    """Return the losses that the same test, two-sided, can't tell from the selected one."""
    p_values = {n: one.p_value(errors[selected]) for n, one in errors.items() if n != selected}
    return tuple(n for n, p in p_values.items() if min(p, 1 - p) >= LEVEL / 2)


def ordered(rows: Iterable[CandidateResult], better: Better) -> tuple[CandidateResult, ...]:
    """Return the losses that were measured in full first, each part best first."""

    def place(row: CandidateResult) -> tuple[int, float]:
        if row.score is None or not np.isfinite(row.score):
            return 2, 0.0
        error = as_error(row.score, better)
        return (0 if row.difference_to_default is not None else 1), error

    return tuple(sorted(rows, key=place))


def measured(
    name: str,
    errors: FoldErrors,
    default: FoldErrors,
    better: Better,
    status: Status,
    p_value: float | None,
    learning_rate: float | None = None,
) -> CandidateResult:
    """Describe a loss that was measured as often as the default, beside it."""

    def turned(error: float) -> float:
        return as_error(error, better)

    level = errors.mean_error.in_metric_direction(turned)
    row = CandidateResult(
        name=name,
        parameters={},
        status=status,
        score=level.mean,
        low=level.low,
        high=level.high,
        learning_rate=learning_rate,
        epochs=errors.best_epoch or None,
        folds=len(errors.errors),
        difference_to_default=0.0,
        difference_low=0.0,
        difference_high=0.0,
    )
    if errors is default:
        return row
    difference = errors.difference(default).in_metric_direction(turned)
    return replace(
        row,
        difference_to_default=difference.mean,
        difference_low=difference.low,
        difference_high=difference.high,
        p_value=p_value,
    )


def _result(
    measurements: Measurements, candidate: CandidateSpec, found: Evidence, selected: str
) -> CandidateResult:
    name, default = candidate.name, measurements.design.default
    status = _status(measurements, name, found, selected)
    if name not in found.errors:
        blank = CandidateResult(name=name, parameters=candidate.parameters, status=status)
        return _unmeasured(measurements, blank)
    setting = found.settings[name]
    row = measured(
        name,
        found.errors[name],
        found.errors[default],
        measurements.design.better,
        status,
        found.corrected.get(name),
        setting.learning_rate,
    )
    return replace(row, parameters=candidate.variants[setting.variant].parameters)


def _unmeasured(measurements: Measurements, blank: CandidateResult) -> CandidateResult:
    """Describe a candidate that left early, where it came farthest, by the folds it was seen on."""
    seen = measurements.of_candidate(blank.name)
    means = {one: measurements.rank_error(one, folds) for one, folds in seen.items() if folds}
    finite = [setting for setting in means if np.isfinite(means[setting])]
    if not finite:
        note = measurements.notes.get(blank.name, "diverged at every learning rate")
        return replace(blank, note=note)
    best = min(finite, key=lambda setting: (-len(seen[setting]), means[setting]))
    reached = min(record.epoch for record in measurements.records(best).values() if record.reports)
    return replace(
        blank,
        score=measurements.measure.error(means[best]),
        default_score=_beside(measurements, seen[best], reached),
        learning_rate=best.learning_rate,
        epochs=reached,
        folds=len(seen[best]),
        note=f"left after {reached} epochs on {len(seen[best])} folds",
    )


def _beside(measurements: Measurements, folds: Sequence[int], reached: int) -> float | None:
    """Return the default's score on a setting's folds by its epoch: the best of several, as is its.

    None where the default has none there.
    """
    own = measurements.of_candidate(measurements.design.default)
    whole = [setting for setting, seen in own.items() if set(folds) <= set(seen)]
    found = [measurements.rank_error(setting, folds, reached) for setting in whole]
    least = min(found, default=np.inf)
    return measurements.measure.error(least) if np.isfinite(least) else None


def _status(measurements: Measurements, name: str, found: Evidence, selected: str) -> Status:
    if name == measurements.design.default:
        return "default"
    if name == selected:
        return "selected"
    if name in found.errors:
        return "finished" if measurements.finished else "unfinished"
    settings = measurements.of_candidate(name)
    if settings and all(measurements.diverged(setting) for setting in settings):
        return "diverged"
    states = {record.state for one in settings for record in measurements.records(one).values()}
    return "unfinished" if "paused" in states else "dropped"
