"""From a journal to a verdict: a function of its facts, whoever trained them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from lossmith.study.direction import as_error
from lossmith.study.errors import InputError
from lossmith.study.formatting import decimals, interval, number
from lossmith.study.journal import Facts, Journal, Training
from lossmith.study.metrics import metric_name
from lossmith.study.report.page import write_report
from lossmith.study.result import CandidateResult, Cost, Curve, Evidence, Finding, Result
from lossmith.study.rules.decision import LEVEL
from lossmith.study.rules.plan import Design, Read, finalists, weigh
from lossmith.study.rules.plan import Evidence as Weighed
from lossmith.study.trials.evidence import Form, Shape, reader

LEAST_FOLDS = 3  # that a switch rests on
LEAST_SCORES = 5  # of bare scores
SCREENING_SHARE = 0.5  # of a study's time, for showing progress


@dataclass(frozen=True, kw_only=True)
class View:
    """A journal at one moment, with what is needed to read it."""

    spec: Mapping[str, Any]
    design: Design
    facts: Facts
    read: Read
    place: Path | None

    @classmethod
    def of(cls, journal: Journal, form: Form) -> "View":
        """Return what a journal holds now; form: influences that are formed when they are read."""
        spec = journal.spec() or {}
        design = design_of(spec)
        facts = journal.facts()
        shape = Shape(journal.units(), float(spec["overlap"]))
        return cls(
            spec=spec,
            design=design,
            facts=facts,
            read=reader(design, facts, journal, shape, form),
            place=journal.path,
        )


def design_of(spec: Mapping[str, Any]) -> Design:
    """Return what a study compares, from its journal."""
    try:
        return Design(
            candidates=tuple(spec["losses"]),
            default=spec["default"],
            common=spec["common"],
            learning_rates=tuple(spec["learning_rates"]),
            epochs=spec["epochs"],
            folds=spec["shape"][0],
            better=spec["better"],
            finalists=spec["finalists"],
        )
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"the journal's description of the study is damaged: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Which loss to train with, and what that rests on; print it to read it."""

    result: Result
    curves: tuple[Curve, ...]
    finished: bool

    @property
    def verdict(self) -> Literal["switch", "keep"]:
        """Whether the selected loss is another than the default."""
        return self.result.verdict

    @property
    def selected(self) -> str:
        """The loss to train with."""
        return self.result.selected

    @property
    def default(self) -> str:
        """The loss to beat."""
        return self.result.default

    @property
    def sentence(self) -> str:
        """The verdict in one or two sentences."""
        return self.result.sentence

    @property
    def candidates(self) -> tuple[CandidateResult, ...]:
        """What is known of each loss, those measured in full first."""
        return self.result.candidates

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may spoil the comparison, a sentence each."""
        return tuple(one.meaning for one in self.result.diagnosis if one.level == "warning")

    def write(self, path: Path) -> None:
        """Write the report as one HTML page, and `result.json` beside it."""
        try:
            write_report(path, self.result, Evidence(curves=self.curves))
            text = json.dumps(self.result.to_json(), indent=2, default=str)
            path.with_name("result.json").write_text(text + "\n", encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"cannot write {path}: {error}") from error

    def __str__(self) -> str:
        rows = [row for row in self.candidates if row.difference_to_default is not None]
        places = decimals([0.01 * abs(row.score) for row in rows if row.score])
        width = max([len(row.name) for row in rows], default=4) + 2
        lines = []
        for row in rows:
            text = f" {row.name:<{width}}{number(row.score, places):>12}"
            if row.name != self.default:
                change = number(row.difference_to_default, places, sign=True)
                bounds = interval(row.difference_low, row.difference_high, places, sign=True)
                text += f"  {change} {bounds}  p {row.p_value:.2g}"
            else:
                text += "  default"
            lines.append(text)
        head = [f" loss{'':<{width - 4}}{metric_name(self.result.metric):>12}"] if lines else []
        notes = [f"Warning: {text}." for text in self.warnings]
        return "\n".join([*head, *lines, *([""] * bool(lines)), self.sentence, *notes])


def verdict_of(view: View) -> Verdict:
    """Return the verdict of a study as it stands; before its end the default is kept."""
    facts, design = view.facts, view.design
    weighed, bare = _weighed(view)
    proven = [] if weighed is None else _allowed(view, weighed, bare)
    selected = design.default
    if weighed is not None and proven:
        selected = max(proven, key=weighed.gain)
    candidates = _candidates(view, weighed, selected)
    ended = "end" in facts.decisions
    result = Result(
        task="study",
        metric=str(view.spec["metric"]),
        better=design.better,
        target=view.place.parent.name if view.place is not None else "study",
        rows={} if view.spec["rows"] is None else {"total": view.spec["rows"]},
        diagnosis=_notes(view, weighed, bare),
        default=design.default,
        naive=design.common or design.default,
        selected=selected,
        verdict="switch" if selected != design.default else "keep",
        sentence=_sentence(view, weighed, candidates, selected, bare),
        equivalents=_equivalents(weighed, selected),
        candidates=candidates,
        test={},
        cost=_cost(view),
        seed=int(view.spec["shape"][1]) // 1000,
        interrupted=not ended,
        versions={},
    )
    return Verdict(result=result, curves=_curves(weighed, facts), finished=ended)


def _weighed(view: View) -> tuple[Weighed | None, bool]:
    """Return the evidence at the last decided look, and whether it is bare scores."""
    decisions, design = view.facts.decisions, view.design
    made = [name for name in decisions if name.startswith("look ")]
    folds = decisions["end"]["folds"] if "end" in decisions else None
    if folds is None:
        folds = int(made[-1].removeprefix("look ")) if made else 0
    if not folds:
        return None, False
    still = finalists(view.facts)
    whole = [
        setting
        for setting in still
        if all(
            (record := view.facts.records.get(Training(setting, fold))) is not None
            and record.state == "done"
            for fold in range(folds)
        )
    ]
    weighed = weigh(design, whole, range(folds), view.read)
    bare = weighed is not None and all(
        len(part) == 1 for errors in weighed.errors.values() for part in errors.influences
    )
    return weighed, bare


def _allowed(view: View, weighed: Weighed, bare: bool) -> list[str]:
    """Return the losses that are proven, where there is enough to prove anything."""
    folds = len(weighed.folds)
    return weighed.proven if folds >= (LEAST_SCORES if bare else LEAST_FOLDS) else []


def _notes(view: View, weighed: Weighed | None, bare: bool) -> tuple[Finding, ...]:
    """Return what the user should know of the comparison."""
    found = []
    twin = view.facts.decisions.get("twin")
    if twin is not None and not twin["equal"]:
        found.append(
            Finding(
                name="pairing",
                value="by rows only",
                meaning="the default, trained twice from one seed, gave two scores: a body that "
                "trials share (BatchNorm), an augmenting validation set, a generator outside "
                "torch, numpy and random, or kernels that are not deterministic",
                level="warning",
            )
        )
    if bare:
        about = "seeds" if view.spec["fixed"] else "folds"
        found.append(
            Finding(
                name="evidence",
                value="bare scores",
                meaning=f"trials reported one number, so {about} are all the evidence there is; "
                "report outputs= or rows= and every row counts",
            )
        )
    if view.spec["fixed"]:
        found.append(
            Finding(
                name="split",
                value="one",
                meaning="every training is judged on the same rows: other rows may say otherwise",
            )
        )
    failed = {t.setting.candidate for t, r in view.facts.records.items() if r.state == "failed"}
    for name in sorted(failed):
        found.append(Finding(name=name, value="failed", meaning=_why(view, name)))
    return tuple(found)


def _why(view: View, name: str) -> str:
    notes = [
        record.note
        for training, record in view.facts.records.items()
        if training.setting.candidate == name and record.state == "failed" and record.note
    ]
    return notes[0].strip().splitlines()[-1] if notes else "it reported nothing"


def _sentence(
    view: View,
    weighed: Weighed | None,
    candidates: tuple[CandidateResult, ...],
    selected: str,
    bare: bool,
) -> str:
    default, metric = view.design.default, metric_name(str(view.spec["metric"]))
    ended = "end" in view.facts.decisions
    if weighed is None:
        done = "was measured in full" if ended else "is measured in full yet"
        return f"Keep {default}: no loss {done}."
    rows = {row.name: row for row in candidates}
    stopped = "" if ended else " The study has not ended yet."
    if selected != default:
        own, base = rows[selected], rows[default]
        places = decimals([0.01 * abs(s) for s in (own.score, base.score) if s])
        return (
            f"Switch from {default} to {selected}: {metric} {number(base.score, places)} → "
            f"{number(own.score, places)} (corrected p = {own.p_value:.2g}).{stopped}"
        )
    folds = len(weighed.folds)
    if weighed.proven or folds < (LEAST_SCORES if bare else LEAST_FOLDS):
        what = "one training" if folds == 1 else f"{folds} trainings of each"
        need = LEAST_SCORES if bare else LEAST_FOLDS
        return (
            f"Keep {default}: {what} can't prove a difference between losses; "
            f"give at least {need} folds or seeds.{stopped}"
        )
    others = len(view.design.candidates) - 1
    return (
        f"Keep {default}: none of {others} other losses is better on {metric} beyond doubt."
        f"{stopped}"
    )


def _equivalents(weighed: Weighed | None, selected: str) -> tuple[str, ...]:
    if weighed is None:
        return ()
    chosen = weighed.errors[selected]
    doubts = {n: own.p_value(chosen) for n, own in weighed.errors.items() if n != selected}
    return tuple(n for n, doubt in doubts.items() if min(doubt, 1 - doubt) >= LEVEL / 2)


def _candidates(view: View, weighed: Weighed | None, selected: str) -> tuple[CandidateResult, ...]:
    rows = [_candidate(view, weighed, name, selected) for name in view.design.candidates]

    def standing(row: CandidateResult) -> tuple[int, float]:
        if row.score is None or not np.isfinite(row.score):
            return 2, 0.0
        error = as_error(row.score, view.design.better)
        return (0 if row.difference_to_default is not None else 1), error

    return tuple(sorted(rows, key=standing))


def _candidate(view: View, weighed: Weighed | None, name: str, selected: str) -> CandidateResult:
    design = view.design
    blank = CandidateResult(name=name, parameters={}, status="unfinished")
    if weighed is None or name not in weighed.errors:
        return _unmeasured(view, blank)
    errors, setting = weighed.errors[name], weighed.settings[name]

    def turned(error: float) -> float:
        return as_error(error, design.better)

    level = errors.mean_error.in_metric_direction(turned)
    row = replace(
        blank,
        score=level.mean,
        low=level.low,
        high=level.high,
        learning_rate=setting.learning_rate,
        epochs=errors.best_epoch,
        cells=len(errors.errors),
        difference_to_default=0.0,
        difference_low=0.0,
        difference_high=0.0,
    )
    if name == design.default:
        return replace(row, status="default")
    difference = errors.difference(weighed.errors[design.default]).in_metric_direction(turned)
    return replace(
        row,
        status="selected" if name == selected else "finished",
        difference_to_default=difference.mean,
        difference_low=difference.low,
        difference_high=difference.high,
        p_value=weighed.corrected[name],
    )


def _unmeasured(view: View, blank: CandidateResult) -> CandidateResult:
    """Describe a loss that was not measured in full by how far it came."""
    records = {
        training: record
        for training, record in view.facts.records.items()
        if training.setting.candidate == blank.name and not training.twin
    }
    seen = [(t, r) for t, r in records.items() if r.reports and np.isfinite(r.reports[-1].score)]
    states = {record.state for record in records.values()}
    if not seen:
        note = _why(view, blank.name) if "failed" in states else ""
        return replace(blank, status="diverged" if "failed" in states else "unfinished", note=note)
    pick = min if view.design.better == "lower" else max
    best, record = pick(seen, key=lambda pair: pick(pair[1].scores.values()))
    folds = len({training.fold for training, _ in seen})
    note = record.note.strip().splitlines()[-1] if record.note else ""
    return replace(
        blank,
        status="unfinished" if states & {"planned", "running", "paused"} else "dropped",
        score=float(pick(record.scores.values())),
        learning_rate=best.setting.learning_rate,
        epochs=record.epoch,
        cells=folds,
        note=note,
    )


def _cost(view: View) -> Cost:
    """Return what the trainings took, beside what the default alone would have on all folds."""
    design, records = view.design, view.facts.records
    seconds = sum(report.seconds for r in records.values() for report in r.reports)
    own = [r for t, r in records.items() if t.setting.candidate == design.default and r.reports]
    epochs = sum(record.epoch for record in own)
    epoch = sum(report.seconds for r in own for report in r.reports) / max(1, epochs)
    trainings = len(design.learning_rates) * len(design.screening)
    trainings += design.folds - len(design.screening)
    alone = epoch * design.epochs * trainings
    ran = sum(1 for record in records.values() if record.reports)
    return Cost(
        seconds=seconds,
        default_seconds=alone,
        ratio=seconds / alone if alone else 0.0,
        trainings=ran,
    )


def _curves(weighed: Weighed | None, facts: Facts) -> tuple[Curve, ...]:
    """Return each finalist's score over its training, averaged over folds."""
    if weighed is None:
        return ()
    found = []
    for name, setting in weighed.settings.items():
        scores = [facts.records[Training(setting, fold)].scores for fold in weighed.folds]
        epochs = sorted(set.intersection(*map(set, scores)))
        means = tuple(float(np.mean([one[epoch] for one in scores])) for epoch in epochs)
        found.append(
            Curve(
                name=name,
                epochs=tuple(epochs),
                scores=means,
                best_epoch=weighed.errors[name].best_epoch,
            )
        )
    return tuple(found)


