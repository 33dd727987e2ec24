"""A trial: one training that is wanted, handed to whoever trains."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from lossmith.study.base.errors import InputError, StorageError
from lossmith.study.base.formatting import listed
from lossmith.study.journal import Claim, Storage, Training
from lossmith.study.rules.design import Design
from lossmith.study.rules.plan import pause_after
from lossmith.study.training.heads import told
from lossmith.study.trials import checkpoint
from lossmith.study.trials.splits import Fold


class Host(Protocol):
    """What a trial asks of its study."""

    folder: Path
    journal: Storage
    design: Design

    def fitted(self, name: str, rows: np.ndarray | None) -> nn.Module:
        """Return a fresh module of a loss, fitted to the targets of some rows, or of all."""

    def width_of(self, loss: nn.Module) -> int | None:
        """Return the width of the head that a loss reads here."""

    def tell(
        self,
        trial: "Trial",
        epoch: int | None = None,
        *,
        outputs: Any = None,
        rows: Any = None,
        score: float | None = None,
        target: Any = None,
    ) -> bool:
        """Write down how a trial stands after an epoch; return whether it should stop."""

    def fail(self, trial: "Trial", error: Exception) -> None:
        """Mark a trial as failed."""


class Epochs:
    """The epochs of a trial that are left, from 1 on; a loss on a schedule is told each of them."""

    def __init__(self, trial: "Trial") -> None:
        self.trial = trial

    def __len__(self) -> int:
        return self.trial.total_epochs - self.trial.start

    def __iter__(self) -> Iterator[int]:
        trial, total = self.trial, self.trial.total_epochs
        for epoch in told(trial.loss, trial.start + 1, total, total):
            trial.epoch = epoch
            yield epoch


class Trial:
    """One training that a study wants: a loss at a learning rate on a fold, under a seed.

    Attributes:
        name: the loss's name in the study.
        loss: a module of its own, fitted to the fold's training targets where it can be.
        learning_rate: to train at.
        train, valid: row numbers of the fold.
        fold: its number.
        seed: of the fold, the same for every loss.
        total_epochs: how long a training lasts at most.
        start: the epoch after which it goes on; 0, unless it was paused or its process died.
        epoch: the epoch that `epochs` is at.
        outcome: how it ended: "done", "paused", "stopped" or "failed"; None while it runs.
    """

    def __init__(self, study: Host, claim: Claim, fold: Fold) -> None:
        self._study, self.claim = study, claim
        self.name, self.learning_rate, _ = claim.training.setting
        self.fold, self.seed = claim.training.fold, fold.seed
        self.train: np.ndarray = fold.train
        self.valid: np.ndarray = fold.valid
        self.total_epochs = study.design.epochs
        self.reported = claim.epoch
        self.start = self.epoch = self._start()
        self.restored = self.start == 0 or not checkpoint.saved(self._place)
        self.outcome: str | None = None
        self.reports = 0  # of this attempt
        self._lap = time.perf_counter()

    @cached_property
    def loss(self) -> nn.Module:
        """The loss, a module of this trial's own."""
        loss = self._study.fitted(self.name, self.train)
        self._learned = {n: p.detach().clone() for n, p in loss.named_parameters()}
        return loss

    @property
    def id(self) -> str:
        """The trial as one word."""
        return id_of(self.claim.training)

    @property
    def out_features(self) -> int | None:
        """The width of the head that the loss reads; None where the task or your loss is silent.

        Raises:
            UnknownHeadError: if the loss reads named parts, each of a head of its own.
        """
        return self._study.width_of(self.loss)

    @property
    def folder(self) -> Path:
        """A folder for checkpoints, until the trial ends; it can pause where files lie there."""
        self._place.mkdir(parents=True, exist_ok=True)
        return self._place

    @property
    def _place(self) -> Path:
        return folder_of(self._study.folder, self.claim.id)

    @property
    def epochs(self) -> Epochs:
        """The epochs that are left, from 1 on, or from where `restore` goes on."""
        return Epochs(self)

    @contextmanager
    def seeded(self) -> Iterator[None]:
        """Train in here: the same seeds for every loss of a fold, and errors end the trial alone.

        Python's, numpy's and torch's generators start from the fold's seed and are put back
        afterwards. An exception marks the trial as failed, with its traceback, and the study goes
        on; Ctrl-C, a full disk or a journal out of reach end it, and the trial is asked for again.

        Raises:
            InputError: when the default has failed at every learning rate of a fold.
        """
        with checkpoint.seeded(self.seed):
            try:
                yield
            except Exception as error:
                full = isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT)
                if full or isinstance(error, StorageError):
                    raise  # for which no training is to blame: it is asked for again
                self._study.fail(self, error)

    def report(
        self,
        epoch: int | None = None,
        *,
        outputs: Any = None,
        rows: Any = None,
        score: float | None = None,
        target: Any = None,
    ) -> bool:
        """Say how the training stands after an epoch; return whether it should stop here.

        It is durable when this returns. A trial should stop when it is hopeless, when it is paused
        until others have come as far, or when another process has taken it over.

        Args:
            epoch: that was trained; the one that `epochs` is at if None.
            outputs: raw outputs, or predictions, for the rows of `valid`, in their order: the loss
                reads them and the study's metric scores them.
            rows: instead, one score a row of `valid`, whose mean is the score.
            score: instead, the bare score; folds and seeds are then all the evidence there is.
            target: of the rows, where the study was given none.
        """
        return self._study.tell(self, epoch, outputs=outputs, rows=rows, score=score, target=target)

    def may_pause(self, epoch: int) -> bool:
        """Tell whether the trial, with a checkpoint, would pause if it reported after an epoch."""
        training, design = self.claim.training, self._study.design
        if training.twin or training.fold not in design.screening or epoch >= design.epochs:
            return False
        rung = pause_after(design, self._study.journal.decisions())
        return rung is not None and epoch >= rung

    def save(self, epoch: int | None = None, **parts: Any) -> None:
        """Write a checkpoint, before `report`: whatever has a `state_dict`, tensors and numbers.

        The loss's own state and all generators are kept too, so that a trial which is paused, or
        whose process died, goes on as if nothing had happened.
        """
        if not self._held():  # another process's, whose files these are now
            return
        at = self.epoch if epoch is None else epoch
        try:
            checkpoint.save(self.folder, at, self.reported, self._with_loss(parts))
        except StorageError:
            if self._held():
                raise  # else it was stopped meanwhile, and its files went with it

    def _held(self) -> bool:
        return self._study.journal.holds(self.claim)

    def restore(self, **parts: Any) -> dict[str, Any]:
        """Give every part the state of the last checkpoint, if any; call it before training.

        Returns:
            what was saved of parts without a `load_state_dict`.
        """
        self.restored = True
        if self.start == 0:
            return {}
        return checkpoint.restore(self.folder, self.start, self._with_loss(parts))

    def _with_loss(self, parts: dict[str, Any]) -> dict[str, Any]:
        if "loss" in parts or "random" in parts:
            raise InputError("save and restore keep the loss and the generators by themselves")
        return parts | {"loss": self.loss}

    def _start(self) -> int:
        """Return the epoch to go on from: the last that was reported and can be restored."""
        held = [epoch for epoch in checkpoint.saved(self._place) if epoch <= self.reported]
        return max(held) if held else self.reported if self.can_pause else 0

    def check_report(self, epoch: Any) -> None:
        """Raise InputError unless the trial runs and an epoch may be reported."""
        if self.outcome is not None:
            raise InputError(f"{self.id} has ended ({self.outcome}); a report comes too late")
        if not isinstance(epoch, Real):
            raise InputError(
                f"report's first argument is the epoch, got a {type(epoch).__name__}; name what is "
                "reported: outputs=, rows= or score="
            )
        if not isinstance(epoch, Integral) or not 1 <= int(epoch) <= self.total_epochs:
            raise InputError(
                f"epoch must be from 1 to {self.total_epochs}, got {epoch!r}; iterate "
                "trial.epochs, or report(epoch, …)"
            )
        if not self.restored:
            raise InputError(
                f"{self.id} goes on after epoch {self.start}: call trial.restore(model=model, …) "
                "with what was saved before training"
            )
        if self.reports == 0:
            self._tell_of_unlearned()

    def _tell_of_unlearned(self) -> None:
        """Warn where the loss has numbers to learn and none has moved."""
        learned = {n: p for n, p in self.loss.named_parameters() if p.requires_grad}
        if learned and all(_is(p, self._learned[n]) for n, p in learned.items()):
            warnings.warn(
                f"{self.name} learns {listed(list(learned))}, which did not move: build the "
                "optimizer from lossmith.parameter_groups(model, trial.loss)",
                stacklevel=4,
            )

    def lap(self) -> float:
        """Return the seconds since the last report, or since the trial began."""
        now = time.perf_counter()
        passed, self._lap = now - self._lap, now
        return passed

    def forget_checkpoints(self) -> None:
        """Remove what an ended trial has no more use for."""
        checkpoint.forget(self._place)

    @property
    def can_pause(self) -> bool:
        """Whether it has written something to go on from."""
        return self._place.is_dir() and any(self._place.iterdir())

    def __repr__(self) -> str:
        return f"<Trial {self.id}, epochs {self.start + 1} to {self.total_epochs}>"


def _is(now: torch.Tensor, before: torch.Tensor) -> bool:
    """Tell whether a parameter holds what it held before; never of one that is sharded."""
    return type(now.data) is torch.Tensor and torch.equal(now, before.to(now))


def id_of(training: Training) -> str:
    """Return a training as one word: its loss, learning rate and fold."""
    name, rate, _ = training.setting
    return f"{name}@{rate:g}#{training.fold}{'-again' if training.twin else ''}"


def folder_of(folder: Path, trial: int | str) -> Path:
    """Return where the checkpoints of a trial lie, or of those that a decision planned."""
    return folder / "trials" / str(trial).replace(" ", "-")
