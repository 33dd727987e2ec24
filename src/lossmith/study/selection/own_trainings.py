"""The trainings of a study of a user's own model: which rows, how, in how many processes."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from lossmith.core.card import Task
from lossmith.study.base.clock import Clock, OutOfTimeError
from lossmith.study.base.errors import InputError
from lossmith.study.base.result import Finding
from lossmith.study.data.arrangement import together
from lossmith.study.data.dataset import Augment, SupervisedDataset
from lossmith.study.data.folds import split_rows
from lossmith.study.launch.launcher import follow
from lossmith.study.launch.processes import Processes, can_fork, one_thread
from lossmith.study.launch.worker import train_all
from lossmith.study.study import Study
from lossmith.study.training.budget import Budget
from lossmith.study.training.heads import told
from lossmith.study.training.module_training import (
    JUDGED,
    MakeModel,
    MakeOptimizer,
    MakeSchedule,
    ModuleTraining,
    Recipe,
    shares_parameters,
)
from lossmith.study.training.predictor import TorchModel
from lossmith.study.trials.checkpoint import seeded
from lossmith.study.trials.trial import Trial

MOST_WORKERS = 8  # unless asked for more: each holds a training in memory
TELL = 1.0  # seconds between two looks at how far the study is
MOST_RESERVE = 0.4  # share of a budget that is kept for the final models
MOVING = Finding(
    name="validation",
    value="moves",
    meaning="the rows that judge change from one reading to the next, as augmented samples do, so "
    "one model gets several scores; give valid=, the same samples without augmentation",
    level="warning",
)
SHARED = Finding(
    name="model",
    value="shared",
    meaning="training one module that model(out_features) returned changed another: they share "
    "something, as a frozen body with BatchNorm in training mode, so trainings are not alike; "
    "build or copy it in the function, or keep it in eval mode",
    level="warning",
)
SHORTENED = Finding(
    name="final model",
    value="shortened",
    meaning="the time did not allow its whole training; train the loss yourself for the score that "
    "the folds promise, or give more time",
    level="warning",
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `select` is asked of a user's own model; recipe: what else trainings depend on."""

    model: MakeModel
    train: Any
    metric: Any
    valid: Any = None
    augment: Augment | None = None
    task: Task | None = None
    candidates: Any = None
    default: Any = None
    groups: Any = None
    splits: Any = None
    seed: int = 0
    out: Path | None = None
    force: bool = False
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
    recipe: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Which rows train, judge and stay untouched."""

    train: np.ndarray
    test: np.ndarray
    splits: list[tuple[np.ndarray, np.ndarray]]
    groups: np.ndarray | None

    @classmethod
    def of(cls, request: Request, examples: SupervisedDataset) -> "Rows":
        """Return the user's own splits, or a fifth untouched and folds of the rest."""
        everyone = np.arange(len(examples.target))
        groups = None if request.groups is None else _groups(request.groups, examples)
        if request.splits is not None:  # copies of a row are where the user put them
            pairs = list(request.splits)
            pairs = [tuple(pairs)] if len(pairs) == 2 and np.ndim(pairs[0]) == 1 else pairs
            return cls(train=everyone, test=everyone[:0], splits=pairs, groups=groups)
        groups = together(examples.units, groups)
        target = examples.target if examples.classes else everyone
        split = split_rows(examples.task or "regression", target, request.seed, groups, whole=True)
        return cls(
            train=split.train,
            test=split.test,
            splits=[(fold.train, fold.valid) for fold in split.folds],
            groups=groups,
        )


def recipe_of(request: Request, rows: int) -> Recipe:
    """Return how every module is trained; rows: of a fold."""
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


