"""Predictions as a table: a column for each target, its classes as they stood in the data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lossmith.study.metrics import decide
from lossmith.study.metrics.tuning import Rule


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """How a target's predictions are written: its column, its classes and their decision.

    decision: of a tuned metric. horizons: of times to an event, when survival is predicted. level:
    of the quantile that they are; None where they are what the loss decodes.
    """

    name: str
    labels: np.ndarray
    decision: np.ndarray | None
    rule: Rule = "mode"
    horizons: tuple[float, ...] = ()
    level: float | None = None


def predictions_table(values: Sequence[np.ndarray], outputs: Sequence[OutputSpec]) -> pd.DataFrame:
    """Return `prediction`, and `probability_<class>` for classes.

    Of several targets that is `prediction_<target>` and `probability_<target>_<class>`. Of times
    to an event it is `risk`, and `survival_<time>` at three quartiles of the horizons.
    """
    frames = []
    for predicted, spec in zip(values, outputs, strict=True):
        if spec.horizons:
            return _survival_frame(predicted, spec.horizons)
        frame = prediction_frame(predicted, spec.labels, spec.decision, spec.rule)
        if len(outputs) > 1:
            frame.columns = [_column(str(column), spec.name) for column in frame.columns]
        frames.append(frame)
    return pd.concat(frames, axis=1)


def prediction_frame(
    values: np.ndarray, labels: np.ndarray, decision: np.ndarray | None, rule: Rule = "mode"
) -> pd.DataFrame:
    """Return one target's predictions as a table."""
    if not len(labels):
        return pd.DataFrame({"prediction": values})
    columns = {f"probability_{label}": values[:, code] for code, label in enumerate(labels)}
    return pd.DataFrame({"prediction": labels[decide(values, decision, rule)], **columns})


def shown(horizons: Sequence[float]) -> list[int]:
    """Return the places of the horizons that people are shown: the quartiles.

    >>> shown(range(19))
    [4, 9, 14]
    """
    return sorted({round(share * (len(horizons) + 1)) - 1 for share in (0.25, 0.5, 0.75)})


def _survival_frame(values: np.ndarray, horizons: Sequence[float]) -> pd.DataFrame:
    curve = {f"survival_{horizons[place]:g}": values[:, 1 + place] for place in shown(horizons)}
    return pd.DataFrame({"risk": values[:, 0], **curve})


def _column(column: str, target: str) -> str:
    kind, _, label = column.partition("_")
    return "_".join([kind, target, *([label] if label else [])])
