"""How a study goes: what each loss has done, what runs where, what was decided and is awaited."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossmith.study.base.direction import Better
from lossmith.study.base.formatting import listed, pluralize
from lossmith.study.journal import Facts, Record, Training
from lossmith.study.journal.workers import lives
from lossmith.study.rules.design import Design
from lossmith.study.rules.evidence import LEFT_OUT
from lossmith.study.rules.plan import finalists, pause_after
from lossmith.study.rules.stacked import LENGTHENING, WIDENING
from lossmith.study.trials.standing import Standing, last_line, standing, trainings_of
from lossmith.study.trials.verdict import View

SCREENING_SHARE = 0.5  # of a study's time, for showing progress


@dataclass(frozen=True, kw_only=True)
class LossProgress:
    """What one loss has done; rates: learning rates that it was begun at."""

    name: str
    state: str
    rates: int
    folds: int  # done, at the learning rate of `best`
    epoch: int  # the furthest
    best: Standing | None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A study at one moment, as text and numbers."""

    name: str
    metric: str
    better: Better
    default: str
    folds: int
    epochs: int
    ended: bool
    losses: tuple[LossProgress, ...]
    counts: Mapping[str, int]  # of trainings, by state
    running: tuple[str, ...]
    awaited: str
    decisions: tuple[str, ...]
    failed: tuple[str, ...]


def progress_of(view: View) -> Progress:
    """Return how a study goes."""
    design, facts = view.design, view.facts
    counts: dict[str, int] = {}
    for record in facts.records.values():
        counts[record.state] = counts.get(record.state, 0) + 1
    return Progress(
        name=view.name,
        metric=str(view.spec["metric"]),
        better=design.better,
        default=design.default,
        folds=design.folds,
        epochs=design.length(facts.decisions),
        ended="end" in facts.decisions,
        losses=tuple(_loss(design, facts, name) for name in design.candidates),
        counts=counts,
        running=_running(design, facts),
        awaited=awaited(design, facts),
        decisions=tuple(_decided(name, outcome) for name, outcome in facts.decisions.items()),
        failed=tuple(
            f"{_named(training)}: {last_line(record.note)}"
            for training, record in facts.records.items()
            if record.state == "failed"
        ),
    )


def _running(design: Design, facts: Facts) -> tuple[str, ...]:
    """Return what runs and where; what one process advances together in one line."""
    together: dict[str, list[Training]] = {}
    for training, record in facts.records.items():
        if record.state == "running":
            place = _where(record, design.length(facts.decisions), facts.at)
            together.setdefault(place, []).append(training)
    return tuple(
        f"{_named(some[0]) if len(some) == 1 else pluralize(len(some), 'training')}, {place}"
        for place, some in together.items()
    )


def _loss(design: Design, facts: Facts, name: str) -> LossProgress:
    records = trainings_of(facts, name)
    best = standing(design, facts, name)
    own = [record for t, record in records.items() if best is None or t.setting == best.setting]
    return LossProgress(
        name=name,
        state=_state(facts, name, list(records.values())),
        rates=len({training.setting for training in records}),
        folds=sum(record.state == "done" for record in own),
        epoch=max((record.epoch for record in own), default=0),
        best=best,
    )


def _state(facts: Facts, name: str, records: Sequence[Record]) -> str:
    """Return a loss's state in a word."""
    states = {record.state for record in records}
    words = {"running": "running", "planned": "waiting", "paused": "paused"}
    for state, word in words.items():
        if state in states:
            return word
    if not records:
        return "waiting"
    if "failed" in states and not any(record.reports for record in records):
        return "failed"
    if "finalists" not in facts.decisions:
        return "measured"
    return "finalist" if name in {one.candidate for one in finalists(facts)} else "dropped"


def _where(record: Record, epochs: int, now: float) -> str:
    """Return how far a training that runs is, and who trains it."""
    host, process, _ = record.worker.rsplit(":", 2)
    place = f"after epoch {record.epoch} of {epochs}, process {process} on {host}"
    if not lives(record.worker):
        return f"{place}, which has died: to be taken over"
    if record.expires < now:
        return f"{place}, silent for too long: to be taken over"
    return place


