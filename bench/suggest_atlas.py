"""What the atlas tells `suggest` of tasks of which no table is known, and how well that holds."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from choice_table import table
from lossmith.study.base.direction import as_error
from lossmith.study.suggest.knowledge import MOST, Knowledge
from lossmith.study.suggest.suggest import _prospect
from lossmith.study.suggest.suggestion import signed
from suggest_fit import (
    LEAST_CELLS,
    TABLES,
    Lines,
    Pair,
    fit,
    judged,
    knowledge,
    left_out,
    widened,
    widening,
)

TUNED = ", tuned"  # of a metric whose thresholds are set on inner rows, as a study sets them
CUT = ("f1_macro", "f1_micro")  # the same cut at one half, which no study does
CELLS = Path(__file__).parent / "results" / "atlas.jsonl"


def cells(path: Path = CELLS) -> list[dict]:
    """Return the cells of the tasks that stand on two data sets or more, as records of tables."""
    found: dict[tuple[str, ...], dict] = {}
    for line in map(json.loads, path.read_text().splitlines()):
        if line["metric"] in CUT:
            continue
        key = tuple(line[name] for name in ("task", "data", "condition"))
        about = {"package": "atlas", "table": line["data"], "target": "", "features": {}}
        one = found.setdefault(
            key, about | {"task": line["task"], "condition": line["condition"], "metrics": {}}
        )
        one["metrics"][line["metric"].removesuffix(TUNED)] = {
            "default": line["default"],
            "gains": _gains(line),
        }
    lines = [one for (task, *_), one in found.items() if task not in TABLES]
    sets = {(one["task"], one["table"]) for one in lines}
    several = [task for task, _ in sets if sum(task == other for other, _ in sets) > 1]
    return [one for one in lines if one["task"] in several]


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
    widen = _widening(known, _left_out(known))
    return {task: _known(own, widen) for task, own in known.items()}


def _left_out(known: dict[str, Lines]) -> dict[str, dict[str, Pair]]:
    return {task: left_out(own, told=False) for task, own in known.items()}


def _widening(known: dict[str, Lines], found: dict[str, dict[str, Pair]]) -> float:
    measured = {f"{task} {name}": pair for task in known for name, pair in known[task].even.items()}
    return widening(
        measured, {f"{task} {name}": pair for task in known for name, pair in found[task].items()}
    )


def _known(own: Lines, widen: float) -> Knowledge:
    lengths, priors = fit(own.standard, own.even, told=False)
    return knowledge(own, lengths, priors, widen)


PAGE = """
Of other tasks nothing is asked of your data: `lossmith suggest --task segmentation --metric dice`
says what the cells of [the atlas](atlas.md) have in common, by the same model without features
(random effects). Below, each data set is predicted from the other one of its task; the width of the
intervals was set so that they cover there, so that "covered" is no proof of it. A case is a cell
under a metric. "Named" are those where the first loss was likely to beat the default (75 % or more,
by 1 % of the error or more), "worse" those of them where its error was higher; "followed" is the
change of error over all cases, nothing where none was named.
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
