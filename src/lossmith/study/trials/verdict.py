"""From a journal to a verdict: a function of its facts, whoever trained them."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lossmith.printable import printable
from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import decimals, interval, number, pluralize
from lossmith.study.base.result import (
    CandidateResult,
    Comparison,
    Curve,
    Finding,
    ReportData,
    Result,
    Sample,
)
from lossmith.study.journal import Facts, Storage, Training
from lossmith.study.metrics import metric_name
from lossmith.study.metrics.study_metric import to_array
from lossmith.study.report.page import write_report
from lossmith.study.rules.decision import equivalents, measured, ordered
from lossmith.study.rules.design import LEAST_FOLDS, LEAST_SCORES, Design, Read
from lossmith.study.rules.evidence import Form, Shape, reader
from lossmith.study.rules.further import at_edge, still_improving, unsettled
from lossmith.study.rules.plan import finalists, needed
from lossmith.study.rules.weighing import Evidence, weigh
from lossmith.study.tasks.sample import pictures
from lossmith.study.trials.history import cost_of, curves_of
from lossmith.study.trials.kept import kept_beside, kept_sample
from lossmith.study.trials.spec import design_of
from lossmith.study.trials.standing import (
    LOST_PAIRING,
    ONE_RATE,
    ONE_SEED,
    ONE_SPLIT,
    repeated,
    standing,
    trainings_of,
    unmeasured,
    why_failed,
)

UNFINISHED = " The study has not ended yet."


@dataclass(frozen=True, kw_only=True)
class View:
    """A journal at one moment, with what is needed to read it."""

    spec: Mapping[str, Any]
    design: Design
    facts: Facts
    read: Read
    shape: Shape
    name: str
    detail: Callable[[Training, int], Mapping[str, np.ndarray]]

    @classmethod
    def of(cls, journal: Storage, form: Form) -> "View":
        """Return what a journal holds now; form: influences that are formed when they are read."""
        spec = journal.spec() or {}
        design = design_of(spec)
        facts = needed(journal.facts())
        shape = Shape.of(journal, float(spec["overlap"]))
        return cls(
            spec=spec,
            design=design,
            facts=facts,
            read=reader(design, facts, journal, shape, form),
            shape=shape,
            name=journal.name,
            detail=journal.detail,
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Which loss to train with, and what that rests on; print it to read it."""

    result: Result
    curves: tuple[Curve, ...]
    finished: bool
    sample: Sample | None = None

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

    def beside(self, images: Any, space: int) -> "Verdict":
        """Return the verdict with what rows look like, of those whose masks are shown.

        Args:
            images: one a row of the study, or None. space: their dimensions beside channels.
        """
        if images is None or self.sample is None or self.sample.kind != "masks":
            return self
        seen = pictures(to_array(images), self.sample.default["rows"], space)
        return replace(self, sample=replace(self.sample, images=seen))

    def write(self, path: Path) -> None:
        """Write the report as one HTML page, and the result as plain data beside it.

        Beside `report.html` lies `result.json`, beside any other page a file of its own name.

        Raises:
            InputError: if the page is not to be called *.html, or can't be written.
        """
        if path.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"a report is a web page: call it {path.with_suffix('.html')}")
        own = path.name == "report.html"
        data = path.with_name("result.json") if own else path.with_suffix(".json")
        try:
            write_report(path, self.result, ReportData(curves=self.curves, sample=self.sample))
            text = json.dumps(self.result.to_json(), indent=2, default=str)
            data.write_text(text + "\n", encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"cannot write {path}: {error}") from error

    def __str__(self) -> str:
        rows = [row for row in self.candidates if row.difference_to_default is not None]
        places = decimals([0.01 * abs(row.score) for row in rows if row.score])
        width = max(len(row.name) for row in self.candidates) + 2
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
        left = [row for row in self.candidates if row.difference_to_default is None]
        lines += [f" {row.name:<{width}}{_why_left(row)}" for row in left if rows]
        head = [f" loss{'':<{width - 4}}{metric_name(self.result.metric):>12}"] if lines else []
        notes = [f"Warning: {text}." for text in self.warnings]
        everything = [*head, *lines, *([""] * bool(lines)), self.sentence, *notes]
        return "\n".join(map(printable, everything))


