"""Who takes part: the losses that were asked for, and the one to beat."""

from typing import Any

from lossmith.study.base.errors import InputError
from lossmith.study.metrics import Metric, lookup
from lossmith.study.metrics.study_metric import to_array
from lossmith.study.metrics.table_metric import TableMetric
from lossmith.study.trials.contenders import Contender, all_that_fit, contender, contenders_of


def contestants(
    losses: Any, default: Any, metric: Any, target: Any
) -> tuple[dict[str, Contender], str, str | None]:
    """Return the losses by name, the name of the default, and that of the common loss if known.

    Raises:
        InputError: where a loss is none, or the default cannot be told from metric and target.
    """
    found = None if losses is None else contenders_of(losses)
    known = None if found is not None and default is not None else _fitting(metric, target)
    if known is None and (found is None or default is None):
        lacking = "losses=" if found is None else "default="
        raise InputError(
            f"say {lacking}: what fits can be told for metrics of regression and classes with one "
            "target a row, by name, as metric='mae', target=y"
        )
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


def _fitting(metric: Any, target: Any) -> tuple[list[Contender], str, str] | None:
    """Return what fits a metric of tables by name and a target of one entry a row, else None."""
    try:
        known = lookup(metric) if isinstance(metric, str) else metric
    except InputError:
        return None
    known = known.metric if isinstance(known, TableMetric) else known
    if not isinstance(known, Metric) or target is None:
        return None
    values = to_array(target)
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        return None
    known.check(values)
    classes = 0 if "regression" in known.tasks else int(values.max()) + 1
    return all_that_fit(known, values, classes)
