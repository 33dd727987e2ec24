"""How the terms of a hybrid become one scalar: one file a kind."""

from lossmith.core.weighting import Equal, Fixed, Weighting
from lossmith.weighting.gradients import FAMO, GradNorm, gradient_norms
from lossmith.weighting.learned import IMTLL, Uncertainty
from lossmith.weighting.mean import GeometricMean
from lossmith.weighting.progress import DWA, RandomWeights, ReLoBRaLo, SoftAdapt
from lossmith.weighting.surgery import surgery_backward

__all__ = [
    "DWA",
    "FAMO",
    "IMTLL",
    "Equal",
    "Fixed",
    "GeometricMean",
    "GradNorm",
    "RandomWeights",
    "ReLoBRaLo",
    "SoftAdapt",
    "Uncertainty",
    "Weighting",
    "gradient_norms",
    "surgery_backward",
]
