"""What trains: a candidate at a learning rate, for how long, on which batches."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.core.progress import Progress
from lossmith.study.rules.history import TrialKey


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """One candidate at one setting, with its loss fitted to each fold's training targets."""

    candidate: str
    learning_rate: float
    losses: tuple[Loss, ...]
    variant: int = 0

    @property
    def key(self) -> TrialKey:
        """The candidate and its setting."""
        return TrialKey(self.candidate, self.learning_rate, self.variant)

    @property
    def out_features(self) -> int:
        """The head's width, the same in every fold."""
        return self.losses[0].out_features


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long one training lasts, the same for every candidate: epochs and rows a batch.

    longest: epochs that a training may go on to where more still help.
    """

    epochs: int
    batch: int
    longest: int = 0

    @classmethod
    def for_rows(
        cls, rows: int, *, epochs: int | None = None, batch: int | None = None
    ) -> "Budget":
        """About 500 steps, more on large tables; batches grow with the table.

        Where the number of epochs is not given, a training may go on to LONGER times as many.
        """
        batch = min(rows, batch or next(size for least, size in _BATCHES if rows >= least))
        steps = max(500, rows // 50)
        usual = max(4, round(steps / (rows // batch)))
        longest = epochs or LONGER * usual
        return cls(epochs=epochs or usual, batch=batch, longest=longest)

    def progress(self, epoch: int) -> Progress:
        """Return how far a training is when an epoch begins, in steps of one an epoch."""
        return Progress(step=epoch, total=self.epochs, epoch=epoch)

    def later(self, epochs: int, count: int = 4) -> list[int]:
        """Return the checkpoints of a training that goes on to twice its length; none at the cap.

        >>> Budget(epochs=10, batch=32, longest=30).later(20), Budget(epochs=9, batch=8).later(9)
        ([22, 24, 27, 30], [])
        """
        last = min(2 * epochs, self.longest)
        marks = (round(epochs * (last / epochs) ** (i / count)) for i in range(1, count + 1))
        return sorted({mark for mark in marks if mark > epochs})

    def checkpoints(self, count: int = 12) -> list[int]:
        """Epochs after which the metric is taken, denser at the start, the last one included."""
        marks = {max(1, round(self.epochs * (i / count) ** 1.5)) for i in range(1, count + 1)}
        return sorted(marks)


LONGER = 8  # times the usual length
_BATCHES = ((50_000, 512), (10_000, 256), (1_000, 128), (400, 64), (0, 32))


def batches(rows: int, batch: int, generator: torch.Generator) -> list[Tensor]:
    """Shuffle a fold's rows into full batches; the rest of an epoch waits for the next shuffle."""
    batch = min(batch, rows)  # folds of classes differ by a few rows
    order = torch.randperm(rows, generator=generator)
    return list(order[: rows // batch * batch].split(batch))
