"""Where does the loss matter, by how much, and where not? Every task on real data.

    python bench/atlas.py run [--out bench/results/atlas.jsonl] [--tasks segmentation,survival]
    python bench/atlas.py table [--results bench/results/atlas.jsonl]

A cell is a data set under a condition: clean, or with a fault in the rows that train and choose.
In each of five repeats (a split and a seed) every candidate of the task trains the same small
model at the same learning rates; its rate and the moment to stop are chosen on inner rows, by the
metric. The clean test rows say how good it is. `atlas_gain` says what is made of that, and
`atlas_page` and `atlas_picture` show it in docs/atlas.md.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from atlas_data import DATA_SETS
from atlas_gain import compared
from atlas_parts import DataSet, Part, asked, at, first
from atlas_training import Reading, Repeats, fitting, looped, stacked, untrained
from lossmith.core.loss import Loss
from lossmith.study.candidates import candidates_for
from lossmith.study.metrics import decide, lookup
from lossmith.study.metrics.resolve import as_metric
from lossmith.study.metrics.study_metric import StudyMetric
from lossmith.study.metrics.tuned import tuned
from lossmith.study.tasks import ARRAY_TASKS, AUXILIARY, ROW_TASKS, array_task
from lossmith.study.training.heads import HeadReader
from resume import Lines, resumed

REPEATS = 5
RESULTS = Path(__file__).parent / "results" / "atlas.jsonl"
ARRAYS = {type(one).__name__.lower(): one for one in ARRAY_TASKS}
ARRAYS["self_supervised"] = ARRAYS.pop("selfsupervised")
TUNED = ", tuned"  # of labels, whose thresholds are set on the inner rows


def study_metric(name: str, table: bool, target: Any) -> StudyMetric:
    """Return a metric; of tables with the decision tuned where it asks for one.

    It has the horizons of all targets, but censoring is that of the rows scored: a fault adds some.
    """
    own = lookup(name) if table else None
    found = tuned(own) if own is not None and own.tuned else as_metric(name.removesuffix(TUNED))
    return found if found.horizons is not None else type(found)(found.fitted(target).horizons)


def thresholds(target: Any, found: Any) -> list[Any]:
    """Return the decision of each label that has the best F1 on some rows."""
    tune = lookup("f1").tune
    return [tune(own, _pairs(of_it)) for own, of_it in zip(target.T, found.T, strict=True)]


def by_thresholds(found: Any, decisions: list[Any]) -> Any:
    """Return the labels that are decided."""
    parts = zip(found.T, decisions, strict=True)
    return np.stack([decide(_pairs(own), decision) for own, decision in parts], axis=1)


def _pairs(probability: Any) -> Any:
    return np.stack([1 - probability, probability], axis=1)


class Cell:
    """A data set under a condition: its repeats, candidates, and what to beat under each metric.

    fields: the candidates that fit a metric; readers: how it has heads read, as in a study.
    """

    def __init__(self, data: DataSet, condition: str) -> None:
        self.data, loaded = data, data.load()
        self.source = loaded.source
        self.repeats: Repeats = [data.repeat(loaded, condition, seed) for seed in range(REPEATS)]
        self.table = data.task in ROW_TASKS
        target = loaded.target
        self.metrics = {name: study_metric(name, self.table, target) for name in data.metrics}
        self.candidates, self.beat, self.fields, self.readers = {}, {}, {}, {}
        if self.table:  # losses are to fit faulty rows too
            target = np.concatenate([target, *(train.target for train, _, _ in self.repeats)])
        for name, metric in self.metrics.items():
            self.task = self._task(metric, loaded.target)
            self.readers[name] = HeadReader.of(metric, first(loaded.target))
            own = target if self.table else asked(data, metric, loaded)
            everyone, *self.beat[name] = self._candidates(metric.name, own)
            self.candidates |= everyone
            self.fields[name] = {*everyone, *self.beat[name]}
        self.candidates = fitting(self.repeats, self.candidates)
        halves = np.random.default_rng(0).permutation(len(first(loaded.target))) % 2
        self.halves = [halves[test.rows] for _, _, test in self.repeats]

    def _task(self, metric: StudyMetric, target: Any) -> Any:
        if self.data.task in AUXILIARY:
            return array_task(metric, target, self.data.task)
        return ROW_TASKS[self.data.task] if self.table else ARRAYS[self.data.task]

    def _candidates(self, name: str, target: Any) -> tuple[dict[str, Any], str, str]:
        if self.table:
            classes = self.task.classes_of(target)
            found = candidates_for(self.task.name, lookup(name), target, classes, None)
            return {one.name: one for one in found.candidates}, found.default, found.common
        metric = as_metric(name)
        everyone = {one.name: one for one in self.task.everyone(metric, target)}
        return everyone, self.task.default(metric, target).name, self.task.common(target).name

    def readings(self) -> Any:
        """Train everything, and yield what it predicts."""
        if self.table:
            return stacked(self.repeats, self.candidates)
        return looped(self.data.task, self.task, self.repeats, self.candidates, self.source)

    def before(self, metric: StudyMetric) -> dict[str, float]:
        """Return the score of features that nothing trained, where features are judged."""
        if self.data.task != "self_supervised":
            return {}
        found = untrained(self.data.task, self.task, self.repeats)
        tests = (test.target for _, _, test in self.repeats)
        scores = [metric.score(*pair) for pair in zip(tests, found, strict=True)]
        return {"untrained": float(f"{np.mean(scores):.6g}")}

    def read(self, metric: StudyMetric, loss: Loss, part: Part, found: Any) -> tuple[Any, Any]:
        """Return targets and predictions as the metric takes them."""
        if self.table:
            return part.target, found
        return self.task.read(metric, loss, found, asked(self.data, metric, part))


class Chosen:
    """Of each candidate, repeat and metric the training that is best on the inner rows."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.best: dict[tuple[str, int, str], tuple[float, tuple[Any, Any]]] = {}

    def take(self, reading: Reading) -> None:
        """Keep a reading where it is the best so far."""
        _, inner, test = self.cell.repeats[reading.repeat]
        predicted = cache(reading.predicted)
        for name, metric in self.cell.metrics.items():
            if reading.candidate not in self.cell.fields[name]:
                continue
            of_inner, of_test = predicted(self.cell.readers[name])
            target, found = self.cell.read(metric, reading.loss, inner, of_inner)
            decisions = thresholds(target, found) if name.endswith(TUNED) else None
            found = by_thresholds(found, decisions) if decisions else found
            error = metric.error(metric.score(target, found))
            key = reading.candidate, reading.repeat, name
            if key not in self.best or error < self.best[key][0]:
                target, found = self.cell.read(metric, reading.loss, test, of_test)
                found = by_thresholds(found, decisions) if decisions else found
                self.best[key] = error, (target, found)

    def tested(self, name: str, candidate: str, repeat: int) -> tuple[Any, ...]:
        """Return the score on the test rows, on either half of them, and each one's influence."""
        metric = self.cell.metrics[name]
        target, found = self.best[candidate, repeat, name][1]
        half = self.cell.halves[repeat]
        rows = [np.flatnonzero(half == number) for number in (0, 1)]
        parts = [metric.score(at(target, some), at(found, some)) for some in rows]
        return metric.score(target, found), parts, metric.influences(target, found)

    def beside(self, name: str, candidate: str) -> dict[str, float]:
        """Return what a study reads beside the score, as that of each step; means of repeats."""
        if self.cell.table:
            return {}
        metric, told = self.cell.metrics[name], []
        for repeat in range(REPEATS):
            told.append(self.cell.task.beside(metric, *self.best[candidate, repeat, name][1]))
        return {key: float(f"{np.mean([one[key] for one in told]):.6g}") for key in told[0]}