def best_setting(view: View, name: str) -> tuple[float, int]:
    """Return the learning rate and the number of epochs that suit a loss best so far.

    Raises:
        InputError: if nothing was measured of it.
    """
    weighed, _ = _weighed(view)
    if weighed is not None and name in weighed.errors:
        return weighed.settings[name].learning_rate, weighed.errors[name].best_epoch
    best: tuple[float, float, int] | None = None
    for training, record in view.facts.records.items():
        if training.setting.candidate != name or training.twin:
            continue
        for epoch, score in record.scores.items():
            found = as_error(score, view.design.better), training.setting.learning_rate, epoch
            best = found if best is None or found < best else best
    if best is None:
        raise InputError("the study was stopped before any loss was measured; give it more time")
    return best[1], best[2]


def progress_of(design: Design, facts: Facts) -> tuple[float, str]:
    """Return about which share of a study is done, and what it does."""
    made = facts.decisions
    if "end" in made:
        return 1.0, "done"
    ended = [training for training, record in facts.records.items() if record.ended]
    if "finalists" not in made:
        wanted = len(design.candidates) * len(design.learning_rates) * len(design.screening)
        share = len(ended) / (wanted + 1)
        running = {t.setting.candidate for t, r in facts.records.items() if not r.ended}
        return SCREENING_SHARE * share, f"screening {len(running)} losses"
    losses = {setting.candidate for setting in finalists(facts)}
    folds = {t.fold for t, r in facts.records.items() if not r.ended} or {design.folds}
    share = min(folds) / design.folds
    return (
        SCREENING_SHARE + (1 - SCREENING_SHARE) * share,
        f"measuring {len(losses)} losses on {min(folds) + 1} of {design.folds} folds",
    )


def frame_of(facts: Facts) -> pd.DataFrame:
    """Return every report as a row."""
    rows = [
        (*training.setting, training.fold, r.epoch, r.score, r.seconds, record.state)
        for training, record in facts.records.items()
        if not training.twin
        for r in record.reports
    ]
    names = ["loss", "learning_rate", "fold", "epoch", "score", "seconds", "state"]
    return pd.DataFrame(rows, columns=names)
