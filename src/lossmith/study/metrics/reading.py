"""How metrics read predictions: probabilities with classes along dimension 1, or decisions."""

import numpy as np

from lossmith.study.base.errors import InputError

Array = np.ndarray
IGNORED = 255  # in masks of classes; negative codes are ignored everywhere
SLACK = 1e-3  # of probabilities in half precision


def class_codes(name: str, target: Array) -> Array:
    """Return targets as integers; negative ones are ignored by every metric of classes."""
    if np.issubdtype(target.dtype, np.integer):
        return target
    if target.dtype.kind not in "bf":
        raise InputError(
            f"{name} needs codes of classes, 0, 1 …, as targets, got {target.dtype}; "
            "pandas.factorize gives them"
        )
    codes = target.astype(np.int64)
    if not np.array_equal(codes, target):
        raise InputError(f"{name} needs integer targets, got {target.dtype} that are not whole")
    return codes


def probabilities(name: str, prediction: Array) -> Array:
    """Return predictions that lie in [0, 1].

    Raises:
        InputError: for others, which are logits where a loss's `decode` was left out.
    """
    low, high = prediction.min(initial=0), prediction.max(initial=0)
    if low < -SLACK or high > 1 + SLACK:
        raise InputError(
            f"{name} needs probabilities, got values from {low:.3g} to {high:.3g}; "
            "of logits report loss.decode(logits), or give decode=, of a loss of your own"
        )
    return prediction


def check_columns(name: str, target: Array, prediction: Array) -> None:
    """Raise InputError where predictions (N, C, …) have no column for a class of the targets."""
    most = int(target.max(where=target != IGNORED, initial=-1))
    if most >= prediction.shape[1]:
        raise InputError(
            f"{name} needs a column for each class, but predictions have {prediction.shape[1]} and "
            f"a target is class {most}; a head has trial.out_features, classes count from 0"
        )


def has_classes(target: Array, prediction: Array) -> bool:
    """Return whether predictions are (N, C, …) of targets (N, …)."""
    return (
        prediction.ndim == target.ndim + 1
        and prediction.shape[:1] + prediction.shape[2:] == target.shape
    )


def require_classes(name: str, target: Array, prediction: Array) -> None:
    """Raise InputError where predictions are not (N, C, …) of targets (N, …)."""
    if not has_classes(target, prediction):
        raise InputError(
            f"{name} needs predictions with classes along dimension 1; got targets of shape "
            f"{target.shape} and predictions of shape {prediction.shape}"
        )
    check_columns(name, target, prediction)


def same_shape(name: str, target: Array, prediction: Array) -> None:
    """Raise InputError where target and prediction differ in shape."""
    if target.shape != prediction.shape:
        raise InputError(
            f"{name} needs predictions of the targets' shape, or with classes along dimension 1; "
            f"got targets of shape {target.shape} and predictions of shape {prediction.shape}"
        )


def decided(name: str, target: Array, prediction: Array) -> Array:
    """Return class codes of the targets' shape.

    The most probable class of (N, C, …); label 1 where a probability of the targets' own shape
    is at least ½; integers and booleans of that shape are decisions already.

    Raises:
        InputError: where a class of the targets has no column, or shapes differ.
    """
    if has_classes(target, prediction):
        check_columns(name, target, prediction)
        return prediction.argmax(axis=1)
    same_shape(name, target, prediction)
    if np.issubdtype(prediction.dtype, np.inexact):
        return (probabilities(name, prediction) >= 0.5).astype(np.int64)
    return prediction.astype(np.int64)