def work(job: tuple[str, str, str]) -> Lines:
    """Train a cell and return a line a metric."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    start = time.process_time()
    task, name, condition = job
    data = next(one for one in DATA_SETS if (one.task, one.name) == (task, name))
    cell = Cell(data, condition)
    chosen = Chosen(cell)
    for reading in cell.readings():
        chosen.take(reading)
    tests = [test.rows for _, _, test in cell.repeats]
    lines = []
    for metric_name, metric in cell.metrics.items():
        tested = {
            one: [chosen.tested(metric_name, one, repeat) for repeat in range(REPEATS)]
            for one in cell.candidates
            if one in cell.fields[metric_name]
        }
        default, common = cell.beat[metric_name]
        found = compared(metric, tested, default, tests)
        beside = {one: chosen.beside(metric_name, one) for one in (default, found["best"])}
        lines.append(
            {
                "task": task,
                "data": name,
                "condition": condition,
                "metric": metric_name,
                "better": metric.better,
                "default": default,
                "common": common,
                "test_rows": int(np.mean([len(rows) for rows in tests])),
                "train_rows": int(np.mean([len(train.rows) for train, _, _ in cell.repeats])),
                **found,
                **cell.before(metric),
                **({"beside": beside} if beside[default] else {}),
                "seconds": round(time.process_time() - start, 1),
            }
        )
    return lines


def run(out: Path, tasks: list[str] | None) -> None:
    """Do the cells that a file lacks."""
    chosen = [data for data in DATA_SETS if tasks is None or data.task in tasks]
    seen: Counter[str] = Counter()
    turns = []
    for data in chosen:  # every task's first set before any one's second
        seen[data.task] += 1
        turns.append((seen[data.task], data))
    ordered = [data for _, data in sorted(turns, key=lambda turn: turn[0])]
    jobs = [(data.task, data.name, condition) for data in ordered for condition in data.conditions]
    names = ("task", "data", "condition")
    for progress, lines in resumed(work, jobs, names, out, 1):
        for line in lines:
            print(
                progress, *(line[name] for name in (*names, "metric", "seconds")), file=sys.stderr
            )


def table(results: Path) -> None:
    """Write the page and the picture of results."""
    from atlas_page import PICTURE, Row, page
    from atlas_picture import draw

    docs = Path(__file__).parents[1] / "docs"
    rows = [Row(json.loads(line)) for line in results.read_text("utf-8").splitlines()]
    (docs / "atlas.md").write_text(page(rows), encoding="utf-8")
    draw(rows, docs / "pictures" / PICTURE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("run", help="train the cells that the file of results lacks")
    verb.add_argument("--out", type=Path, default=RESULTS)
    verb.add_argument("--tasks", help="some of them, by name, with commas between")
    verb = verbs.add_parser("table", help="write docs/atlas.md and its picture")
    verb.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.verb == "run":
        run(options.out, options.tasks.split(",") if options.tasks else None)
        return
    table(options.results)


if __name__ == "__main__":
    main()
