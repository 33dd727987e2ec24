"""Pure functions `(input, target, *, hyperparameters)` that return unreduced values."""

from lossmith.functional.regression import huber, mse

__all__ = ["huber", "mse"]
