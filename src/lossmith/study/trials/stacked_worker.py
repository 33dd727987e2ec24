"""A worker that claims many trainings at once and advances them as one stacked model.

It asks the rules what is due, takes all that is planned in one transaction, trains it to the next
pause and reports it in one more. A process that dies loses what it trained since the last pause:
where the study has a folder, the stack is saved there whenever some of it goes on.
"""

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.study.base.clock import Clock, OutOfTimeError
from lossmith.study.base.direction import as_error
from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import pluralize
from lossmith.study.candidates import CandidateSet
from lossmith.study.journal import (
    Claim,
    Decision,
    Facts,
    Journal,
    Report,
    Setting,
    State,
    Storage,
    Training,
)
from lossmith.study.journal.workers import this_worker
from lossmith.study.rules.convergence import LONGER
from lossmith.study.rules.evidence import LEFT_OUT, Shape, reader
from lossmith.study.rules.measurements import Measurements
from lossmith.study.rules.plan import choose, due
from lossmith.study.rules.presets import PRESETS
from lossmith.study.rules.stacked import StackedDesign
from lossmith.study.training.budget import TrialSpec
from lossmith.study.trials.candidate_trials import CandidateTrials
from lossmith.study.trials.measured import History, changes
from lossmith.study.trials.place import open_place
from lossmith.study.trials.scoring import Scoring
from lossmith.study.trials.spec import plan_of
from lossmith.study.trials.splits import fingerprint
from lossmith.study.trials.stacks import Stack, Stacks
from lossmith.study.trials.trainer import Trainer

EVIDENCE_ROWS, EVIDENCE = 1000, 1 << 17  # rows, and numbers, of outputs kept for the report
SCREENING_SHARE = 0.4  # of a study's time, for the progress display
PATIENCE = 1.0  # seconds after which to look for processes that died


