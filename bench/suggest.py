"""What losses gained on many tables, from which `lossmith suggest` knows what to expect.

    python bench/suggest.py record --out bench/results/suggest.jsonl
    python bench/suggest.py fit        # writes what lossmith ships, from all records that are there
    python bench/suggest.py atlas      # the same of the atlas's tasks alone, in seconds
    python bench/suggest.py table > docs/suggest.md

Of the tables in the order of bench/unseen.py's draw, a seeded lot holds about a quarter out
for ever: nothing is learned from them, and docs/suggest.md is measured on them alone. Of at most
1,200 rows each is held out once in three parts, clean. The others train every candidate of the task
to the end at each of the study's learning rates, all stacked, with the study's own body; a fifth of
them chooses a candidate's learning rate and epoch. They are clean in one run, and in another a
tenth of their targets is moved or a fifth of their labels is wrong.
"""

import argparse
import os
import sys
import time
import traceback
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from choice import rarer
from lossmith.study.base.errors import InputError
from lossmith.study.candidates import CandidateSet, candidates_for
from lossmith.study.data.folds import Fold, Split, _parts
from lossmith.study.data.problem import Problem, frame_problem
from lossmith.study.data.table import as_frame
from lossmith.study.metrics import Metric, lookup, names, shifted
from lossmith.study.metrics.base import relative_to_best
from lossmith.study.selection.select import RATES
from lossmith.study.suggest.features import features
from lossmith.study.suggest.knowledge import FILE, load, save
from lossmith.study.training.budget import TrialSpec
from lossmith.study.training.heads import HeadReader, predict
from lossmith.study.training.table_trainer import TableTrainer
from lossmith.study.trials.outliers import FAR, has_outliers, residual_scales
from resume import Lines, resumed
from suggest_atlas import cells, learn_cells
from suggest_fit import learn
from suggest_table import render
from tables import REGRESSION, corrupt
from unseen import draw
from unseen import names as drawn

ROWS = 1200
FOLDS, INNER = 3, 5  # parts: one of three is held out, one of five of the others chooses
HELD_OUT = 0.24  # of the tables
CONDITIONS = ("clean", "corrupted")
RECORDS = Path("bench/results/suggest.jsonl")
FIGURES = Path("bench/results/suggest_fit.json")
STUDIES = Path("bench/results/unseen.jsonl")


def lots() -> dict[tuple[str, str], bool]:
    """Return of each table whether it is one of those that nothing is learned from."""
    order = drawn()
    return dict(zip(order, np.random.default_rng(0).random(len(order)) < HELD_OUT, strict=True))


