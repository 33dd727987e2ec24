"""The tasks of a study, one object and one file each: all that depends on the task stands there."""

from typing import Any

import numpy as np

from lossmith.core.loss import Loss
from lossmith.study.base.errors import InputError
from lossmith.study.metrics import Metric, check_task
from lossmith.study.metrics.study_metric import StudyMetric
from lossmith.study.metrics.table_metric import TableMetric
from lossmith.study.tasks.arrays import ArrayTask
from lossmith.study.tasks.auxiliary import Auxiliary, OfTable
from lossmith.study.tasks.base import TableTask
from lossmith.study.tasks.binary import Binary
from lossmith.study.tasks.detection import Detection
from lossmith.study.tasks.distillation import Distillation
from lossmith.study.tasks.forecasting import Forecasting
from lossmith.study.tasks.multiclass import Multiclass
from lossmith.study.tasks.multilabel import Multilabel
from lossmith.study.tasks.ordinal import Ordinal
from lossmith.study.tasks.ranking import Ranking, RankingTable
from lossmith.study.tasks.regression import Regression
from lossmith.study.tasks.retrieval import Retrieval
from lossmith.study.tasks.segmentation import Segmentation
from lossmith.study.tasks.self_supervised import SelfSupervised
from lossmith.study.tasks.survival import Survival, SurvivalTable
from lossmith.study.tasks.tokens import Tokens
from lossmith.study.tasks.transfer import Transfer

__all__ = [
    "ARRAY_TASKS",
    "ROW_TASKS",
    "TABLE_TASKS",
    "ArrayTask",
    "TableTask",
    "array_task",
    "is_numbers",
    "of_numbers",
    "predicts_numbers",
    "sample_of",
    "table_task",
]

TABLE_TASKS: dict[str, TableTask] = {
    one.name: one
    for one in (
        *(Regression(), Binary(), Multiclass(), Ordinal()),
        *(SurvivalTable(), RankingTable()),
    )
}
ROW_TASKS = {name: one for name, one in TABLE_TASKS.items() if one.single}
ARRAY_TASKS: tuple[ArrayTask, ...] = (
    Segmentation(),
    Multilabel(),
    Ranking(),
    Survival(),
    Tokens(),
    Retrieval(),
    SelfSupervised(),
    Detection(),
    Forecasting(),
)
AUXILIARY: dict[str, type[Auxiliary]] = {one.name: one for one in (Transfer, Distillation)}


def array_task(metric: StudyMetric, target: Any, name: str | None = None) -> ArrayTask | None:
    """Return the task of a metric and of targets of any shape, or the one of a name; None if none.

    Raises:
        InputError: for a name that is none, or metric and targets that are not of that task.
    """
    if name is None:
        fitting = (one for one in ARRAY_TASKS if one.inferred and one.suits(metric, target))
        return next(fitting, None)
    if name in AUXILIARY:
        return AUXILIARY[name](_own(metric, target, name), metric, target)
    found = next((one for one in ARRAY_TASKS if one.name == name), None)
    of_tables = isinstance(metric, TableMetric) or found is None or not found.judges(metric)
    if name in ROW_TASKS and of_tables and not (found and found.suits(metric, target)):
        return None
    if found is None:
        names = dict.fromkeys([*TABLE_TASKS, *(one.name for one in ARRAY_TASKS), *AUXILIARY])
        raise InputError(f"a study's task is one of {', '.join(names)}, got {name!r}")
    found.check(metric, target)
    return found


def _own(metric: StudyMetric, target: Any, name: str) -> ArrayTask:
    """Return the task of metric and target alone, which one of fine-tuning is about."""
    found = None if target is None else array_task(metric, target)
    if found is not None:
        return found
    single = isinstance(target, np.ndarray) and target.ndim == 1 and target.dtype.kind in "biuf"
    if not isinstance(metric, TableMetric) or not single:
        raise InputError(
            f"task {name!r} needs target= and the name of a metric that tell what is tuned, as "
            f"metric='accuracy' and classes (N,); got metric {metric.name}"
        )
    numbers = "regression" in metric.metric.tasks
    of = table_task(metric.metric, 0 if numbers else int(target.max()) + 1)
    of.check(target)
    return OfTable(of, metric.metric, 0 if numbers else int(target.max()) + 1)


def table_task(metric: Metric, classes: int) -> TableTask:
    """Return the task of a metric of one entry a row and of so many classes, 0 of numbers.

    >>> from lossmith.study.metrics import lookup
    >>> table_task(lookup("auroc"), 2).name, table_task(lookup("auroc"), 5).name
    ('binary', 'multiclass')

    Raises:
        InputError: where the metric is for none such.
    """
    own = [one for one in ROW_TASKS.values() if one.least <= classes <= one.most]
    found = next((one for one in own if one.name in metric.tasks), own[0])
    check_task(metric, found.name)
    return found


def sample_of(metric: StudyMetric, task: ArrayTask | None, target: Any) -> str:
    """Return what is looked at of predictions, by the task or else the metric; "" for nothing."""
    if task is not None:
        return task.shown(target)
    if isinstance(metric, TableMetric):
        return TABLE_TASKS[metric.metric.tasks[0]].sample
    return next((one.sample for one in ARRAY_TASKS if one.inferred and one.judges(metric)), "")


def is_numbers(metric: StudyMetric) -> bool:
    """Tell whether a metric is of numbers, whole ones too, which folds do not share out."""
    if isinstance(metric, TableMetric):
        return TABLE_TASKS[metric.metric.tasks[0]].numbers
    judged = [one for one in ARRAY_TASKS if one.inferred and one.judges(metric)]
    return bool(judged) and all(one.numbers for one in judged)


def predicts_numbers(loss: Loss) -> bool:
    """Tell whether a loss predicts numbers, not classes, by the tasks of its card."""
    return any(TABLE_TASKS[task].numbers for task in loss.card.tasks if task in TABLE_TASKS)


def of_numbers(task: str) -> bool:
    """Tell whether targets of a task, as a result names it, are one quantity a row of a table."""
    return task in ROW_TASKS and ROW_TASKS[task].numbers
