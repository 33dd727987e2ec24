"""Every loss of the catalogue; what is exported here is listed, documented and tested."""

from lossmith.losses.histogram import HLGauss
from lossmith.losses.likelihood import GaussianNLL, LaplaceNLL, StudentTNLL
from lossmith.losses.quantile import Expectile, Quantile
from lossmith.losses.regression import MAE, MSE, Huber, LogCosh, SmoothL1
from lossmith.losses.robust import Cauchy, GemanMcClure, PseudoHuber, Welsch
from lossmith.losses.transformed import TransformedTarget

__all__ = [
    "MAE",
    "MSE",
    "Cauchy",
    "Expectile",
    "GaussianNLL",
    "GemanMcClure",
    "HLGauss",
    "Huber",
    "LaplaceNLL",
    "LogCosh",
    "PseudoHuber",
    "Quantile",
    "SmoothL1",
    "StudentTNLL",
    "TransformedTarget",
    "Welsch",
]
