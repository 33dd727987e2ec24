"""`select` for a table: one target or several, by one plan of studies."""

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from lossmith.catalogue import find
from lossmith.study.base.clock import Clock
from lossmith.study.base.errors import InputError
from lossmith.study.base.result import Finding
from lossmith.study.candidates import (
    CandidateSet,
    CandidateSpec,
    candidates_for,
    loss_of,
    with_keys,
)
from lossmith.study.data.arrangement import Arrangement
from lossmith.study.data.event import Event
from lossmith.study.data.folds import Split
from lossmith.study.data.problem import Problem
from lossmith.study.data.table import as_frame, nearest
from lossmith.study.data.table_problem import TableProblem, table_problem
from lossmith.study.diagnose import diagnose_each, suspected
from lossmith.study.metrics import Metric
from lossmith.study.metrics import metric as metric_for
from lossmith.study.multitarget.candidates import WEIGHTINGS, combinations
from lossmith.study.selection.conclude import Selection, conclude
from lossmith.study.selection.ensemble import check_ensemble
from lossmith.study.selection.final import train_final_models
from lossmith.study.tasks.candidate import Candidate
from lossmith.study.training.heads import HeadReader
from lossmith.study.training.table_trainer import TableTrainer
from lossmith.study.trials.combined import combine
from lossmith.study.trials.place import WITHIN, clear_place
from lossmith.study.trials.scoring import Scorer
from lossmith.study.trials.splits import column_bytes, fingerprint
from lossmith.study.trials.stacked_worker import SCREENING_SHARE, StackedWorker

ALONE = 0.6  # share of the time of several targets for each by itself
# What a hybrid's arguments, a module of named parts and a candidate's parameters call their own.
_TAKEN = {"self", "weighting", "shares", *dir(dict), *dir(nn.ModuleDict())}


@dataclass(frozen=True, kw_only=True)
class TableRequest:
    """What `select` is asked of a table; metric: a name, or a list with one for each target."""

    data: Any
    target: Any
    metric: Any
    task: Any = None
    positive: Any = None
    order: Any = None
    event: Any = None
    groups: Any = None
    time: Any = None
    candidates: Sequence[str] | None = None
    learning_rates: tuple[float, ...]
    widen: bool = False
    epochs: int | None = None
    batch_size: int | None = None
    keep_outliers: bool = False
    ensemble: str = "seeds"
    preset: str = "best"
    seed: int = 0
    on_diagnosis: Callable[[Problem, tuple[Finding, ...]], None] | None = None
    command: str = ""
    out: Path | None = None
    force: bool = False


def select_table(request: TableRequest, clock: Clock) -> Selection:
    """Find the losses that serve the targets of a table best, one metric each.

    Raises:
        InputError: with one line that says what to change.
    """
    problem, metrics = _problem(request)
    check_ensemble(request.ensemble, problem)
    split = problem.split(request.seed)
    pairs = zip(metrics, problem.targets, strict=True)
    metrics = [metric.fitted(one.target[split.train]) for metric, one in pairs]
    findings = diagnose_each(problem)
    findings = ((*_sampled(split), *findings[0]), *findings[1:])
    told = zip(problem.targets, findings, strict=True)
    named = sum((problem.prefixed(*pair) for pair in told), ())
    doubted = bool(suspected(named))
    plan = Plan(request, problem, metrics, split, clock, doubted)
    studies = plan.studies()
    if request.on_diagnosis is not None:
        for one, found in zip(problem.targets, findings, strict=True):
            request.on_diagnosis(one, found)
    study = plan.last(studies)
    measurements = study.run()
    scorer = study.scorer.targets[0] if request.ensemble == "losses" else None
    return conclude(
        measurements,
        train_final_models(
            measurements, study.trainer, study.clock, doubted=doubted, scorer=scorer
        ),
        study,
        split=plan.split,
        problem=problem,
        findings=named,
        interrupted=not all(one.measurements().finished for one in (*studies, study)),
        seed=request.seed,
        command=request.command,
    )


def _sampled(split: Split) -> tuple[Finding, ...]:
    """Return what is said of a study of samples."""
    if not split.sampled:
        return ()
    meaning = (
        f"{len(split.train):,} rows are more than a verdict needs: losses are compared on "
        f"samples of {split.studied:,} of them, and the final models train on all"
    )
    return (Finding(name="rows studied", value=f"{split.studied:,}", meaning=meaning),)