@dataclass
class StackedWorker:
    """One study of candidates over a trainer's folds.

    folder: where its journal is kept; None for memory. about: what else it is of, as plain data: a
    folder that holds another study is refused. alone: whether the screening is all of it.
    widen, lengthen: whether it may go on at further learning rates, and for more epochs.
    predictions: whether those of validation rows are kept, for an ensemble of several losses.
    preset: how much it trains.
    earlier, trainings: comparisons and trainings of earlier studies whose best take part.
    """

    trainer: Trainer
    candidates: CandidateSet
    scorer: Scoring
    learning_rates: Sequence[float]
    clock: Clock
    folder: Path | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False
    widen: bool = False
    lengthen: bool = False
    predictions: bool = False
    preset: str = "best"
    earlier: int = 0
    trainings: int = 0
    notes: dict[str, str] = field(default_factory=dict)
    done: float = 0.0  # the share that was told last

    def _prepare(self) -> None:
        """Fit the candidates, make the stack that starts, and open the journal.

        Raises:
            InputError: if the default does not fit, or the folder holds another study.
        """
        split, budget = self.trainer.split, self.trainer.budget
        self.folds = split.screening_folds if self.alone else tuple(range(len(split.folds)))
        trials = CandidateTrials(self.trainer, self.candidates, self.notes)
        whole = {self.candidates.default, self.candidates.common}
        starts = [
            trial
            for trial in trials.everyone(self.learning_rates)
            if PRESETS[self.preset].starts(trial.key, self.learning_rates, whole)
        ]
        batch = self.trainer.start(split.screening_folds, starts)
        self.trial = trials.of
        self.design = StackedDesign(
            candidates=tuple(one.name for one in self.candidates.candidates),
            default=self.candidates.default,
            common=self.candidates.common,
            learning_rates=tuple(self.learning_rates),
            epochs=budget.epochs,
            folds=len(self.folds),
            better=self.scorer.metric.better,
            earlier=self.earlier,
            starts=tuple(trial.key for trial in batch.trials),
            marks=tuple(budget.checkpoints()),
            longest=budget.epochs * (LONGER if self.lengthen and not self.alone else 1),
            widen=self.widen and not self.alone,
            preset=self.preset,
        )
        self.stacks = Stacks(self.trainer, self.trial, self.folder, {"screening": Stack(batch)})
        self.journal = self._open()
        for name, outcome in self.journal.decisions().items():
            if name.startswith(LEFT_OUT):
                for scorer, said in zip(self.scorer.targets, outcome["targets"], strict=True):
                    scorer.leave_out(said)

    def run(self) -> Measurements:
        """Train to the end, or until the user or the clock stops it; return what is known.

        A study of the screening alone is not ended by the user: it goes on when it is opened again.

        Raises:
            InputError: if the default does not fit, if it or every loss diverged, or if the folder
                holds another study.
        """
        self._prepare()
        try:
            while "end" not in self._decided().decisions:
                name, claims = self._claim()
                if claims:
                    self._advance(name, claims)
                else:
                    self.journal.wait(PATIENCE)
            self.stacks.forget(self.design, self.journal.facts())
        except OutOfTimeError:
            self._stop()
        except KeyboardInterrupt:
            records = self.journal.facts().records.values()
            if self.alone or any(record.state == "running" for record in records):
                raise  # it can go on, or goes on in another process
            self._stop()
        return self.measurements()

    def measurements(self) -> Measurements:
        """Return what is known now."""
        facts = self.journal.facts()
        shape = Shape.of(self.journal, 0.0)
        return Measurements(
            design=self.design,
            facts=facts,
            storage=self.journal,
            read=reader(self.design, facts, self.journal, shape, _unformed),
            shape=shape,
            candidates=self.candidates,
            measure=self.scorer.metric,
            notes=dict(self.notes),
            trainings=self.trainings + len(facts.records),
            excluded=self.scorer.excluded,
        )

    def outputs(self, setting: Setting, epoch: int) -> tuple[Loss, Tensor] | None:
        """Return a loss as it was after an epoch with raw outputs on the first fold, if kept."""
        kept = self.journal.detail(Training(setting, 0), epoch)
        if "output" not in kept:
            return None
        (loss,) = self.trial(setting, (0,)).losses
        state = {n.removeprefix("loss."): v for n, v in kept.items() if n.startswith("loss.")}
        if state:
            loss.load_state_dict({name: torch.from_numpy(one) for name, one in state.items()})
        return loss, torch.from_numpy(kept["output"])

    def _open(self) -> Storage:
        split = self.trainer.split
        folds = [split.folds[fold] for fold in self.folds]
        units = [split.units(fold.valid) for fold in folds]
        arrays = [part for fold in folds for part in (fold.train, fold.valid)]
        spec = {
            **plan_of(self.design),
            "metric": self.scorer.metric.name,
            "losses": {one.name: one.parameters for one in self.candidates.candidates},
            "batch": self.trainer.budget.batch,
            "folds": fingerprint(*arrays, *units),
            "rows": len(split.train),
            "fixed": False,
            "grouped": split.groups is not None,
            "overlap": 0.0,
            "shape": [len(folds), folds[0].seed],
            **self.about,
        }
        if self.folder is not None:
            return open_place(self.folder, spec, units)
        journal = Journal(None)
        journal.create(spec, units)
        return journal

    def _decided(self) -> Facts:
        """Make the decisions that are due; return what is known then.

        Raises:
            InputError: if the default, or every loss, diverged.
        """
        while True:
            self.journal.release()
            found = self.measurements()
            decision = due(self.design, found.facts, found.read)
            if decision is not None:
                self.journal.decide(decision)
                continue
            failed = found.facts.decisions.get("end", {}).get("failed")
            if failed and not found.finalists:
                raise InputError(failed)
            return found.facts

    def _stop(self) -> None:
        """End where the study stands, with finalists if anything was measured.

        Raises:
            InputError: if what was measured of the default diverged.
        """
        facts = self.journal.facts()
        if not any(record.reports for record in facts.records.values()):
            return
        if "finalists" not in facts.decisions:
            chosen = choose(self.design, facts)
            if chosen.name == "end":
                raise InputError(chosen.outcome["failed"])
            self.journal.decide(chosen._replace(plan=()))
        folds = len(self.measurements().folds)
        self.journal.decide(
            Decision("end", {"folds": folds, "proven": [], "failed": False, "stopped": True})
        )

    def _claim(self) -> tuple[str, list[Claim]]:
        """Take what is planned of one stack; of others it stays planned."""

        def take() -> tuple[list[Claim], list[str]]:
            claims = self.journal.claim(this_worker(), most=None)
            decisions = self.journal.decisions()
            stacks = [self.design.stack_of(claim.training, decisions) for claim in claims]
            for claim, stack in zip(claims, stacks, strict=True):
                if stack != stacks[0]:
                    self.journal.end(claim, "planned")
            return claims, stacks

        claims, stacks = self.journal.atomically(take)
        own = [claim for claim, stack in zip(claims, stacks, strict=True) if stack == stacks[0]]
        return stacks[0] if stacks else "", own

    def _advance(self, name: str, claims: Sequence[Claim]) -> None:
        """Train what was claimed to the next pause, and report it in one transaction."""
        folds, start = tuple(sorted({claim.training.fold for claim in claims})), claims[0].epoch
        facts, settings = self.journal.facts(), {claim.training.setting for claim in claims}
        length = self.design.length(facts.decisions)
        histories, seconds = {}, {}
        try:
            stack = self.stacks.bring(name, start, settings, folds, self.design, facts)
            pause = next(e for e in self.design.pauses(name, facts.decisions) if e > start)
            histories = {trial.key: self.scorer.history(trial.key) for trial in stack.batch.trials}
            for epoch in self.design.scored_after(length):
                if start < epoch <= pause:
                    seconds[epoch] = self._train(stack, histories, folds, epoch)
                    if epoch < pause:
                        self._tick(stack, folds, length)
            self.scorer.exclude_outliers(folds)
        except BaseException as error:
            self.stacks.drop(name)  # it may stand within an epoch
            stopped = isinstance(error, KeyboardInterrupt) and not self.alone
            if stopped or isinstance(error, OutOfTimeError):
                self._report(claims, histories, seconds, "paused")
            else:
                self._report(claims, {}, {}, "planned")
            raise

        def told() -> None:
            self._leave_out(folds)
            self._report(claims, histories, seconds, "done" if pause == length else "paused")

        self.journal.atomically(told)
        self._tick(stack, folds, length)

    def _train(
        self, stack: Stack, histories: Mapping[Setting, History], folds: tuple[int, ...], epoch: int
    ) -> float:
        """Train every trial up to an epoch and score it on every fold; return the seconds."""
        start = time.perf_counter()
        stack.advance(epoch)
        trials = iter(stack.batch.trials)
        for outputs in stack.batch.blocks():
            self._score(list(islice(trials, len(outputs))), outputs, histories, folds, epoch)
        default = self.candidates.default
        for trial in [one for one in stack.batch.trials if one.candidate == default][:1]:
            self.trainer.time_reference(trial.losses[0])
        return time.perf_counter() - start

    def _score(
        self,
        trials: Sequence[TrialSpec],
        outputs: Sequence[Sequence[Tensor]],
        histories: Mapping[Setting, History],
        folds: tuple[int, ...],
        epoch: int,
    ) -> None:
        """Write the scores of some trials' outputs on every fold to their histories."""
        own = [histories[trial.key] for trial in trials]
        if folds[0] == 0 and len(self.scorer.targets) == 1:
            for history, trial, raw in zip(own, trials, outputs, strict=True):
                rows = min(EVIDENCE_ROWS, max(1, EVIDENCE // trial.out_features))
                history.outputs[epoch] = _as_it_is(trial.losses[0]), raw[0][:rows].clone()
        predictions = {
            fold: self.scorer.predictions(
                [trial.losses[position] for trial in trials], [raw[position] for raw in outputs]
            )
            for position, fold in enumerate(folds)
        }
        if self.predictions:
            _keep(own, predictions, epoch)
        self.scorer.record(own, predictions, epoch)

    def _report(
        self,
        claims: Sequence[Claim],
        histories: Mapping[Setting, History],
        seconds: Mapping[int, float],
        state: State,
    ) -> None:
        """Write what was measured of every training, and what becomes of it."""
        better, now = self.design.better, time.time()

        def write() -> None:
            for claim in claims:
                history, fold = histories.get(claim.training.setting), claim.training.fold
                errors = {} if history is None else history.errors.get(fold, {})
                for epoch, error in errors.items():
                    said = Report(epoch, as_error(error, better), seconds.get(epoch, 0.0), now)
                    assert history is not None
                    influences = as_error(history.influences[fold][epoch], better)
                    self.journal.report(claim, said, influences, history.detail(fold, epoch))
                self.journal.end(claim, state)

        self.journal.atomically(write)

    def _leave_out(self, folds: tuple[int, ...]) -> None:
        """Write down which rows are not scored, once for some folds."""
        targets = [scorer.left_out(folds) for scorer in self.scorer.targets]
        shared = targets[0]["rows"] if len(targets) == 1 else {}  # several have rows of their own
        name = f"{LEFT_OUT} of folds {folds[0]} to {folds[-1]}"
        self.journal.decide(Decision(name, {"targets": targets, "shared": shared}))

    def _tick(self, stack: Stack, folds: tuple[int, ...], length: int) -> None:
        """Tell how far the study is; end it where its time is used up."""
        share, trials = stack.epoch / length, stack.batch.trials
        if folds[0] == 0:
            share *= SCREENING_SHARE
            losses = {trial.candidate for trial in trials}
            text = f"screening {pluralize(len(losses), 'loss', 'es')}"
        else:
            share = SCREENING_SHARE + (1 - SCREENING_SHARE) * share
            text = f"measuring {pluralize(len(trials), 'loss', 'es')} on {len(self.folds)} folds"
        longer = f", {stack.epoch:,} epochs" if stack.epoch > self.design.epochs else ""
        self.done = max(self.done, share)  # a study that goes on stands where it was
        self.clock.tick(self.done, text + longer)


def _keep(histories: Sequence[History], predictions: Mapping[int, np.ndarray], epoch: int) -> None:
    for fold, values in predictions.items():
        for history, one in zip(histories, values.astype(np.float32), strict=True):
            history.predictions.setdefault(fold, {})[epoch] = one


def _as_it_is(loss: Loss) -> Loss:
    return copy.deepcopy(loss) if changes(loss) else loss


def _unformed(training: Training, _epoch: int) -> np.ndarray:
    raise InputError(f"what rows add to the score of {training.setting.candidate} is missing")
