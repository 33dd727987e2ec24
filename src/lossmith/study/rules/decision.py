"""From a race to a verdict: every candidate's evidence, and the loss to train with."""

from dataclasses import dataclass, replace

import numpy as np

from lossmith.study.candidates import Entry
from lossmith.study.result import CandidateResult, Status
from lossmith.study.rules.compare import Reading
from lossmith.study.rules.paired_test import Estimate, holm
from lossmith.study.search.loop import Race
from lossmith.study.search.scoring import Track

LEVEL = 0.05  # corrected p-value below which a difference is beyond doubt


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict and what it rests on."""

    selected: str
    equivalents: tuple[str, ...]
    candidates: tuple[CandidateResult, ...]


def judge(race: Race) -> Judgement:
    """Choose the best of those beyond doubt better than the default, or keep the default.

    A race that was stopped early keeps the default. Equivalents are the finalists that the
    same test, uncorrected and two-sided, cannot tell from the selected loss.
    """
    default = race.entries.default
    measured = _measured(race)
    differences = {
        name: reading.difference(measured[default])
        for name, reading in measured.items()
        if name != default
    }
    corrected = holm(
        {name: measured[name].doubt(measured[default]) for name in differences},
        comparisons=len(race.entries.candidates) - 1 + race.screened,
    )
    better = [name for name, p_value in corrected.items() if p_value < LEVEL and race.mature]
    selected = min(better, key=lambda name: differences[name].mean, default=default)
    candidates = [
        _result(race, candidate, measured.get(candidate.name), differences, corrected, selected)
        for candidate in race.entries.candidates
    ]
    return Judgement(
        selected=selected,
        equivalents=_equivalents(measured, selected),
        candidates=tuple(sorted(candidates, key=lambda one: _standing(race, one))),
    )


def _measured(race: Race) -> dict[str, Reading]:
    """Return the default and the candidates measured on every cell, at their learning rate."""
    return {
        name: race.reading(track)
        for name, track in race.final_tracks().items()
        if name == race.entries.default
        or (not track.diverged and set(race.cells) <= set(track.scores))
    }


def _equivalents(measured: dict[str, Reading], selected: str) -> tuple[str, ...]:
    found = []
    for name, reading in measured.items():
        if name == selected:
            continue
        doubt = reading.doubt(measured[selected])
        if min(doubt, 1 - doubt) >= LEVEL / 2:
            found.append(name)
    return tuple(found)


def _result(
    race: Race,
    candidate: Entry,
    reading: Reading | None,
    differences: dict[str, Estimate],
    corrected: dict[str, float],
    selected: str,
) -> CandidateResult:
    name, default = candidate.name, race.entries.default
    blank = CandidateResult(
        name=name, parameters=candidate.parameters, status=_status(race, name, reading, selected)
    )
    if reading is None:
        return _unmeasured(race, blank)
    level, key = reading.level, race.final_tracks()[name].key
    row = replace(
        blank,
        parameters=candidate.variants[key.variant].parameters,
        score=level.mean,
        low=level.low,
        high=level.high,
        learning_rate=key.learning_rate,
        epochs=reading.epoch,
        cells=len(reading.scores),
    )
    if name == default:
        return replace(
            row, difference_to_default=0.0, difference_low=0.0, difference_high=0.0, p_value=None
        )
    found = differences[name].written(reading.lower)
    return replace(
        row,
        difference_to_default=found.mean,
        difference_low=found.low,
        difference_high=found.high,
        p_value=corrected[name],
    )


def _unmeasured(race: Race, blank: CandidateResult) -> CandidateResult:
    """Describe a candidate that left early by the cells it was seen on."""
    tracks = [track for key, track in race.tracks.items() if key.candidate == blank.name]
    alive = [track for track in tracks if not track.diverged and track.scores]
    if not alive:
        return replace(blank, note=race.notes.get(blank.name, "diverged at every learning rate"))

    def score(track: Track) -> tuple[float, int]:
        table, epochs = track.table(list(track.scores))
        means = table.mean(axis=0)
        index = int(means.argmin() if race.metric.better == "lower" else means.argmax())
        return float(means[index]), epochs[index]

    sign = 1 if race.metric.better == "lower" else -1
    best = min(alive, key=lambda track: sign * score(track)[0])
    reached = max(max(epochs) for epochs in best.scores.values())
    return replace(
        blank,
        score=score(best)[0],
        learning_rate=best.learning_rate,
        epochs=reached,
        cells=len(best.scores),
        note=f"left after {reached} epochs on {len(best.scores)} folds",
    )


def _status(race: Race, name: str, reading: Reading | None, selected: str) -> Status:
    if name == race.entries.default:
        return "default"
    if name == selected:
        return "selected"
    if reading is not None:
        return "finished" if race.finished else "unfinished"
    tracks = [track for key, track in race.tracks.items() if key.candidate == name]
    if name in race.notes:
        return "dropped"
    if tracks and all(track.diverged for track in tracks):
        return "diverged"
    running = not race.finished and name in {key.candidate for key in race.running}
    return "unfinished" if running else "dropped"


def _standing(race: Race, row: CandidateResult) -> tuple[int, float]:
    sign = 1 if race.metric.better == "lower" else -1
    if row.score is None or not np.isfinite(row.score):
        return 2, 0.0
    return (0 if row.difference_to_default is not None else 1), sign * row.score
