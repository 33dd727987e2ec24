"""What is wrong in a table alone: the warnings of the diagnosis that a study makes."""

from typing import Any

from lossmith.doctor.findings import Finding, Findings
from lossmith.study.data.problem import frame_problem
from lossmith.study.data.table import as_frame
from lossmith.study.diagnose import diagnose


def check_table(data: Any, target: str, *, metric: str | None = None) -> Findings:
    """Return what is wrong in a table whose column is to be predicted.

    Raises:
        InputError: if there is no such column, or it makes no task.
    """
    frame, name = as_frame(data, target)
    found = diagnose(frame_problem(frame, name, metric))
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
