"""Who takes part: the losses that were asked for, and the one to beat."""

from typing import Any

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.metrics import Metric, lookup
from lossmith.study.metrics.table_metric import TableMetric
from lossmith.study.tasks import ARRAY_TASKS, ROW_TASKS, table_task
from lossmith.study.trials.aim import Aim
from lossmith.study.trials.contenders import (
    Contender,
    all_of_task,
    all_that_fit,
    contender,
    contenders_of,
)


def contestants(
    losses: Any, default: Any, metric: Any, aim: Aim
) -> tuple[dict[str, Contender], str, str | None]:
    """Return the losses by name, the name of the default, and that of the common loss if known.

    Raises:
        InputError: where a loss is none, or the default cannot be told from metric and target.
    """
    found = None if losses is None else contenders_of(losses)
    known = None if found is not None and default is not None else _fitting(metric, aim)
    if known is None and (found is None or default is None):
        if aim.target is not None:
            aim.metric.check(aim.target)
        lacking = "losses=" if found is None else "default="
        raise InputError(f"say {lacking}: {_how_told(aim)}")
    everyone, own, common = known if known is not None else ([], "", None)
    by_name = {one.name: one for one in (everyone if found is None else found)}
    if default is not None:
        chosen = by_name.get(default) if isinstance(default, str) else None
        chosen = chosen or contender(default)
        same = next((one for one in by_name.values() if one.identity == chosen.identity), chosen)
        by_name.setdefault(same.name, same)
        own = same.name
    elif own not in by_name:
        by_name[own] = next(one for one in everyone if one.name == own)
    if len(by_name) < 1:
        raise InputError("losses is empty; name at least one to hold against the default")
    return by_name, own, common if common in by_name else None


def source_of(default: Any, metric: Any, aim: Aim) -> str:
    """Return why the default is the loss to beat, in words."""
    if default is not None:
        return "it was given"
    if aim.task is not None:
        return aim.task.baseline(aim.metric).why
    known = _of_tables(metric, aim)
    return "" if known is None else table_task(*known).baseline(known[0]).why


def _how_told(aim: Aim) -> str:
    """Return by what losses that fit are told, of a metric and targets that do not tell."""
    known = {
        one.wanted.rstrip(",") + ("" if one.inferred else f" with task={one.name!r}")
        for one in ARRAY_TASKS
        if one.judges(aim.metric)
    }
    if isinstance(aim.metric, TableMetric) and known:
        known.add("numbers or codes of classes (N,)")
    if not known:
        return (
            "what fits can be told by the name of a metric and the targets, numbers or codes of "
            "classes, as metric='mae', target=y, and by task='metric_learning' of embeddings"
        )
    wanted = " or ".join(sorted(known))
    return f"under {aim.metric.name} what fits is told by target=, which must be {wanted}"


def _fitting(metric: Any, aim: Aim) -> tuple[list[Contender], str, str] | None:
    """Return what fits the task of metric and targets, the default and the common loss, else None.

    Of one entry a row that is a task of tables, by a metric of theirs.
    """
    if aim.task is not None:
        return all_of_task(aim.task, aim.metric, aim.target)
    known = _of_tables(metric, aim)
    if known is None or not isinstance(aim.target, np.ndarray):
        return None
    known[0].check(aim.target)
    return all_that_fit(known[0], aim.target, known[1])


def _of_tables(metric: Any, aim: Aim) -> tuple[Metric, int] | None:
    """Return a metric of tables and the number of classes, where targets are of one."""
    try:
        known = lookup(metric) if isinstance(metric, str) else metric
    except InputError:
        return None
    known = known.metric if isinstance(known, TableMetric) else known
    values = aim.target
    if not isinstance(known, Metric) or not isinstance(values, np.ndarray):
        return None
    if not ROW_TASKS.keys() & set(known.tasks):
        return None
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        return None
    return known, 0 if "regression" in known.tasks else int(values.max()) + 1
