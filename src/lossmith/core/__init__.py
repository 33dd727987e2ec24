"""The contract: Loss, Card, reduce, Progress, Schedule, Weighting, Hybrid."""

from lossmith.core.adaptive import Adaptive, Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.driver import LossScheduler, ModelWithLoss, parameter_groups
from lossmith.core.hybrid import Hybrid, blend, sequence, switch
from lossmith.core.loss import Batchwise, Loss, Pointwise
from lossmith.core.progress import Progress
from lossmith.core.reduce import reduce
from lossmith.core.schedule import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    Piecewise,
    Schedule,
    Step,
    WarmUp,
)
from lossmith.core.triggers import Plateau, When
from lossmith.core.weighting import Equal, Fixed, Weighting

__all__ = [
    "Adaptive",
    "Batchwise",
    "Card",
    "Claims",
    "Constant",
    "Cosine",
    "Equal",
    "Example",
    "Exponential",
    "Fixed",
    "Hybrid",
    "Hyper",
    "Linear",
    "Loss",
    "LossScheduler",
    "ModelWithLoss",
    "Number",
    "Paper",
    "Piecewise",
    "Plateau",
    "Pointwise",
    "Progress",
    "Schedule",
    "Step",
    "WarmUp",
    "Weighting",
    "When",
    "blend",
    "parameter_groups",
    "reduce",
    "sequence",
    "switch",
]
