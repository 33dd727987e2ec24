"""What a table says before any training, and what each fact means for the loss."""

from collections.abc import Iterator

from lossmith.study.base.result import Finding
from lossmith.study.data.dataset import SupervisedDataset
from lossmith.study.data.problem import Problem
from lossmith.study.data.table_problem import TableProblem
from lossmith.study.diagnose.columns import duplicates, of_columns
from lossmith.study.diagnose.groups import of_groups, suspected
from lossmith.study.diagnose.order import of_order
from lossmith.study.diagnose.target import of_target

__all__ = ["diagnose", "diagnose_each", "diagnose_samples", "suspected"]


def diagnose(problem: Problem) -> tuple[Finding, ...]:
    """Return the findings on a problem, in seconds and without training."""
    checks = (_size, of_target, of_groups, of_order, of_columns)
    return tuple(finding for check in checks for finding in check(problem))


def diagnose_each(problem: TableProblem) -> tuple[tuple[Finding, ...], ...]:
    """Return the findings on each target; what all of several share stands with the first."""
    found = [diagnose(one) for one in problem.targets]
    shared = [one for one in found[0] if all(one in rest for rest in found[1:])]
    return tuple(
        tuple(one for one in own if number == 0 or one not in shared)
        for number, own in enumerate(found)
    )


def diagnose_samples(data: SupervisedDataset) -> tuple[Finding, ...]:
    """Return the findings on a dataset of a user's own model."""
    if data.alike is None:
        return ()
    return tuple(duplicates(data.alike, data.target, data.units))


def _size(problem: Problem) -> Iterator[Finding]:
    rows, columns = problem.features.shape
    if rows < 500:
        meaning = "few rows: only large differences between losses can be proven"
    else:
        meaning = f"{columns} columns to predict from"
    yield Finding(name="rows", value=float(rows), meaning=meaning)
    if problem.dropped:
        yield Finding(
            name="rows without a target",
            value=float(problem.dropped),
            meaning="left out; where values are missing for a reason, the rest misleads any loss",
        )
