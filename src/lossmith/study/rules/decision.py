"""From measurements to a verdict: every candidate's evidence, and the loss to train with."""

from dataclasses import dataclass, replace

import numpy as np

from lossmith.study.base.result import CandidateResult, Status
from lossmith.study.candidates import CandidateSpec
from lossmith.study.rules.compare import FoldErrors
from lossmith.study.rules.history import TrialHistory
from lossmith.study.rules.measurements import Measurements
from lossmith.study.rules.paired_test import Estimate, holm

LEVEL = 0.05  # corrected p-value below which a difference is beyond doubt


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The verdict and what it rests on; withheld: the loss that a switch was not made to."""

    selected: str
    equivalents: tuple[str, ...]
    candidates: tuple[CandidateResult, ...]
    withheld: str = ""


def decide(measurements: Measurements, *, doubted: bool = False) -> Decision:
    """Choose the best of those beyond doubt better than the default, or keep the default.

    A search that was stopped early keeps the default, and so does one whose rows are doubted to be
    independent. Equivalents are the finalists that the
    same test, uncorrected and two-sided, cannot tell from the selected loss.
    """
    candidates, default = measurements.candidates.candidates, measurements.candidates.default
    measured = _measured(measurements)
    differences = {
        name: errors.difference(measured[default])
        for name, errors in measured.items()
        if name != default
    }
    corrected = holm(
        {name: measured[name].p_value(measured[default]) for name in differences},
        comparisons=len(candidates) - 1 + measurements.n_earlier_comparisons,
    )
    conclusive = measurements.past_last_check
    better = [name for name, p_value in corrected.items() if p_value < LEVEL and conclusive]
    best = min(better, key=lambda name: differences[name].mean, default=default)
    selected = default if doubted else best
    results = [
        _result(measurements, c, measured.get(c.name), differences, corrected, selected)
        for c in candidates
    ]
    return Decision(
        selected=selected,
        equivalents=_equivalents(measured, selected),
        candidates=tuple(sorted(results, key=lambda row: _rank(measurements, row))),
        withheld=best if best != selected else "",
    )


def _measured(measurements: Measurements) -> dict[str, FoldErrors]:
    """Return the default and the candidates measured on every fold, at their learning rate."""
    return {
        name: measurements.evaluate(history)
        for name, history in measurements.final_histories().items()
        if name == measurements.candidates.default
        or (not history.diverged and set(measurements.folds) <= set(history.errors))
    }


def _equivalents(measured: dict[str, FoldErrors], selected: str) -> tuple[str, ...]:
    p_values = {
        name: errors.p_value(measured[selected])
        for name, errors in measured.items()
        if name != selected
    }
    return tuple(name for name, p in p_values.items() if min(p, 1 - p) >= LEVEL / 2)


def _result(
    measurements: Measurements,
    candidate: CandidateSpec,
    errors: FoldErrors | None,
    differences: dict[str, Estimate],
    corrected: dict[str, float],
    selected: str,
) -> CandidateResult:
    name, default = candidate.name, measurements.candidates.default
    blank = CandidateResult(
        name=name,
        parameters=candidate.parameters,
        status=_status(measurements, name, errors, selected),
    )
    if errors is None:
        return _unmeasured(measurements, blank)
    score = errors.mean_error.in_metric_direction(measurements.measure.error)
    key = measurements.final_histories()[name].key
    row = replace(
        blank,
        parameters=candidate.variants[key.variant].parameters,
        score=score.mean,
        low=score.low,
        high=score.high,
        learning_rate=key.learning_rate,
        epochs=errors.best_epoch,
        cells=len(errors.errors),
    )
    if name == default:
        return replace(
            row, difference_to_default=0.0, difference_low=0.0, difference_high=0.0, p_value=None
        )
    difference = differences[name].in_metric_direction(measurements.measure.error)
    return replace(
        row,
        difference_to_default=difference.mean,
        difference_low=difference.low,
        difference_high=difference.high,
        p_value=corrected[name],
    )


def _unmeasured(measurements: Measurements, blank: CandidateResult) -> CandidateResult:
    """Describe a candidate that left early by the folds it was seen on."""
    alive = [h for h in measurements.of_candidate(blank.name) if not h.diverged and h.errors]
    if not alive:
        note = measurements.notes.get(blank.name, "diverged at every learning rate")
        return replace(blank, note=note)

    def rank_error(history: TrialHistory) -> float:
        return history.rank_error(list(history.errors))

    best = min(alive, key=rank_error)
    reached = max(max(epochs) for epochs in best.errors.values())
    return replace(
        blank,
        score=measurements.measure.error(rank_error(best)),
        default_score=_beside(measurements, best, reached),
        learning_rate=best.key.learning_rate,
        epochs=reached,
        cells=len(best.errors),
        note=f"left after {reached} epochs on {len(best.errors)} folds",
    )


def _beside(measurements: Measurements, history: TrialHistory, reached: int) -> float | None:
    """Return the default's score on a trial's folds by its epoch: the best of several, as is its.

    None where the default has none there.
    """
    folds = list(history.errors)
    found = [
        other.rank_error(folds, reached)
        for other in measurements.of_candidate(measurements.candidates.default)
        if set(folds) <= set(other.errors)
    ]
    least = min(found, default=np.inf)
    return measurements.measure.error(least) if np.isfinite(least) else None


def _status(
    measurements: Measurements, name: str, errors: FoldErrors | None, selected: str
) -> Status:
    if name == measurements.candidates.default:
        return "default"
    if name == selected:
        return "selected"
    if errors is not None:
        return "finished" if measurements.finished else "unfinished"
    if name in measurements.notes:
        return "dropped"
    histories = measurements.of_candidate(name)
    if histories and all(history.diverged for history in histories):
        return "diverged"
    running = name in {key.candidate for key in measurements.running}
    return "unfinished" if running and not measurements.finished else "dropped"


def _rank(measurements: Measurements, row: CandidateResult) -> tuple[int, float]:
    if row.score is None or not np.isfinite(row.score):
        return 2, 0.0
    measured = row.difference_to_default is not None
    return (0 if measured else 1), measurements.measure.error(row.score)
