"""`Study`: which loss serves your training best, whatever the loop; you train, it says what."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from torch import nn

from lossmith.study.base.errors import InputError, StorageError, told, told_in_full
from lossmith.study.base.formatting import listed
from lossmith.study.base.settings import check_numbers
from lossmith.study.journal import Facts, Report, Setting, Training, absolute
from lossmith.study.journal.workers import this_worker
from lossmith.study.launch.launcher import Needs, Train, launch
from lossmith.study.metrics.reported import reported
from lossmith.study.metrics.resolve import as_metric
from lossmith.study.rules.design import Design
from lossmith.study.rules.plan import due
from lossmith.study.trials.aim import Aim
from lossmith.study.trials.checkpoint import forget
from lossmith.study.trials.field import contestants, source_of
from lossmith.study.trials.history import frame_of
from lossmith.study.trials.outcomes import check_default, outcome_of, tell_of_open
from lossmith.study.trials.place import forgotten_with, open_study
from lossmith.study.trials.progress import share_of
from lossmith.study.trials.scored import kept_pair
from lossmith.study.trials.spec import spec_of
from lossmith.study.trials.splits import folds_of
from lossmith.study.trials.standing import LOST_PAIRING
from lossmith.study.trials.trial import Trial, folder_of
from lossmith.study.trials.verdict import Verdict, View, best_setting, verdict_of

NO_FOLDER = "a study in memory has no folder that stays; say where: study.report('report.html')"
PATIENCE = 1.0  # seconds after which to look for processes that died, though nobody has written
LEARNING_RATES = (1e-3, 3e-3, 1e-2)

Event = Callable[[str, Trial, Any], None]


class Study:
    """A comparison of losses over any training loop, kept in a folder or a database.

    It asks what to train next, and whoever trains reports: every loss on the same folds, under the
    same seeds, at learning rates of its own. A journal holds all that was measured; opening it
    again goes on where it stood, and several processes may work on one study.

    Args:
        address: a folder, where the journal, checkpoints and the report lie; for several machines
            `postgresql://user@host/database?study=NAME`, where the journal lies; None for memory.
        metric: what a good prediction is: a name, a callable(target, prediction) -> float, a
            torchmetrics.Metric or a scikit-learn scorer; or any name for what `rows=` or `score=`
            report, with `better`.
        target: one entry a row, or a dict of such, for losses that fit themselves and for scoring
            outputs; or None.
        losses: names, modules and functions, or a dict of them by name; all that fit if None.
        default: the loss to beat: one of them, or another; what the metric asks for if None.
        splits: pairs (train, valid) of row numbers, of any splitter; a single pair; or None for
            five folds, twice.
        groups: one label a row: rows of a group (patient, user, document) stay on one side, and
            count as one in the test.
        learning_rates: that each loss is trained at.
        epochs: of one training, at most; the best number is chosen.
        seed: of splits, weights and batches.
        better: "lower" or "higher", where the metric does not say.
        seeds: trainings of each loss on each split; five on a single split, else one.
        task: as "metric_learning" or "transfer", where metric and target do not tell it.
        decode: from raw outputs to predictions, for losses that do not read their own head.
        finalists: losses measured on all folds beside the default.
        recipe: what else trainings depend on, as {"batch_size": 64}; a folder that was begun with
            another is refused.
        on_event: called with "started", "report" or "ended", the trial, and what there is to say.
        folder: where checkpoints and the report lie of a study in a database; by default in the
            user's cache. Machines that share it go on from each other's checkpoints.

    Raises:
        InputError: with one line that says what to change; also where the folder holds another
            study, or anything else.

    >>> x, noise = torch.randn(60, 3), torch.randn(60)
    >>> y = x.sum(1) + 0.1 * noise
    >>> study = Study(None, metric="mae", target=y, losses=["mse"], learning_rates=[0.1], epochs=2)
    >>> for trial in study:
    ...     with trial.seeded():
    ...         model = torch.nn.Linear(3, trial.out_features)
    ...         optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
    ...         for epoch in trial.epochs:
    ...             optimizer.zero_grad()
    ...             trial.loss(model(x[trial.train]).squeeze(-1), y[trial.train]).backward()
    ...             optimizer.step()
    ...             if trial.report(outputs=model(x[trial.valid]).squeeze(-1)):
    ...                 break
    >>> study.verdict().verdict in ("switch", "keep")
    True
    """

    def __init__(
        self,
        address: str | Path | None,
        *,
        metric: Any,
        epochs: int,
        target: Any = None,
        losses: Any = None,
        default: Any = None,
        splits: Any = None,
        groups: Any = None,
        learning_rates: Sequence[float] = LEARNING_RATES,
        seed: int = 0,
        better: Literal["lower", "higher"] | None = None,
        seeds: int | None = None,
        task: str | None = None,
        decode: Callable[[Any], Any] | None = None,
        finalists: int = 3,
        recipe: Mapping[str, Any] | None = None,
        on_event: Event | None = None,
        folder: str | Path | None = None,
    ) -> None:
        check_numbers(
            seed=seed,
            epochs=epochs,
            seeds=seeds,
            finalists=finalists,
            learning_rates=learning_rates,
        )
        self.metric = reported(metric, better) or as_metric(metric, better=better)
        self.aim, self._on_event = Aim.of(self.metric, target, task, decode), on_event
        self.contenders, own, common = contestants(losses, default, metric, self.aim)
        self.folds = folds_of(
            splits,
            groups=groups,
            target=self.aim.first,
            classes=self.aim.strata is not None,
            seeds=seeds,
            seed=seed,
        )
        self.design = Design(
            candidates=tuple(self.contenders),
            default=own,
            common=common,
            learning_rates=tuple(dict.fromkeys(float(rate) for rate in learning_rates)),
            epochs=int(epochs),
            folds=len(self.folds.folds),
            better=self.metric.better,
            finalists=finalists,
        )
        self._in_memory = address is None
        self.address = absolute(forgotten_with(self) if address is None else str(address))
        self.journal, self.folder = open_study(
            self.address,
            spec_of(
                self.design,
                self.metric,
                self.contenders,
                self.folds,
                self.aim.target,
                recipe or {},
                source_of(default, metric, self.aim),
            ),
            [np.unique(fold.units) for fold in self.folds.folds],
            durable=not self._in_memory,
            folder=folder,
        )
        self._current: Trial | None = None

    def __repr__(self) -> str:
        place = "in memory" if self._in_memory else f"in {self.journal}"
        return f"<Study of {listed(list(self.contenders))} under {self.metric.name}, {place}>"

    def __iter__(self) -> Iterator[Trial]:
        """Yield what to train next until the study has ended; waits while others train."""
        if self._current is not None:  # of a loop that an error has ended
            self.release(self._current)
        while (trial := self.ask()) is not None:
            self._current = trial
            try:
                yield trial
            except GeneratorExit:
                with suppress(StorageError):  # else it is asked for again when this process ends
                    self.release(trial)
                raise
            self.close(trial)

    def run(
        self, train: Train, *, workers: int | None = None, on: Any = None, resources: Needs = None
    ) -> Verdict:
        """Call a function with each trial, seeded, until the study has ended: here, or in workers.

        Args:
            train: a function of a trial, or "module:function"; workers open the study by the
                function `study(address)` of the same module.
            workers: how many train side by side; this process trains by itself if None.
            on: what places them: "processes" of this machine if None, "ray", "torchrun", whose
                ranks train one trial together, or whatever has a `submit(fn, *args)`.
            resources: of each worker, as {"gpu": 0.5}, for an engine that asks.
        """
        launch(self, train, workers, on, resources)
        return self.verdict()

    def ask(self) -> Trial | None:
        """Return what to train next, or None when the study has ended; waits while others train.

        A loop that ends a trial before its last epoch calls `close(trial)`.
        """
        begun = time.monotonic()
        while True:
            self.journal.release()
            check_default(self.design, self._decide())
            for claim in self.journal.claim(this_worker()):
                trial = Trial(self, claim, self.folds.folds[claim.training.fold])
                self._happened("started", trial, None)
                return trial
            facts = self.journal.facts()
            if "end" in facts.decisions:
                return None
            if facts.idle and self._stuck():
                raise RuntimeError(f"{self.journal} has nothing to train and no end; please report")
            if time.monotonic() - begun > 10 * PATIENCE:
                tell_of_open(facts)
            self.journal.wait(PATIENCE)

    def tell(
        self,
        trial: Trial,
        epoch: int | None = None,
        *,
        outputs: Any = None,
        rows: Any = None,
        score: float | None = None,
        target: Any = None,
    ) -> bool:
        """Write down how a trial stands after an epoch; see `Trial.report`."""
        epoch = trial.epoch if epoch is None else epoch
        trial.check_report(epoch)
        said = self.aim.scored(
            self.folds.folds[trial.fold],
            trial.loss,
            outputs=outputs,
            rows=rows,
            score=score,
            target=target,
            sampled=trial.fold == 0,
        )
        report = Report(epoch, said.score, trial.lap(), time.time())
        trial.reports += 1

        def write() -> tuple[bool, Any]:
            if not self.journal.report(trial.claim, report, said.influences, said.detail):
                return False, "lost"
            outcome, note = outcome_of(self.design, self.journal, trial, epoch, said)
            if outcome is not None:
                self.journal.end(trial.claim, outcome, note)
            return True, outcome

        # One transaction: a process that dies has paused or ended a trial, or not reported.
        held, outcome = self.journal.atomically(write)
        if not held and self.journal.facts().records[trial.claim.training].state == "stopped":
            self._ended(trial, "stopped")  # what others measured has made it needless
            return True
        if not held:
            trial.outcome = "lost"
            warnings.warn(
                f"{trial.id} was given up or taken over by another process; this report is not "
                "counted",
                stacklevel=3,
            )
            return True
        trial.reported = epoch
        self._happened("report", trial, said.score)
        if outcome is not None:
            self._ended(trial, outcome)
        return outcome is not None and not (outcome == "done" and epoch == self.design.epochs)

    def close(self, trial: Trial) -> None:
        """Say that a trial has ended, where its loop ended it."""
        if trial.outcome is None:
            quiet = trial.reported == 0
            self._end(trial, "failed" if quiet else "done", "it reported nothing" if quiet else "")

    def release(self, trial: Trial) -> None:
        """Give a trial back, to be asked for again."""
        if trial.outcome is None:
            self._end(trial, "planned", "")

    def fail(self, trial: Trial, error: Exception) -> None:
        """Mark a trial as failed, with its traceback.

        Raises:
            InputError: when the default has failed at every learning rate of the fold.
        """
        if trial.outcome is not None:
            check_default(self.design, self.journal.facts())
            return
        warnings.warn(f"{trial.id} failed and is left out: {told(error)}", stacklevel=4)
        self._end(trial, "failed", told_in_full(error))

    def verdict(self) -> Verdict:
        """Return which loss to train with, and why, by all that is known now."""
        return verdict_of(self._view())

    def report(self, path: str | Path | None = None, *, images: Any = None) -> Path:
        """Write the verdict with its evidence as one HTML page, and as plain data beside it.

        Args:
            path: of the page; `report.html` in the study's folder if None.
            images: of masks what every row looks like, as (N, H, W), (N, 3, H, W) or (N, H, W, 3),
                to be shown beside a few of them; of volumes with a D before the H.

        Raises:
            InputError: without a path where the study is in memory, and has no folder that stays.
        """
        if path is None and self._in_memory:
            raise InputError(NO_FOLDER)
        place = self.folder / "report.html" if path is None else Path(path)
        space = 2 if self.aim.first is None else self.aim.first[0].squeeze().ndim
        self.verdict().beside(images, space).write(place)
        return place

    def frame(self) -> pd.DataFrame:
        """Return every report as a row: loss, learning_rate, fold, epoch, score, seconds, state."""
        return frame_of(self._view().facts)

    @property
    def loss(self) -> nn.Module:
        """The selected loss, fitted to the whole target where it can be."""
        return self.fitted(self.verdict().selected, None)

    def fitted(self, name: str, rows: np.ndarray | None) -> nn.Module:
        """Return a fresh module of a loss, fitted to the targets of some rows, or of all."""
        return self.aim.fitted(self.contenders[name], rows)

    def width_of(self, loss: nn.Module) -> int | None:
        """Return the width of the head that a loss reads here; None where it does not say."""
        return self.aim.width(loss)

    def best_setting(self, name: str) -> tuple[float, int]:
        """Return the learning rate and the number of epochs that suit a loss best so far."""
        return best_setting(self._view(), name)

    @property
    def measured(self) -> bool:
        """Whether anything was measured of the default, so that there is something to keep."""
        records = self.journal.facts().records.items()
        return any(t.setting.candidate == self.design.default and r.reports for t, r in records)

    def out_of_fold(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and predictions of the folds' rows at a loss's best setting, if kept."""
        rate, epoch = self.best_setting(name)
        setting = Setting(name, rate)
        parts = [
            kept_pair(self.journal, training, epoch)
            for training, record in self._view().facts.records.items()
            if training.setting == setting and not training.twin and epoch in record.scores
        ]
        target, prediction = (np.concatenate(part) for part in zip(*parts, strict=True))
        return target, prediction

    def progress(self) -> tuple[float, str]:
        """Return about which share of the study is done, and what it does."""
        return share_of(self.design, self.journal.facts())

    def _end(self, trial: Trial, outcome: Any, note: str) -> None:
        self.journal.end(trial.claim, outcome, note)
        self._ended(trial, outcome)

    def _ended(self, trial: Trial, outcome: Any) -> None:
        trial.outcome = outcome
        if outcome not in ("paused", "planned"):
            trial.forget_checkpoints()
        self._happened("ended", trial, outcome)
        if outcome == "failed":
            check_default(self.design, self.journal.facts())

    def _decide(self) -> Facts:
        """Make the decisions that are due, as another process would; return what is known then."""
        while True:
            view = self._view()
            decision = due(self.design, view.facts, view.read)
            if decision is None:
                return view.facts
            self.journal.decide(decision)
            for training, _ in decision.stop:  # those that were paused have checkpoints
                forget(folder_of(self.folder, view.facts.records[training].id))
            if decision.name == "twin" and not decision.outcome["equal"]:
                warnings.warn(LOST_PAIRING, stacklevel=4)

    def _view(self) -> View:
        return View.of(self.journal, form=self._formed)

    def _formed(self, training: Training, epoch: int) -> np.ndarray:
        """Return what each unit adds to a score, from the predictions that were kept."""
        units = self.folds.folds[training.fold].units
        return self.metric.influences(*kept_pair(self.journal, training, epoch), units)

    def _stuck(self) -> bool:
        """Tell whether nothing is left to train or to decide, by facts of one moment."""

        def stands() -> bool:
            view = self._view()
            idle = view.facts.idle and "end" not in view.facts.decisions
            return idle and due(self.design, view.facts, view.read) is None

        return self.journal.atomically(stands)

    def _happened(self, event: str, trial: Trial, what: Any) -> None:
        if self._on_event is not None:
            self._on_event(event, trial, what)