def share_of(design: Design, facts: Facts) -> tuple[float, str]:
    """Return about which share of a study is done, and what it does."""
    made = facts.decisions
    if "end" in made:
        return 1.0, "done"
    ended = [training for training, record in facts.records.items() if record.ended]
    if "finalists" not in made:
        starting = len(design.candidates) * len(design.learning_rates) + 1
        share = len(ended) / max(starting, len(facts.records))
        running = {t.setting.candidate for t, r in facts.records.items() if not r.ended}
        return SCREENING_SHARE * share, f"screening {pluralize(len(running), 'loss', 'es')}"
    losses = {setting.candidate for setting in finalists(facts)}
    folds = {t.fold for t, r in facts.records.items() if not r.ended} or {design.folds}
    share = min(folds) / design.folds
    return (
        SCREENING_SHARE + (1 - SCREENING_SHARE) * share,
        f"measuring {pluralize(len(losses), 'loss', 'es')} on {min(folds) + 1} of "
        f"{design.folds} folds",
    )


def awaited(design: Design, facts: Facts) -> str:
    """Return which decision comes next, and how many trainings it waits for."""
    made = facts.decisions
    if "end" in made:
        return "nothing, the study has ended"
    until = _next_look(design, made) if "finalists" in made else design.folds
    open_ = sum(
        r.state in ("planned", "running") and t.fold < until for t, r in facts.records.items()
    )
    return f"{_next(design, made)}, after {pluralize(open_, 'training')} more"


def _next_look(design: Design, made: Mapping[str, Any]) -> int:
    return next((k for k in design.looks if f"look {k}" not in made), design.folds)


def _next(design: Design, made: Mapping[str, Any]) -> str:
    if design.probes and "twin" not in made:
        return "whether the default, trained again, repeats itself"
    if design.probes and "pauses" not in made:
        return "whether trainings can pause"
    if "finalists" in made:
        return f"a look at the evidence of {pluralize(_next_look(design, made), 'fold')}"
    rung = pause_after(design, made)
    if rung is not None:
        return f"who goes on after {pluralize(rung, 'epoch')}"
    if not made.get("pauses", True) and len(design.screening) > 1 and "first fold" not in made:
        return "who goes on after the first fold"
    return "who is measured on all folds"


def _decided(name: str, outcome: Any) -> str:
    """Return a decision in a line."""
    if name == "start":
        return "The default trains on the first fold, and once more."
    if name == "twin":
        return (
            "The default repeats itself: trainings are paired."
            if outcome["equal"]
            else "The default does not repeat itself: losses are paired by rows only."
        )
    if name == "screening":
        return f"Losses at learning rates that start: {outcome}."
    if name == "pauses":
        return f"Trainings can{'' if outcome else 'not'} pause."
    if name == "end":
        if outcome["failed"]:
            return "The study ended: the default could not be measured."
        proven = listed(list(outcome["proven"])) or "none"
        return (
            f"The study ended after {pluralize(outcome['folds'], 'fold')}; proven better: {proven}."
        )
    if name.startswith(LEFT_OUT):
        rows = pluralize(sum(map(len, outcome["shared"].values())), "row")
        return f"Not scored as gross errors{name.removeprefix(LEFT_OUT)}: {rows}."
    return _going_on(name, outcome)


def _going_on(name: str, outcome: Any) -> str:
    """Return in a line who goes on, or starts, by a decision."""
    if name.startswith(WIDENING):
        outcome = [further for _, further in outcome]
    kept = outcome["kept"] if isinstance(outcome, Mapping) else outcome
    names = [f"{loss} at {rate:g}" for loss, rate, _ in kept]
    verb = "starts" if name.startswith(WIDENING) else "goes on"
    verb = verb if len(names) < 2 else {"starts": "start", "goes on": "go on"}[verb]
    to = f" to epoch {outcome['epochs']}" if name.startswith(LENGTHENING) else ""
    said = name.capitalize()
    for word, text in {
        "Look": "Look after fold",
        "Check": "Check after epoch",
        "Rung": "Cut",
        "Rates": "Further learning rates",
    }.items():
        said = said.replace(word, text)
    return f"{said}: {listed(names) or 'none'} {verb}{to}."


def _named(training: Training) -> str:
    again = ", again" if training.twin else ""
    return (
        f"{training.setting.candidate} at {training.setting.learning_rate:g}, "
        f"fold {training.fold}{again}"
    )
