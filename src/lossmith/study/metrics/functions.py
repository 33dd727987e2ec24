"""Metrics that are functions of the user, of scikit-learn or of torchmetrics."""

import copy
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from lossmith.core.tree import tree_map
from lossmith.study.base.direction import Better
from lossmith.study.base.errors import InputError, told
from lossmith.study.metrics.jackknife import jackknife
from lossmith.study.metrics.reading import decided, has_classes
from lossmith.study.metrics.study_metric import StudyMetric, has_nan, leaf_arrays, to_array

Array = np.ndarray
DIRECTIONS: Mapping[str, Better] = {
    "_score": "higher",
    "_loss": "lower",
    "_error": "lower",
    "_deviance": "lower",
}


class FunctionMetric(StudyMetric):
    """Any function of (target, prediction) that returns one number; influences by the jackknife.

    It is given what was reported: tensors on the CPU where all are tensors, else arrays.
    """

    cheap = False

    def __init__(self, function: Callable[[Any, Any], Any], *, name: str, better: Better) -> None:
        self.function, self.better = function, better
        self.mappings = not isinstance(function, SklearnFunction | TorchmetricsFunction)
        self.name, self.label = name, name.replace("_", " ")

    def _aligned(self, target: Any, prediction: Any) -> tuple[Any, Any]:
        aligned = super()._aligned(target, prediction)
        tensors = [_tensors(values) for values in (target, prediction)]
        return aligned if any(one is None for one in tensors) else (tensors[0], tensors[1])

    def _diverged(self, prediction: Any) -> bool:
        """Return whether a prediction is NaN; what infinity is worth the function knows."""
        return any(has_nan(part) for part in leaf_arrays(prediction))

    def _score(self, target: Any, prediction: Any) -> float:
        found = self._called(target, prediction)
        value = None if isinstance(found, str | Mapping) else to_array(found)
        if value is None or value.size != 1 or value.dtype.kind not in "fiub":
            shape = "" if value is None else f" of shape {value.shape}"
            raise InputError(
                f"{self.name} returned {type(found).__name__}{shape}, but a metric returns one "
                "number; one number a row can be reported as rows="
            )
        return float(value.reshape(()))

    def _called(self, target: Any, prediction: Any) -> Any:
        """Return what the function says.

        Raises:
            InputError: where it raises, with what it was given.
        """
        try:
            return self.function(target, prediction)
        except InputError:
            raise
        except Exception as error:
            given = " and ".join(_described(one) for one in (target, prediction))
            raise InputError(
                f"the metric {self.name} raised {told(error)}; it is called with target and "
                f"prediction, here {given}"
            ) from error

    def _influences(self, target: Any, prediction: Any, codes: Array, index: Array) -> Array:
        return jackknife(self._score, target, prediction, codes, index)


def _described(values: Any) -> str:
    """Return what a function was given, in words.

    >>> _described(np.zeros((2, 3))), _described({"time": np.zeros(2)})
    ('an array (2, 3)', 'a dict of time')
    """
    if isinstance(values, Mapping):
        return f"a dict of {', '.join(map(str, values))}"
    kind = "a tensor" if isinstance(values, torch.Tensor) else "an array"
    return f"{kind} {tuple(values.shape)}"


def _tensors(values: Any) -> Any:
    """Return tensors on the CPU, or None where not all are tensors."""
    every = values.values() if isinstance(values, Mapping) else [values]
    if all(isinstance(part, torch.Tensor) for part in every):
        return tree_map(lambda part: part.detach().cpu(), values)
    return None


@dataclass(frozen=True)
class SklearnFunction:
    """A function of scikit-learn, given what its scorers would ask of a model."""

    function: Callable[..., Any]
    response: str | None  # "predict", "predict_proba", or None: as reported
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, target: Any, prediction: Any) -> Any:
        """Return the function of arrays; NaN where a prediction is not finite."""
        target, prediction = to_array(target), to_array(prediction)
        if not np.isfinite(prediction).all():
            return np.nan
        if self.response == "predict" and _are_probabilities(target, prediction):
            prediction = decided("a scorer", target, prediction)
        elif self.response == "predict_proba" and has_classes(target, prediction):
            prediction = prediction[:, 1] if prediction.shape[1] == 2 else prediction
        return self.function(target, prediction, **self.kwargs)


def _are_probabilities(target: Array, prediction: Array) -> bool:
    """Return whether predictions are probabilities of integer targets."""
    if has_classes(target, prediction):
        return True
    return (
        np.issubdtype(prediction.dtype, np.inexact)
        and not np.issubdtype(target.dtype, np.inexact)
        and bool(np.isin(target, (0, 1)).all())
        and bool(((prediction >= 0) & (prediction <= 1)).all())
    )


