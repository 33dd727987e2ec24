"""`suggest`: which losses are likely to beat the default, before any training."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import listed
from lossmith.study.candidates import CandidateSet, candidates_for
from lossmith.study.data.problem import Problem, frame_problem
from lossmith.study.data.table import as_frame
from lossmith.study.metrics import lookup
from lossmith.study.metrics import metric as metric_for
from lossmith.study.metrics.catalogue import parsed
from lossmith.study.suggest.features import LOGS, features
from lossmith.study.suggest.knowledge import KINDS, Knowledge, Source, change, even, shipped, source
from lossmith.study.suggest.suggestion import Alike, Prospect, Suggestion
from lossmith.words import tasks_called

INTERVAL = NormalDist().inv_cdf(0.9)  # deviations to each side of an 80 % interval
SIMILAR = 5  # recorded tables shown
STRANGE = 0.1  # likeness to the nearest recorded table below which there is none like it
BEYOND = 0.1  # of the recorded range, from which a feature counts as outside
UNSEEN = (
    "None of your data were looked at: this is what {cells} cells of the atlas, on {sets} sets of "
    "data with small models, have in common."
)


def suggest(
    data: Any = None,
    *,
    target: Any = None,
    metric: str,
    task: str | None = None,
    positive: Any = None,
) -> Suggestion:
    """Say which losses are likely to beat the default, and by how much, before any training.

    What a table says of itself (its tails, outliers, imbalance, like rows, size) is held against
    the tables on which every loss was trained to the end; what each gained there, weighed by how
    alike the tables are, is what is expected here. Of tasks that are not of tables, as
    segmentation, no data are looked at: expected is what the cells of the atlas have in common.
    Only a study proves it: `select`, or `Study`.

    Args:
        data: a pandas or Polars DataFrame, or a 2-d array, as for `select`; None for a task of the
            atlas.
        target: the column's name, its index in an array, or one value a row.
        metric: what a good prediction is: mae, auroc or another name.
        task: "regression", "binary" or "multiclass"; inferred if None. Without data a task of the
            atlas: "segmentation", "retrieval", "survival" and others.
        positive: the positive class of a binary task; the rarer one if None.

    Returns:
        a `Suggestion`: print it, or read its `likely` losses.

    Raises:
        InputError: with one line that says what to change, or what nothing is known of.

    >>> from sklearn.datasets import load_diabetes
    >>> frame = load_diabetes(as_frame=True).frame
    >>> suggest(frame, target="target", metric="rmse").default
    'mse'
    >>> suggest(task="retrieval", metric="map_at_r").default
    'multi_similarity'
    """
    if data is None and target is None:
        return _of_atlas(task, metric)
    if data is None or target is None:
        raise InputError("give a table and the column to predict, or a task alone")
    if not isinstance(metric, str) or "," in metric or isinstance(target, (list, tuple)):
        raise InputError("suggest is of one target under one metric: target='price', metric='mae'")
    own_tasks = lookup(metric).tasks
    if task is None and not set(own_tasks) & set(KINDS):
        raise _unknown(own_tasks[0])
    frame, name = as_frame(data, target)
    problem = frame_problem(frame, name, metric, task, positive)
    found = metric_for(metric, problem.task)
    known = _known(problem.task, found.name)
    candidates = candidates_for(
        problem.task, found, problem.target, len(problem.classes) or None, None
    )
    own = features(problem)
    return _suggestion(problem, found.name, candidates, known, own)


def _of_atlas(task: str | None, metric: str) -> Suggestion:
    """Return what is expected of a task's losses on any data, from the cells of the atlas."""
    known = shipped().get(task or "")
    if task is None or known is None or known.features:
        tasks = ", ".join(_atlas_tasks())
        raise InputError(f"give a table and its target, or one of the tasks {tasks}")
    recorded = parsed(metric)[0]  # at whatever k
    if recorded not in known.metrics:
        raise InputError(
            f"of {task} nothing is known under {metric}, only under {', '.join(known.metrics)}"
        )
    records, point = known.metrics[recorded], known.point({})
    losses = _prospects(known, recorded, records.names, point)
    sets = {one.table for one in known.tables}
    return Suggestion(
        target="",
        metric=metric,
        task=task,
        default=records.default,
        losses=losses,
        unknown=(),
        alike=_alike(known, recorded, losses[0].name, point, 1.0),
        outside=(UNSEEN.format(cells=len(known.tables), sets=len(sets)),),
        study=f'lossmith.Study(…, task="{tasks_called(task)[0]}", metric="{metric}")',
    )


def _atlas_tasks() -> list[str]:
    """Return the tasks of which the atlas tells."""
    return [task for task, known in shipped().items() if not known.features]


