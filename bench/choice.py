"""How good is the choice? Studies over the development tables, judged on rows they never saw.

    python bench/choice.py --out bench/results/choice.jsonl [--seeds 5] [--tables ames,churn]
    python bench/choice.py --table bench/results/choice.jsonl > docs/choice.md

Of each table 30 % of the rows are set aside, clean. The rest is corrupted (outliers in the target,
or label noise) or left clean, and handed to `lossmith.select`. Afterwards every candidate is
trained on the rows that the study trained on, at its own learning rate and number of epochs,
both chosen on the study's own test rows, and all are scored on the clean rows set aside: what the
best of them would have given is known only in hindsight. Nothing is tuned on these rows.
"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two studies side by side on two cores

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import train_test_split

from resume import Lines, resumed
from tables import TABLES, Table, corrupt

HELD_OUT = 0.3
SEEDS = 2  # models averaged for each candidate in hindsight
HALVINGS = 10  # of the held-out rows, for what hindsight gains on rows that it did not choose by
MORE_RATES = (3e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2, 3e-2)


def conditions(table: Table) -> tuple[str, ...]:
    return ("clean", "outliers" if "mae" in table.metrics else "labels")


def study(job: tuple[str, str, str, int]) -> Lines:
    """Run one study and judge it; return its line of results."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    name, metric, condition, seed = job
    table = next(table for table in TABLES if table.name == name)
    frame = table.frame()
    classes = frame[table.target] if "mae" not in table.metrics else None
    pool, held = train_test_split(frame, test_size=HELD_OUT, random_state=seed, stratify=classes)
    rng = np.random.default_rng(seed)
    pool = corrupt(pool.reset_index(drop=True), table.target, condition, rng)
    positive = rarer(classes)

    from lossmith import select

    start = time.perf_counter()
    selection = select(pool, target=table.target, metric=metric, seed=seed, positive=positive)
    seconds = time.perf_counter() - start
    result = selection.result
    hindsight = Hindsight(selection, held, table.target)
    scores = hindsight.scores()
    line = {
        "table": name,
        "metric": metric,
        "condition": condition,
        "seed": seed,
        "better": result.better,
        "default": result.default,
        "naive": result.common,
        "selected": result.selected,
        "verdict": result.verdict,
        "lean": result.lean,
        "expected": {
            row.name: [row.expected.change, row.expected.harm]
            for row in result.candidates
            if row.expected is not None
        },
        "scores": scores,
        "halves": hindsight.halves,
        "differences": {
            row.name: [row.difference_to_default, row.difference_low, row.difference_high]
            for row in result.candidates
            if row.difference_low is not None
        },
        "delivered": hindsight.delivered(),
        "more_compute": hindsight.more_compute(),
        "cost": result.cost.ratio,
        "seconds": seconds,
        "excluded": selection.measurements.excluded,
    }
    return [line]


def rarer(classes: pd.Series | None) -> object:
    """Name the rarer of two classes by the clean rows, so that label noise cannot swap it."""
    counts = [] if classes is None else classes.value_counts()
    return counts.index[-1] if len(counts) == 2 else None


