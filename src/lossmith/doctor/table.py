"""What is wrong in a table alone: the warnings of the diagnosis that a study makes."""

from typing import Any

from lossmith.doctor.findings import Finding, Findings
from lossmith.study.data.arrangement import Arrangement
from lossmith.study.data.event import Event
from lossmith.study.data.problem import frame_problem
from lossmith.study.data.table import as_frame
from lossmith.study.diagnose import diagnose


def check_table(
    data: Any,
    target: str,
    *,
    metric: str | None = None,
    task: str | None = None,
    positive: Any = None,
    event: Any = None,
    order: Any = None,
    groups: Any = None,
    time: Any = None,
) -> Findings:
    """Return what is wrong in a table whose column is to be predicted.

    metric, task, positive, event, order, groups, time: as for `select`.

    Raises:
        InputError: if there is no such column, or it makes no task.
    """
    frame, name = as_frame(data, target)
    frame, told = Event.of(frame, [name], event)
    frame, arrangement = Arrangement.of(frame, [name], groups, time)
    problem = frame_problem(frame, name, metric, task, positive, arrangement, order, told)
    found = diagnose(problem)
    return Findings(
        Finding(
            name=one.name,
            severity="warning",
            evidence=str(one.value),
            remedy=one.meaning,
        )
        for one in found
        if one.level == "warning"
    )
