"""What the tables of unseen studies say of themselves, from which losses are expected to gain.

    python bench/lean.py [--out bench/results/lean.jsonl] [--tables 150]

A study's `lean` rests on what other tables say of its own. Here the tables of bench/unseen.py are
drawn again, and what suggest reads of them is kept, of the rows that a study trains on. With it,
docs/unseen.md judges `lean` on each, by what was learned without the table (`lean_table.py`).
"""

import argparse
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from lean_table import KEYS
from lossmith.study.base.errors import InputError
from lossmith.study.data.arrangement import Arrangement
from lossmith.study.data.table_problem import table_problem
from lossmith.study.suggest.features import features
from resume import Lines, resumed
from unseen import jobs, names, prepared

HALF = 0.5  # of the tables, by lot: those that the constants of expectation.py were chosen on


def record(job: tuple[str, str, str]) -> Lines:
    """Return what a table says of itself, none where no target fits."""
    warnings.filterwarnings("ignore")
    drawn = prepared(*job)
    if drawn is None:
        return []
    line = dict(zip(KEYS, job, strict=True)) | {"held": len(drawn.held)}
    line["chosen"] = lots()[job[:2]]
    frame, arrangement = Arrangement.of(drawn.pool, [drawn.target], False, None)
    try:
        problem = table_problem(
            frame,
            [drawn.target],
            [drawn.metric],
            tasks=[None],
            positives=[drawn.positive],
            arrangement=arrangement,
        )
    except InputError as error:
        return [line | {"refused": str(error)}]
    rows, (own,) = problem.split(0).train, problem.targets
    return [line | {"task": own.task, "rows": len(rows), "features": features(own, rows)}]


def lots() -> dict[tuple[str, str], bool]:
    """Return of each table whether constants were chosen on it."""
    order = names()
    return dict(
        zip(order, map(bool, np.random.default_rng(1).random(len(order)) < HALF), strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench/results/lean.jsonl"))
    parser.add_argument("--tables", type=int, default=150)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    for progress, _ in resumed(record, jobs(options.tables), KEYS, options.out, options.workers):
        print(progress, file=sys.stderr)


if __name__ == "__main__":
    main()
