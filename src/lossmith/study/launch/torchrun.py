"""One training over several ranks: rank 0 asks, reports and saves; the others train along."""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from lossmith.study.base.errors import InputError, told
from lossmith.study.trials import checkpoint
from lossmith.study.trials.trial import Trial

LONG = timedelta(days=30)  # that ranks may wait for rank 0, which waits for other workers


class OtherRankError(RuntimeError):
    """Another rank failed, or ended a trial elsewhere than this one."""


class Ranks:
    """The ranks of a training, with a group of their own for what they tell each other.

    Raises:
        InputError: where nobody has started several ranks.
    """

    def __init__(self) -> None:
        if not dist.is_initialized():
            if "RANK" not in os.environ:
                raise InputError("on='torchrun' is for ranks: start this with torchrun")
            dist.init_process_group()
        self.rank = dist.get_rank()
        self._group = dist.new_group(backend="gloo", timeout=LONG)

    def said(self, point: str, say: Callable[[], Any] | None, error: str = "") -> Any:
        """Return what rank 0 says, on every rank.

        Every rank comes here at the same points; one that failed says so wherever it comes next.

        Raises:
            OtherRankError: where another rank failed, or is at another point.
        """
        everyone = self._told((point, error))
        if error:
            return None
        for rank, (other, wrong) in enumerate(everyone):
            if wrong:
                raise OtherRankError(f"rank {rank}: {wrong}")
            if other != point:
                raise OtherRankError(f"rank {rank} is at {other}, rank {self.rank} at {point}")
        said, own = None, None  # rank 0 speaks only now, of what all ranks have trained
        if self.rank == 0 and say is not None:
            try:
                said = say()
            except Exception as raised:
                own = raised
        said, wrong = self._told((said, "" if own is None else f"{type(own).__name__}: {own}"))[0]
        if own is not None:
            raise own
        if wrong:
            raise OtherRankError(f"rank 0: {wrong}")
        return said

    def _told(self, own: Any) -> list[Any]:
        """Return what every rank tells."""
        everyone: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(everyone, own, group=self._group)
        return everyone


class RankTrial(Trial):
    """A trial that several ranks train: what rank 0 reports counts, and all hear what follows."""

    ranks: Ranks
    parted = False  # whether a rank failed, so that the others do not meet again in this trial

    def meet(self, point: str, say: Callable[[], Any] | None, error: str = "") -> Any:
        """Return what rank 0 says; see `Ranks.said`."""
        try:
            return self.ranks.said(point, say, error)
        except Exception:
            self.parted = True
            raise

    def report(self, *args: Any, **how: Any) -> bool:
        """Say how the training stands: rank 0's word, heard by all."""
        tell = super().report
        stop, self.outcome = self.meet("a report", lambda: (tell(*args, **how), self.outcome))
        return bool(stop)

    def save(self, *args: Any, **parts: Any) -> None:
        """Write a checkpoint, on rank 0."""
        if self.ranks.rank == 0:
            super().save(*args, **parts)


def train_together(study: Any, train: Callable[[Trial], Any]) -> None:
    """Call a function with each trial on every rank, seeded, until the study has ended."""
    ranks = Ranks()
    while (asked := ranks.said("the next trial", lambda: _asked(study))) is not None:
        claim, start = asked
        trial = RankTrial(study, claim, study.folds.folds[claim.training.fold])
        trial.ranks, trial.start, trial.epoch = ranks, start, start
        trial.restored = start == 0
        _train(study, trial, train)


def _asked(study: Any) -> tuple[Any, int] | None:
    trial = study.ask()
    return None if trial is None else (trial.claim, trial.start)


def _train(study: Any, trial: RankTrial, train: Callable[[Trial], Any]) -> None:
    failed: Exception | None = None
    with checkpoint.seeded(trial.seed):
        try:
            train(trial)
            trial.meet("its end", None)
        except Exception as error:
            failed = error
            if not trial.parted:  # the others wait for this rank
                _end(study, trial, failed)
                trial.meet("its end", None, told(error))
    _end(study, trial, failed)


def _end(study: Any, trial: RankTrial, failed: Exception | None) -> None:
    """Write down how a trial ended: a failure by the rank that failed, the rest by rank 0."""
    if failed is None:
        if trial.ranks.rank == 0:
            study.close(trial)
    elif trial.outcome is None and (trial.ranks.rank == 0 or not trial.parted):
        with suppress(InputError):  # of the default: rank 0 says it to all when it asks next
            study.fail(trial, failed)