class Hindsight:
    """What each candidate gives on the held-out rows, trained alike."""

    def __init__(self, selection, held: pd.DataFrame, target: str) -> None:
        from lossmith.study.data.folds import split_rows
        from lossmith.study.metrics import lookup
        from lossmith.study.training.heads import HeadReader
        from lossmith.study.training.stacked import Rows
        from lossmith.study.training.table_trainer import TableTrainer

        self.found, self.selection = selection.measurements, selection
        (self.problem,), seed = selection.problem.targets, selection.result.seed
        split = split_rows(self.problem.task, self.problem.target, seed)
        self.metric = lookup(selection.result.metric)
        self.reading = HeadReader.of(self.metric, self.problem.target)
        self.trainer = TableTrainer(self.problem, split, [self.reading])
        features = self.problem.features
        encoder, train = self.trainer._fitted(split.train)
        inner = torch.from_numpy(encoder.transform(features.iloc[split.test]))
        outer = torch.from_numpy(encoder.transform(held.drop(columns=target)))
        self.target = torch.from_numpy(self.problem.target[split.train])
        self.inner_target = self.problem.target[split.test]
        self.outer_target = self._codes(held[target])
        self.held = held.drop(columns=target)
        self.inner, self.halves = len(inner), {}
        self.halvings = self._halvings(seed)
        seeds = [10_000 + split.folds[0].seed + number for number in range(SEEDS)]
        self.rows = Rows([(train, self.target)] * SEEDS, [torch.cat([inner, outer])] * SEEDS, seeds)

    def scores(self) -> dict[str, float]:
        """Score every candidate at the learning rate that suited it best in the study.

        Its scores on both halves of each halving of the held-out rows are put into `halves`.
        """
        from lossmith.study.rules.decision import decide

        rates = {row.name: row.learning_rate for row in decide(self.found).candidates}
        tried = [c for c in self.found.candidates.candidates if rates[c.name] is not None]
        found = self._train([(candidate, rates[candidate.name]) for candidate in tried])
        for candidate, (*_, halves) in zip(tried, found, strict=True):
            self.halves[candidate.name] = halves
        return {c.name: outer for c, (_, outer, _) in zip(tried, found, strict=True)}

    def more_compute(self) -> float:
        """Score the default at the best of many learning rates instead of one of many losses."""
        default = self.found.candidates[self.selection.result.default]
        found = self._train([(default, rate) for rate in MORE_RATES])
        return min(found, key=lambda scored: self.metric.error(scored[0]))[1]

    def delivered(self) -> dict[str, float]:
        """Score the models as a user gets them: of the selected loss, of lean and both defaults."""
        result = self.selection.result
        return self.finals({result.default, result.selected, result.common, result.lean} - {None})

    def finals(self, names: set[str]) -> dict[str, float]:
        """Score the final models of some losses."""
        found = {}
        for name in names:
            setting, folds = self._setting(name)
            if setting is None:
                continue
            epochs = self.found.evaluate(setting, folds).best_epoch
            candidate = self.found.candidates[name]
            model = self.trainer.final(candidate, setting.learning_rate, epochs)
            decision = None
            if self.metric.tuned:
                parts = [self.found.of_target(setting, fold, epochs, 0) for fold in folds]
                decision = np.mean([part.decision for part in parts], axis=0)
            found[name] = self.score(model, decision)
        return found

    def score(self, model, decision) -> float:
        """Score a model on the held-out rows."""
        from lossmith.study.metrics import shifted

        (prediction,) = model.predict(self.held)
        return self.metric.score(self.outer_target, shifted(prediction, decision))

    def _setting(self, name: str):
        """Return a candidate's best setting with its folds: those of the screening if it left."""
        if name in self.found.settings:
            return self.found.settings[name], self.found.folds
        folds = self.found.design.screening
        alive = [
            setting
            for setting, scored in self.found.of_candidate(name).items()
            if not self.found.diverged(setting) and set(folds) <= set(scored)
        ]
        mean = lambda setting: self.found.evaluate(setting, folds).errors.mean()  # noqa: E731
        return min(alive, key=mean, default=None), folds

    def _train(self, trials: list) -> list[tuple[float, float, list[list[float]]]]:
        """Return the inner, the held-out and the halves' scores of each entry.

        All are at its best epoch inside.
        """
        from lossmith.study.training.budget import TrialSpec
        from lossmith.study.training.stacked import StackedBatch

        members = [
            TrialSpec(candidate=c.name, learning_rate=rate, losses=(c.fit(self.target),) * SEEDS)
            for c, rate in trials
        ]
        budget = self.trainer.budget
        batch, done = StackedBatch(self.rows, members, budget), 0
        best: dict[tuple[str, float], tuple[float, float, list[list[float]]]] = {}
        for epoch in budget.checkpoints():
            batch.advance(epoch - done)
            done = epoch
            predictions = self._predictions(batch)
            for member, *scored in zip(batch.trials, *self._judged(predictions), strict=True):
                key = member.candidate, member.learning_rate
                if key not in best or self.metric.error(scored[0]) < self.metric.error(
                    best[key][0]
                ):
                    best[key] = float(scored[0]), float(scored[1]), scored[2].tolist()
        return [best[c.name, rate] for c, rate in trials]

    def _predictions(self, batch) -> np.ndarray:
        from lossmith.study.training.heads import predict

        return np.stack(
            [
                np.mean([predict(member.losses[0], raw, self.reading) for raw in outputs], axis=0)
                for member, outputs in zip(batch.trials, batch.outputs(), strict=True)
            ]
        )

    def _judged(self, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from lossmith.study.metrics import shifted
        from lossmith.study.trials.outliers import FAR, residual_scales

        metric = self.metric
        inner, outer = predictions[:, : self.inner], predictions[:, self.inner :]
        target = self.inner_target
        if metric.tuned:
            decisions = np.stack([metric.tune(target, one) for one in inner])
            inner, outer = shifted(inner, decisions), shifted(outer, decisions)
        if self.found.excluded:
            kept = residual_scales(target, inner, metric.transform == "log1p") <= FAR
            inner, target = inner[:, kept], target[kept]
        halves = [
            [metric.scores(self.outer_target[rows], outer[:, rows]) for rows in pair]
            for pair in self.halvings
        ]
        whole = metric.scores(target, inner), metric.scores(self.outer_target, outer)
        return *whole, np.moveaxis(np.array(halves), -1, 0)

    def _halvings(self, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the rows of both halves of each halving, of every class as many in either."""
        rows = np.arange(len(self.outer_target))
        classes = None if self.problem.task == "regression" else self.outer_target
        return [
            tuple(train_test_split(rows, test_size=0.5, random_state=draw, stratify=classes))
            for draw in range(seed * HALVINGS, (seed + 1) * HALVINGS)
        ]

    def _codes(self, column: pd.Series) -> np.ndarray:
        if self.problem.task == "regression":
            return column.to_numpy(float)
        codes = {label: code for code, label in enumerate(self.problem.labels.tolist())}
        return column.map(codes).to_numpy(int)


def run(out: Path, seeds: range, names: list[str] | None, workers: int) -> None:
    jobs = [
        (table.name, metric, condition, seed)
        for seed in seeds
        for table in TABLES
        if names is None or table.name in names
        for metric in table.metrics
        for condition in conditions(table)
    ]
    keys = ("table", "metric", "condition", "seed")
    for progress, (line,) in resumed(study, jobs, keys, out, workers):
        print(
            f"{progress} {line['table']} {line['metric']} {line['condition']} "
            f"{line['verdict']} {line['selected']} {line['seconds']:.0f} s",
            file=sys.stderr,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tables")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--table", type=Path, help="print the results in this file as Markdown")
    options = parser.parse_args()
    if options.table:
        from choice_table import render

        planned = sum(len(table.metrics) * len(conditions(table)) for table in TABLES)
        print(render(options.table, options.seeds * planned))
        return
    names = options.tables.split(",") if options.tables else None
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    run(options.out, seeds, names, options.workers)


if __name__ == "__main__":
    main()
