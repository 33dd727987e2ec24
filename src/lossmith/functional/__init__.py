"""Pure functions `(input, target, *, hyperparameters)` that return unreduced values."""

from lossmith.functional.histogram import expected_value, gaussian_bins, hl_gauss
from lossmith.functional.likelihood import gaussian_nll, laplace_nll, location, student_t_nll
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
    "cauchy",
    "expected_value",
    "expectile",
    "gaussian_bins",
    "gaussian_nll",
    "geman_mcclure",
    "hl_gauss",
    "huber",
    "laplace_nll",
    "location",
    "log_cosh",
    "mae",
    "mse",
    "non_crossing",
    "pseudo_huber",
    "quantile",
    "smooth_l1",
    "student_t_nll",
    "welsch",
]
