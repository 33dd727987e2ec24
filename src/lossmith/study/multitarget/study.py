"""A study of several targets: their losses one by one, then combinations and weightings at once."""

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from lossmith.catalogue import find
from lossmith.study.candidates import (
    Candidate,
    CandidateSet,
    CandidateSpec,
    candidates_for,
    known_loss,
)
from lossmith.study.clock import Clock
from lossmith.study.data.arrangement import Arrangement
from lossmith.study.data.folds import Split
from lossmith.study.data.problem import Problem
from lossmith.study.data.table import nearest
from lossmith.study.diagnose import suspected
from lossmith.study.errors import InputError
from lossmith.study.metrics import Metric
from lossmith.study.metrics import metric as metric_for
from lossmith.study.multitarget.candidates import WEIGHTINGS, combinations
from lossmith.study.multitarget.conclude import JointSelection, conclude_jointly
from lossmith.study.multitarget.model import JointModel
from lossmith.study.multitarget.problem import JointProblem, diagnosed, joint_problem, under
from lossmith.study.multitarget.scores import JointMetric, JointScorer
from lossmith.study.result import Finding
from lossmith.study.search.final import train_final_models
from lossmith.study.search.loop import SCREENING_SHARE, Search
from lossmith.study.search.scoring import Scorer
from lossmith.study.training.table_trainer import TableTrainer

ALONE = 0.6  # share of the time for the targets by themselves
# What a hybrid's arguments, a module of named parts and a candidate's parameters call their own.
_TAKEN = {"self", "weighting", "shares", *dir(dict), *dir(nn.ModuleDict())}

Report = Callable[[float, str], None]