def _why_left(row: CandidateResult) -> str:
    """Return why a loss was not measured in full, in a few words."""
    if row.status in ("diverged", "failed"):
        return f"failed: {row.note}"
    if row.status == "unfinished":
        return "not measured in full"
    note = row.note or f"no prospect of being better after {row.folds} folds"
    return note if note.startswith("left") else f"left: {note}"


def verdict_of(view: View) -> Verdict:
    """Return the verdict of a study as it stands; before its end the default is kept."""
    facts, design, metric = view.facts, view.design, str(view.spec["metric"])
    weighed = _weighed(view)
    bare = weighed is not None and weighed.bare
    comparison = _comparison(view, weighed, bare)
    best = design.default if weighed is None else weighed.selected
    selected = design.default if view.spec.get("doubted") else best
    candidates = ordered(
        (_candidate(view, weighed, name, selected) for name in design.candidates), design.better
    )
    ended = "end" in facts.decisions
    longer, edge = _going_on(view, weighed) if ended else ((), ())
    if weighed is None:
        measured = "was measured in full" if ended else "is measured in full yet"
        said = f"Keep {design.default}: no loss {measured}."
    else:
        said = sentence(metric, design.default, selected, candidates, comparison)
        said += unsettled(longer, edge, design.epochs) if ended else UNFINISHED
    names = design.default, selected
    if best != selected:
        said = (
            f"Keep {design.default}: {best} looked better, but rows seem to belong together, which "
            "can feign this."
        )
    result = Result(
        task="study",
        metric=metric,
        better=design.better,
        target=view.name,
        rows={} if view.spec["rows"] is None else {"total": view.spec["rows"]},
        diagnosis=_notes(view, bare),
        default=design.default,
        common=design.common or "",
        selected=selected,
        verdict="switch" if selected != design.default else "keep",
        sentence=said,
        equivalents=equivalents(weighed.errors, selected) if weighed is not None else (),
        withheld=best if best != selected else "",
        candidates=candidates,
        test={},
        cost=cost_of(design, facts),
        seed=int(view.spec["shape"][1]) // 1000,
        interrupted=not ended,
        versions={},
        comparison=comparison,
        still_improving=tuple(dict.fromkeys((*longer, *edge))),
        source=str(view.spec.get("source", "")),
        beside={} if weighed is None else kept_beside(weighed, view.detail, *names),
    )
    return Verdict(
        result=result,
        curves=curves_of(weighed, facts, design.better),
        finished=ended,
        sample=None if weighed is None else kept_sample(weighed, view.detail, *names),
    )


