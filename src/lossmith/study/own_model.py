"""`select` for a user's own model and data: a study whose trainings are run here."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import nn

from lossmith.core.card import Task
from lossmith.core.loss import Loss
from lossmith.study.clock import Clock, OutOfTimeError
from lossmith.study.conclude import prediction_frame, versions
from lossmith.study.data.dataset import SupervisedDataset
from lossmith.study.data.folds import split_rows
from lossmith.study.diagnose import diagnose_samples
from lossmith.study.errors import InputError
from lossmith.study.metrics import Metric, lookup
from lossmith.study.metrics.resolve import as_metric
from lossmith.study.metrics.tuned import tuned
from lossmith.study.result import Cost, Evidence, Finding, Outputs, Result
from lossmith.study.search.trial import Budget
from lossmith.study.study import Study
from lossmith.study.training.heads import told
from lossmith.study.training.module_training import (
    MakeModel,
    MakeOptimizer,
    MakeSchedule,
    ModuleTraining,
    Recipe,
    shares_parameters,
)
from lossmith.study.training.parallel import can_fork, one_thread, work_together
from lossmith.study.training.predictor import TorchModel
from lossmith.study.trials.contenders import all_that_fit
from lossmith.study.trials.trial import Trial

MOST_WORKERS = 8  # unless asked for more: each holds a training in memory
MOVING = (
    "the rows that judge change from one reading to the next, as augmented samples do, so one "
    "model gets several scores; give valid=, the same samples without augmentation"
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `select` is asked of a user's own model."""

    model: MakeModel
    train: Any
    metric: Any
    valid: Any = None
    task: Task | None = None
    candidates: Any = None
    default: Any = None
    groups: Any = None
    splits: Any = None
    seed: int = 0
    out: Path | None = None
    learning_rates: Sequence[float] = ()
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: MakeOptimizer | None = None
    scheduler: MakeSchedule | None = None
    collate: Callable[[list[Any]], Any] | None = None
    loader_workers: int = 0
    device: Any = None
    amp: bool | torch.dtype = False
    workers: int | None = None
    better: Literal["lower", "higher"] | None = None
    decode: Callable[[Any], Any] | None = None
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelSelection:
    """What a study of a user's own model hands over: the loss, the model, and the evidence."""

    result: Result
    evidence: Evidence
    study: Study
    model: TorchModel
    test_rows: np.ndarray
    folder: Path | None = None  # where it was saved

    @property
    def loss(self) -> nn.Module:
        """The selected loss, fitted to the training targets."""
        return self.model.loss

    @property
    def verdict(self) -> Literal["switch", "keep"]:
        """Whether the selected loss is another than the default."""
        return self.result.verdict

    def predict(self, data: Any) -> pd.DataFrame:
        """Raise InputError: a user's own model is called by its own inputs."""
        raise InputError("predict is for tables; call selection.model.predict(inputs)")

    def predictions(self) -> pd.DataFrame | None:
        """Return the predictions of the untouched rows, where there is one number or class each."""
        target, predicted = self.evidence.test_target, self.evidence.test_selected
        if not len(target) or target.ndim > 1 or predicted.ndim > 2:
            return None
        labels = np.arange(predicted.shape[1]) if predicted.ndim > 1 else np.empty(0)
        frame = prediction_frame(predicted, labels, None)
        frame.insert(0, "row", self.test_rows)
        frame.insert(1, "target", target)
        return frame


def select_model(request: Request, clock: Clock) -> ModelSelection:
    """Find the loss that serves a user's own model and data best under a metric.

    Raises:
        InputError: with one line that says what to change.
    """
    known = _table_metric(request.metric)
    examples = SupervisedDataset.of(
        request.train,
        request.task,
        known,
        valid=request.valid,
        collate=request.collate,
        workers=request.loader_workers,
    )
    rows = _Rows.of(request, examples)
    recipe = _recipe(request, len(rows.splits[0][0]))
    with tempfile.TemporaryDirectory(prefix="lossmith-") as place:
        study = Study(
            request.out if request.out is not None else place,
            metric=tuned(known) if known is not None and known.tuned else request.metric,
            target=examples.target,
            losses=_losses(request.candidates, known, examples),
            default=request.default,
            splits=rows.splits,
            groups=_groups(request.groups, examples),
            learning_rates=request.learning_rates,
            epochs=recipe.budget.epochs,
            seed=request.seed,
            better=request.better,
            decode=request.decode,
        )
        runner = _Runner(request, recipe, examples, study, clock)
        finished = runner.run()
        return _conclude(runner, rows, finished)


def _table_metric(metric: Any) -> Metric | None:
    """Return the metric of tables of a name, else None; any other mistake shows later."""
    if isinstance(metric, Metric):
        return metric
    try:
        return lookup(metric) if isinstance(metric, str) else None
    except InputError:
        as_metric(metric)  # a metric of another kind, or an error
        return None


