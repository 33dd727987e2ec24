"""Stacks: what was planned at once as one model, saved where it goes on and made anew later."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lossmith.study.journal import Facts, Setting
from lossmith.study.rules.stacked import StackedDesign
from lossmith.study.training.budget import TrialSpec
from lossmith.study.trials.checkpoint import forget, forget_before, latest, read, write
from lossmith.study.trials.trainer import Trainer, TrialBatch
from lossmith.study.trials.trial import folder_of


@dataclass
class Stack:
    """What was planned at once, as one model after an epoch."""

    batch: TrialBatch
    epoch: int = 0

    def advance(self, epoch: int) -> None:
        """Train every trial up to an epoch."""
        self.batch.advance(epoch - self.epoch)
        self.epoch = epoch

    def keep(self, settings: Collection[Setting]) -> None:
        """Go on with the trials of some settings only."""
        trials = self.batch.trials
        kept = [place for place, trial in enumerate(trials) if trial.key in settings]
        if len(kept) < len(trials):
            self.batch.keep(kept)


@dataclass
class Stacks:
    """The stacks that a process trains, by name.

    trial: makes a setting's trial on some folds. folder: where stacks are saved when some of it
    goes on; None for memory alone.
    """

    trainer: Trainer
    trial: Callable[[Setting, Sequence[int]], TrialSpec]
    folder: Path | None
    known: dict[str, Stack] = field(default_factory=dict)

    def bring(
        self,
        name: str,
        epoch: int,
        settings: Collection[Setting],
        folds: Sequence[int],
        design: StackedDesign,
        facts: Facts,
    ) -> Stack:
        """Return a stack of some settings after an epoch, and save it where it goes on."""
        stack = self.known.get(name)
        if stack is None or stack.epoch != epoch:
            stack = self._rebuilt(name, epoch, settings, folds, design, facts)
            self.known[name] = stack
        stack.keep(settings)
        if self.folder is not None and epoch > 0:
            place = folder_of(self.folder, name)
            write(place, epoch, stack.batch.state_dict())
            forget_before(place, epoch)
        return stack

    def drop(self, name: str) -> None:
        """Forget where a stack stands; it is made anew when it is brought."""
        self.known.pop(name, None)

    def forget(self, design: StackedDesign, facts: Facts) -> None:
        """Remove what only a study that goes on has use for."""
        if self.folder is not None:
            for name in {design.stack_of(one, facts.decisions) for one in facts.records}:
                forget(folder_of(self.folder, name))

    def _rebuilt(
        self,
        name: str,
        epoch: int,
        settings: Collection[Setting],
        folds: Sequence[int],
        design: StackedDesign,
        facts: Facts,
    ) -> Stack:
        """Make a stack anew: from what was saved of it last, or from its start."""
        reached = {
            training.setting: record.epoch
            for training, record in facts.records.items()
            if training.fold == folds[0] and design.stack_of(training, facts.decisions) == name
        }
        place = None if self.folder is None else folder_of(self.folder, name)
        start = 0 if place is None else latest(place, epoch)
        left = {s for s in reached if s in settings or reached[s] > start}
        trials = [self.trial(setting, folds) for setting in reached if setting in left]
        stack = Stack(self.trainer.start(folds, trials), start)
        if place is not None and start:
            stack.batch.load_state_dict(read(place, start))
        pauses = (one for one in design.pauses(name, facts.decisions) if start < one < epoch)
        for pause in (*pauses, epoch):
            stack.advance(pause)
            stack.keep({s for s in reached if s in settings or reached[s] > pause})
        return stack