class TorchmetricsFunction:
    """A torchmetrics metric as a function; in double precision, which differences need."""

    def __init__(self, metric: Any) -> None:
        self.metric = copy.deepcopy(metric).cpu().set_dtype(torch.float64)
        self.metric.sync_on_compute = False  # one process scores a trial
        self.metric.reset()
        self.binary = type(metric).__name__.startswith("Binary")

    def __call__(self, target: Any, prediction: Any) -> Any:
        """Return the metric of all rows; NaN where a prediction is not finite."""
        target, prediction = _double(target), _double(prediction)
        if not prediction.isfinite().all():
            return np.nan
        if self.binary and has_classes(target, prediction) and prediction.shape[1] == 2:
            prediction = prediction[:, 1]
        self.metric.reset()
        self.metric.update(prediction, target)
        return self.metric.compute()


def _double(values: Any) -> torch.Tensor:
    found = torch.as_tensor(values)
    return found.double() if found.is_floating_point() else found


def of_sklearn_scorer(scorer: Any) -> FunctionMetric:
    """Return the metric of `make_scorer` or `get_scorer`: its function, and which way it improves.

    A function that is better lower is scored as it is, without the scorer's sign.
    """
    function = scorer._score_func
    name = _name(function)
    call = SklearnFunction(function, _response(function, scorer._response_method), scorer._kwargs)
    return FunctionMetric(call, name=name, better="higher" if scorer._sign > 0 else "lower")


def of_torchmetrics(metric: Any, better: Better | None) -> FunctionMetric:
    """Return the metric of a torchmetrics object; its direction is `higher_is_better`."""
    name, higher = type(metric).__name__, metric.higher_is_better
    known: Better | None = None if higher is None else "higher" if higher else "lower"
    return FunctionMetric(
        TorchmetricsFunction(metric), name=name, better=direction(name, known, better)
    )


def of_function(function: Callable[..., Any], better: Better | None) -> FunctionMetric:
    """Return the metric of a callable; scikit-learn's own say by their names which is better."""
    base, name = _unwrapped(function), _name(function)
    if not str(getattr(base, "__module__", "")).startswith("sklearn.metrics"):
        return FunctionMetric(function, name=name, better=direction(name, None, better))
    known = _sklearn_direction(base)
    call = SklearnFunction(function, _response(base, None))
    return FunctionMetric(call, name=name, better=direction(name, known, better))


def direction(name: str, known: Better | None, given: Better | None) -> Better:
    """Return which way a metric improves.

    Raises:
        InputError: where that is not known, or what is given differs from what is known.
    """
    if known is not None and given is not None and known != given:
        raise InputError(f"{name} is better {known}, but better={given!r} was given; leave it out")
    found = known or given
    if found is None:
        raise InputError(f"which way does {name} improve? pass better='lower' or better='higher'")
    return found


def is_torchmetrics(metric: Any) -> bool:
    """Return whether it is a torchmetrics metric, without importing torchmetrics."""
    module = sys.modules.get("torchmetrics")
    return module is not None and isinstance(metric, module.Metric)


def is_sklearn_scorer(metric: Any) -> bool:
    """Return whether it is what `make_scorer` makes."""
    parts = ("_score_func", "_sign", "_kwargs", "_response_method")
    return all(hasattr(metric, part) for part in parts)


def _unwrapped(function: Any) -> Any:
    while isinstance(function, partial):
        function = function.func
    return function


def _name(function: Any) -> str:
    base = _unwrapped(function)
    name = getattr(base, "__name__", type(base).__name__)
    return "metric" if name == "<lambda>" else name


def _scorers_of(function: Any) -> list[Any]:
    """Return scikit-learn's own scorers of a function."""
    from sklearn.metrics import get_scorer, get_scorer_names

    scorers = (get_scorer(name) for name in get_scorer_names())
    return [scorer for scorer in scorers if scorer._score_func is function]


def _sklearn_direction(function: Any) -> Better | None:
    for ending, found in DIRECTIONS.items():
        if function.__name__.endswith(ending):
            return found
    for scorer in _scorers_of(function):
        return "higher" if scorer._sign > 0 else "lower"
    return None


def _response(function: Any, asked: Any) -> str | None:
    """Return what a function wants of a model: classes, probabilities, or None as it stands."""
    module = str(getattr(function, "__module__", "")).rpartition(".")[2]
    if module == "_regression":
        return None
    if asked is None:
        of_scorers = [scorer._response_method for scorer in _scorers_of(function)]
        by_decision = "pred_decision" in inspect.signature(function).parameters
        own = "predict" if module == "_classification" and not by_decision else "predict_proba"
        asked = of_scorers[0] if of_scorers else own
    return "predict" if asked == "predict" else "predict_proba"
