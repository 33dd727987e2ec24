"""A user's own model as something to train, one model at a time in every process."""

import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from lossmith.core.driver import parameter_groups
from lossmith.core.loss import Loss
from lossmith.study.candidates import CandidateSpec
from lossmith.study.data.dataset import SupervisedDataset
from lossmith.study.data.folds import Split
from lossmith.study.errors import InputError
from lossmith.study.rules.history import TrialHistory
from lossmith.study.search.trial import Budget, TrialSpec, batches
from lossmith.study.training.averaging import WeightAverage
from lossmith.study.training.parallel import can_fork, fork_map, one_thread
from lossmith.study.training.predictor import TorchModel, read

MakeModel = Callable[[int], nn.Module]
MakeOptimizer = Callable[..., torch.optim.Optimizer]
MOST_WORKERS = 8  # unless asked for more: each holds a training in memory


class ModuleTrial:
    """One training: a fresh model of the user's on one fold."""

    def __init__(
        self, trainer: "DatasetTrainer", rows: np.ndarray, seed: int, loss: Loss, rate: float
    ):
        self.trainer, self.rows, self.loss, self.epoch = trainer, rows, loss, 0
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model = trainer.make_model(loss.out_features)
        if not isinstance(self.model, nn.Module):
            raise InputError(f"model(out_features) must return an nn.Module, got {self.model!r}")
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            raise InputError("model(out_features) has no parameter to train")
        learned = any(True for _ in loss.parameters())
        trained = parameter_groups(self.model, loss) if learned else self.model.parameters()
        self.optimizer = trainer.make_optimizer(trained, lr=rate)
        self.average = WeightAverage(self.model)
        self.order = torch.Generator().manual_seed(seed)
        self.noise = torch.Generator().manual_seed(seed).get_state()  # dropout, the same for all

    def advance(self, epochs: int) -> None:
        """Train for some epochs."""
        with torch.random.fork_rng():
            torch.set_rng_state(self.noise)
            self._train(epochs)
            self.noise = torch.get_rng_state()

    def _train(self, epochs: int) -> None:
        self.model.train()
        target = torch.from_numpy(self.trainer.examples.target)
        size = self.trainer.budget.batch
        for _ in range(epochs):
            self.loss.observe(self.trainer.budget.progress(self.epoch))
            self.epoch += 1
            order = torch.cat(batches(len(self.rows), size, self.order)).numpy()
            chosen = self.rows[order]
            inputs = self.trainer.examples.inputs(chosen, size)
            for batch, wanted in zip(inputs, target[chosen].split(size), strict=True):
                output = self._output(batch)
                self.optimizer.zero_grad()
                self.loss(output, wanted).backward()
                self.optimizer.step()
                self.average.update(self.model)

    @torch.no_grad()
    def outputs(self, rows: np.ndarray) -> Tensor:
        """Return the raw outputs on some rows, averaged weights."""
        with self.average.applied(self.model):
            self.model.eval()
            parts = [self._output(batch) for batch in self.trainer.examples.inputs(rows, 512)]
        return torch.cat(parts)

    def state(self) -> dict[str, Any]:
        """Return all that another run needs to go on as this one would."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": (self.average.weights, self.average.steps),
            "order": self.order.get_state(),
            "noise": self.noise,
            "epoch": self.epoch,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from another run's state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.weights, self.average.steps = state["average"]
        self.order.set_state(state["order"])
        self.noise, self.epoch = state["noise"], state["epoch"]

    def _output(self, batch: Any) -> Tensor:
        output, width = self.model(batch), self.loss.out_features
        if not isinstance(output, Tensor) or output.ndim != 2 or output.shape[1] != width:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise InputError(
                f"model({width}) must give outputs of shape (rows, {width}), got {got}"
            )
        return output.squeeze(-1) if width == 1 else output


class SequentialBatch:
    """Trials trained one after the other in every process; only those in training are in memory.

    The others rest as files in a temporary folder, so that a study of a large network needs the
    memory of one training a process, however many losses it compares.
    """

    def __init__(
        self, trainer: "DatasetTrainer", folds: Sequence[int], trials: Sequence[TrialSpec]
    ):
        self.trainer, self.trials = trainer, list(trials)
        self.folds = [trainer.split.folds[fold] for fold in folds]
        self.folder = TemporaryDirectory(prefix="lossmith-")
        self.places = [
            [Path(self.folder.name, f"{index}-{fold}.pt") for fold in folds]
            for index in range(len(self.trials))
        ]
        self.measured: list[list[Tensor]] = []

    def advance(self, epochs: int) -> None:
        """Train every trial for some epochs."""
        turns = list(product(range(len(self.trials)), range(len(self.folds))))
        done = fork_map(lambda i: self._turn(*turns[i], epochs), len(turns), self.trainer.workers)
        self.measured = [[] for _ in self.trials]
        for (trial, position), (output, state) in zip(turns, done, strict=True):
            self.measured[trial].append(output)
            self.trials[trial].losses[position].load_state_dict(state)

    def outputs(self) -> list[list[Tensor]]:
        """Return each trial's raw outputs on each fold's validation rows."""
        return self.measured

    def keep(self, kept: Sequence[int]) -> None:
        """Go on with some of the trials only."""
        for index in set(range(len(self.trials))) - set(kept):
            for place in self.places[index]:
                place.unlink(missing_ok=True)
        self.trials = [self.trials[i] for i in sorted(kept)]
        self.places = [self.places[i] for i in sorted(kept)]

    def _turn(self, index: int, position: int, epochs: int) -> tuple[Tensor, dict[str, Any]]:
        """Train one trial on one fold; return its outputs and its loss's state."""
        trial, fold = self.trials[index], self.folds[position]
        loss, place = trial.losses[position], self.places[index][position]
        run = ModuleTrial(self.trainer, fold.train, fold.seed, loss, trial.learning_rate)
        if place.exists():
            # A file of this process's own, which may hold whatever a user's optimizer keeps.
            run.restore(torch.load(place, weights_only=False))
        run.advance(epochs)
        output = run.outputs(fold.valid)
        written = place.with_suffix(".new")
        torch.save(run.state(), written)
        written.replace(place)
        return output, loss.state_dict()


