"""What a study of one's own model costs, in one process and in one a core.

    python bench/own_model.py [--runs 3] [--epochs 15]

The CNN of examples/digits.py on scikit-learn's digits, by wall clock, with as many threads as torch
has. The default alone: three learning rates on the two screening cells, the better one on the other
eight, the final model, one ordinary training after another on all threads. The three take turns in
every run; medians and the medians of the ratios are quoted. A busy machine shows in wall clock, not
in processor time: with OMP_NUM_THREADS=1 and --processes 2 its ratio is the sturdier one. Epochs,
which no machine changes, are counted too.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from lossmith import CrossEntropy, select
from lossmith.study.data.dataset import SupervisedDataset
from lossmith.study.data.folds import split_rows
from lossmith.study.metrics import lookup
from lossmith.study.selection.select import RATES
from lossmith.study.training.budget import Budget
from lossmith.study.training.module_training import ModuleTraining, Recipe

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from digits import make_model

FEW = ["cross_entropy", "focal", "brier", "generalized_cross_entropy", "poly1"]


def default_alone(data: tuple[torch.Tensor, torch.Tensor], epochs: int) -> float:
    """Return the seconds of the default alone."""
    start = time.perf_counter()
    examples = SupervisedDataset.of(data, None, lookup("accuracy"))
    split = split_rows("multiclass", examples.target, 0)
    recipe = Recipe(
        make_model=make_model,
        budget=Budget.for_rows(len(split.folds[0].train), epochs=epochs),
        device=torch.device("cpu"),
    )

    def trained(rows: np.ndarray, rate: float) -> ModuleTraining:
        loss = CrossEntropy(classes=examples.classes)
        one = ModuleTraining(recipe, examples, rows, seed=0, loss=loss, learning_rate=rate)
        for _ in range(epochs):
            one.epoch()
        return one

    for number, cell in enumerate(split.folds):
        for rate in RATES if number in split.screening_folds else RATES[:1]:
            trained(cell.train, rate).outputs(cell.valid)
    trained(split.train, RATES[0])
    return time.perf_counter() - start


def spent(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return the wall clock and the processor seconds of some work, and what it returns."""
    start, before = time.perf_counter(), sum(os.times()[:4])
    found = work()
    return time.perf_counter() - start, sum(os.times()[:4]) - before, found


def epochs_of(found: Any) -> int:
    """Return how many epochs a study and its final models trained."""
    trained = found.study.frame().groupby(["loss", "learning_rate", "fold"])["epoch"].max().sum()
    final = {found.result.default, found.result.selected}
    return int(trained) + sum(found.study.best_setting(name)[1] for name in final)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--processes", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    data = images, torch.tensor(digits.target)
    several = options.processes
    print(
        "| losses | trainings | epochs, ratio | default alone, s | one process, s | ratio "
        f"| of processor time | {several} processes, s | ratio | of processor time each |\n"
        f"{'|---' * 10}|"
    )
    for candidates in (FEW, None):
        rows: dict[int, list[tuple[float, float]]] = {0: [], 1: [], several: []}
        for _ in range(options.runs):
            rows[0].append(spent(lambda: default_alone(data, options.epochs))[:2])
            for workers in (1, several):
                wall, processor, found = spent(
                    partial(
                        select,
                        model=make_model,
                        train=data,
                        metric="accuracy",
                        candidates=candidates,
                        epochs=options.epochs,
                        workers=workers,
                    )
                )
                rows[workers].append((wall, processor))
        result = found.result
        alone = (2 * len(RATES) + 8 + 1) * options.epochs
        row = f"| {len(result.candidates)} | {result.cost.trainings} "
        row += f"| {epochs_of(found) / alone:.2f} | {_median(rows[0], 0):.1f} "
        for workers in (1, several):
            ratios = [
                (a / c, b / d / workers)
                for (a, b), (c, d) in zip(rows[workers], rows[0], strict=True)
            ]
            row += f"| {_median(rows[workers], 0):.1f} | {_median(ratios, 0):.2f} "
            row += f"| {_median(ratios, 1):.2f} "
        print(row + f"| {result.sentence}", flush=True)


def _median(pairs: list[tuple[float, float]], part: int) -> float:
    return statistics.median(pair[part] for pair in pairs)


if __name__ == "__main__":
    main()
