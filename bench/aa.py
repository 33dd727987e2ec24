"""Eight names of one loss: how often is a switch advised where there is nothing to gain?

    python bench/aa.py [--out bench/results/aa.jsonl] [--workers 1]
    python bench/aa.py --table bench/results/aa.jsonl

Simulated studies report drawn scores: rows are hard or easy for all names alike, and each training
has luck of its own, shared by its rows and not. Trained studies fit a small net to a random part of
a real table in a plain loop, where a name changes the seed and nothing else. Beside the study
stands what is done without one: the name with the best mean score on the same folds wins, or, where
Optuna is installed, the best of its trials (TPE) on the same scores.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
from torch import nn

from lossmith.study.study import Study
from lossmith.study.trials.trial import Trial
from resume import Lines, resumed

NAMES = tuple("ABCDEFGH")
STUDIES = {"simulated": 200, "trained": 20}
EPOCHS = {"simulated": 1, "trained": 4}
ROWS = 200
TRIALS = 20  # of Optuna's

try:
    import optuna
except ImportError:
    optuna = None
else:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


class Simulated:
    """Scores that are drawn; whoever asks twice for one training is told the same."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.target = np.zeros(ROWS)
        self.hard = np.exp(0.5 * np.random.default_rng(seed).normal(size=ROWS))

    def rows(self, name: str, fold: int, valid: np.ndarray) -> list[np.ndarray]:
        """Return the error of each row of a fold, by epoch."""
        draw = np.random.default_rng([self.seed, crc32(name.encode()), fold])
        shape = np.random.default_rng([self.seed, crc32(name.encode())]).normal(size=ROWS)
        luck = 0.02 * draw.normal() + 0.1 * draw.normal(size=len(valid)) + 0.1 * shape[valid]
        return [self.hard[valid] * np.exp(luck)]


class Trained:
    """Absolute errors of a small net on a random part of a table, after each epoch."""

    def __init__(self, seed: int) -> None:
        x, y = load_diabetes(return_X_y=True)
        rows = np.random.default_rng(seed).permutation(len(y))[:ROWS]
        self.seed = seed
        self.x = torch.tensor(StandardScaler().fit_transform(x[rows]), dtype=torch.float32)
        self.target = (y[rows] - y.mean()) / y.std()
        self.y = torch.tensor(self.target, dtype=torch.float32)
        self.known: dict[tuple[str, int], list[np.ndarray]] = {}

    def rows(self, name: str, fold: int, valid: np.ndarray) -> list[np.ndarray]:
        """Return the error of each row of a fold, by epoch."""
        key = name, fold
        if key not in self.known:
            self.known[key] = self._train(crc32(f"{self.seed}{name}{fold}".encode()), valid)
        return self.known[key]

    def _train(self, seed: int, valid: np.ndarray) -> list[np.ndarray]:
        torch.manual_seed(seed)
        train = torch.as_tensor(np.setdiff1d(np.arange(ROWS), valid))
        model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        found = []
        for _ in range(EPOCHS["trained"]):
            for rows in train[torch.randperm(len(train))].split(32):
                optimizer.zero_grad()
                (model(self.x[rows]).squeeze(-1) - self.y[rows]).abs().mean().backward()
                optimizer.step()
            with torch.no_grad():
                errors = (model(self.x[valid]).squeeze(-1) - self.y[valid]).abs()
            found.append(errors.numpy())
        return found


def line(job: tuple[str, int]) -> Lines:
    """Run one study of eight names of one loss; return what each way of choosing chooses."""
    torch.set_num_threads(1)
    kind, seed = job
    world: Any = {"simulated": Simulated, "trained": Trained}[kind](seed)
    study = Study(
        None,
        metric="mae",
        target=world.target,
        losses=dict.fromkeys(NAMES, "mae"),
        default=NAMES[0],
        learning_rates=(0.01,),
        epochs=EPOCHS[kind],
        seed=seed,
    )

    def train(trial: Trial) -> None:
        rows = world.rows(trial.name, trial.fold, trial.valid)
        for epoch in trial.epochs:
            if trial.report(epoch, rows=rows[epoch - 1]):
                return

    verdict = study.run(train)
    folds = list(enumerate(fold.valid for fold in study.folds.folds))

    def score(name: str) -> float:
        means = [[one.mean() for one in world.rows(name, k, valid)] for k, valid in folds]
        return float(np.mean(means, axis=0).min())

    found = {"study": verdict.selected, "best score": min(NAMES, key=score)}
    if optuna is not None:
        found["optuna"] = _optuna(score, seed)
    return [{"kind": kind, "seed": seed, **found, "trainings": verdict.result.cost.trainings}]


def _optuna(score: Callable[[str], float], seed: int) -> str:
    """Return the name of the best trial of a search by Optuna."""
    search = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    search.optimize(lambda trial: score(trial.suggest_categorical("loss", NAMES)), n_trials=TRIALS)
    return search.best_params["loss"]


def table(out: Path) -> str:
    """Return the share of studies that leave the default, by each way of choosing."""
    frame = pd.DataFrame(map(json.loads, out.read_text().splitlines()))
    ways = [way for way in ("study", "best score", "optuna") if way in frame]
    heads = {"study": "the study", "best score": "best score wins", "optuna": "Optuna's best trial"}
    lines = [
        f"| scores | studies | false switches: {' | '.join(heads[way] for way in ways)} |",
        "|---" * (2 + len(ways)) + "|",
    ]
    for kind, rows in frame.groupby("kind"):
        cells = [f"{100 * (rows[way] != NAMES[0]).mean():.1f} %" for way in ways]
        lines.append(f"| {kind} | {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench/results/aa.jsonl"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--table", type=Path, help="print the results in this file as Markdown")
    options = parser.parse_args()
    if options.table:
        print(table(options.table))
        return
    jobs = [(kind, seed) for kind, number in STUDIES.items() for seed in range(number)]
    for progress, _ in resumed(line, jobs, ("kind", "seed"), options.out, options.workers):
        print(progress, file=sys.stderr)
    print(table(options.out))


if __name__ == "__main__":
    main()
