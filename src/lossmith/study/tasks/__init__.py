"""The tasks of a study, one object and one file each: all that depends on the task stands there."""

from lossmith.study.metrics import Metric, check_task
from lossmith.study.tasks.base import StudyTask, TableTask
from lossmith.study.tasks.binary import Binary
from lossmith.study.tasks.multiclass import Multiclass
from lossmith.study.tasks.regression import Regression

__all__ = ["TABLE_TASKS", "StudyTask", "TableTask", "of_numbers", "table_task"]

TABLE_TASKS: dict[str, TableTask] = {
    one.name: one for one in (Regression(), Binary(), Multiclass())
}


def table_task(metric: Metric, classes: int) -> TableTask:
    """Return the task of a metric of tables and of so many classes, 0 of numbers.

    >>> from lossmith.study.metrics import lookup
    >>> table_task(lookup("auroc"), 2).name, table_task(lookup("auroc"), 5).name
    ('binary', 'multiclass')

    Raises:
        InputError: where the metric is for none such.
    """
    own = [one for one in TABLE_TASKS.values() if one.least <= classes <= one.most]
    found = next((one for one in own if one.name in metric.tasks), own[0])
    check_task(metric, found.name)
    return found


def of_numbers(task: str) -> bool:
    """Tell whether targets of a task, as a result names it, are quantities of a table."""
    return task in TABLE_TASKS and TABLE_TASKS[task].numbers
