"""What a study of one's own model costs, in one process and in one a core.

    python bench/own_model.py [--runs 3] [--epochs 15]

The CNN of examples/digits.py on scikit-learn's digits, by wall clock, with as many threads as torch
has. The default alone: three learning rates on the two screening cells, the better one on the other
eight, the final model, one ordinary training after another on all threads. The three take turns in
every run; medians and the medians of the ratios are quoted.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from lossmith import CrossEntropy, select
from lossmith.study.data.dataset import SupervisedDataset
from lossmith.study.data.folds import split_rows
from lossmith.study.metrics import lookup
from lossmith.study.search.trial import Budget
from lossmith.study.select import RATES
from lossmith.study.training.module_training import ModuleTraining, Recipe

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from digits import make_model

FEW = ["cross_entropy", "focal", "brier", "generalized_cross_entropy", "poly"]


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
    trained(split.develop, RATES[0])
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    options = parser.parse_args()
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    data = images, torch.tensor(digits.target)
    threads = torch.get_num_threads()
    print(
        "| losses | trainings | default alone, s | one process, s | ratio "
        f"| {threads} processes, s | ratio |\n|---|---|---|---|---|---|---|"
    )
    for candidates in (FEW, None):
        seconds: dict[int, list[float]] = {0: [], 1: [], threads: []}
        for _ in range(options.runs):
            seconds[0].append(default_alone(data, options.epochs))
            for workers in (1, threads):
                start = time.perf_counter()
                result = select(
                    model=make_model,
                    train=data,
                    metric="accuracy",
                    candidates=candidates,
                    epochs=options.epochs,
                    workers=workers,
                ).result
                seconds[workers].append(time.perf_counter() - start)
        row = f"| {len(result.candidates)} | {result.cost.trainings} | "
        row += f"{statistics.median(seconds[0]):.1f} "
        for workers in (1, threads):
            ratios = (a / b for a, b in zip(seconds[workers], seconds[0], strict=True))
            row += f"| {statistics.median(seconds[workers]):.1f} | {statistics.median(ratios):.2f} "
        print(row + "|", flush=True)


if __name__ == "__main__":
    main()
