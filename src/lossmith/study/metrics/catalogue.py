"""The metrics that a study knows by name."""

import difflib

from lossmith.core.card import Task
from lossmith.study.base.errors import InputError
from lossmith.study.metrics import classification, grades, listed, regression, survival
from lossmith.study.metrics.base import Metric

METRICS: dict[str, Metric] = {
    found.name.partition("@")[0]: found
    for found in (
        *regression.METRICS,
        *classification.METRICS,
        *grades.METRICS,
        *survival.METRICS,
        *listed.METRICS,
    )
}


def names(task: Task | None = None) -> list[str]:
    """Return the names of all metrics, those of one task if given."""
    return [found.name for found in METRICS.values() if task is None or task in found.tasks]


def lookup(name: str) -> Metric:
    """Return a metric by its name, whatever the task.

    Raises:
        InputError: for an unknown name, with the nearest ones, or a level that it cannot have.

    >>> lookup("pinball@0.9").level
    0.9
    """
    base, _, level = name.strip().lower().partition("@")
    found = METRICS[base].at(level) if base in METRICS else None
    if found is not None:
        return found
    near = difflib.get_close_matches(base, METRICS, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names())}"
    raise InputError(f"no metric is called {name!r}; {hint}")


def metric(name: str, task: Task) -> Metric:
    """Return a metric by its name for a task.

    >>> metric("mae", "regression").elicits
    'median'

    Raises:
        InputError: for an unknown name, or a metric that does not fit the task.
    """
    found = lookup(name)
    check_task(found, task)
    return found


def check_task(metric: Metric, task: Task) -> None:
    """Raise InputError where a metric does not fit a task."""
    if task not in metric.tasks:
        raise InputError(
            f"metric {metric.name} is for {' or '.join(metric.tasks)}, but the task is {task}; "
            f"metrics for {task}: {', '.join(names(task))}"
        )


def metric_unit(name: str) -> str:
    """Return what one unit of a metric's scores is, or nothing where they have none."""
    base = name.partition("@")[0]
    return METRICS[base].unit if base in METRICS else ""