class Runner:
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
        self.findings: list[Finding] = []
        self._told, self._progress, self._reserve = -TELL, (0.0, "beginning"), 0.0

    def run(self) -> bool:
        """Run the study to its end; return False where time, or Ctrl-C, ended it before."""
        self._rehearse()
        try:
            if self.workers > 1:
                with Processes() as engine:
                    for _ in range(self.workers):
                        engine.submit(self._work)
                    follow(engine.running, self._waited, lambda error: None)
                for text in self.study.verdict().warnings:  # other processes have kept silent
                    warnings.warn(text, stacklevel=4)
            self._work(self._tick)  # what is left, which is nothing where all went well
        except OutOfTimeError:
            return False
        except KeyboardInterrupt:
            if not self.study.measured:
                raise
            return False
        return True

    def warn(self, finding: Finding) -> None:
        """Tell the user, now and in the result."""
        self.findings.append(finding)
        warnings.warn(finding.meaning, stacklevel=5)

    def _work(self, tick: Callable[[], None] = lambda: None) -> None:
        train_all(self.study, lambda trial: self._train(trial, tick))

    def _waited(self) -> bool:
        self._tick()
        time.sleep(0.1)
        return False

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
            tick()
            if epoch not in self.marks:
                continue
            # With a checkpoint a training is cut at rungs alone, by all that others have measured.
            if self.request.out is not None or trial.may_pause(epoch) or not trial.can_pause:
                trial.save(training=training)
            if trial.report(outputs=training.outputs(trial.valid)):
                break

    def _tick(self) -> None:
        if self.clock.seconds - self._told > TELL:
            self._told = self.clock.seconds
            self._progress = self.study.progress()
            self._reserve = self._final_seconds()
        self.clock.tick(*self._progress, reserve=self._reserve)

    def _final_seconds(self) -> float:
        """Return about how long the final models would train, at most a share of the budget."""
        if self.clock.limit is None:
            return 0.0
        frame = self.study.frame()
        epochs = frame.groupby(["loss", "learning_rate", "fold"])["epoch"].max().sum()
        each = frame["seconds"].sum() / epochs if epochs else 0.0
        return min(MOST_RESERVE * self.clock.limit, 2.5 * each * self.recipe.budget.epochs)

    def _rehearse(self) -> None:
        """Take one step: mistakes show, and processes inherit what it imports and prepares.

        Raises:
            InputError: if model, data and optimizer do not fit each other.
        """
        fold, study = self.study.folds.folds[0], self.study
        rows = fold.train[: self.recipe.budget.batch]
        with one_thread(), seeded(fold.seed):
            if self.examples.moving_rows():
                self.warn(MOVING)
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
            before = {name: part.clone() for name, part in other.model.state_dict().items()}
            training.epoch()
            after = other.model.state_dict()
            if not all(torch.equal(part, after[name]) for name, part in before.items()):
                self.warn(SHARED)
            training.outputs(fold.valid[:JUDGED])

    def final(self, name: str, rows: np.ndarray, until: float | None) -> TorchModel:
        """Train a loss at its best setting on the rows of all folds, until a time at most."""
        rate, epochs = self.study.best_setting(name)
        loss, seed = self.study.fitted(name, rows), self.study.folds.folds[0].seed
        with seeded(seed):
            training = ModuleTraining(
                self.recipe, self.examples, rows, seed=seed, loss=loss, learning_rate=rate
            )
            for epoch in told(loss, 1, epochs, self.recipe.budget.epochs):
                training.epoch()
                if until is not None and self.clock.seconds > until and epoch < epochs:
                    self.warn(SHORTENED)
                    break
        training.average.install(training.model)
        return TorchModel(
            loss=self.study.fitted(name, rows),
            body=training.model.eval(),
            decode=self.request.decode,
            reading=self.study.aim.reading,
        )

    def predict(self, model: TorchModel, rows: np.ndarray) -> np.ndarray:
        """Return a final model's predictions of some rows."""
        parts = [model.predict(x) for x, _ in self.examples.batches(rows, 512, training=False)]
        return np.concatenate(parts)


def _groups(given: Any, examples: SupervisedDataset) -> np.ndarray:
    """Return a code a row, equal for rows of one group."""
    labels = np.asarray(given)
    if labels.shape != (len(examples.target),):
        raise InputError(
            f"groups must have one label a sample ({len(examples.target)}), got shape "
            f"{labels.shape}"
        )
    return np.unique(labels, return_inverse=True)[1]


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
