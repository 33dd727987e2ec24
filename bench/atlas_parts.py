"""A data set of the atlas, its conditions, and how each repeat deals its rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from atlas_faults import Fault
from atlas_sources import Loaded
from lossmith.study.metrics.study_metric import StudyMetric

Array = np.ndarray
SHARES = (0.6, 0.75)  # where training rows end, and rows to choose by, in a repeat


class Part(NamedTuple):
    """Some rows: what a model sees, and what is to be predicted; both as arrays or frames."""

    inputs: Any
    target: Any
    rows: Array  # their numbers in the whole set


@dataclass(frozen=True)
class DataSet:
    """A data set of a task: where it lies, the metrics it is judged by, and its faults.

    season: of a series, in steps, where what came before holds more than one.
    """

    task: str
    name: str
    source: str
    load: Callable[[], Loaded]
    metrics: tuple[str, ...]
    faults: Mapping[str, Fault] = field(default_factory=dict)
    season: int = 1

    @property
    def conditions(self) -> tuple[str, ...]:
        """Return clean, and the faults by name."""
        return ("clean", *self.faults)

    def repeat(self, loaded: Loaded, condition: str, seed: int) -> tuple[Part, Part, Part]:
        """Return the rows to train on, to choose by, and to test on: 60, 15 and 25 %.

        A fault is in the first two only.
        """
        random = np.random.default_rng(seed)
        train, inner, test = (_part(loaded, rows) for rows in _dealt(loaded, random, seed))
        if condition == "clean":
            return train, inner, test
        fault = self.faults[condition]
        return _spoilt(train, fault, random), _spoilt(inner, fault, random), test


def _dealt(loaded: Loaded, random: np.random.Generator, seed: int) -> list[Array]:
    count = len(first(loaded.target))
    if loaded.by == "time":  # a window of 70 % of the time, later in each repeat
        width = int(0.7 * count)
        order = int(seed * (count - width) / 4) + np.arange(width)
    elif loaded.by == "classes":
        codes = random.permutation(np.unique(loaded.target))
        cuts = [round(share * len(codes)) for share in (0.5, 0.7)]
        return [np.flatnonzero(np.isin(loaded.target, some)) for some in np.split(codes, cuts)]
    else:
        order = random.permutation(count)
    return np.split(order, [int(share * len(order)) for share in SHARES])


def _part(loaded: Loaded, rows: Array) -> Part:
    return Part(at(loaded.inputs, rows), at(loaded.target, rows), rows)


def _spoilt(part: Part, fault: Fault, random: np.random.Generator) -> Part:
    kept, target = fault(part.target, random)
    return Part(at(part.inputs, kept), target, part.rows[kept])


def asked(data: DataSet, metric: StudyMetric, part: Part | Loaded) -> Any:
    """Return targets as a metric takes them: MASE beside what a naive forecast misses by before."""
    if metric.name != "mase":
        return part.target
    past = part.inputs.astype(np.float64)
    scale = abs(past[:, data.season :] - past[:, : -data.season]).mean(axis=1)
    return {"value": part.target, "scale": scale}


def at(values: Any, rows: Array) -> Any:
    """Return some rows of an array, a frame, or each array of a dict."""
    if isinstance(values, Mapping):
        return {name: one[rows] for name, one in values.items()}
    return values.iloc[rows] if isinstance(values, pd.DataFrame) else values[rows]


def first(values: Any) -> Any:
    """Return an array, or the first one of a dict."""
    return next(iter(values.values())) if isinstance(values, Mapping) else values