def _known(task: str, metric: str) -> Source:
    """Return where gains under a metric are recorded, where they are."""
    found, known = source(task, metric), shipped().get(KINDS.get(task, ""))
    if known is None:
        raise _unknown(task)
    if found is None:
        raise InputError(
            f"nothing is known of losses under {metric} before training, only under "
            f"{', '.join(known.metrics)}; lossmith select studies them under any metric"
        )
    return found


def _unknown(task: str) -> InputError:
    found = f"nothing is known of tables of {task} tasks before training"
    if task in _atlas_tasks():
        return InputError(
            f"{found}; without a table, task='{task}' (--task {task}) says what the atlas found"
        )
    return InputError(f"{found}; lossmith select studies the losses")


def _suggestion(
    problem: Problem,
    metric: str,
    candidates: CandidateSet,
    found: Source,
    own: Mapping[str, float],
) -> Suggestion:
    known, recorded, power = found
    rivals = [one.name for one in candidates.candidates if one.name != candidates.default]
    point = known.point(own)
    able = [name for name in rivals if name in found.names]
    losses = _prospects(known, recorded, able, point, power)
    alike = _alike(known, recorded, losses[0].name, point, power) if losses else ()
    return Suggestion(
        target=problem.name,
        metric=metric,
        task=problem.task,
        default=candidates.default,
        losses=losses,
        unknown=tuple(name for name in rivals if name not in found.names),
        alike=alike,
        outside=_outside(known, own, alike),
        study=f"lossmith select TABLE --target {problem.name} --metric {metric}",
    )


def _prospects(
    known: Knowledge, metric: str, names: Sequence[str], point: np.ndarray, power: float = 1.0
) -> tuple[Prospect, ...]:
    """Return what is expected of losses, the most promising first."""
    found = [_prospect(name, *known.forecast(metric, name, point), power) for name in names]
    return tuple(sorted(found, key=lambda one: one.change))


def _prospect(name: str, mean: float, deviation: float, power: float) -> Prospect:
    middle, low, high = (
        (1 + change(mean + side * deviation)) ** power - 1 for side in (0, -INTERVAL, INTERVAL)
    )
    probability = NormalDist().cdf(-mean / deviation)
    return Prospect(name=name, change=middle, low=low, high=high, probability=probability)


def _alike(
    known: Knowledge, metric: str, name: str, point: np.ndarray, power: float
) -> tuple[Alike, ...]:
    """Return the recorded tables most alike, each once, with what a loss gained there.

    Without features these are the cells of the atlas.
    """
    records, like = known.metrics[metric], known.alike(point)
    place = records.names.index(name)
    gains, errors = records.gains[:, place], records.errors[:, place]
    mean, deviation = even(gains, errors)
    found: dict[str, Alike] = {}
    for line in np.argsort(-like):
        about = known.tables[line]
        key = f"{about.package}/{about.table}" if known.features else f"{about.table} {line}"
        if key in found or not np.isfinite(gains[line]):
            continue
        measured = _prospect(name, mean[line], max(deviation[line], 1e-9), power)
        found[key] = Alike(
            name=key if known.features else about.table,
            target=about.target,
            condition=about.condition,
            likeness=float(like[line]) if known.features else None,
            change=measured.change,
            low=measured.low,
            high=measured.high,
        )
        if len(found) == SIMILAR:
            break
    return tuple(found.values())


def _outside(
    known: Knowledge, own: Mapping[str, float], alike: tuple[Alike, ...]
) -> tuple[str, ...]:
    """Say in what a table is unlike all recorded ones."""
    low, high = known.points.min(axis=0), known.points.max(axis=0)
    margin = BEYOND * (high - low)
    parts = []
    for place, name in enumerate(known.features):
        value = own[name]
        if value > high[place] + margin[place] or value < low[place] - margin[place]:
            edge = high[place] if value > high[place] else low[place]
            parts.append(f"{name} {_plain(name, value)} (recorded: {_plain(name, edge)})")
    lines = []
    if parts:
        lines.append(
            f"Outside what was recorded, and read as its edge: {listed(parts, 4)}; "
            "expect less of these figures."
        )
    if not alike or (alike[0].likeness or 0.0) < STRANGE:
        lines.append("No recorded table is much like this one: losses stand near their average.")
    return tuple(lines)


def _plain(name: str, value: float) -> str:
    """Return a feature in its own unit, counts as whole numbers."""
    if name not in LOGS:
        return f"{value:.3g}"
    plain = float(np.exp(value))
    return f"{round(plain):,}" if plain > 10 else f"{plain:.3g}"
