"""What the atlas tells `suggest` of tasks of which no table is known, and how well that holds."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from choice_table import table
from lossmith.study.base.direction import as_error
from lossmith.study.suggest.gaussian import Prior, posterior
from lossmith.study.suggest.knowledge import MOST, Knowledge, same
from lossmith.study.suggest.suggest import _prospect
from lossmith.study.suggest.suggestion import signed
from suggest_fit import (
    LEAST_CELLS,
    TABLES,
    Lines,
    Pair,
    judged,
    knowledge,
    widened,
    widening,
)

TUNED = ", tuned"  # of a metric whose thresholds are set on inner rows, as a study sets them
CUT = ("f1_macro", "f1_micro")  # the same cut at one half, which no study does
APART = 0.7  # deviation of the log by which tasks differ in how far losses differ
Array = np.ndarray
CELLS = Path(__file__).parent / "results" / "atlas.jsonl"


def cells(path: Path = CELLS) -> list[dict]:
    """Return the cells of tasks and metrics with two data sets or more, as records of tables.

    A metric of the first k stands without its k, which differs between sets.
    """
    lines = [_named(line) for line in map(json.loads, path.read_text().splitlines())]
    lines = [one for one in lines if one["task"] not in TABLES and one["metric"] not in CUT]
    sets = {(one["task"], one["metric"].removesuffix(TUNED), one["data"]) for one in lines}
    of_metric = Counter(key[:2] for key in sets)
    found: dict[tuple[str, ...], dict] = {}
    for line in lines:
        metric = line["metric"].removesuffix(TUNED)
        if of_metric[line["task"], metric] < 2:
            continue
        key = tuple(line[name] for name in ("task", "data", "condition"))
        about = {"package": "atlas", "table": line["data"], "target": "", "features": {}}
        about |= {"task": line["task"], "condition": line["condition"], "metrics": {}}
        measured = {"default": line["default"], "gains": _gains(line)}
        found.setdefault(key, about)["metrics"][metric] = measured
    return list(found.values())


def _named(line: dict) -> dict:
    """Return a line without the k of its metric, its losses named alike in all sets of its task.

    Those of masks of one thing are named as their twins of classes are.
    """
    line = line | {"metric": line["metric"].partition("@")[0]}
    if line["task"] != "segmentation":
        return line
    scores = {_twin(name): own for name, own in line["scores"].items()}
    return line | {"default": _twin(line["default"]), "scores": scores}


def _twin(name: str) -> str:
    return name.replace("binary_", "").replace("lovasz_hinge", "lovasz_softmax")


def _gains(line: dict) -> dict[str, tuple[float, float]]:
    """Return of each loss the log of its mean error over the default's, with its standard error."""
    errors = {name: as_error(np.array(own), line["better"]) for name, own in line["scores"].items()}
    if line["better"] == "higher":
        errors = {name: 1 + own for name, own in errors.items()}
    base = errors[line["default"]]
    rivals = [name for name, own in errors.items() if name != line["default"] and own.mean() > 0]
    return {name: _ratio(errors[name], base) for name in rivals if base.mean() > 0}


def _ratio(errors: np.ndarray, base: np.ndarray) -> tuple[float, float]:
    """Return the log ratio of two means over repeats, and its standard error by the jackknife."""
    count = len(base)
    without = [np.delete(one, place).mean() for one in (errors, base) for place in range(count)]
    logs = np.log(np.maximum(without, 1e-9)).reshape(2, count)
    spread = np.var(logs[0] - logs[1]) * (count - 1)
    return float(np.log(errors.mean() / base.mean())), float(spread**0.5)


def known_lines(lines: Sequence[dict]) -> dict[str, Lines]:
    """Return the cells by task."""
    tasks = dict.fromkeys(one["task"] for one in lines)
    return {task: Lines.of(lines, (task,), LEAST_CELLS) for task in tasks}


def learn_cells(lines: Sequence[dict]) -> dict[str, Knowledge]:
    """Return what is known of each task.

    Deviations grow such that intervals cover the data sets that were left out, of all tasks.
    """
    known = known_lines(lines)
    widen, priors = _widening(known, _left_out(known)), fit(known)
    return {
        task: knowledge(
            own,
            np.empty(0),
            {name: [priors[task]] * len(one.names) for name, one in own.metrics.items()},
            widen,
        )
        for task, own in known.items()
    }


def fit(known: dict[str, Lines], kept: Callable[[dict], bool] = lambda _: True) -> dict[str, Prior]:
    """Return each task's prior, by the marginal likelihood of all tasks together.

    Tasks share it up to a factor of its deviations, whose logarithm is normal. "Told" is what the
    cells of one data set share, which only tasks of two sets can tell.

    kept: which cells may be learned from.
    """
    parts = [part for task, own in known.items() for part in _parts(task, own, kept)]
    tasks = list(known)

    def surprise(figures: Array) -> float:
        mean, (offset, told, own) = figures[0], np.exp(2 * figures[1:4])
        factors = dict(zip(tasks, figures[4:], strict=True))
        total = 0.5 * float(((figures[4:] / APART) ** 2).sum())
        for task, gains, errors, alike in parts:
            shared = np.exp(2 * factors[task]) * (offset + told * alike + own * np.eye(len(alike)))
            total += 0.5 * _misfit(gains - mean, errors, shared)
        return total

    found = minimize(surprise, np.zeros(4 + len(tasks)), method="L-BFGS-B").x
    priors = zip(tasks, np.exp(found[4:]), strict=True)
    return {task: Prior(found[0], *(by * np.exp(found[1:4]))) for task, by in priors}


