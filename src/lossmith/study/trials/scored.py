"""What a report says: a score, and what each unit adds to it, formed now or when it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossmith.core.tree import tree_map
from lossmith.study.base.errors import InputError
from lossmith.study.journal import Storage, Training
from lossmith.study.metrics.resolve import is_known
from lossmith.study.metrics.study_metric import StudyMetric, leaf_arrays, to_array
from lossmith.study.metrics.units import rows_measure
from lossmith.study.trials.splits import Fold

BESIDE = "beside"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A score with its influences by unit: empty for a bare score, None where formed later.

    predictions: then kept in the journal, with their targets. beside: what is read beside the
    score. sample: what a reader looks at.
    """

    score: float
    influences: np.ndarray | None
    predictions: Mapping[str, np.ndarray] | None = None
    beside: Mapping[str, float] = field(default_factory=dict)
    sample: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def detail(self) -> dict[str, np.ndarray]:
        """All arrays that the journal keeps beside the influences."""
        found = {**(self.predictions or {}), **self.sample}
        if self.beside:
            names, values = zip(*self.beside.items(), strict=True)
            found |= {BESIDE: np.array(names), f"{BESIDE}.value": np.array(values)}
        return found


def beside_of(detail: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return what was read beside a score, of what the journal keeps of a report."""
    if BESIDE not in detail:
        return {}
    pairs = zip(detail[BESIDE].tolist(), detail[f"{BESIDE}.value"].tolist(), strict=True)
    return dict(pairs)


def kept_pair(journal: Storage, training: Training, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets and predictions of a report that were kept."""
    parts = journal.detail(training, epoch)
    return parts["target"], parts["prediction"]


def scored(
    metric: StudyMetric,
    fold: Fold,
    *,
    predictions: Any = None,
    target: Any = None,
    rows: Any = None,
    score: Any = None,
) -> Scored:
    """Score what a trial reports: predictions, one score a row, or a bare score.

    Raises:
        InputError: where there is not one entry for each row of the fold.
    """
    if score is not None:
        return Scored(score=_held(metric, float(score)), influences=np.empty(0))
    if rows is not None:
        values = to_array(rows).astype(float)
        if values.shape != fold.valid.shape:
            raise InputError(
                f"rows= must be one score for each of the {len(fold.valid)} rows of trial.valid, "
                f"got shape {values.shape}"
            )
        if not np.isfinite(values).all():
            return Scored(score=metric.worst, influences=np.zeros(len(np.unique(fold.units))))
        mean, influences = rows_measure(values, fold.units)
        return Scored(score=_held(metric, mean), influences=influences)
    prediction, target = tree_map(to_array, predictions), tree_map(to_array, target)
    if len(leaf_arrays(prediction)[0]) != len(fold.valid):
        raise InputError(
            f"outputs= must be for the {len(fold.valid)} rows of trial.valid, in their order; got "
            f"{len(leaf_arrays(prediction)[0])}"
        )
    value = metric.score(target, prediction)
    if metric.cheap or not np.isfinite(value) or isinstance(target, Mapping):
        return Scored(score=value, influences=metric.influences(target, prediction, fold.units))
    kept = {"prediction": prediction, "target": target}
    return Scored(score=value, influences=None, predictions=kept)


def _held(metric: StudyMetric, number: float) -> float:
    """Return a score that was reported; refuse one of the wrong sign."""
    if number < 0 and metric.better == "lower" and is_known(metric.name):
        raise InputError(
            f"a score of {number:.4g} was reported, but {metric.label} is 0 or above, and lower is "
            "better; scikit-learn's scorers called neg_… give its opposite: report it without minus"
        )
    return metric.worst if np.isnan(number) else number
