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

# What scikit-learn calls the same numbers; its scorers of what is better lower begin with neg_.
ALSO_CALLED = {
    "mean_absolute_error": "mae",
    "median_absolute_error": "medae",
    "root_mean_squared_error": "rmse",
    "mean_absolute_percentage_error": "mape",
    "root_mean_squared_log_error": "rmsle",
    "mean_poisson_deviance": "poisson_deviance",
    "mean_gamma_deviance": "gamma_deviance",
    "log_loss": "log_loss",
    "brier_score": "brier",
    "roc_auc": "auroc",
    "roc_auc_ovr": "auroc",
}


def parsed(name: str) -> tuple[str, str]:
    """Return a metric's own name, whatever it was called by, and what stands after @.

    >>> parsed("neg_mean_absolute_error"), parsed("pinball@0.9")
    (('mae', ''), ('pinball', '0.9'))
    """
    base, _, level = name.strip().lower().partition("@")
    return ALSO_CALLED.get(base.removeprefix("neg_"), base), level


def unknown(name: str, known: list[str]) -> InputError:
    """Return the error for a name that no metric has, with the nearest of those known."""
    base = name.strip().lower().partition("@")[0].removeprefix("neg_")
    own = {one.partition("@")[0]: one for one in known}
    also = [one for one, name in ALSO_CALLED.items() if name in own]  # most end alike: _error
    near = [own[ALSO_CALLED[one]] for one in difflib.get_close_matches(base, also, 2, 0.8)]
    near += [own[one] for one in difflib.get_close_matches(base, own, 2, 0.5)]
    first = list(dict.fromkeys(near))[:2]
    hint = f"did you mean {' or '.join(first)}?" if first else f"there are {', '.join(known)}"
    return InputError(f"no metric is called {name!r}; {hint}")


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
    base, level = parsed(name)
    found = METRICS[base].at(level) if base in METRICS else None
    if found is None:
        raise unknown(name, names())
    return found


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
