"""How each loss stands: measured in full beside the default, or how far it came."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lossmith.study.base.direction import as_error
from lossmith.study.base.formatting import pluralize
from lossmith.study.base.result import CandidateResult, Finding
from lossmith.study.journal import Facts, Record, Setting, Training
from lossmith.study.rules.design import Design

OPEN = {"planned", "running", "paused"}  # states of trainings that may report more
DIVERGED = "diverged"  # how the note of a training begins whose score was not finite
LOST_PAIRING = (
    "the default, trained twice from one seed, gave two scores, so losses can be paired by rows "
    "only, not by weights and batches: look for a loop outside trial.seeded(), a body that trials "
    "share (BatchNorm keeps running averages), an augmenting validation set, a generator that is "
    "not torch's, numpy's or Python's own, or kernels that are not deterministic"
)
ONE_SPLIT = Finding(
    name="split",
    value="one",
    meaning="every training is judged on the same rows: other rows may say otherwise",
)


ONE_SEED = Finding(
    name="seeds",
    value="no effect",
    meaning="the default scored the same under every seed, so its trainings are one, repeated, and "
    "prove no more than one: leave seeds to trial.seeded(), and set none in the loop",
    level="warning",
)
ONE_RATE = Finding(
    name="learning rate",
    value="one",
    meaning="every loss is trained at the same learning rate, which may suit one more than another",
)


class Standing(NamedTuple):
    """The best of a loss so far: a setting's mean score on some folds after one epoch."""

    setting: Setting
    folds: tuple[int, ...]
    epoch: int
    score: float


def unmeasured(design: Design, facts: Facts, name: str) -> CandidateResult:
    """Describe a loss that was not measured in full: how far it came, and the default there."""
    blank = CandidateResult(name=name, parameters={}, status="unfinished")
    records = trainings_of(facts, name)
    states = {record.state for record in records.values()}
    best = standing(design, facts, name)
    if best is None:
        if not states or states & OPEN:
            return blank
        if "failed" not in states:
            return replace(blank, status="dropped")
        note = why_failed(facts, name)
        return replace(
            blank, status="diverged" if note.startswith(DIVERGED) else "failed", note=note
        )
    notes = [
        record.note for training, record in records.items() if training.setting == best.setting
    ]
    return replace(
        blank,
        status="unfinished" if states & OPEN else "dropped",
        score=best.score,
        learning_rate=best.setting.learning_rate,
        epochs=best.epoch,
        folds=len(best.folds),
        note=next((last_line(note) for note in notes if note), "") or _left(design, facts, name),
        default_score=None if name == design.default else beside(design, facts, best),
    )


def standing(design: Design, facts: Facts, name: str) -> Standing | None:
    """Return the best setting of a loss among those on the most folds, at its best epoch."""
    found = []
    for setting in dict.fromkeys(training.setting for training in trainings_of(facts, name)):
        scores = {}
        for fold in range(design.folds):
            record = facts.records.get(Training(setting, fold))
            finite = {e: s for e, s in record.scores.items() if np.isfinite(s)} if record else {}
            if finite:
                scores[fold] = finite
        epochs = set.intersection(*map(set, scores.values())) if scores else set()
        means = {epoch: float(np.mean([s[epoch] for s in scores.values()])) for epoch in epochs}
        if means:
            best = min(means, key=lambda epoch: as_error(means[epoch], design.better))
            found.append(Standing(setting, tuple(scores), best, means[best]))
    return min(
        found, key=lambda one: (-len(one.folds), as_error(one.score, design.better)), default=None
    )


def beside(design: Design, facts: Facts, other: Standing) -> float | None:
    """Return the default's mean score on the same folds after the same epoch, if it has one."""
    means = []
    for setting in dict.fromkeys(t.setting for t in trainings_of(facts, design.default)):
        own = [facts.records.get(Training(setting, fold)) for fold in other.folds]
        scores = [record.scores.get(other.epoch, np.nan) if record else np.nan for record in own]
        means.append(float(np.mean(scores)))
    finite = [mean for mean in means if np.isfinite(mean)]
    return min(finite, key=lambda mean: as_error(mean, design.better), default=None)


def trainings_of(facts: Facts, name: str) -> Mapping[Training, Record]:
    """Return the trainings of a loss, without the default's second run."""
    return facts.by_candidate.get(name, {})


def why_failed(facts: Facts, name: str) -> str:
    """Return the last line of what the first failed training of a loss said."""
    notes = [r.note for r in trainings_of(facts, name).values() if r.state == "failed" and r.note]
    return last_line(notes[0]) if notes else "it reported nothing"


def last_line(note: str) -> str:
    """Return what a note, or a traceback, comes to."""
    lines = note.strip().splitlines()
    return lines[-1] if lines else ""


def _left(design: Design, facts: Facts, name: str) -> str:
    """Return when a loss left that ended no training early, if it did."""
    for decision, folds in (("first fold", 1), ("finalists", len(design.screening))):
        if name not in {one[0] for one in facts.decisions.get(decision, [[name]])}:
            return f"not among the best after {pluralize(folds, 'fold')}"
    for decision, outcome in facts.decisions.items():
        look = decision.removeprefix("look ")
        if look != decision and name not in {one[0] for one in outcome["kept"]}:
            return f"left after {look} folds, unlikely to be chosen"
    return ""


def repeated(facts: Facts, name: str) -> bool:
    """Tell whether all trainings of a loss that ended, two or more, scored the same by setting."""
    scores: dict[Setting, list[dict[int, float]]] = {}
    for training, record in trainings_of(facts, name).items():
        if record.state == "done":
            scores.setdefault(training.setting, []).append(record.scores)
    several = [own for own in scores.values() if len(own) > 1]
    return bool(several) and all(one == own[0] for own in several for one in own)