class JointTrainer(TableTrainer):
    """Trains one body on several targets of a table."""

    delivers: Any = JointModel


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a joint study trains and scores, alike for all targets."""

    rates: tuple[float, ...]
    epochs: int | None
    batch: int | None
    keep_outliers: bool
    candidates: Sequence[str] | None


def study_jointly(
    frame: pd.DataFrame,
    targets: Sequence[str],
    metrics: Sequence[str],
    *,
    tasks: Mapping[str, str],
    positives: Mapping[str, Any],
    arrangement: Arrangement,
    settings: Settings,
    seed: int,
    clock: Clock,
    on_diagnosis: Callable[[Problem, tuple[Finding, ...]], None] | None,
    command: str,
) -> JointSelection:
    """Find the losses of several targets and their weighting, against tuned fixed weights.

    Every target's losses are screened by themselves; the best of each enter the joint search in
    combinations, each with fixed weights tuned alike and with weightings that adapt.

    Raises:
        InputError: with one line that says what to change.
    """
    for what, given in (("task", tasks), ("positive", positives)):
        _check_owners(what, given, targets)
    problem = joint_problem(
        frame,
        targets,
        metrics,
        tasks=[tasks.get(name) for name in targets],
        positives=[positives.get(name) for name in targets],
        arrangement=arrangement,
    )
    findings = diagnosed(problem)
    split = problem.split(seed)
    measures = [metric_for(m, one.task) for m, one in zip(metrics, problem.problems, strict=True)]
    fields = _fields(problem, measures, split, settings.candidates)
    if on_diagnosis is not None:
        for one, found in zip(problem.problems, findings, strict=True):
            on_diagnosis(one, found)
    try:
        searches = _screened(problem, measures, fields, split, settings, clock)
    except KeyboardInterrupt:
        raise InputError(
            "the study was stopped before any combination of losses was measured; give it more time"
        ) from None
    search, scorer = _joint_search(problem, measures, split, settings, searches, clock)
    measurements = search.run()
    if not measurements.finalists:
        raise InputError("the study was stopped before any combination was measured")
    named = [under(*pair) for pair in zip(problem.problems, findings, strict=True)]
    doubted = bool(suspected(sum(named, ())))
    return conclude_jointly(
        measurements,
        train_final_models(measurements, search.trainer, search.clock, doubted=doubted),
        search.trainer,
        scorer,
        problem=problem,
        findings=sum(named, ()),
        interrupted=not (measurements.finished and all(one.finished for one in searches)),
        seed=seed,
        command=command,
    )


def _screened(
    problem: JointProblem,
    measures: Sequence[Metric],
    fields: Sequence[CandidateSet],
    split: Split,
    settings: Settings,
    clock: Clock,
) -> list[Search]:
    """Screen the losses of each target by itself, in its part of the time."""
    searches = []
    for number, (one, measure) in enumerate(zip(problem.problems, measures, strict=True)):
        trainer = TableTrainer(one, split, epochs=settings.epochs, batch=settings.batch)
        search = Search(
            trainer=trainer,
            candidates=fields[number],
            scorer=Scorer(measure, trainer, exclude_outliers=not settings.keep_outliers),
            learning_rates=settings.rates,
            clock=_part_of(clock, one.name, number, len(measures)),
        )
        search.screen()
        searches.append(search)
    return searches


def _joint_search(
    problem: JointProblem,
    measures: Sequence[Metric],
    split: Split,
    settings: Settings,
    searches: Sequence[Search],
    clock: Clock,
) -> tuple[Search, JointScorer]:
    """Return the search over combinations of the losses that did best by themselves."""
    names = term_names([one.name for one in problem.problems])
    best = [
        [key.candidate for key in one.finalists if key.candidate != one.candidates.default]
        for one in searches
    ]
    scorers: list[Any] = [one.scorer for one in searches]
    targets = [
        _scored(scorer, one.target[split.develop])
        for scorer, one in zip(scorers, problem.problems, strict=True)
    ]
    scorer = JointScorer(JointMetric.of(measures, targets), scorers)
    rivals = sum(len(one.candidates.candidates) - 1 for one in searches)
    search = Search(
        trainer=JointTrainer(problem, split, epochs=settings.epochs, batch=settings.batch),
        candidates=combinations(
            names,
            [one.task != "regression" for one in problem.problems],
            [one.candidates for one in searches],
            best,
        ),
        scorer=scorer,
        learning_rates=settings.rates,
        clock=Clock(
            clock.limit,
            lambda share, text: clock.report(ALONE + (1 - ALONE) * share, text),
            clock.start,
        ),
        n_earlier_comparisons=WEIGHTINGS * rivals,
        trainings=sum(one.trainings for one in searches),
    )
    return search, scorer


def _scored(scorer: Scorer, target: np.ndarray) -> np.ndarray:
    """Return the targets, or where outliers are not scored, those known to be none."""
    known = [scorer.folds.valid_target(fold)[rows] for fold, rows in scorer.scored_rows.items()]
    return np.concatenate(known) if known else target


def _part_of(clock: Clock, name: str, number: int, count: int) -> Clock:
    """Return the clock as the screening of one target sees it."""

    def report(share: float, text: str) -> None:
        done = number + share / SCREENING_SHARE
        clock.report(ALONE * done / count, f"{name}: {text}")

    limit = None if clock.limit is None else clock.limit * ALONE * (number + 1) / count
    return Clock(limit, report, clock.start)


def _fields(
    problem: JointProblem, measures: Sequence[Metric], split: Split, keys: Sequence[str] | None
) -> list[CandidateSet]:
    """Return each target's losses: of those asked for, the ones that it can be trained with."""
    pairs = list(zip(problem.problems, measures, strict=True))
    everyone = [_field(*pair, split, None) for pair in pairs]
    if keys is None:
        return everyone
    known = [{name for one in own.candidates for name in _names(one)} for own in everyone]
    for key in keys:
        if not any(key in names for names in known):
            able = [pair for pair in pairs if known_loss(key) in find(pair[0].task)]
            if not able:
                raise InputError(f"loss {known_loss(key)!r} can train none of the targets")
            _field(*able[0], split, [key])  # raises an error that says what is wrong with it
    asked = [[key for key in keys if key in names] for names in known]
    return [_field(*pair, split, own) for pair, own in zip(pairs, asked, strict=True)]


def _field(one: Problem, measure: Metric, split: Split, keys: Sequence[str] | None) -> CandidateSet:
    target = one.target[split.develop]
    return candidates_for(one.task, measure, target, len(one.classes) or None, keys)


def _names(one: CandidateSpec) -> tuple[str, ...]:
    """Return what a candidate can be asked for by."""
    return (one.key, one.name) if isinstance(one, Candidate) else (one.name,)


def _check_owners(what: str, given: Mapping[str, Any], targets: Sequence[str]) -> None:
    for name in given:
        if name not in targets:
            hint = nearest(name, list(targets)) or f"; the targets are {', '.join(targets)}"
            raise InputError(f"{what} is given for {name!r}, which is no target{hint}")


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
