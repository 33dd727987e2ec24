"""What a study asks of any metric: a score, and what each unit adds to it."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch

from lossmith.core.tree import tree_leaves, tree_map
from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import listed
from lossmith.study.metrics.base import Metric
from lossmith.study.metrics.units import unit_numbers

Array = np.ndarray


class StudyMetric(Metric):
    """A metric of targets and predictions of any shape, the rows along the first dimension.

    Both may be tensors on any device or arrays. cheap: influences cost about what the score does;
    else they are a jackknife, of as many scores as there are units, at most 400. mappings: both
    may be dicts of such, as a survival target is.
    """

    cheap: ClassVar[bool] = True
    mappings: bool = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, better={self.better!r})"

    @classmethod
    def parse(cls, argument: str) -> Self:
        """Return the metric whose name has this after the @."""
        if argument:
            raise InputError(f"{cls.name} takes no number, got {cls.name}@{argument}")
        return cls()

    def check(self, target: Any) -> None:
        """Raise InputError when the metric is undefined for these targets."""
        missing = sum(int(np.isnan(part).sum()) for part in leaf_arrays(target) if has_nan(part))
        if missing:
            raise InputError(f"{self.name} needs targets that are numbers, but {missing} are NaN")

    def score(self, target: Any, prediction: Any) -> float:
        """Return the score; `worst` where a prediction is not finite, or the score is NaN.

        Raises:
            InputError: where target and prediction do not fit each other or the metric.
        """
        target, prediction = self._aligned(target, prediction)
        score = np.nan if self._diverged(prediction) else self._score(target, prediction)
        return self.worst if np.isnan(score) else float(score)

    def influences(self, target: Any, prediction: Any, units: Array | None = None) -> Array:
        """Return what each unit adds to the score, (U,), in the sorted order of their codes.

        They sum to zero; `units` of this package says how they are scaled.

        Args:
            target: n rows.
            prediction: n rows; where one is not finite no unit has any influence.
            units: an integer code of each row's unit, (n,); None for every row its own. Where
                rows are of other validation sets too their numbers, so that a jackknife of few
                takes the same ones.

        Raises:
            InputError: as `score` does, or for units that are not one integer a row.
        """
        target, prediction = self._aligned(target, prediction)
        codes, index = unit_numbers(len(leaf_arrays(target)[0]), units)
        if self._diverged(prediction):
            return np.zeros(len(codes))
        found = self._influences(target, prediction, codes, index)
        found = np.where(np.isfinite(found), found, 0.0)
        return found - found.mean()

    def beside(self, target: Any, prediction: Any) -> dict[str, float]:
        """Return what is read beside the score, by name, as the coverage of intervals."""
        return {}

    @abstractmethod
    def _score(self, target: Any, prediction: Any) -> float:
        """Return the score, NaN where it is undefined."""

    @abstractmethod
    def _influences(self, target: Any, prediction: Any, codes: Array, index: Array) -> Array:
        """Return the influences of units; codes are sorted, index is each row's place in them."""

    def _diverged(self, prediction: Any) -> bool:
        """Return whether a prediction is not finite."""
        found = leaf_arrays(prediction)
        return any(part.dtype.kind == "f" and not np.isfinite(part).all() for part in found)

    def _aligned(self, target: Any, prediction: Any) -> tuple[Any, Any]:
        """Return both as arrays of equally many rows."""
        if not self.mappings and (isinstance(target, Mapping) or isinstance(prediction, Mapping)):
            given = prediction if isinstance(prediction, Mapping) else target
            raise InputError(
                f"{self.name} needs an array of targets and one of predictions, no dict of "
                f"{listed(list(map(str, given)))}; give the part that it reads"
            )
        shapes = [[part.shape for part in leaf_arrays(values)] for values in (target, prediction)]
        rows = {shape[:1] for shape in shapes[0] + shapes[1]}
        if not all(shapes) or len(rows) != 1 or rows & {(), (0,)}:
            of_targets, of_predictions = (", ".join(map(str, some)) or "()" for some in shapes)
            raise InputError(
                f"{self.name} needs one prediction for each target, got targets of shape "
                f"{of_targets} and predictions of shape {of_predictions}"
            )
        return tree_map(to_array, target), tree_map(to_array, prediction)


def leaf_arrays(values: Any) -> list[Array]:
    """Return values, or those of a dict, as arrays."""
    return [to_array(part) for part in tree_leaves(values)]


def to_array(values: Any) -> Array:
    """Return a tensor on any device, or what numpy reads, as an array."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return np.asarray(values)


def has_nan(values: Array) -> bool:
    """Return whether any of the values is NaN."""
    return np.issubdtype(values.dtype, np.inexact) and bool(np.isnan(values).any())
