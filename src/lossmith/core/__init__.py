"""The contract: Loss, Card, reduce, Progress, Schedule, Weighting, Hybrid."""

from lossmith.core.adaptive import Adaptive, Number
from lossmith.core.bases import Coupled, Pointwise, SetLoss, Statistic
from lossmith.core.card import Card, Claims, Example
from lossmith.core.driver import LossScheduler, ModelWithLoss, parameter_groups
from lossmith.core.hybrid import Hybrid
from lossmith.core.hyperparameter import (
    Choice,
    Inner,
    OptionalReal,
    OptionalWhole,
    PerClass,
    Real,
    RealOrReals,
    Reals,
    Switch,
    Table,
    Whole,
    Wholes,
)
from lossmith.core.loss import Loss
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
from lossmith.core.transitions import blend, sequence, switch
from lossmith.core.triggers import Plateau, When
from lossmith.core.weighting import Equal, Fixed, Weighting

__all__ = [
    "Adaptive",
    "Card",
    "Choice",
    "Claims",
    "Constant",
    "Cosine",
    "Coupled",
    "Equal",
    "Example",
    "Exponential",
    "Fixed",
    "Hybrid",
    "Inner",
    "Linear",
    "Loss",
    "LossScheduler",
    "ModelWithLoss",
    "Number",
    "OptionalReal",
    "OptionalWhole",
    "PerClass",
    "Piecewise",
    "Plateau",
    "Pointwise",
    "Progress",
    "Real",
    "RealOrReals",
    "Reals",
    "Schedule",
    "SetLoss",
    "Statistic",
    "Step",
    "Switch",
    "Table",
    "WarmUp",
    "Weighting",
    "When",
    "Whole",
    "Wholes",
    "blend",
    "parameter_groups",
    "reduce",
    "sequence",
    "switch",
]
