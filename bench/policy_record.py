"""Whole studies, kept: every candidate at every learning rate to the end, nothing cut.

A study of a development table is run by its own worker under a plan without cuts. What it measured
of every training (scores, and what each row adds to them, after every checkpoint) is kept as one
file a study, so that a rule can be replayed on it in a second. Beside it stands what each finalist
gives on the rows set aside, as in the choice benchmark.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from choice import HELD_OUT, Hindsight, conditions, rarer
from lossmith.study.base.clock import Clock
from lossmith.study.journal import Setting, Training
from lossmith.study.rules.convergence import LONGER
from lossmith.study.rules.evidence import Shape
from lossmith.study.rules.halving import Check, Futility
from lossmith.study.rules.measurements import Measurements
from lossmith.study.rules.presets import Preset
from lossmith.study.rules.stacked import StackedDesign
from lossmith.study.selection.select import RATES
from lossmith.study.selection.tables import Plan, TableRequest, _problem
from lossmith.study.trials.stacked_worker import StackedWorker
from tables import TABLES, corrupt

FINALISTS = 12  # beside the default and the common loss: more than any rule that is replayed
LONGEST = 2  # times the planned epochs
Job = tuple[str, str, str, int]  # table, metric, condition, seed


class Whole(StackedDesign):
    """A study that cuts nothing."""

    @property
    def numbers(self) -> Preset:
        """No rung, many finalists, and a check that all pass."""
        check = Check(after=0.6, p_value=1.0)
        return Preset(
            rates=None,
            rungs=(),
            finalists=FINALISTS,
            default_settings=2,
            futility=Futility(checks=(check,), protected=1, futility_bound=1.0),
        )


class Recorder(StackedWorker):
    """A worker that trains all that it may."""

    def _prepare(self) -> None:
        super()._prepare()
        own = {one.name: getattr(self.design, one.name) for one in fields(self.design)}
        self.design = Whole(**own | {"longest": own["epochs"] * min(LONGEST, LONGER)})


def jobs(rows: int, seeds: Sequence[int]) -> list[Job]:
    """Return the studies to record: first one metric of every table, corrupted, small to large."""
    sizes = {table.name: table.frame().iloc[:rows].size for table in TABLES}
    return [
        (table.name, metric, condition, seed)
        for seed in seeds
        for last in (True, False)
        for clean in (False, True)
        for table in sorted(TABLES, key=lambda table: sizes[table.name])
        for metric in table.metrics
        for condition in conditions(table)
        if (metric == table.metrics[-1]) is last and (condition == "clean") is clean
    ]


def place(folder: Path, job: Job) -> Path:
    """Return where a study is kept."""
    return folder / f"{'_'.join(map(str, job)).replace(' ', '-')}.npz"


def prepared(job: Job, rows: int) -> tuple[Recorder, Any, Any]:
    """Return the worker of a study, its problem, and the rows set aside."""
    name, metric, condition, seed = job
    table = next(table for table in TABLES if table.name == name)
    frame = table.frame()
    frame = frame.sample(min(rows, len(frame)), random_state=seed).reset_index(drop=True)
    classes = frame[table.target] if "mae" not in table.metrics else None
    pool, held = train_test_split(frame, test_size=HELD_OUT, random_state=seed, stratify=classes)
    draw = np.random.default_rng(seed)
    request = TableRequest(
        data=corrupt(pool.reset_index(drop=True), table.target, condition, draw),
        target=table.target,
        metric=metric,
        positive=rarer(classes),
        learning_rates=RATES,
        seed=seed,
    )
    problem, metrics = _problem(request)
    clock = Clock(None, lambda share, text: None)
    (worker,) = Plan(request, problem, metrics, problem.split(seed), clock, False).studies()
    return (
        Recorder(**{one.name: getattr(worker, one.name) for one in fields(StackedWorker)}),
        problem,
        held,
    )


def record(job: Job, rows: int, folder: Path) -> float:
    """Run a whole study and keep it; return its seconds."""
    start = time.perf_counter()
    recorder, problem, held = prepared(job, rows)
    found = recorder.run()
    trained = time.perf_counter() - start
    result = SimpleNamespace(seed=job[3], metric=job[1], default=found.design.default)
    selection = SimpleNamespace(measurements=found, problem=problem, result=result)
    hindsight = Hindsight(selection, held, problem.name)
    tried = [(found.candidates[name], one.learning_rate) for name, one in found.settings.items()]
    scored = hindsight._train(tried)
    held_out = {c.name: outer for (c, _), (_, outer, _) in zip(tried, scored, strict=True)}
    timer = recorder.trainer.timer
    about = {
        "job": job,
        "rows": rows,
        "held_out": held_out,
        "step": timer.step if timer is not None else 0.0,
        "encoding": recorder.trainer.encoding,
        "steps": len(recorder.trainer.split.folds[0].train) // recorder.trainer.budget.batch,
        "trained": trained,
        "seconds": time.perf_counter() - start,
    }
    save(place(folder, job), found, about)
    return float(about["seconds"])


def save(path: Path, found: Measurements, about: Mapping[str, Any]) -> None:
    """Write what was measured; influences as 16-bit shares of the largest of their training."""
    design, arrays = found.design, {}
    trainings = [(t, r) for t, r in found.facts.records.items() if not t.twin]
    for fold in range(design.folds):
        for number, (training, one) in enumerate(trainings):
            if training.fold != fold:
                continue
            parts = np.stack([found.storage.influences(training, e) for e in one.scores])
            parts = parts.astype(float)
            scale = np.abs(np.where(np.isfinite(parts), parts, 0)).max(axis=1) + 1e-300
            arrays[f"parts {number}"] = (parts / scale[:, None]).astype(np.float16)
            arrays[f"scale {number}"] = scale
        arrays[f"units {fold}"] = np.asarray(found.shape.units[fold])
    plan = {one.name: getattr(design, one.name) for one in fields(StackedDesign)}
    text = {
        **about,
        "design": plan | {"starts": [list(one) for one in design.starts]},
        "decisions": found.facts.decisions,
        "trainings": [
            {
                "setting": list(training.setting),
                "fold": training.fold,
                "scores": list(one.scores.values()),
                "epochs": list(one.scores),
                "seconds": [report.seconds for report in one.reports],
            }
            for training, one in trainings
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, about=np.array(json.dumps(text)), **arrays)
    partial.rename(path)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A whole study as it was kept: scores and influences of every training by epoch."""

    about: Mapping[str, Any]
    design: Mapping[str, Any]
    scores: Mapping[Training, Mapping[int, float]]
    parts: Mapping[Training, Mapping[int, np.ndarray]]
    shape: Shape

    @classmethod
    def read(cls, path: Path) -> "Recorded":
        """Read a study."""
        with np.load(path) as file:
            about = json.loads(str(file["about"]))
            design = about["design"]
            starts = tuple(Setting(*one) for one in design["starts"])
            tuples = {k: tuple(v) for k, v in design.items() if isinstance(v, list)}
            scores, parts = {}, {}
            for number, one in enumerate(about["trainings"]):
                training = Training(Setting(*one["setting"]), one["fold"])
                kept = file[f"parts {number}"].astype(np.float32)
                kept = kept * file[f"scale {number}"][:, None]
                scores[training] = dict(zip(one["epochs"], one["scores"], strict=True))
                parts[training] = dict(zip(one["epochs"], kept, strict=True))
            units = [file[f"units {fold}"] for fold in range(design["folds"])]
        return cls(
            about=about,
            design=design | tuples | {"starts": starts},
            scores=scores,
            parts=parts,
            shape=Shape(units, 0.0),
        )


def record_all(folder: Path, rows: int, seeds: Sequence[int], names: Sequence[str]) -> None:
    """Record the studies that the folder lacks."""
    torch.set_num_threads(1)
    for job in jobs(rows, seeds):
        if not place(folder, job).exists() and (not names or job[0] in names):
            try:
                print(f"{job}: {record(job, rows, folder):.0f} s", flush=True)
            except Exception as error:  # one study that fails is no reason to lose the others
                print(f"{job}: {error!r}", flush=True)
