"""Who takes part: the losses that were asked for, and the one to beat."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import listed
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

FAR = 4.0  # quartiles of a target this far from 0 or apart, or as near: it is not standardised


def contestants(
    losses: Any, default: Any, metric: Any, aim: Aim
) -> tuple[dict[str, Contender], str, str | None]:
    """Return the losses by name, the name of the default, and that of the common loss if known.

    Raises:
        InputError: where a loss is none, or the default cannot be told from metric and target.
    """
    found = None if losses is None else contenders_of(losses, aim.known_of)
    if found is not None and not found:
        raise InputError("losses is empty; leave it out for all that fit, or name some")
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
        chosen = chosen or contender(default, None, aim.known_of)
        same = next((one for one in by_name.values() if one.identity == chosen.identity), chosen)
        by_name.setdefault(same.name, same)
        own = same.name
    elif own not in by_name:
        by_name[own] = next(one for one in everyone if one.name == own)
    _tell_of_scales(list(by_name.values()), aim.target)
    return by_name, own, common if common in by_name else None


def _tell_of_scales(contenders: Sequence[Contender], target: Any) -> None:
    """Warn where some losses see numbers centred and scaled, others far from it as they are."""
    scaled, plain = ([one.name for one in contenders if one.scales is how] for how in (True, False))
    numbers = isinstance(target, np.ndarray) and target.ndim in (1, 2) and target.dtype.kind == "f"
    if not (scaled and plain and numbers):
        return
    low, middle, high = np.quantile(target, (0.25, 0.5, 0.75))
    if max(abs(middle), high - low) <= FAR and high - low >= 1 / FAR:
        return
    warnings.warn(
        f"{listed(plain)} sees the target as it is (quartiles {low:.3g} to {high:.3g}), but "
        f"{listed(scaled)} sees it centred and scaled, as losses given by name do, which "
        "alone may decide: standardise target=, or give all by name",
        stacklevel=4,
    )


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
    said = f"under {aim.metric.name} what fits is told by target=, which must be {wanted}"
    if not isinstance(aim.target, np.ndarray):
        return said
    return f"{said}; got {aim.target.dtype} of shape {aim.target.shape}"


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
