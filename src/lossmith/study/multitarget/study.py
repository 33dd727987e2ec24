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
from lossmith.study.candidates import Candidate, Entry, Field, field_for, known_loss
from lossmith.study.clock import Clock, OutOfTimeError
from lossmith.study.data.folds import Split
from lossmith.study.data.problem import Problem
from lossmith.study.data.table import nearest
from lossmith.study.errors import InputError
from lossmith.study.metrics import Metric
from lossmith.study.metrics import metric as metric_for
from lossmith.study.multitarget.candidates import WEIGHTINGS, combinations
from lossmith.study.multitarget.conclude import JointSelection, conclude_jointly
from lossmith.study.multitarget.model import JointModel
from lossmith.study.multitarget.problem import JointProblem, diagnosed, joint_problem, under
from lossmith.study.multitarget.scores import JointMetric, JointScorer
from lossmith.study.result import Finding
from lossmith.study.search.loop import SCREENING_SHARE, Race
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
    settings: Settings,
    seed: int,
    clock: Clock,
    on_diagnosis: Callable[[Problem, tuple[Finding, ...]], None] | None,
    command: str,
) -> JointSelection:
    """Find the losses of several targets and their weighting, against tuned fixed weights.

    Every target's losses are screened by themselves; the best of each enter the joint race in
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
    )
    findings = diagnosed(problem)
    split = problem.split(seed)
    measures = [metric_for(m, one.task) for m, one in zip(metrics, problem.problems, strict=True)]
    fields = _fields(problem, measures, split, settings.candidates)
    if on_diagnosis is not None:
        for one, found in zip(problem.problems, findings, strict=True):
            on_diagnosis(one, found)
    try:
        alone = _screened(problem, measures, fields, split, settings, clock)
    except KeyboardInterrupt:
        raise InputError(
            "the study was stopped before any combination of losses was measured; give it more time"
        ) from None
    race = _race(problem, measures, split, settings, alone, clock)
    finished = race.run()
    if not race.finalists:
        raise InputError("the study was stopped before any combination was measured")
    named = [under(*pair) for pair in zip(problem.problems, findings, strict=True)]
    stopped = not finished or any(one.stopped for one in alone)
    return conclude_jointly(
        race, problem, sum(named, ()), interrupted=stopped, seed=seed, command=command
    )


def _screened(
    problem: JointProblem,
    measures: Sequence[Metric],
    fields: Sequence[Field],
    split: Split,
    settings: Settings,
    clock: Clock,
) -> list[Race]:
    """Screen the losses of each target by itself, in its part of the time."""
    races = []
    for number, (one, measure) in enumerate(zip(problem.problems, measures, strict=True)):
        trainer = TableTrainer(one, split, epochs=settings.epochs, batch=settings.batch)
        race = Race(
            trainer=trainer,
            scorer=Scorer(measure, trainer, exclude_gross=not settings.keep_outliers),
            entries=fields[number],
            rates=settings.rates,
            clock=_part_of(clock, one.name, number, len(measures)),
        )
        try:
            race.screen()
        except OutOfTimeError:
            race.stop()
        races.append(race)
    return races


def _race(
    problem: JointProblem,
    measures: Sequence[Metric],
    split: Split,
    settings: Settings,
    alone: Sequence[Race],
    clock: Clock,
) -> Race:
    """Return the joint race over combinations of the losses that did best by themselves."""
    names = term_names([one.name for one in problem.problems])
    best = [
        [key.candidate for key in race.finalists if key.candidate != race.entries.default]
        for race in alone
    ]
    scorers = [race.scorer for race in alone]
    targets = [
        _counted(scorer, one.target[split.develop])
        for scorer, one in zip(scorers, problem.problems, strict=True)
    ]
    return Race(
        trainer=JointTrainer(problem, split, epochs=settings.epochs, batch=settings.batch),
        scorer=JointScorer(JointMetric.of(measures, targets), scorers),
        entries=combinations(
            names,
            [one.task != "regression" for one in problem.problems],
            [race.entries for race in alone],
            best,
        ),
        rates=settings.rates,
        clock=Clock(
            clock.limit,
            lambda share, text: clock.report(ALONE + (1 - ALONE) * share, text),
            clock.start,
        ),
        screened=WEIGHTINGS * sum(len(race.entries.candidates) - 1 for race in alone),
        trainings=sum(race.trainings for race in alone),
    )


def _counted(scorer: Scorer, target: np.ndarray) -> np.ndarray:
    """Return the targets, or where gross errors do not count, those known to be none."""
    judged = [scorer.cells.valid_target(cell)[rows] for cell, rows in scorer.judged.items()]
    return np.concatenate(judged) if judged else target


def _part_of(clock: Clock, name: str, number: int, count: int) -> Clock:
    """Return the clock as the screening of one target sees it."""

    def report(share: float, text: str) -> None:
        done = number + share / SCREENING_SHARE
        clock.report(ALONE * done / count, f"{name}: {text}")

    limit = None if clock.limit is None else clock.limit * ALONE * (number + 1) / count
    return Clock(limit, report, clock.start)


def _fields(
    problem: JointProblem, measures: Sequence[Metric], split: Split, keys: Sequence[str] | None
) -> list[Field]:
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


def _field(one: Problem, measure: Metric, split: Split, keys: Sequence[str] | None) -> Field:
    target = one.target[split.develop]
    return field_for(one.task, measure, target, len(one.classes) or None, keys)


def _names(one: Entry) -> tuple[str, ...]:
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