def _losses(given: Any, metric: Metric | None, examples: SupervisedDataset) -> Any:
    """Return the losses to compare: under a metric of tables a name stands for all its settings."""
    if given is None or metric is None or examples.task is None or isinstance(given, dict):
        return given
    names = [one for one in given if isinstance(one, str)]
    known, *_ = all_that_fit(metric, examples.target, examples.classes, names)
    return [*known, *(one for one in given if not isinstance(one, str))]


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Which rows train, judge and stay untouched."""

    develop: np.ndarray
    test: np.ndarray
    splits: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, request: Request, examples: SupervisedDataset) -> "_Rows":
        everyone = np.arange(len(examples.target))
        if request.splits is not None:
            pairs = list(request.splits)
            pairs = [tuple(pairs)] if len(pairs) == 2 and np.ndim(pairs[0]) == 1 else pairs
            return cls(develop=everyone, test=everyone[:0], splits=pairs)
        classes = examples.task in ("binary", "multiclass")
        target = examples.target if classes else everyone
        task = examples.task if classes and examples.task else "regression"
        groups = _groups(request.groups, examples)
        split = split_rows(task, target, request.seed, groups)
        return cls(
            develop=split.develop,
            test=split.test,
            splits=[(fold.train, fold.valid) for fold in split.folds],
        )


def _groups(given: Any, examples: SupervisedDataset) -> np.ndarray | None:
    """Return a code a row, equal for rows of one group, or for copies of one row; or None."""
    if given is None or given is False:
        return examples.units
    labels = np.asarray(given)
    if labels.shape != (len(examples.target),):
        raise InputError(
            f"groups must have one label a sample ({len(examples.target)}), got shape "
            f"{labels.shape}"
        )
    return np.unique(labels, return_inverse=True)[1]


def _recipe(request: Request, rows: int) -> Recipe:
    device = torch.device(
        request.device
        if request.device is not None
        else torch.accelerator.current_accelerator() or "cpu"
    )
    amp = request.amp
    computed = amp if isinstance(amp, torch.dtype) else torch.bfloat16 if amp else None
    return Recipe(
        make_model=request.model,
        budget=Budget.for_rows(rows, epochs=request.epochs, batch=request.batch_size),
        device=device,
        make_optimizer=request.optimizer or torch.optim.AdamW,
        schedule=request.scheduler,
        amp=computed,
    )


class _Runner:
    """Runs the trials of a study, in as many processes as it may."""

    def __init__(
        self,
        request: Request,
        recipe: Recipe,
        examples: SupervisedDataset,
        study: Study,
        clock: Clock,
    ) -> None:
        self.request, self.recipe, self.examples = request, recipe, examples
        self.study, self.clock = study, clock
        self.marks = set(recipe.budget.checkpoints())
        self.workers = _workers(request.workers, examples, recipe.device)
        self.moving = examples.moving_rows()

    def run(self) -> bool:
        """Run the study to its end; return False where time, or Ctrl-C, ended it before."""
        self._rehearse()
        try:
            if self.workers > 1:
                work_together(self._work, self.workers, self._tick)
            self._work(self._tick)  # what is left, which is nothing where all went well
        except (KeyboardInterrupt, OutOfTimeError):
            return False
        return True

    def _work(self, tick: Callable[[], None] = lambda: None) -> None:
        for trial in self.study:
            with trial.seeded():
                self._train(trial, tick)

    def _train(self, trial: Trial, tick: Callable[[], None]) -> None:
        training = ModuleTraining(
            self.recipe,
            self.examples,
            trial.train,
            seed=trial.seed,
            loss=trial.loss,
            learning_rate=trial.learning_rate,
        )
        trial.restore(training=training)
        for epoch in trial.epochs:
            training.epoch()
            if epoch not in self.marks:
                continue
            if self.request.out is not None or trial.may_pause(epoch):
                trial.save(training=training)
            if trial.report(outputs=training.outputs(trial.valid)):
                break
            tick()

    def _tick(self) -> None:
        share, text = self.study.progress()
        self.clock.tick(share, text)

    def _rehearse(self) -> None:
        """Take one step: mistakes show, and processes inherit what it imports and prepares.

        Raises:
            InputError: if model, data and optimizer do not fit each other.
        """
        fold, study = self.study.folds.folds[0], self.study
        rows = fold.train[: self.recipe.budget.batch]
        with one_thread():
            other, training = (
                ModuleTraining(
                    self.recipe,
                    self.examples,
                    rows,
                    seed=fold.seed,
                    loss=study.fitted(study.design.default, fold.train),
                    learning_rate=study.design.learning_rates[0],
                )
                for _ in range(2)
            )
            if shares_parameters(other.model, training.model):
                raise InputError(
                    "model(out_features) must return a fresh module every time; this one shares "
                    "parameters with the one before, so trainings would learn from each other"
                )
            training.epoch()
            training.outputs(fold.valid)

    def final(self, name: str, rate: float, epochs: int, rows: np.ndarray) -> TorchModel:
        """Train a loss on the rows of all folds."""
        loss = self.study.fitted(name, rows)
        training = ModuleTraining(
            self.recipe,
            self.examples,
            rows,
            seed=self.study.folds.folds[0].seed,
            loss=loss,
            learning_rate=rate,
            epochs=epochs,
        )
        total = self.recipe.budget.epochs
        for _ in told(loss, 1, epochs, total):
            training.epoch()
        training.average.install(training.model)
        return TorchModel(
            loss=self.study.fitted(name, rows),
            body=training.model.eval(),
            decode=self.request.decode,
        )

    def predict(self, model: TorchModel, rows: np.ndarray) -> np.ndarray:
        """Return a final model's predictions of some rows."""
        parts = [model.predict(x) for x, _ in self.examples.batches(rows, 512, training=False)]
        return np.concatenate(parts)


