"""One metric object from all that a user may call a metric."""

from collections.abc import Callable
from typing import Any

import torch

from lossmith.study.base.direction import Better
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.base import Metric
from lossmith.study.metrics.boundaries import BoundaryF1, Hausdorff95
from lossmith.study.metrics.boxes import BoxIoU
from lossmith.study.metrics.catalogue import METRICS as TABLE_METRICS
from lossmith.study.metrics.catalogue import lookup, names, parsed, unknown
from lossmith.study.metrics.features import LinearProbe, NearestNeighbours
from lossmith.study.metrics.forecasting import (
    CRPS,
    MASE,
    SMAPE,
    IntervalScore,
    WeightedQuantileLoss,
)
from lossmith.study.metrics.functions import (
    direction,
    is_sklearn_scorer,
    is_torchmetrics,
    of_function,
    of_sklearn_scorer,
    of_torchmetrics,
)
from lossmith.study.metrics.grades import ORDINAL
from lossmith.study.metrics.labels import (
    Hamming,
    LabelRankingLoss,
    MacroF1,
    MicroF1,
)
from lossmith.study.metrics.overlap import Dice, MeanImageDice, MeanIoU
from lossmith.study.metrics.retrieval import MAP, MRR, NDCG, HitRate, MAPAtR, Precision, Recall
from lossmith.study.metrics.study_metric import StudyMetric
from lossmith.study.metrics.survival import Concordance, IntegratedBrier, UnoConcordance
from lossmith.study.metrics.table_metric import GradesOfAnyShape, TableMetric
from lossmith.study.metrics.tokens import Perplexity, TokenAccuracy

_OF_ANY_SHAPE: tuple[type[StudyMetric], ...] = (
    *(MeanIoU, Dice, MeanImageDice, BoundaryF1, Hausdorff95),
    *(MicroF1, MacroF1, Hamming, LabelRankingLoss),
    *(Perplexity, TokenAccuracy),
    *(Recall, Precision, HitRate, MRR, MAP, MAPAtR, NDCG),
    *(WeightedQuantileLoss, CRPS, IntervalScore, SMAPE, MASE),
    *(Concordance, UnoConcordance, IntegratedBrier),
    *(BoxIoU, LinearProbe, NearestNeighbours),
)
METRICS = {metric.name: metric for metric in _OF_ANY_SHAPE}


def metric_names() -> list[str]:
    """Return the names of all metrics; those of the first k of a list with an example of k."""
    own = [f"{n}@10" if getattr(c, "needs_k", False) else n for n, c in METRICS.items()]
    return [name for name in names() if name not in METRICS] + own


def is_known(name: str) -> bool:
    """Tell whether a metric is called so, at whatever level."""
    base = parsed(name)[0]
    return base in METRICS or base in TABLE_METRICS


def metric_name(name: str) -> str:
    """Return a metric's name as prose writes it, of one that is not known its own.

    >>> metric_name("f1_macro"), metric_name("pinball@0.9"), metric_name("ndcg@5")
    ('macro F1', 'pinball at 0.9', 'NDCG at 5')
    >>> metric_name("relative error")
    'relative error'
    """
    base, _, level = name.partition("@")
    try:
        found = (
            TABLE_METRICS[base].at(level) if base in TABLE_METRICS else METRICS[base].parse(level)
        )
    except (InputError, KeyError):  # a name of the user's own
        found = None
    return name.replace("_", " ") if found is None else found.label


def error_name(metric: str) -> str:
    """Return what is called the error under a metric.

    >>> error_name("mae"), error_name("auroc")
    ('MAE', '1 − AUROC')
    """
    name = metric_name(metric)
    return name if as_metric(metric).better == "lower" else f"1 − {name}"


def as_metric(
    metric: "str | StudyMetric | Metric | Callable[..., Any]", *, better: Better | None = None
) -> StudyMetric:
    """Return the metric of a study.

    Args:
        metric: a name of `metric_names()`; any function of (target, prediction) that returns a
            number; a torchmetrics metric; a function or scorer of scikit-learn; a `SumMetric`
            of your own.
        better: "lower" or "higher", which way it improves; needed for functions of your own.

    Raises:
        InputError: for an unknown name, a direction that is missing or contradicts what is
            known, or what is no metric.

    >>> as_metric("recall@10")
    Recall('recall@10', better='higher')
    >>> as_metric(lambda target, prediction: abs(target - prediction).max(), better="lower")
    FunctionMetric('metric', better='lower')
    """
    if better not in (None, "lower", "higher"):
        raise InputError(f"better must be 'lower' or 'higher', got {better!r}")
    found = _known(metric)
    if found is not None:
        direction(found.name, found.better, better)
        return found
    if is_torchmetrics(metric):
        return of_torchmetrics(metric, better)
    if isinstance(metric, torch.nn.Module):
        raise InputError(
            f"{type(metric).__name__} is a module of (prediction, target); pass a function of "
            "(target, prediction) that returns a number, or a single torchmetrics metric"
        )
    if isinstance(metric, type) or not callable(metric):
        raise InputError(
            f"a metric is a name, a function of (target, prediction), a torchmetrics metric or a "
            f"scikit-learn scorer, got {metric!r}"
        )
    return of_function(metric, better)


def _known(metric: Any) -> StudyMetric | None:
    """Return a metric that needs no direction."""
    if isinstance(metric, StudyMetric):
        return metric
    if isinstance(metric, Metric):
        return _of_any_shape(metric)
    if isinstance(metric, str):
        return _named(metric)
    return of_sklearn_scorer(metric) if is_sklearn_scorer(metric) else None


def _of_any_shape(metric: Metric) -> TableMetric:
    return GradesOfAnyShape(metric) if metric.tasks == ORDINAL else TableMetric(metric)


def _named(name: str) -> StudyMetric:
    base, argument = parsed(name)
    if base in METRICS:
        return METRICS[base].parse(argument)
    if is_known(name):
        return _of_any_shape(lookup(name))
    raise unknown(name, metric_names())
