"""Losses of censored times over one target matrix, read as a risk and survival at horizons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lossmith.catalogue.names import loss_class
from lossmith.core.card import Card
from lossmith.core.loss import Loss
from lossmith.core.serial import plain
from lossmith.losses import Cox
from lossmith.losses.survival.grid import Grid
from lossmith.study.base.errors import InputError
from lossmith.study.tasks.candidate import Candidate
from lossmith.study.tasks.matrix import MatrixLoss


def columns(target: Tensor) -> dict[str, Tensor]:
    """Return times and events of a matrix, (…, 2), as losses take them."""
    return dict(zip(("time", "event"), target.unbind(-1), strict=True))


def risk(loss: Any, decoded: np.ndarray) -> np.ndarray:
    """Return risks: Cox's own, and less the median or, on a grid, the mean time otherwise."""
    if isinstance(loss, Grid):
        ends = loss.times.numpy()
        before = np.concatenate([np.ones((len(decoded), 1)), decoded[:, :-1]], axis=1)
        return -((before + decoded) / 2 * np.diff(ends, prepend=0)).sum(axis=1)
    timed = isinstance(loss, Loss) and loss.card.input == "parameters"
    return -decoded if timed else decoded


class TimedLoss(MatrixLoss):
    """A loss over a target matrix of times and events, (n, 2).

    It is read as (n, 1 + H): the risk, and beside it the probability to survive each horizon. A
    loss of risks alone must first be told the outputs of its training rows.

    Args:
        loss: that takes a dict of `time` and `event`.
        horizons: in increasing order.
    """

    card: ClassVar[Card] = Cox.card

    def __init__(self, loss: Loss, horizons: Sequence[float]) -> None:
        super().__init__()
        self.loss, self.horizons = loss, tuple(horizons)
        self.card = loss.card  # type: ignore[misc]
        # Beside the module: what reads is no part of what trains, nor of its state.
        self._reader = (loss if not isinstance(loss, Cox) or loss.times is not None else None,)

    @property
    def out_features(self) -> int:
        """The width of the head."""
        return self.loss.out_features

    @property
    def bare(self) -> Loss:
        """The loss that reads outputs, once it can."""
        return self._reader[0] or self.loss

    @property
    def waits(self) -> bool:
        """Whether it has to be told outputs of training rows before it can be read."""
        return isinstance(self.loss, Cox)

    def terms(
        self, input: Any, target: Any = None, *, weight: Any = None, denominator: Any = None
    ) -> dict[str, Tensor]:
        """Return the terms of the loss."""
        return self.loss.terms(input, columns(target), weight=weight, denominator=denominator)

    def config(self) -> dict[str, Any]:
        """Return the loss that trains as plain data."""
        return self.loss.config()

    def calibrate(self, output: Tensor, target: Tensor) -> None:
        """Learn from the outputs of training rows how many survive at which risk."""
        finite = isinstance(self.loss, Cox) and bool(output.isfinite().all())
        known = self.loss.with_baseline(output, columns(target), self.horizons) if finite else None
        self._reader = (known,)

    @classmethod
    def of(cls, loss: Loss, horizons: Sequence[float]) -> "TimedLoss":
        """Return a loss as one that is read at horizons.

        Raises:
            InputError: where it gives no survival, as a sum or Cox's loss without a baseline.
        """
        if isinstance(loss, TimedLoss):
            return loss
        if not hasattr(loss, "survival") or (isinstance(loss, Cox) and loss.times is None):
            raise InputError(
                f"{loss.card.key or type(loss).__name__} gives no probabilities to survive; name a "
                "loss that does, as logistic_hazard, or Cox with a baseline (`with_baseline`)"
            )
        return cls(loss, horizons)

    def decode(self, output: Tensor) -> Tensor:
        """Return risk and survival, (n, 1 + H); of what diverged in training NaN."""
        output, (reader,) = output.double(), self._reader
        first = torch.from_numpy(risk(self.loss, self.loss.decode(output).numpy()))
        if reader is None:
            return first.unsqueeze(1).expand(-1, 1 + len(self.horizons)) * torch.nan
        rest = [reader.survival(output, first.new_full(first.shape, h)) for h in self.horizons]
        return torch.stack([first, *rest], dim=1)


@dataclass(frozen=True, kw_only=True)
class TimedCandidate(Candidate):
    """A loss of censored times, over one target matrix."""

    horizons: tuple[float, ...]

    def fit(self, target: Tensor) -> TimedLoss:
        """Return the loss fitted to training targets, (n, 2)."""
        hypers = {**self.given, **self.hypers}
        kind: Any = loss_class(self.key)
        return TimedLoss(kind.for_target(columns(target), **hypers), self.horizons)


def told(kind: Any, target: np.ndarray) -> Mapping[str, Any]:
    """Return what a loss takes from all targets that train, alike in every fold.

    Heads must be equally wide there.

    Raises:
        InputError: where times leave nothing to take.
    """
    try:
        loss = kind.for_target(columns(torch.from_numpy(target)))
    except ValueError as error:
        raise InputError(f"{error}; times of events differ too little") from error
    found = {name: getattr(loss, name) for name, one in kind.hyperparameters.items() if one.fitted}
    return {name: plain(value) for name, value in found.items() if value is not None}
