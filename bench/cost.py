"""What a study costs beside evaluating the default alone by plain sequential training.

    python bench/cost.py [--tables ames,churn] [--runs 3] [--presets best,fast] [--finer]

The default alone: features encoded for each of the 10 cells, three learning rates on the two
screening cells, the better one on the other eight, the final model under four seeds; one ordinary
`nn.Sequential` at a time, with the fused optimizer. Its validation scores are not even computed.
"One rate" is the same with a single learning rate, known beforehand. Runs alternate with the
studies, one by each preset, in one process on one thread; medians of CPU seconds are quoted, which
a busy machine does not distort. --finer tries twice as many values of every hyperparameter, as a
catalogue of twice the losses would.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import torch

from lossmith import select
from lossmith.catalogue import find
from lossmith.core.card import Task
from lossmith.core.declaration import Hyperparameter
from lossmith.study.candidates import candidates_for
from lossmith.study.data.encoder import Encoder
from lossmith.study.data.folds import split_rows
from lossmith.study.data.problem import frame_problem
from lossmith.study.metrics import metric as metric_for
from lossmith.study.selection.select import RATES
from lossmith.study.training.table_trainer import ENSEMBLE, TableTrainer
from lossmith.study.training.timing import plain_steps
from tables import TABLES, Table


def finer(hyper: Hyperparameter) -> Hyperparameter:
    """Return a hyperparameter with a value between any two neighbours, and one beyond."""
    values = sorted(value for value in hyper.search if isinstance(value, float))
    if len(values) < len(hyper.search) or not values:
        return hyper
    between = [(low * high) ** 0.5 for low, high in pairwise([*values, 1.3 * values[-1]])]
    return replace(hyper, search=tuple(values + between))


def refine() -> None:
    """Make every loss search about twice as many values."""
    for kind in {kind for task in get_args(Task) for kind in find(task).values()}:
        hypers = {name: finer(hyper) for name, hyper in kind.hyperparameters.items()}
        kind.hyperparameters = hypers


def default_alone(table: Table, metric: str, rates: tuple[float, ...], epochs: int) -> float:
    """Return the seconds of the default alone."""
    start = time.process_time()
    problem = frame_problem(table.frame(), table.target, metric=metric)
    measure = metric_for(metric, problem.task)
    split = split_rows(problem.task, problem.target, 0)
    trainer = TableTrainer(problem, split)
    classes = len(problem.classes) or None
    fitting = candidates_for(problem.task, measure, problem.target, classes, [])
    default = fitting[fitting.default]
    target = torch.from_numpy(problem.target)
    for number, cell in enumerate(split.folds):
        encoder = Encoder().fit(problem.features.iloc[cell.train])
        features = torch.from_numpy(encoder.transform(problem.features.iloc[cell.train]))
        encoder.transform(problem.features.iloc[cell.valid])
        loss = default.fit(target[cell.train])
        for rate in rates if number in split.screening_folds else rates[:1]:
            _train(trainer, loss, features, target[cell.train], rate, trainer.budget.epochs)
    encoder = Encoder().fit(problem.features.iloc[split.train])
    features = torch.from_numpy(encoder.transform(problem.features.iloc[split.train]))
    loss = default.fit(target[split.train])
    for _ in range(ENSEMBLE):
        _train(trainer, loss, features, target[split.train], rates[0], epochs)
    return time.process_time() - start


def _train(trainer, loss, features, target, rate: float, epochs: int) -> None:
    batch = trainer.budget.batch
    steps = epochs * (len(target) // batch)
    training = plain_steps(loss, features, target, rate=rate, batch=batch, seed=0)
    for _ in range(steps):
        next(training)


def measure(table: Table, metric: str, runs: int, presets: Sequence[str]) -> list[str]:
    """Return one row of the table a preset; studies by all of them take turns."""
    studies: dict[str, list[float]] = {preset: [] for preset in presets}
    results, alone, single = {}, [], []
    for _ in range(runs):
        for preset in presets:
            frame = table.frame()
            start = time.process_time()
            found = select(frame, target=table.target, metric=metric, preset=preset)
            studies[preset].append(time.process_time() - start)
            results[preset] = result = found.result
        default = next(row for row in result.candidates if row.status == "default")
        assert default.epochs is not None
        alone.append(default_alone(table, metric, RATES, default.epochs))
        single.append(default_alone(table, metric, RATES[:1], default.epochs))
    rows = []
    for preset, own in studies.items():
        result = results[preset]
        ratio, strict = (
            statistics.median(a / b for a, b in zip(own, other, strict=True))
            for other in (alone, single)
        )
        rows.append(
            f"| {table.name} | {metric} | {preset} | {len(result.candidates)} "
            f"| {result.cost.trainings} | {statistics.median(own):.1f} "
            f"| {statistics.median(alone):.1f} | {ratio:.2f} "
            f"| {statistics.median(single):.1f} | {strict:.2f} |"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default="ames,churn,digits")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--presets", default="best,fast")
    parser.add_argument("--finer", action="store_true")
    options = parser.parse_args()
    if options.finer:
        refine()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    print(
        "| table | metric | preset | losses | trainings | study, s | default alone, s | ratio "
        "| one rate, s | ratio |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for name in options.tables.split(","):
        table = next(table for table in TABLES if table.name == name)
        rows = measure(table, table.metrics[0], options.runs, options.presets.split(","))
        print("\n".join(rows), flush=True)


if __name__ == "__main__":
    main()
