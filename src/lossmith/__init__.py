"""lossmith: the loss layer for PyTorch."""

from lossmith import functional
from lossmith.catalogue import cards, find, get, load
from lossmith.core import Card, Loss, Pointwise, reduce
from lossmith.losses import *  # noqa: F403
from lossmith.losses import __all__ as _losses

__version__ = "0.1.0"

__all__ = [
    "Card",
    "Loss",
    "Pointwise",
    "cards",
    "find",
    "functional",
    "get",
    "load",
    "reduce",
    *_losses,
]
