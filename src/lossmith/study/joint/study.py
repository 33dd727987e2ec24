"""A study of several targets: their losses one by one, then combinations and weightings at once."""

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lossmith.catalogue import find
from lossmith.catalogue.lookup import loss_class
from lossmith.study.candidates import field_for
from lossmith.study.clock import Clock, OutOfTimeError
from lossmith.study.errors import InputError
from lossmith.study.joint.candidates import combinations
from lossmith.study.joint.conclude import JointSelection, conclude_jointly
from lossmith.study.joint.model import JointModel
from lossmith.study.joint.problem import JointProblem, diagnosed, joint_problem, under
from lossmith.study.joint.scores import JointMetric, JointScorer
from lossmith.study.metrics import Metric
from lossmith.study.metrics import metric as metric_for
from lossmith.study.race import Race
from lossmith.study.result import Finding
from lossmith.study.scores import Scorer
from lossmith.study.split import Split
from lossmith.study.tables import TableTrainer
from lossmith.study.task import Problem

ALONE = 0.4  # share of the time for the targets by themselves, for the progress display

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
    problem = joint_problem(
        frame,
        targets,
        metrics,
        tasks=[tasks.get(name) for name in targets],
        positives=[positives.get(name) for name in targets],
    )
    findings = diagnosed(problem)
    if on_diagnosis is not None:
        for one, found in zip(problem.problems, findings, strict=True):
            on_diagnosis(one, found)
    split = problem.split(seed)
    measures = [metric_for(m, one.task) for m, one in zip(metrics, problem.problems, strict=True)]
    try:
        alone = _screened(problem, measures, split, settings, clock)
    except (KeyboardInterrupt, OutOfTimeError):
        raise InputError(
            "the study was stopped before any combination of losses was measured; give it more time"
        ) from None
    race = _race(problem, measures, split, settings, alone, clock)
    finished = race.run()
    if not race.finalists:
        raise InputError("the study was stopped before any combination was measured")
    named = [under(*pair) for pair in zip(problem.problems, findings, strict=True)]
    return conclude_jointly(
        race, problem, sum(named, ()), interrupted=not finished, seed=seed, command=command
    )


def _screened(
    problem: JointProblem,
    measures: Sequence[Metric],
    split: Split,
    settings: Settings,
    clock: Clock,
) -> list[Race]:
    """Screen the losses of each target by itself."""
    races = []
    for number, (one, measure) in enumerate(zip(problem.problems, measures, strict=True)):
        trainer = TableTrainer(one, split, epochs=settings.epochs, batch=settings.batch)
        keys = _keys_for(one, settings.candidates, problem)
        target = one.target[split.develop]
        race = Race(
            trainer=trainer,
            scorer=Scorer(measure, trainer, exclude_gross=not settings.keep_outliers),
            entries=field_for(one.task, measure, target, len(one.classes) or None, keys),
            rates=settings.rates,
            clock=_part_of(clock, one.name, number, len(measures)),
        )
        race.screen()
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
    develop = [one.target[split.develop] for one in problem.problems]
    return Race(
        trainer=JointTrainer(problem, split, epochs=settings.epochs, batch=settings.batch),
        scorer=JointScorer(JointMetric.of(measures, develop), [race.scorer for race in alone]),
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
        screened=sum(len(race.entries.candidates) - 1 for race in alone),
        trainings=sum(race.trainings for race in alone),
    )


def _part_of(clock: Clock, name: str, number: int, count: int) -> Clock:
    """Return the clock as a screening of one target sees it."""

    def report(share: float, text: str) -> None:
        clock.report(ALONE * (number + share) / count, f"{name}: {text}")

    return Clock(clock.limit, report, clock.start)


def _keys_for(one: Problem, keys: Sequence[str] | None, problem: JointProblem) -> list[str] | None:
    """Return the candidates asked for that can train a target; each must train some target."""
    if keys is None:
        return None
    tasks = [other.task for other in problem.problems]
    for key in keys:
        base = key.partition("(")[0]
        try:
            loss_class(base)
        except KeyError as error:
            raise InputError(str(error.args[0])) from error
        if not any(base in find(task) for task in tasks):
            raise InputError(f"loss {base!r} can train none of the targets")
    return [key for key in keys if key.partition("(")[0] in find(one.task)]


def term_names(targets: Sequence[str]) -> list[str]:
    """Return the targets' names as a hybrid's terms can be called.

    >>> term_names(["price", "Kitchen.Qual", "Kitchen Qual", "class"])
    ['price', 'Kitchen_Qual', 'Kitchen_Qual_2', 'class_']
    """
    found: list[str] = []
    for target in targets:
        plain = re.sub(r"\W", "_", target)
        plain = plain if plain.isidentifier() else f"_{plain}"
        taken = keyword.iskeyword(plain) or plain == "weighting" or hasattr(dict, plain)
        plain = f"{plain}_" if taken else plain
        free, number = plain, 2
        while free in found:
            free, number = f"{plain}_{number}", number + 1
        found.append(free)
    return found
