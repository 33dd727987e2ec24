"""What trains: a candidate at a learning rate, for how long, on which batches."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lossmith.core.loss import Loss
from lossmith.core.progress import Progress
from lossmith.study.journal import Setting


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """One candidate at one setting, with its loss fitted to each fold's training targets."""

    candidate: str
    learning_rate: float
    losses: tuple[Loss, ...]
    variant: int = 0

    @property
    def key(self) -> Setting:
        """The candidate and its setting."""
        return Setting(self.candidate, self.learning_rate, self.variant)

    @property
    def out_features(self) -> int:
        """The head's width, the same in every fold."""
        return self.losses[0].out_features


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long one training lasts, the same for every candidate: epochs and rows a batch."""

    epochs: int
    batch: int

    @classmethod
    def for_rows(
        cls, rows: int, *, epochs: int | None = None, batch: int | None = None, least: int = 1
    ) -> "Budget":
        """About 500 steps, more on large tables; batches grow with the table, from `least` on."""
        usual = max(least, next(size for many, size in _BATCHES if rows >= many))
        batch = min(rows, batch or usual)
        steps = max(500, rows // 50)
        return cls(epochs=epochs or max(4, round(steps / (rows // batch))), batch=batch)

    def progress(self, epoch: int) -> Progress:
        """Return how far a training is when an epoch begins, in steps of one an epoch."""
        return Progress(step=epoch, total=self.epochs, epoch=epoch)

    def checkpoints(self, count: int = 12) -> list[int]:
        """Epochs after which the metric is taken, denser at the start, the last one included."""
        marks = {max(1, round(self.epochs * (i / count) ** 1.5)) for i in range(1, count + 1)}
        return sorted(marks)


_BATCHES = ((50_000, 512), (10_000, 256), (1_000, 128), (400, 64), (0, 32))


def batches(rows: int, batch: int, generator: torch.Generator) -> list[Tensor]:
    """Shuffle a fold's rows into full batches; the rest of an epoch waits for the next shuffle."""
    batch = min(batch, rows)  # folds of classes differ by a few rows
    order = torch.randperm(rows, generator=generator)
    return list(order[: rows // batch * batch].split(batch))
