"""The contract: Loss, Card, reduce, Progress."""

from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Batchwise, Loss, Pointwise
from lossmith.core.progress import Progress
from lossmith.core.reduce import reduce

__all__ = [
    "Batchwise",
    "Card",
    "Claims",
    "Example",
    "Hyper",
    "Loss",
    "Paper",
    "Pointwise",
    "Progress",
    "reduce",
]
