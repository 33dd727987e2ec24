"""Whether rows seem to be in order of time: then later ones are what a model is asked for."""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from lossmith.study.base.formatting import listed
from lossmith.study.base.result import Finding
from lossmith.study.data.cells import as_dates
from lossmith.study.data.problem import Problem
from lossmith.study.diagnose.groups import standard

CHANCE = 0.001  # p-value below which rows that follow each other share their target
LEAST = 0.2  # correlation of a row's target with the next one's that is told of
MANY = 20  # different dates, below which splits by time are coarse


def of_order(problem: Problem) -> Iterator[Finding]:
    """Yield the columns of dates in whose order targets are alike, unless splits were told of."""
    if problem.arrangement.told:
        return
    dates = [name for name, (kind, _) in problem.columns.kinds.items() if kind == "date"]
    target = standard(problem)
    if found := [name for name in dates if _follows(problem, name, target)]:
        yield Finding(
            name="rows in order of time",
            value=listed(found),
            meaning="rows near in time are alike in the target, and random folds judge between "
            "them: give time= (--time COLUMN) if later rows are to be predicted",
            level="warning",
        )


def _follows(problem: Problem, name: str, target: np.ndarray) -> bool:
    """Tell whether the next row in time is more like a row than any other would be."""
    times = as_dates(problem.features[name], problem.columns.kinds[name][1]).to_numpy()
    known = ~np.isnat(times)
    if len(np.unique(times[known])) < MANY:
        return False
    target = target[known][np.argsort(times[known], kind="stable")]
    alike = float((target[1:] * target[:-1]).sum() / (target**2).sum())
    return alike > max(LEAST, stats.norm.isf(CHANCE) / np.sqrt(len(target)))