def _misfit(off: Array, errors: Array, shared: Array) -> float:
    """Return what each loss's gains cost, above their mean: the log determinant and the distance.

    A gain that is missing is one of variance 1 and no covariance, which costs nothing.
    """
    held = (np.isfinite(off) & np.isfinite(errors)).T
    off, errors = np.where(held, off.T, 0), np.where(held, errors.T, 1)
    both = held[:, :, None] & held[:, None, :]
    covariances = np.where(both, shared, 0) + errors[:, :, None] ** 2 * np.eye(held.shape[1])
    distances = off * np.linalg.solve(covariances, off[:, :, None])[:, :, 0]
    return float(np.linalg.slogdet(covariances)[1].sum() + distances.sum())


def _parts(task: str, own: Lines, kept: Callable[[dict], bool]) -> Iterator[tuple[Any, ...]]:
    rows = [place for place, one in enumerate(own.lines) if kept(one)]
    alike = same([own.lines[row]["table"] for row in rows])
    for gains, errors in own.even.values():
        yield task, gains[rows], errors[rows], alike


def _left_out(known: dict[str, Lines]) -> dict[str, dict[str, Pair]]:
    """Return the mean and deviation of each loss on every data set, learned without it."""
    found: dict[str, dict[str, Pair]] = {}
    for task, own in known.items():
        sets = [one["table"] for one in own.lines]
        pairs = {name: tuple(np.full((2, *y.shape), np.nan)) for name, (y, _) in own.even.items()}
        for left in dict.fromkeys(sets):
            away = (task, left)
            prior = fit(known, lambda one, away=away: (one["task"], one["table"]) != away)[task]
            out, alike = np.array([one == left for one in sets]), same(sets)
            for name, (y, s) in own.even.items():
                for loss in range(y.shape[1]):
                    held = ~out & np.isfinite(y[:, loss])
                    measured = y[held, loss], s[held, loss], alike[np.ix_(held, held)]
                    mean, deviation = posterior(prior, *measured, np.zeros((1, held.sum())))
                    pairs[name][0][out, loss], pairs[name][1][out, loss] = mean[0], deviation[0]
        found[task] = pairs
    return found


def _widening(known: dict[str, Lines], found: dict[str, dict[str, Pair]]) -> float:
    measured = {f"{task} {name}": pair for task in known for name, pair in known[task].even.items()}
    return widening(
        measured, {f"{task} {name}": pair for task in known for name, pair in found[task].items()}
    )


PAGE = """
Of other tasks nothing is asked of your data: `lossmith suggest --task segmentation --metric dice`
says what the cells of [the atlas](atlas.md) have in common. It is the same model with the data set
for its only feature: random effects of losses, of losses on a set and of losses in a cell, whose
sizes all tasks tell together. Below, each data set is predicted from the others of its task; the
width of the intervals was set so that they cover there, so that "covered" is no proof of it. A case
is a cell under a metric. "Named" are those where the first loss was likely to beat the default
(75 % or more, by 1 % of the error or more), "worse" those of them where its error was higher;
"followed" is the change of error over all cases, nothing where none was named. Of masks of one
thing a loss is named as its twin of classes is: `focal + dice` stands for `binary_focal +
binary_dice`, too. Two or three data sets a task tell little about another, and intervals are wide.
What it is good for is the order in which to try losses.
"""


def render(lines: Sequence[dict]) -> str:
    """Return what the page says of the atlas's tasks."""
    known = known_lines(lines)
    found = _left_out(known)
    widen = _widening(known, found)
    rows = [_row(task, known[task], widened(found[task], widen)) for task in known]
    head = ["task", "cells", "cases", "named", "worse", "followed", "hindsight"]
    return PAGE + "\n" + table([*head, "rank correlation", "covered"], rows)


def _row(task: str, own: Lines, found: dict[str, Pair]) -> list[str]:
    named = worse = cases = 0
    followed, hindsight = [], []
    for name, (mean, deviation) in found.items():
        gains = own.metrics[name].gains
        for line, known in enumerate(np.isfinite(gains)):
            if not known.any():
                continue
            cases += 1
            first = np.where(known, mean[line], np.inf).argmin()
            likely = _prospect("", mean[line, first], deviation[line, first], 1.0).likely
            gain = float(np.clip(gains[line, first], -MOST, MOST)) if likely else 0.0
            named, worse = named + likely, worse + (gain > 0)
            followed.append(gain)
            hindsight.append(min(0.0, float(np.clip(gains[line, known].min(), -MOST, MOST))))
    said = judged(own, found)
    ends = [f"{said['rank']:.2f}" if np.isfinite(said["rank"]) else "–", f"{said['covered']:.0%}"]
    changes = [signed(float(np.expm1(np.mean(one)))) for one in (followed, hindsight)]
    return [task, str(len(own.lines)), str(cases), str(named), str(worse), *changes, *ends]