class DatasetTrainer:
    """Trains a user's model on the folds of a user's dataset."""

    ensemble = 1

    def __init__(
        self,
        examples: SupervisedDataset,
        split: Split,
        make_model: MakeModel,
        *,
        epochs: int | None = None,
        batch: int | None = None,
        optimizer: MakeOptimizer | None = None,
        workers: int | None = None,
    ) -> None:
        self.examples, self.split, self.task = examples, split, examples.task
        self.workers = _workers(workers, examples.dataset)
        self.make_model, self.make_optimizer = make_model, optimizer or torch.optim.AdamW
        self.budget = Budget.for_rows(len(split.folds[0].train), epochs=epochs, batch=batch)

    def losses(self, candidate: CandidateSpec, folds: Sequence[int]) -> tuple[Loss, ...]:
        """Return the candidate fitted to the training targets of each fold."""
        return tuple(candidate.fit(self._target(self.split.folds[fold].train)) for fold in folds)

    def start(self, folds: Sequence[int], trials: Sequence[TrialSpec]) -> SequentialBatch:
        """Return trials ready to train on folds."""
        return SequentialBatch(self, folds, trials)

    def warm_up(self, loss: Loss, rate: float) -> None:
        """Take one step: mistakes show, and processes inherit what it imports and prepares.

        Raises:
            InputError: if model, data and optimizer do not fit each other.
        """
        fold = self.split.folds[self.split.screening_folds[0]]
        rows = fold.train[: self.budget.batch]
        with one_thread():
            other, run = (ModuleTrial(self, rows, fold.seed, loss, rate) for _ in range(2))
            if _trained(other.model) & _trained(run.model):
                raise InputError(
                    "model(out_features) must return a fresh module every time; this one shares "
                    "parameters with the one before, so trainings would learn from each other"
                )
            run.advance(1)
            run.outputs(fold.valid)

    def valid_target(self, fold: int) -> np.ndarray:
        """Return the targets of a fold's validation rows."""
        return self.examples.target[self.split.folds[fold].valid]

    def valid_targets_tensor(self, fold: int) -> Tensor:
        """Return the same as a tensor."""
        return self._target(self.split.folds[fold].valid)

    def siblings(self, fold: int, folds: Sequence[int]) -> list[int]:
        """Return the other folds that share no validation row with a fold."""
        return self.split.siblings(fold, folds)

    def final(self, candidate: CandidateSpec, rate: float, epochs: int) -> TorchModel:
        """Train a candidate on all rows but the test rows."""
        rows = self.split.develop
        target = self._target(rows)
        run = ModuleTrial(self, rows, self.split.folds[0].seed, candidate.fit(target), rate)
        run.advance(epochs)
        run.average.install(run.model)
        return TorchModel(loss=candidate.fit(target), body=run.model.eval())

    def test_target(self) -> np.ndarray:
        """Return the targets of the untouched rows."""
        return self.examples.target[self.split.test]

    @torch.no_grad()
    def predict_test(self, model: TorchModel) -> np.ndarray:
        """Return a final model's predictions of the untouched rows."""
        inputs = self.examples.inputs(self.split.test, 512)
        return np.concatenate([read(model.loss, model.body(batch)) for batch in inputs])

    def time_reference(self, loss: Loss) -> None:
        """Do nothing: a step of an own model may take long, so one epoch is timed at the end."""

    def reference_seconds(self, history: TrialHistory, epochs: int, settings: int) -> float:
        """Return what evaluating the default alone takes, from the time of one epoch."""
        fold = self.split.folds[self.split.screening_folds[0]]
        loss = history.outputs[max(history.outputs)][0]
        run = ModuleTrial(self, fold.train, fold.seed, loss, history.key.learning_rate)
        start = time.perf_counter()
        run.advance(1)
        run.outputs(fold.valid)
        epoch = time.perf_counter() - start
        trainings = settings * len(self.split.screening_folds) + len(self.split.confirmation_folds)
        final = epochs * len(self.split.develop) / len(fold.train)
        return epoch * (trainings * self.budget.epochs + final)

    def _target(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.examples.target[rows])


def _trained(model: nn.Module) -> set[int]:
    """Return where the parameters that are trained lie in memory."""
    return {p.untyped_storage().data_ptr() for p in model.parameters() if p.requires_grad}


def _workers(wanted: int | None, dataset: Any) -> int:
    """Return how many processes train side by side, each on one thread."""
    if wanted is not None and wanted > 1 and not can_fork():
        raise InputError(
            f"workers={wanted} is for Linux without an accelerator; leave it out to train one "
            "model at a time"
        )
    if wanted is not None:
        return wanted
    # Processes may not share a file that a dataset of another kind holds open.
    apart = can_fork() and isinstance(dataset, TensorDataset)
    return min(torch.get_num_threads(), MOST_WORKERS) if apart else 1