def _problem(request: TableRequest) -> tuple[TableProblem, list[Metric]]:
    """Return what to predict, and the metric of each target."""
    if isinstance(request.metric, str):
        frame, name = as_frame(request.data, request.target)
        targets, metrics = [name], [request.metric]
    else:
        targets, metrics = _listed(request.target), list(request.metric)
        frame, _ = as_frame(request.data, targets[0])
    frame, event = Event.of(frame, targets, request.event)
    frame, arrangement = Arrangement.of(frame, targets, request.groups, request.time)
    problem = table_problem(
        frame,
        targets,
        metrics,
        tasks=_of_each("task", request.task, targets),
        positives=_of_each("positive", request.positive, targets),
        arrangement=arrangement,
        orders=_of_each("order", request.order, targets),
        event=event,
    )
    pairs = zip(metrics, problem.targets, strict=True)
    return problem, [metric_for(metric, one.task) for metric, one in pairs]


def _listed(target: Any) -> list[str]:
    """Return the names of several targets."""
    listed = isinstance(target, (list, tuple)) and len(target) > 0
    if not listed or not all(isinstance(name, str) for name in target):
        raise InputError(
            "a list of metrics is for several columns of a table: "
            "target=['price', 'sold_fast'], metric=['mae', 'auroc']; one has metric='mae'"
        )
    return list(target)


def _of_each(what: str, given: Any, targets: Sequence[str]) -> list[Any]:
    """Return what is given for each target, by its name where there are several."""
    if not isinstance(given, Mapping):
        if given is not None and len(targets) > 1:
            raise InputError(
                f"of several targets, say which {what} is whose: {what}={{'price': …}}"
            )
        return [given] * len(targets)
    for name in given:
        if name not in targets:
            hint = nearest(name, list(targets)) or f"; the targets are {', '.join(targets)}"
            raise InputError(f"{what} is given for {name!r}, which is no target{hint}")
    return [given.get(name) for name in targets]


@dataclass(frozen=True)
class Plan:
    """What is studied: a single target's losses.

    Of several targets each one's losses are screened by themselves; the best of each then enter a
    study of combinations, each with fixed weights tuned alike and with weightings that adapt. Each
    of these has a journal of its own.
    """

    request: TableRequest
    problem: TableProblem
    metrics: Sequence[Metric]
    split: Split
    clock: Clock
    doubted: bool  # whether rows may belong together, so that no switch is made

    def studies(self) -> list[StackedWorker]:
        """Return a study of the losses of each target by itself."""
        fields = _fields(self.problem, self.metrics, self.split, self.request.candidates)
        return [self._alone(place, field) for place, field in enumerate(fields)]

    def last(self, studies: Sequence[StackedWorker]) -> StackedWorker:
        """Return the study that decides: the only one, or that of combinations."""
        if len(studies) == 1:
            return studies[0]
        try:
            for study in studies:
                study.run()
        except KeyboardInterrupt:
            raise InputError(
                "the study was stopped before any combination of losses was measured; "
                "give it more time"
            ) from None
        return self._together(studies)

    def _trainer(
        self, problem: Problem | TableProblem, readings: Sequence[HeadReader]
    ) -> TableTrainer:
        request = self.request
        return TableTrainer(
            problem, self.split, readings, epochs=request.epochs, batch=request.batch_size
        )

    def _place(self, name: str) -> Path | None:
        """Return where a study's journal is kept, emptied where a run is replaced."""
        if self.request.out is None:
            return None
        place = self.request.out / WITHIN
        place = place / name if self.problem.several else place
        if self.request.force:
            clear_place(place)
        return place

    def _about(self, problem: Problem | TableProblem) -> dict[str, Any]:
        """Return what a study is of, beside its splits and losses."""
        frame = problem.features
        return {
            "features": fingerprint(*(column_bytes(frame[name]) for name in frame)),
            "target": fingerprint(problem.target),
            "keep_outliers": self.request.keep_outliers,
            "doubted": self.doubted,
            # Other studies keep no predictions, from which this one could go on.
            **({"ensemble": "losses"} if self.request.ensemble == "losses" else {}),
        }

    def _alone(self, place: int, field: CandidateSet) -> StackedWorker:
        problem, count = self.problem.targets[place], len(self.metrics)
        reading = HeadReader.of(self.metrics[place], problem.target)
        trainer, exclude = self._trainer(problem, [reading]), not self.request.keep_outliers
        return StackedWorker(
            trainer=trainer,
            candidates=field,
            scorer=Scorer(self.metrics[place], trainer, exclude, reading),
            learning_rates=self.request.learning_rates,
            widen=self.request.widen,
            lengthen=self.request.epochs is None,
            preset=self.request.preset,
            predictions=self.request.ensemble == "losses",
            clock=_part_of(self.clock, problem.name, place, count),
            folder=self._place(f"target-{place + 1}"),
            about=self._about(problem),
            alone=count > 1,
        )

    def _together(self, studies: Sequence[StackedWorker]) -> StackedWorker:
        """Return the study of combinations of the losses that did best by themselves."""
        targets, clock = self.problem.targets, self.clock
        found = [one.measurements() for one in studies]
        best = [
            [s.candidate for s in one.finalists if s.candidate != one.design.default]
            for one in found
        ]
        scorers = [scorer for one in studies for scorer in one.scorer.targets]
        return StackedWorker(
            trainer=self._trainer(self.problem, [one.reading for one in scorers]),
            candidates=combinations(
                term_names([one.name for one in targets]),
                [not one.numbers for one in targets],
                [one.candidates for one in studies],
                best,
            ),
            scorer=combine(scorers, [one.target[self.split.train] for one in targets]),
            learning_rates=self.request.learning_rates,
            widen=self.request.widen,
            lengthen=self.request.epochs is None,
            preset=self.request.preset,
            clock=Clock(
                clock.limit,
                lambda share, text: clock.report(ALONE + (1 - ALONE) * share, text),
                clock.start,
            ),
            folder=self._place("together"),
            about=self._about(self.problem),
            earlier=WEIGHTINGS * sum(len(one.candidates.candidates) - 1 for one in studies),
            trainings=sum(one.trainings for one in found),
        )


