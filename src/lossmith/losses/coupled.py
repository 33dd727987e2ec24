"""What losses that couple the rows of a batch share."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from lossmith.core.card import Hyper
from lossmith.core.loss import Pointwise

GATHER = Hyper(
    default=True, meaning="over several processes, whether the batch is that of all ranks"
)


class Contrast(Pointwise, ABC):
    """A pointwise loss whose values may be had of some rows alone, against all."""

    @abstractmethod
    def against_all(self, input: Tensor, target: Any, own: slice) -> Tensor:
        """Return one value a row of some rows, against all."""

    def values(self, input: Tensor, target: Any) -> Tensor:
        """Return one value a row."""
        return self.against_all(input, target, slice(None))

    def own_values(self, input: Tensor, target: Any, own: slice) -> Tensor:
        """Return the values of some rows, without forming the others'."""
        return self.against_all(input, target, own)
