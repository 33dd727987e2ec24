"""Losses over one target matrix, into which a table's task puts all that they take."""

from abc import ABC, abstractmethod
from typing import Any

from lossmith.core.loss import Loss


class MatrixLoss(Loss, ABC):
    """A loss over a target matrix, (n, …), whose columns it hands to another."""

    @property
    @abstractmethod
    def bare(self) -> Loss:
        """The loss for a loop of one's own, without the matrix."""

    def check_given(self, input: Any, target: Any) -> None:
        """Check nothing: targets were checked as a whole."""

    def config(self) -> dict[str, Any]:
        """Return the loss as plain data."""
        return self.bare.config()
