"""Losses of ranked lists over the rows of a table, each an item of a query."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lossmith.catalogue.names import loss_class
from lossmith.core.card import Card
from lossmith.core.loss import Loss
from lossmith.losses import ListNet
from lossmith.study.metrics.listed import layout
from lossmith.study.tasks.candidate import Candidate
from lossmith.study.tasks.matrix import MatrixLoss

LONGEST = 200  # items of a query that train together; of longer ones so many, drawn once
NO_ITEM = -1.0  # the relevance of what fills up a list


class ListedLoss(MatrixLoss):
    """A loss over rows that are lists of one length after another, filled up to it.

    Targets (n, 2) are a relevance and a query a row; a negative relevance is no item. A loss of
    single items takes those that are.

    Args:
        loss: of lists, (lists, length), or of numbers.
        length: of the lists.
    """

    card: ClassVar[Card] = ListNet.card

    def __init__(self, loss: Loss, length: int) -> None:
        super().__init__()
        self.loss, self.length = loss, length
        self.card = loss.card  # type: ignore[misc]

    @property
    def bare(self) -> Loss:
        """The loss of lists, or of single items."""
        return self.loss

    @property
    def out_features(self) -> int:
        """The width of the head: one score."""
        return self.loss.out_features

    def terms(
        self, input: Any, target: Any = None, *, weight: Any = None, denominator: Any = None
    ) -> dict[str, Tensor]:
        """Return the terms of the loss."""
        relevance = target[..., 0].to(input.dtype)
        if self.card.input != "scores":
            held = relevance >= 0
            return self.loss.terms(input, relevance.clamp(min=0), weight=held.to(input.dtype))
        shape = (-1, self.length)
        return self.loss.terms(input.reshape(shape), relevance.reshape(shape))

    def decode(self, output: Tensor) -> Tensor:
        """Return scores."""
        return output


@dataclass(frozen=True, kw_only=True)
class ListedCandidate(Candidate):
    """A loss of lists of at most so many items."""

    length: int

    def fit(self, target: Tensor) -> ListedLoss:
        """Return the loss fitted to the relevances of training rows."""
        kind: Any = loss_class(self.key)
        return ListedLoss(kind.for_target(target[:, 0], **self.hypers), self.length)


def list_length(target: np.ndarray) -> int:
    """Return how long the lists are that targets make: as the longest query, at most 200."""
    return min(LONGEST, layout(target[:, 1])[2][1])


def filled(target: Tensor, length: int) -> Tensor:
    """Return the rows of each query, (queries, length), filled up by n, the row after the last."""
    query, place, (count, _) = layout(target[:, 1].numpy())
    found = torch.full((count, length), len(target))
    kept = place < length
    found[query[kept], place[kept]] = torch.from_numpy(np.flatnonzero(kept))
    return found


def list_batches(lists: Tensor, batch: int, generator: torch.Generator) -> list[Tensor]:
    """Shuffle queries into batches of about so many rows, each of whole lists one after another."""
    rows = int((lists < lists.max()).sum())
    count = min(len(lists), max(1, round(batch * len(lists) / max(rows, 1))))
    order = torch.randperm(len(lists), generator=generator)
    whole = order[: len(lists) // count * count]
    return [lists[chosen].flatten() for chosen in whole.split(count)]