def record(job: tuple[str, str, str]) -> Lines:
    """Train every candidate on a table; return what each gained, none where no target fits."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    package, item, condition = job
    line = {"package": package, "table": item, "condition": condition}
    line["held_out"] = bool(lots()[package, item])
    start = time.perf_counter()
    try:
        found = Recording.of(*job)
        if found is None:
            return []
        line |= found.line()
    except InputError as error:
        line["refused"] = str(error)
    except Exception:  # one table that fails is no reason to lose the others
        line["failed"] = traceback.format_exc()
    return [line | {"seconds": round(time.perf_counter() - start, 1)}]


class Recording:
    """Every candidate on one table: trained on some targets, judged by the clean ones."""

    @classmethod
    def of(cls, package: str, item: str, condition: str) -> "Recording | None":
        """Return the recording of a table, None where no target fits."""
        rng = np.random.default_rng(sum(map(ord, package + item)))
        found = draw(package, item, rng)
        if found is None:
            return None
        frame, target, kind, metric = found
        frame = frame.iloc[:ROWS].reset_index(drop=True)
        number = metric in REGRESSION
        positive = rarer(None if number else frame[target])

        def problem(kind: str) -> Problem:
            table, name = as_frame(corrupt(frame, target, kind, rng), target)
            return frame_problem(table, name, "mae" if number else "accuracy", positive=positive)

        clean = problem("clean")
        given = clean if condition == "clean" else problem(kind)
        if given.classes != clean.classes:  # as the codes of labels that came in another order
            codes = [clean.classes.index(name) for name in given.classes]
            given = replace(
                given,
                target=np.array(codes)[given.target],
                classes=clean.classes,
                labels=clean.labels,
            )
        return cls(clean, given)

    def __init__(self, clean: Problem, given: Problem) -> None:
        self.clean, self.given = clean, given
        self.inner, self.outer, self.split = _split(clean)
        self.trainer = TableTrainer(given, self.split)
        self.sets = self._sets()

    def line(self) -> dict[str, object]:
        """Train; return what is kept of it."""
        metrics = [lookup(name) for name in self.sets]
        readings = [HeadReader.of(metric, self.given.target) for metric in metrics]
        seen, trials = self._train(readings)
        scored = {
            metric.name: self._scored(metric, trials, seen[reading])
            for metric, reading in zip(metrics, readings, strict=True)
        }
        return {
            "task": self.given.task,
            "target": self.given.name,
            "rows": len(self.given.target),
            "features": features(self.given),
            "metrics": scored,
        }

    def _sets(self) -> dict[str, CandidateSet]:
        """Return the candidates of each metric that the targets allow."""
        given, found = self.given, {}
        for name in names(given.task):
            metric = lookup(name)
            try:
                for target in (given.target, self.clean.target):
                    metric.check(target)
            except InputError:
                continue
            classes = len(given.classes) or None
            if name != "r2":  # whose order is that of rmse
                found[name] = candidates_for(given.task, metric, given.target, classes, None)
        return found

    def _train(
        self, readings: Iterable[HeadReader]
    ) -> tuple[dict[HeadReader, list[list[np.ndarray]]], list[tuple[str, float]]]:
        """Return predictions (trials, rows, …) by reading, checkpoint and fold, and the trials."""
        everyone = {c.name: c for found in self.sets.values() for c in found.candidates}
        folds = range(FOLDS)
        specs = []
        for candidate in everyone.values():
            losses = self.trainer.losses(candidate, folds)
            specs += [
                TrialSpec(candidate=candidate.name, learning_rate=rate, losses=losses)
                for rate in RATES
            ]
        batch, done = self.trainer.start(folds, specs), 0
        found: dict[HeadReader, list[list[np.ndarray]]] = {one: [] for one in readings}
        for epoch in self.trainer.budget.checkpoints():
            batch.advance(epoch - done)
            done, outputs = epoch, batch.outputs()
            pairs = [*zip(batch.trials, outputs, strict=True)]
            for reading, seen in found.items():
                read = [
                    [predict(trial.losses[fold], one[fold], reading) for trial, one in pairs]
                    for fold in folds
                ]
                seen.append([np.stack(own).astype(np.float32) for own in read])
        return found, [(trial.candidate, trial.learning_rate) for trial in batch.trials]

    def _scored(
        self,
        metric: Metric,
        trials: list[tuple[str, float]],
        predictions: list[list[np.ndarray]],
    ) -> dict[str, object]:
        """Return the log of each candidate's error over the default's, with its standard error."""
        chosen = self._chosen(metric, trials, predictions)
        found = self.sets[metric.name]
        picks = {c.name: chosen[c.name] for c in found.candidates if c.name in chosen}
        parts = [self._outer(metric, fold, picks, predictions) for fold in range(FOLDS)]
        errors = np.mean([error for error, _ in parts], axis=0)
        base = list(picks).index(found.default)
        gains = {}
        for place, name in enumerate(picks):
            if not np.isfinite(errors[place]) or name == found.default:
                continue
            variance = 0.0
            for _, influences in parts:
                own = influences[place] / errors[place] - influences[base] / errors[base]
                variance += float((own**2).mean()) / len(own) / FOLDS**2
            gain = np.log(errors[place] / errors[base])
            epoch, trial = picks[name]
            gains[name] = [
                round(float(gain), 5),
                round(variance**0.5, 5),
                trials[trial][1],
                epoch,
            ]
        epoch, trial = picks[found.default]
        return {
            "default": found.default,
            "error": float(errors[base]),
            "constant": self.constant(metric),
            "at": [trials[trial][1], epoch],
            "gains": gains,
            "diverged": [c.name for c in found.candidates if c.name not in picks],
        }

    def constant(self, metric: Metric) -> float:
        """Return the error of the best constant prediction."""
        target = self.clean.target
        return relative_to_best(metric, metric.constant_score(target), len(target))

    def _chosen(
        self,
        metric: Metric,
        trials: list[tuple[str, float]],
        predictions: list[list[np.ndarray]],
    ) -> dict[str, tuple[int, int]]:
        """Return each candidate's checkpoint and trial of the least inner error."""
        target = self.given.target
        errors = np.zeros((len(predictions), len(trials)))
        for fold in range(FOLDS):
            inner = target[self.inner[fold]]
            seen = [one[fold][:, : len(inner)].astype(float) for one in predictions]
            kept = _kept(metric, inner, seen[-1])
            for checkpoint, own in enumerate(seen):
                if metric.tuned:
                    own = shifted(own, np.stack([metric.tune(inner, one) for one in own]))
                errors[checkpoint] += metric.error(metric.scores(inner[kept], own[:, kept]))
        found: dict[str, tuple[int, int]] = {}
        for trial, (name, _) in enumerate(trials):
            checkpoint = int(errors[:, trial].argmin())
            if np.isfinite(errors[checkpoint, trial]) and (
                name not in found or errors[checkpoint, trial] < errors[found[name]]
            ):
                found[name] = checkpoint, trial
        return found

    def _outer(
        self,
        metric: Metric,
        fold: int,
        picks: dict[str, tuple[int, int]],
        predictions: list[list[np.ndarray]],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the errors (k,) of the candidates on the held-out rows, and influences (k, n)."""
        inner, outer = self.inner[fold], self.outer[fold]
        both = np.stack([predictions[c][fold][trial] for c, trial in picks.values()]).astype(float)
        own = both[:, len(inner) :]
        if metric.tuned:
            target = self.given.target[inner]
            own = shifted(
                own, np.stack([metric.tune(target, one) for one in both[:, : len(inner)]])
            )
        target = self.clean.target[outer]
        scores = metric.scores(target, own)
        errors = [relative_to_best(metric, score, len(target)) for score in scores]
        return np.array(errors), metric.error(metric.influence_matrix(target, own))


def _split(problem: Problem) -> tuple[list[np.ndarray], list[np.ndarray], Split]:
    """Return the rows that choose, those held out, and folds whose valid rows are both."""
    rows, units = len(problem.target), problem.units
    classes = None if problem.numbers else problem.target
    part = _parts(rows, classes, units, FOLDS, 0)
    folds, inners, outers = [], [], []
    for number in range(FOLDS):
        rest, outer = np.flatnonzero(part != number), np.flatnonzero(part == number)
        own_classes = None if classes is None else classes[rest]
        own_units = None if units is None else units[rest]
        lot = _parts(len(rest), own_classes, own_units, INNER, 1 + number)
        inner, train = rest[lot == 0], rest[lot != 0]
        valid = np.concatenate([inner, outer])
        folds.append(Fold(seed=number, repeat=0, train=train, valid=valid))
        inners.append(inner)
        outers.append(outer)
    split = Split(
        train=np.arange(rows),
        test=np.arange(0),
        folds=tuple(folds),
        screening_folds=tuple(range(FOLDS)),
        confirmation_folds=(),
        groups=units,
    )
    return inners, outers, split


def _kept(metric: Metric, target: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Return which rows choose: all, but under a squared metric no gross errors, as in a study."""
    everyone = np.ones(len(target), bool)
    if metric.elicits != "mean":
        return everyone
    finite = np.isfinite(predictions).all(axis=1)
    scales = residual_scales(target, predictions[finite], metric.transform == "log1p")
    return scales <= FAR if has_outliers(scales) else everyone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    recorded = verbs.add_parser("record", help="train every candidate on the tables")
    recorded.add_argument("--out", type=Path, default=RECORDS)
    recorded.add_argument("--tables", type=int, default=118)
    recorded.add_argument("--workers", type=int, default=1)
    verbs.add_parser("atlas", help="learn the atlas's tasks anew, and leave what tables tell")
    for name in ("fit", "table"):
        verbs.add_parser(name).add_argument("--records", type=Path, default=RECORDS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.verb == "fit":
        save(FILE, learn(options.records, FIGURES) | learn_cells(cells()))
    elif options.verb == "atlas":
        tables = {kind: known for kind, known in load().items() if known.features}
        save(FILE, tables | learn_cells(cells()))
    elif options.verb == "table":
        print(render(options.records, FIGURES, STUDIES))
    else:
        _record_all(options.out, options.tables, options.workers)


def _record_all(out: Path, tables: int, workers: int) -> None:
    jobs = [(*name, one) for name in drawn()[:tables] for one in CONDITIONS]
    for progress, lines in resumed(record, jobs, ("package", "table", "condition"), out, workers):
        told = [f"{one['table']} {one['condition']} {one['seconds']} s" for one in lines]
        print(progress, *told, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