def _workers(wanted: int | None, examples: SupervisedDataset, device: torch.device) -> int:
    """Return how many processes train side by side, each on one thread."""
    able = can_fork() and device.type == "cpu"
    if wanted is not None and wanted > 1 and not able:
        raise InputError(
            f"workers={wanted} is for Linux without an accelerator; leave it out to train one "
            "model at a time"
        )
    if wanted is not None:
        return wanted
    # Processes may not share a file that a dataset of another kind holds open.
    return min(torch.get_num_threads(), MOST_WORKERS) if able and examples.plain else 1


def _conclude(runner: _Runner, rows: _Rows, finished: bool) -> ModelSelection:
    """Train the default and the selected loss on all rows but the test rows, and score these."""
    study, clock = runner.study, runner.clock
    verdict = study.verdict()
    names = dict.fromkeys((verdict.default, verdict.selected))
    models = {}
    for name in names:
        rate, epochs = study.best_setting(name)
        clock.report(1.0, f"training {name} on all rows but the test rows")
        models[name] = runner.final(name, rate, epochs, rows.develop)
    target = runner.examples.target[rows.test]
    predictions = {
        name: runner.predict(model, rows.test) if len(rows.test) else np.empty(0)
        for name, model in models.items()
    }
    default, selected = predictions[verdict.default], predictions[verdict.selected]
    seconds = clock.seconds
    cost = verdict.result.cost
    result = replace(
        verdict.result,
        task=runner.examples.task or "study",
        target="target",
        rows={
            "total": len(runner.examples.target),
            "train": len(rows.develop),
            "test": len(rows.test),
        },
        diagnosis=diagnose_samples(runner.examples) + verdict.result.diagnosis + _moving(runner),
        test=_test(study, target, default, selected),
        cost=Cost(
            seconds=seconds,
            default_seconds=cost.default_seconds,
            ratio=seconds / cost.default_seconds if cost.default_seconds else 0.0,
            trainings=cost.trainings + len(models),
        ),
        interrupted=not finished,
        versions=versions(),
        command=runner.request.command,
    )
    evidence = Evidence(
        curves=verdict.curves,
        outputs=_outputs(runner, models, rows),
        test_target=target,
        test_default=default,
        test_selected=selected,
        classes=tuple(str(code) for code in range(runner.examples.classes)),
    )
    return ModelSelection(
        result=result,
        evidence=evidence,
        study=study,
        model=models[verdict.selected],
        test_rows=rows.test,
    )


def _moving(runner: _Runner) -> tuple[Finding, ...]:
    if not runner.moving:
        return ()
    return (Finding(name="validation", value="moves", meaning=MOVING, level="warning"),)


def _test(study: Study, target: np.ndarray, default: Any, selected: Any) -> dict[str, Any]:
    if not len(target):
        return {}
    return {
        "default": study.metric.score(target, default),
        "selected": study.metric.score(target, selected),
        "rows": float(len(target)),
    }


def _outputs(runner: _Runner, models: dict[str, TorchModel], rows: _Rows) -> tuple[Outputs, ...]:
    """Return the raw outputs of the final models on untouched rows, which the report draws."""
    target = runner.examples.target[rows.test]
    if runner.examples.task is None or not len(target):
        return ()
    found = []
    for name, model in models.items():
        if isinstance(model.loss, Loss):
            parts = runner.examples.batches(rows.test, 512, training=False)
            output = torch.cat([model.outputs(inputs) for inputs, _ in parts])
            found.append(
                Outputs(name=name, loss=model.loss, output=output, target=torch.as_tensor(target))
            )
    return tuple(found)
