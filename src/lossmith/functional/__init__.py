"""Pure functions `(input, target, *, hyperparameters)` that return unreduced values."""

from lossmith.functional.barron import adaptive_barron, barron
from lossmith.functional.binary import binary_cross_entropy, binary_focal, hinge
from lossmith.functional.classification import (
    brier,
    cross_entropy,
    focal,
    generalized_cross_entropy,
    multi_hinge,
    per_class,
    poly,
    soft_weights,
    square,
    squentropy,
    target_weights,
)
from lossmith.functional.histogram import expected_value, gaussian_bins, hl_gauss
from lossmith.functional.imbalance import balanced_softmax, class_balanced_weights, logit_adjusted
from lossmith.functional.likelihood import gaussian_nll, laplace_nll, location, student_t_nll
from lossmith.functional.probabilities import (
    binary_focal_probability,
    focal_probabilities,
    generalized_probabilities,
    poly_probabilities,
    sigmoid,
    softmax,
    square_probabilities,
)
from lossmith.functional.regression import (
    expectile,
    huber,
    log_cosh,
    mae,
    mse,
    non_crossing,
    quantile,
    smooth_l1,
)
from lossmith.functional.robust import cauchy, geman_mcclure, pseudo_huber, welsch

__all__ = [
    "adaptive_barron",
    "balanced_softmax",
    "barron",
    "binary_cross_entropy",
    "binary_focal",
    "binary_focal_probability",
    "brier",
    "cauchy",
    "class_balanced_weights",
    "cross_entropy",
    "expected_value",
    "expectile",
    "focal",
    "focal_probabilities",
    "gaussian_bins",
    "gaussian_nll",
    "geman_mcclure",
    "generalized_cross_entropy",
    "generalized_probabilities",
    "hinge",
    "hl_gauss",
    "huber",
    "laplace_nll",
    "location",
    "log_cosh",
    "logit_adjusted",
    "mae",
    "mse",
    "multi_hinge",
    "non_crossing",
    "per_class",
    "poly",
    "poly_probabilities",
    "pseudo_huber",
    "quantile",
    "sigmoid",
    "smooth_l1",
    "soft_weights",
    "softmax",
    "square",
    "square_probabilities",
    "squentropy",
    "student_t_nll",
    "target_weights",
    "welsch",
]