def _going_on(view: View, weighed: Evidence | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return whom longer training, and whom a learning rate beyond those tried, may still help."""
    if weighed is None:
        return (), ()
    measured = view.design, view.facts, tuple(weighed.settings.values()), weighed.folds
    longer, edge = ([one.candidate for one in f(*measured)] for f in (still_improving, at_edge))
    return tuple(longer), tuple(edge)


def _weighed(view: View) -> Evidence | None:
    """Return the evidence at the last decided look."""
    decisions, design = view.facts.decisions, view.design
    made = [name for name in decisions if name.startswith("look ")]
    folds = decisions["end"]["folds"] if "end" in decisions else None
    if folds is None:
        folds = int(made[-1].removeprefix("look ")) if made else 0
    if not folds:
        return None
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
    return weigh(design, whole, range(folds), view.read)


def _notes(view: View, bare: bool) -> tuple[Finding, ...]:
    """Return what the user should know of the comparison."""
    found = []
    twin = view.facts.decisions.get("twin")
    if twin is not None and not twin["equal"]:
        found.append(
            Finding(
                name="pairing",
                value="by rows only",
                meaning=LOST_PAIRING,
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
        found.append(ONE_SPLIT)
        if repeated(view.facts, view.design.default):
            found.append(ONE_SEED)
    if len(view.design.learning_rates) == 1:
        found.append(ONE_RATE)
    for name in view.design.candidates:
        own = trainings_of(view.facts, name).values()
        failed = sum(record.state == "failed" for record in own)
        if failed:
            many = f"{pluralize(failed, 'training')} failed"
            found.append(Finding(name=name, value=many, meaning=why_failed(view.facts, name)))
    return tuple(found)


def sentence(
    metric: str,
    default: str,
    selected: str,
    candidates: Iterable[CandidateResult],
    comparison: Comparison,
) -> str:
    """Return the verdict of losses that were measured."""
    name = metric_name(metric)
    rows = {row.name: row for row in candidates}
    if selected != default:
        own, base = rows[selected], rows[default]
        places = decimals([0.01 * abs(s) for s in (own.score, base.score) if s])
        return (
            f"Switch from {default} to {selected}: {name} {number(base.score, places)} → "
            f"{number(own.score, places)} (corrected p = {own.p_value:.2g})."
        )
    if comparison.rivals == 0:
        return f"Keep {default}: no other loss was given to hold against it."
    if comparison.planned < least(comparison):
        few = comparison.trainings
        what = "one training" if few == 1 else f"{few} trainings of each"
        return (
            f"Keep {default}: {what} can't prove a difference between losses; "
            f"give at least {least(comparison)} folds or seeds."
        )
    if comparison.rivals == 1:
        (other,) = rows.keys() - {default}
        return f"Keep {default}: {other} is not better on {name} beyond doubt."
    return (
        f"Keep {default}: none of {comparison.rivals} other losses is better on {name} beyond "
        "doubt."
    )


def least(comparison: Comparison) -> int:
    """Return how many trainings of each loss a switch rests on."""
    return LEAST_SCORES if comparison.unit == "score" else LEAST_FOLDS


def _candidate(view: View, weighed: Evidence | None, name: str, selected: str) -> CandidateResult:
    if weighed is None or name not in weighed.errors:
        return unmeasured(view.design, view.facts, name)
    default = view.design.default
    return measured(
        name,
        weighed.errors[name],
        weighed.errors[default],
        view.design.better,
        "default" if name == default else "selected" if name == selected else "finished",
        weighed.corrected.get(name),
        weighed.settings[name].learning_rate,
    )


def _comparison(view: View, weighed: Evidence | None, bare: bool) -> Comparison:
    """Return what the verdict rests on."""
    design = view.design
    trainings = len(weighed.folds) if weighed is not None else 0
    units = view.shape.units[:trainings]
    splits = len({part.tobytes() for part in units})
    judged = np.unique(np.concatenate(units)) if trainings else ()
    known = view.spec.get("judged", ())  # of units, where these are kept as blocks of several
    twin = view.facts.decisions.get("twin")
    return Comparison(
        trainings=trainings,
        splits=splits,
        seeds=ceil(trainings / splits) if splits else 0,
        planned=design.folds,
        unit="score" if bare else "group" if view.spec["grouped"] else "row",
        units=trainings if bare else known[trainings - 1] if known and trainings else len(judged),
        looks=len(design.looks),
        rivals=len(design.candidates) - 1,
        paired=twin is None or bool(twin["equal"]),
    )


def best_setting(view: View, name: str) -> tuple[float, int]:
    """Return the learning rate and the number of epochs that suit a loss best so far.

    Raises:
        InputError: if nothing was measured of it.
    """
    weighed = _weighed(view)
    if weighed is not None and name in weighed.errors:
        return weighed.settings[name].learning_rate, weighed.errors[name].best_epoch
    best = standing(view.design, view.facts, name)
    if best is None:
        raise InputError("the study was stopped before any loss was measured; give it more time")
    return best.setting.learning_rate, best.epoch
