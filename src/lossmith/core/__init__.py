"""The contract: Loss, Card, reduce."""

from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Loss, Pointwise
from lossmith.core.reduce import reduce

__all__ = ["Card", "Claims", "Example", "Hyper", "Loss", "Paper", "Pointwise", "reduce"]