def _part_of(clock: Clock, name: str, place: int, count: int) -> Clock:
    """Return the clock as the screening of one target sees it; of a single one, as it is."""
    if count == 1:
        return clock

    def report(share: float, text: str) -> None:
        done = place + share / SCREENING_SHARE
        clock.report(ALONE * done / count, f"{name}: {text}")

    limit = None if clock.limit is None else clock.limit * ALONE * (place + 1) / count
    return Clock(limit, report, clock.start)


def _fields(
    problem: TableProblem, metrics: Sequence[Metric], split: Split, keys: Sequence[str] | None
) -> list[CandidateSet]:
    """Return each target's losses: of those asked for, the ones that it can be trained with."""
    pairs = list(zip(problem.targets, metrics, strict=True))
    if keys is None or not problem.several:
        return [_field(*pair, split, keys) for pair in pairs]
    keys, everyone = with_keys(keys), [_field(*pair, split, None) for pair in pairs]
    known = [{name for one in own.candidates for name in _names(one)} for own in everyone]
    for key in keys:
        if not any(key in names for names in known):
            able = [pair for pair in pairs if loss_of(key) in find(pair[0].task)]
            if not able:
                raise InputError(f"loss {loss_of(key)!r} can train none of the targets")
            _field(*able[0], split, [key])  # raises an error that says what is wrong with it
    asked = [[key for key in keys if key in names] for names in known]
    return [_field(*pair, split, own) for pair, own in zip(pairs, asked, strict=True)]


def _field(one: Problem, measure: Metric, split: Split, keys: Sequence[str] | None) -> CandidateSet:
    target = one.target[split.train]
    return candidates_for(one.task, measure, target, len(one.classes) or None, keys)


def _names(one: CandidateSpec) -> tuple[str, ...]:
    """Return what a candidate can be asked for by."""
    return (one.key, one.name) if isinstance(one, Candidate) else (one.name,)


def term_names(targets: Sequence[str]) -> list[str]:
    """Return the targets' names as a hybrid's terms can be called.

    >>> term_names(["price", "Kitchen.Qual", "Kitchen Qual", "class"])
    ['price', 'Kitchen_Qual', 'Kitchen_Qual_2', 'class_']
    """
    found: list[str] = []
    for target in targets:
        plain = re.sub(r"\W", "_", target)
        plain = plain if plain.isidentifier() else f"_{plain}"
        plain = f"{plain}_" if plain in _TAKEN or keyword.iskeyword(plain) else plain
        free, number = plain, 2
        while free in found:
            free, number = f"{plain}_{number}", number + 1
        found.append(free)
    return found
