"""`suggest`: which losses are likely to beat the default on a table, before any training."""

from collections.abc import Mapping
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
from lossmith.study.suggest.features import LOGS, features
from lossmith.study.suggest.knowledge import KINDS, Knowledge, Source, change, even, shipped, source
from lossmith.study.suggest.suggestion import Alike, Prospect, Suggestion

INTERVAL = NormalDist().inv_cdf(0.9)  # deviations to each side of an 80 % interval
SIMILAR = 5  # recorded tables shown
STRANGE = 0.1  # likeness to the nearest recorded table below which there is none like it
BEYOND = 0.1  # of the recorded range, from which a feature counts as outside


def suggest(
    data: Any, *, target: Any, metric: str, task: str | None = None, positive: Any = None
) -> Suggestion:
    """Say which losses are likely to beat the default on a table, and by how much, untrained.

    What a table says of itself (its tails, outliers, imbalance, like rows, size) is held against
    the tables on which every loss was trained to the end; what each gained there, weighed by how
    alike the tables are, is what is expected here. Only a study proves it: `select`.

    Args:
        data: a pandas or Polars DataFrame, or a 2-d array, as for `select`.
        target: the column's name, its index in an array, or one value a row.
        metric: what a good prediction is: mae, auroc or another name.
        task: "regression", "binary" or "multiclass"; inferred if None.
        positive: the positive class of a binary task; the rarer one if None.

    Returns:
        a `Suggestion`: print it, or read its `likely` losses.

    Raises:
        InputError: with one line that says what to change, or what nothing is known of.

    >>> from sklearn.datasets import load_diabetes
    >>> frame = load_diabetes(as_frame=True).frame
    >>> suggest(frame, target="target", metric="rmse").default
    'mse'
    """
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
    return InputError(
        f"nothing is known of {task} tasks before training; lossmith select studies the losses"
    )


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
    prospects = [
        _prospect(name, *known.forecast(recorded, name, point), power)
        for name in rivals
        if name in found.names
    ]
    losses = tuple(sorted(prospects, key=lambda one: one.change))
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


def _prospect(name: str, mean: float, deviation: float, power: float) -> Prospect:
    middle, low, high = (
        (1 + change(mean + side * deviation)) ** power - 1 for side in (0, -INTERVAL, INTERVAL)
    )
    probability = NormalDist().cdf(-mean / deviation)
    return Prospect(name=name, change=middle, low=low, high=high, probability=probability)


def _alike(
    known: Knowledge, metric: str, name: str, point: np.ndarray, power: float
) -> tuple[Alike, ...]:
    """Return the recorded tables most alike, each once, with what a loss gained there."""
    records, like = known.metrics[metric], known.alike(point)
    place = records.names.index(name)
    gains, errors = records.gains[:, place], records.errors[:, place]
    mean, deviation = even(gains, errors)
    found: dict[str, Alike] = {}
    for line in np.argsort(-like):
        about = known.tables[line]
        key = f"{about.package}/{about.table}"
        if key in found or not np.isfinite(gains[line]):
            continue
        measured = _prospect(name, mean[line], max(deviation[line], 1e-9), power)
        found[key] = Alike(
            name=key,
            target=about.target,
            condition=about.condition,
            likeness=float(like[line]),
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
    if not alike or alike[0].likeness < STRANGE:
        lines.append("No recorded table is much like this one: losses stand near their average.")
    return tuple(lines)


def _plain(name: str, value: float) -> str:
    """Return a feature in its own unit, counts as whole numbers."""
    if name not in LOGS:
        return f"{value:.3g}"
    plain = float(np.exp(value))
    return f"{round(plain):,}" if plain > 10 else f"{plain:.3g}"
