"""What losses of ranked lists share."""

from abc import ABC

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise

ORDERED = [[2.0, 1.0, 0.0]]
GRADES = [[2.0, 1.0, 0.0]]
EQUAL = [[0.0, 0.0, 0.0]]


class ListLoss(Pointwise, ABC):
    """A loss with one value a list; a list from which nothing can be learnt has weight 0."""

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for lists in which no two items differ in relevance, 1 for the others."""
        return F.has_pair(target)
