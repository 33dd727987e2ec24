"""Tables of many rows: what a study of samples costs, and whether it says what a whole one does.

    python bench/large.py --out bench/results/large.jsonl    # cases that are done are kept
    python bench/large.py --table bench/results/large.jsonl > docs/large.md

A case is a table, in a process of its own, on one thread. Of a few losses a table is studied both
whole and on samples, also one so small that a study takes none; of all losses as it comes. `made`
is a function of ten columns with heavy-tailed noise, at any number of rows; `wide`, `classes` and
`levels` are made, too: many columns, many classes, and a column of many levels. The others are
real. Seconds are of the process, memory is its peak.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tables import NAMES, TABLES, corrupt

MANY = 10**9
LOSSES = ["mae", "huber", "hl_gauss", "log_cosh", "mse"]
HEAD = """# Large tables

Made by `bench/large.py`. Of {least:,} rows or more the folds are of samples (see
[the study](study.md#large-tables)); the final models train on all rows but the untouched fifth.

## The verdicts of samples and of all rows

The same tables on samples, small ones too, and whole, of five losses: {losses}.
"On fresh rows" is how far the selected loss's error lies from the default's on the untouched fifth.
"Outliers": a tenth of the targets is moved by 5 to 15 standard deviations or multiplied by ten; the
errors are then of rows without gross errors, as the study scores them.

{verdicts}

{spared}

## What they cost

Each case ran in a process of its own, one thread; seconds are of the process, with the final
models. The ratio to training the default alone is by wall clock, beside other programs; a dash is
one that was not kept. What losses of many classes take beside cross-entropy is told in
[speed](speed.md#500-classes).

{costs}
"""


def made(rows: int) -> pd.DataFrame:
    """Return a table of ten columns whose target is a function of seven, with heavy tails."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 8)).astype(np.float32)
    letter = rng.choice(list("abcdefgh"), size=rows)
    target = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    target += 10 * x[:, 3] + 5 * x[:, 4] + 6 * (letter == "a") + 3 * rng.standard_t(2, size=rows)
    numbers = {f"x{number}": x[:, number] for number in range(8)}
    place = rng.integers(0, 30, rows).astype(str)
    return pd.DataFrame(numbers | {"letter": letter, "place": place, "target": target})


def real(name: str) -> tuple[pd.DataFrame, str]:
    """Return a development table with all its rows."""
    (table,) = [one for one in TABLES if one.name == name]
    frame = table.load().dropna(subset=[table.target]).reset_index(drop=True)
    return frame.drop(columns=[name for name in NAMES if name in frame]), table.target


def wide(rows: int, columns: int) -> pd.DataFrame:
    """Return more columns than rows, of which twenty matter."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns)).astype(np.float32)
    target = x[:, :20].sum(axis=1) + rng.standard_t(3, size=rows)
    return pd.DataFrame(x, columns=[f"x{number}" for number in range(columns)]).assign(
        target=target
    )


def classes(rows: int, count: int) -> pd.DataFrame:
    """Return classes around centres of their own, some far more frequent than others."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(5, count + 5)
    code = np.concatenate(
        [np.arange(count).repeat(20), rng.choice(count, rows, p=share / share.sum())]
    )
    x = rng.normal(size=(count, 16))[code] + 0.7 * rng.normal(size=(len(code), 16))
    frame = pd.DataFrame(x.astype(np.float32)).rename(columns="x{}".format)
    return frame.assign(target=np.char.add("class ", code.astype(str)))


def levels(rows: int, count: int) -> pd.DataFrame:
    """Return a table whose target depends on which of many levels a row has, and on numbers."""
    rng = np.random.default_rng(0)
    code, x = rng.integers(0, count, rows), rng.normal(size=(rows, 3))
    effect = rng.normal(size=count)
    target = 3 * effect[code] + x.sum(axis=1) + rng.standard_t(3, size=rows)
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    return frame.assign(level=np.char.add("level ", code.astype(str)), target=target)


CASES: dict[str, Callable[[], tuple[pd.DataFrame, str]]] = {
    "diamonds": lambda: real("diamonds"),
    "flights": lambda: real("flights"),
    "made, 100,000": lambda: (made(100_000), "target"),
    "made, 1,000,000": lambda: (made(1_000_000), "target"),
    "levels, 50,000": lambda: (levels(100_000, 50_000), "target"),
    "classes, 500": lambda: (classes(20_000, 500), "target"),
    "wide, 3,000": lambda: (wide(200, 3_000), "target"),
}
METRICS = {"classes, 500": "log_loss"}  # of others mae
CLEAN, OUTLIERS = "clean", "outliers"  # of the target, see `corrupt`


class Case(NamedTuple):
    """A table, a metric and the state of its target; every: all losses, of rows as they come.

    whole: of a few losses, whether all rows are studied, or samples.
    """

    table: str
    metric: str
    condition: str = CLEAN
    whole: bool = False
    every: bool = False


# What is studied both on samples and whole, of a few losses.
BOTH = [
    Case("diamonds", "mae"),
    Case("diamonds", "rmse"),
    Case("diamonds", "rmse", OUTLIERS),
    Case("made, 100,000", "mae"),
    Case("made, 100,000", "rmse", OUTLIERS),
]
EVERY = [Case(name, METRICS.get(name, "mae"), every=True) for name in CASES][::-1]


def run(case: Case) -> None:
    """Study one table and print a line of JSON."""
    import lossmith
    from lossmith.study.data import folds

    frame, target = CASES[case.table]()
    frame = corrupt(frame, target, case.condition, np.random.default_rng(0))
    if case.whole:
        folds.SAMPLE = folds.LARGEST_SAMPLE = MANY
    elif not case.every:
        folds.FEWEST_SAMPLES = folds.REPEATS  # as few as there can be: each repeat has its own
    start, candidates = time.process_time(), None if case.every else LOSSES
    chosen = lossmith.select(frame, target=target, metric=case.metric, candidates=candidates)
    result = chosen.result
    print(
        json.dumps(
            {
                **case._asdict(),
                "rows": len(frame),
                "studied": result.rows.get("studied", result.rows["train"]),
                "verdict": result.verdict,
                "selected": result.selected,
                "scores": {c.name: c.score for c in result.candidates if c.low is not None},
                "p_values": {c.name: c.p_value for c in result.candidates if c.p_value is not None},
                "test": result.test,
                "seconds": time.process_time() - start,
                "wall": result.cost.seconds,
                "ratio": result.cost.ratio,
                "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
            }
        )
    )


def read(results: Path) -> list[tuple[Case, dict[str, Any]]]:
    """Return what was measured, each case once."""
    lines = results.read_text().splitlines() if results.exists() else []
    found = [json.loads(line) for line in lines]
    return [(Case(*(one[name] for name in Case._fields)), one) for one in found]


def measure(out: Path) -> None:
    """Run the cases that the file does not hold yet, each in a process of its own."""
    held = {case for case, _ in read(out)}
    whole = [one._replace(whole=True) for one in BOTH]
    pairs = [case for pair in zip(BOTH, whole, strict=True) for case in pair]
    for case in [*pairs, *EVERY]:
        if case in held:
            continue
        told = [sys.executable, __file__, "--run", json.dumps(case)]
        line = subprocess.run(told, check=True, capture_output=True, text=True).stdout
        with out.open("a") as file:
            file.write(line.splitlines()[-1] + "\n")


def cost_table(results: Path) -> str:
    """Return what each study took."""
    head = ["table", "metric", "rows", "losses", "studied", "verdict", "default", "chosen"]
    head += ["ratio", "CPU s", "MiB"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for case, one in read(results):
        test = one["test"]
        cells = [
            case.table,
            _metric(case),
            f"{one['rows']:,}",
            "all that fit" if case.every else str(len(LOSSES)),
            f"{one['studied']:,}{' (whole)' * case.whole}",
            f"{one['verdict']}: {one['selected']}",
            f"{test['default']:.4g}",
            f"{test['selected']:.4g}",
            f"{one['ratio']:.1f}" if "ratio" in one else "–",
            f"{one['seconds']:,.0f}",
            f"{one['mib']:,}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def pairs(results: Path) -> dict[Case, tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    """Return what samples and all rows gave, of the cases of which either was run."""
    found = dict(read(results))
    both = {case: (found.get(case), found.get(case._replace(whole=True))) for case in BOTH}
    return {case: pair for case, pair in both.items() if pair != (None, None)}


def verdict_table(results: Path) -> str:
    """Return the verdicts of samples beside those of all rows."""
    own = ["on fresh rows", "CPU s", "MiB"]
    head = ["table", "metric", "verdict of samples", *own, "verdict of all rows", *own, "the same"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for case, pair in pairs(results).items():
        cells = [case.table, _metric(case)]
        for one in pair:
            cells += ["not run yet", "–", "–", "–"] if one is None else _told(one)
        said = {(one["verdict"], one["selected"]) for one in pair if one is not None}
        same = "–" if None in pair else "yes" if len(said) == 1 else "no"
        lines.append(f"| {' | '.join([*cells, same])} |")
    return "\n".join(lines)


def spared(results: Path) -> str:
    """Return how many verdicts are the same, and what samples take of what all rows do."""
    whole = [pair for pair in pairs(results).values() if None not in pair]
    same = sum(len({(one["verdict"], one["selected"]) for one in pair}) == 1 for pair in whole)
    told = []
    for rows in sorted({large["rows"] for _, large in whole}):
        own = [pair for pair in whole if pair[1]["rows"] == rows]
        time, memory = (
            statistics.mean(small[name] / large[name] for small, large in own)
            for name in ("seconds", "mib")
        )
        told.append(f"{time:.0%} of the CPU time and {memory:.0%} of the memory at {rows:,} rows")
    return (
        f"{same} of {len(whole)} verdicts are the same. Beside all rows samples take "
        f"{', '.join(told)}: so a study takes them of large tables only."
    )


def _told(one: Mapping[str, Any]) -> list[str]:
    """Return a verdict, the change of the error on fresh rows that comes with it, and the cost."""
    change = 100 * (one["test"]["selected"] / one["test"]["default"] - 1)
    cost = [f"{one['seconds']:,.0f}", f"{one['mib']:,}"]
    return [f"{one['verdict']}: {one['selected']}", f"{change:+.1f} %", *cost]


def _metric(case: Case) -> str:
    return case.metric + (", outliers" if case.condition == OUTLIERS else "")


def page(results: Path) -> str:
    """Return the document of what was measured."""
    from lossmith.study.data import folds

    return HEAD.format(
        least=round(folds.FEWEST_SAMPLES * folds.SAMPLE / (1 - folds.TEST_SHARE)),
        losses=", ".join(LOSSES),
        verdicts=verdict_table(results),
        spared=spared(results),
        costs=cost_table(results),
    )


def main() -> None:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--run", type=json.loads)
    given = parser.parse_args()
    if given.run:
        run(Case(*given.run))
    elif given.table:
        print(page(given.table), end="")
    else:
        measure(given.out)


if __name__ == "__main__":
    main()
