"""Every loss of the catalogue; what is exported here is listed, documented and tested."""

from lossmith.losses.barron import AdaptiveBarron, Barron
from lossmith.losses.binary import BinaryCrossEntropy, BinaryFocal
from lossmith.losses.classification import CrossEntropy, Focal, GeneralizedCrossEntropy, Poly
from lossmith.losses.histogram import HLGauss
from lossmith.losses.imbalance import BalancedSoftmax, ClassBalanced, LogitAdjusted
from lossmith.losses.likelihood import GaussianNLL, LaplaceNLL, StudentTNLL
from lossmith.losses.margin import Hinge, MultiHinge
from lossmith.losses.quantile import Expectile, Quantile
from lossmith.losses.regression import MAE, MSE, Huber, LogCosh, SmoothL1
from lossmith.losses.robust import Cauchy, GemanMcClure, PseudoHuber, Welsch
from lossmith.losses.square import Brier, Square, Squentropy
from lossmith.losses.transformed import TransformedTarget

__all__ = [
    "MAE",
    "MSE",
    "AdaptiveBarron",
    "BalancedSoftmax",
    "Barron",
    "BinaryCrossEntropy",
    "BinaryFocal",
    "Brier",
    "Cauchy",
    "ClassBalanced",
    "CrossEntropy",
    "Expectile",
    "Focal",
    "GaussianNLL",
    "GemanMcClure",
    "GeneralizedCrossEntropy",
    "HLGauss",
    "Hinge",
    "Huber",
    "LaplaceNLL",
    "LogCosh",
    "LogitAdjusted",
    "MultiHinge",
    "Poly",
    "PseudoHuber",
    "Quantile",
    "SmoothL1",
    "Square",
    "Squentropy",
    "StudentTNLL",
    "TransformedTarget",
    "Welsch",
]
