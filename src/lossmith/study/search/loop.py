"""The search: every candidate starts, the hopeless leave early, the rest run on all folds.

It goes on, longer and at further learning rates, where that may still help those that are left.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lossmith.core.loss import Loss
from lossmith.study.base.clock import Clock, OutOfTimeError
from lossmith.study.base.errors import InputError
from lossmith.study.candidates import CandidateSet, CandidateSpec
from lossmith.study.rules.halving import Check, Futility, Rung, SuccessiveHalving
from lossmith.study.rules.history import TrialHistory, TrialKey
from lossmith.study.rules.measurements import Measurements
from lossmith.study.search.scoring import Scoring
from lossmith.study.search.trainer import Trainer, TrialBatch
from lossmith.study.search.trial import TrialSpec

EVIDENCE_ROWS = 1000  # whose raw outputs are kept for the report
SCREENING_SHARE = 0.4  # of a search's time, for the progress display
WIDENINGS = 2  # learning rates beyond each edge of the grid, at most


@dataclass
class Search:
    """One search over a trainer's folds: trains what its rules let go on, and measures it."""

    trainer: Trainer
    candidates: CandidateSet
    scorer: Scoring
    learning_rates: Sequence[float]
    clock: Clock
    n_earlier_comparisons: int = 0
    widen: bool = False  # whether learning rates beyond these may be tried
    trainings: int = 0  # of earlier searches too
    futility: Futility = field(default_factory=Futility)
    histories: dict[TrialKey, TrialHistory] = field(default_factory=dict)
    running: list[TrialKey] = field(default_factory=list)
    finalists: list[TrialKey] = field(default_factory=list)
    folds: list[int] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    finished: bool = False

    def __post_init__(self) -> None:
        self.screening_folds = self.trainer.split.screening_folds
        self.confirmation_folds = self.trainer.split.confirmation_folds
        self.epochs = self.trainer.budget.epochs
        self.batches: list[tuple[TrialBatch, Sequence[int]]] = []  # in training, and on which folds
        self.halving = SuccessiveHalving(
            default=self.candidates.default,
            common=self.candidates.common,
            least=2 * len(self.learning_rates),
        )

    def run(self) -> Measurements:
        """Search to the end, or until the user or the clock stops it; return what is known."""
        try:
            self._screen()
            if self.widen:
                self._widen()
            self._lengthen()
            self._confirm()
            self._lengthen()
            self.finished = True
        except (KeyboardInterrupt, OutOfTimeError):
            self._stop()
        return self.measurements()

    def screen(self) -> Measurements:
        """Search the screening folds alone, until the clock stops it."""
        try:
            self._screen()
            self.finished = True
        except OutOfTimeError:
            self._stop()
        return self.measurements()

    def _screen(self) -> None:
        """Start every candidate on the first folds; the hopeless leave, the best are finalists."""
        batch = self._start(self.screening_folds, self._everyone())
        rungs = list(self.halving.rungs)
        for share in self._checkpoints(batch, self.screening_folds):
            if rungs and share >= rungs[0].after:
                self._cut(batch, rungs.pop(0))
            running = len({trial.candidate for trial in batch.trials})
            self.clock.tick(SCREENING_SHARE * share, f"screening {running} losses")
        self._promote()

    def _widen(self) -> None:
        """Try those that may be chosen beyond the grid, where their best rate is at its edge."""
        for _ in range(WIDENINGS):
            found, folds = self.measurements(), self.screening_folds
            further = found.further_rates()
            if not further:
                return
            origins = {key._replace(learning_rate=rate): key for key, rate in further.items()}
            batch = self._start(folds, [self._of(key, folds) for key in origins])
            for share in self._checkpoints(batch, folds):
                if share >= self.futility.checks[0].after:
                    self._keep_no_worse(batch, origins)
                if not batch.trials:
                    break
                self.clock.tick(SCREENING_SHARE, "screening further learning rates")
            self._promote()

    def _keep_no_worse(self, batch: TrialBatch, origins: Mapping[TrialKey, TrialKey]) -> None:
        """Let those further learning rates go on that are no worse than where they came from."""
        kept = []
        for index, trial in enumerate(batch.trials):
            own, origin = self.histories[trial.key], self.histories[origins[trial.key]]
            folds = self.screening_folds
            reached = max(own.errors[folds[0]])
            if own.rank_error(folds) <= origin.rank_error(folds, reached):
                kept.append(index)
        if len(kept) < len(batch.trials):
            batch.keep(kept)

    def _lengthen(self) -> None:
        """Train those that are left on, up to the cap, while that helps any that may be chosen."""
        while self.measurements().still_improving and (
            marks := self.trainer.budget.later(self.epochs)
        ):
            self._keep_finalists()
            done = self.epochs
            for epoch in marks:
                for batch, folds in self.batches:
                    batch.advance(epoch - done)
                    self._record(batch, folds, epoch)
                done = epoch
                self.clock.tick(
                    self._share(),
                    f"training {len(self.measurements().final_histories())} losses longer",
                )
            self.epochs = done
            for _, folds in self.batches:
                self.scorer.exclude_outliers(folds)
            if len(self.folds) == len(self.screening_folds):
                self._promote()

    def _share(self) -> float:
        started = len(self.folds) > len(self.screening_folds)
        return 1.0 if started else SCREENING_SHARE

    def _keep_finalists(self) -> None:
        """Stop training all others, on whichever folds."""
        kept = []
        for batch, folds in self.batches:
            own = [i for i, trial in enumerate(batch.trials) if trial.key in self.finalists]
            if own:
                batch.keep(own)
                kept.append((batch, folds))
        self.batches = kept

    def _confirm(self) -> None:
        """Measure the finalists on all other folds; those without prospects leave."""
        folds = self.confirmation_folds
        batch = self._start(folds, [self._of(key, folds) for key in self.finalists])
        checks = list(self.futility.checks)
        for share in self._checkpoints(batch, folds):
            self.folds = [*self.screening_folds, *folds]
            if checks and share >= checks[0].after:
                self._check(batch, checks.pop(0))
            text = f"measuring {len(batch.trials)} losses on {len(self.folds)} folds"
            self.clock.tick(SCREENING_SHARE + (1 - SCREENING_SHARE) * share, text)
        self.scorer.exclude_outliers(folds)

    def _stop(self) -> None:
        """End where the search stands, with finalists if anything was measured."""
        if self.running and not self.finalists:
            self._promote()

    def _everyone(self) -> list[TrialSpec]:
        return [
            _trial(TrialKey(candidate.name, rate, number), losses)
            for candidate in self.candidates.candidates
            for number, variant in enumerate(candidate.variants)
            if (losses := self._fitted(variant, self.screening_folds)) is not None
            for rate in self.learning_rates
        ]

    def _of(self, key: TrialKey, folds: Sequence[int]) -> TrialSpec:
        variant = self.candidates[key.candidate].variants[key.variant]
        return _trial(key, self.trainer.losses(variant, folds))

    def _fitted(self, candidate: CandidateSpec, folds: Sequence[int]) -> tuple[Loss, ...] | None:
        """Return a candidate's losses, one a fold, or None with a note where it does not fit.

        Raises:
            InputError: if the default does not.
        """
        try:
            return self.trainer.losses(candidate, folds)
        except ValueError as error:
            if candidate.name == self.candidates.default:
                raise InputError(f"the default loss {candidate.name}: {error}") from error
            self.notes[candidate.name] = str(error)
            return None

    def _start(self, folds: Sequence[int], trials: list[TrialSpec]) -> TrialBatch:
        for trial in trials:
            if trial.key not in self.histories:
                self.histories[trial.key] = self.scorer.history(trial.key)
        self.trainings += len(trials) * len(folds)
        batch = self.trainer.start(folds, trials)
        self.batches.append((batch, folds))
        return batch

    def _checkpoints(self, batch: TrialBatch, folds: Sequence[int]) -> Iterator[float]:
        """Train from checkpoint to checkpoint and score each; yield the share of the epochs."""
        done, marks = 0, self.trainer.budget.checkpoints()
        while marks[-1] < self.epochs:
            marks += self.trainer.budget.later(marks[-1])
        for epoch in marks:
            batch.advance(epoch - done)
            self._record(batch, folds, epoch)
            done = epoch
            yield epoch / self.epochs

    def _record(self, batch: TrialBatch, folds: Sequence[int], epoch: int) -> None:
        """Score every trial on every fold."""
        outputs, trials = batch.outputs(), batch.trials
        histories = [self.histories[trial.key] for trial in trials]
        predictions = {
            fold: self.scorer.predictions(
                [trial.losses[position] for trial in trials], [raw[position] for raw in outputs]
            )
            for position, fold in enumerate(folds)
        }
        self.scorer.record(histories, predictions, epoch)
        default = next((t for t in trials if t.candidate == self.candidates.default), None)
        if default is not None:
            self.trainer.time_reference(default.losses[0])
        beside = [other.trials for other, own in self.batches if own == folds]
        self.running = [trial.key for some in beside for trial in some]
        if folds[0] == self.screening_folds[0]:
            for history, trial, raw in zip(histories, trials, outputs, strict=True):
                loss = trial.losses[0]
                loss = copy.deepcopy(loss) if _changes(loss) else loss  # as it is at this epoch
                history.outputs[epoch] = loss, raw[0][:EVIDENCE_ROWS]

    def _cut(self, batch: TrialBatch, rung: Rung) -> None:
        """Let the trials go on that pass a rung."""
        self.scorer.exclude_outliers(self.screening_folds)
        keys = [trial.key for trial in batch.trials]
        errors = [self.histories[key].rank_error(self.screening_folds) for key in keys]
        batch.keep(self.halving.keep(rung, keys, errors))

    def _promote(self) -> None:
        """End the screening: choose the finalists by what was measured last."""
        errors = {
            key: history.rank_error(self.screening_folds)
            for key, history in self.histories.items()
            if history.errors
        }
        self.finalists = self.halving.promote(errors, self.running)
        self.folds = list(self.screening_folds)

    def _check(self, batch: TrialBatch, check: Check) -> None:
        """Let the default go on, and the finalists that may still be better."""
        self.scorer.exclude_outliers(self.confirmation_folds)
        found = self.measurements()
        if found.default_history().diverged:
            return
        default = found.evaluate(found.default_history())
        rivals = [key for key in self.finalists if key.candidate != self.candidates.default]
        p_values = [found.evaluate(self.histories[key]).p_value(default) for key in rivals]
        leaving = set(rivals) - {rivals[i] for i in self.futility.keep(check, p_values)}
        self.finalists = [key for key in self.finalists if key not in leaving]
        batch.keep([i for i, trial in enumerate(batch.trials) if trial.key not in leaving])

    def measurements(self) -> Measurements:
        """Return what was measured so far."""
        split = self.trainer.split
        return Measurements(
            candidates=self.candidates,
            measure=self.scorer.metric,
            histories=dict(self.histories),
            finalists=tuple(self.finalists),
            running=tuple(self.running),
            folds=tuple(self.folds),
            screening_folds=tuple(self.screening_folds),
            rows={
                number: split.units(fold.valid[self.scorer.scored(number)])
                for number, fold in enumerate(split.folds)
            },
            epochs=self.epochs,
            learning_rates=tuple(self.learning_rates),
            notes=dict(self.notes),
            trainings=self.trainings,
            n_earlier_comparisons=self.n_earlier_comparisons,
            last_check=self.futility.checks[-1].after,
            finished=self.finished,
            excluded=self.scorer.excluded,
        )


def _trial(key: TrialKey, losses: tuple[Loss, ...]) -> TrialSpec:
    """Return a trial with losses of its own where training changes them."""
    own = copy.deepcopy(losses) if _changes(losses[0]) else losses
    return TrialSpec(
        candidate=key.candidate, learning_rate=key.learning_rate, losses=own, variant=key.variant
    )


def _changes(loss: Loss) -> bool:
    return loss.moves or any(True for _ in loss.parameters())
