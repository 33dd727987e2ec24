"""What a study of many trials costs: opening its journal, asking, telling, and looking on.

    .ci/postgresql python bench/journal.py [--trials 10000] [--units 500]

Nothing trains: scores are drawn. A study's journal is filled with the reports of so many trials,
ten epochs each, and then opened, asked and told on as a worker does, in a process of its own.
Prints a table in Markdown: milliseconds (ask, tell: medians of 30), MB of memory that the facts
take, and of the database. The row of PostgreSQL needs one.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from lossmith.study.journal import Claim, Report, Storage, open_journal
from lossmith.study.study import Study
from lossmith.study.trials.onlooker import progress_in
from shared.storages import SERVER, address_of

RATES, EPOCHS, TIMES, MANY = 10, 10, 30, 200
OPEN = 100  # trials that are left to do


def study(address: str, folder: Path, trials: int, units: int) -> Study:
    """Return a study that starts so many trials on its first fold."""
    rows = np.arange(5 * units).reshape(5, units)
    return Study(
        address,
        metric="error",
        better="lower",
        losses={f"loss {number}": nn.MSELoss() for number in range(trials // RATES)},
        default="loss 0",
        splits=[(np.delete(rows, fold, 0).ravel(), rows[fold]) for fold in range(5)],
        learning_rates=[0.001 * (number + 1) for number in range(RATES)],
        epochs=EPOCHS,
        folder=folder if "://" in address else None,
    )


def fill(one: Study, units: int) -> None:
    """Train the default until all others are planned, and all of these but some."""
    draw = np.random.default_rng(0)
    while "screening" not in one.journal.decisions():
        trial = one.ask()
        assert trial is not None
        for _ in trial.epochs:
            if trial.report(rows=np.linspace(0.0, 1.0, units)):
                break
        one.close(trial)
    planned = sum(r.state == "planned" for r in one.journal.facts().records.values())
    while planned > OPEN:
        claims = one.journal.claim("elsewhere:1:0", most=min(MANY, planned - OPEN))
        write(one.journal, claims, draw, units)
        planned -= len(claims)


def write(journal: Storage, claims: list[Claim], draw: np.random.Generator, units: int) -> None:
    def whole() -> None:
        for claim in claims:
            for epoch in range(1, EPOCHS + 1):
                said = Report(epoch, float(draw.uniform(1, 2)), 1.0, 0.0)
                journal.report(claim, said, draw.normal(size=units))
            journal.end(claim, "done")

    journal.atomically(whole)


def measure(address: str, folder: Path, trials: int, units: int, found: Any) -> None:
    """Open the study as a new process does, and work on it."""
    one, opening = timed(lambda: study(address, folder, trials, units))
    before = memory()
    _, reading = timed(one.journal.facts)
    taken = memory() - before
    _, again = repeated(one.journal.facts)
    asked, told, values = [], [], np.linspace(0.5, 1.5, units)
    one.ask()
    for _ in range(TIMES):
        trial, seconds = timed(one.ask)
        asked.append(seconds)
        _, seconds = timed(lambda trial=trial: trial.report(1, rows=values))
        told.append(seconds)
    _, looking = timed(lambda: progress_in(address))
    found.put(
        {
            "open": opening,
            "read all": reading,
            "read again": again,
            "ask": statistics.median(asked),
            "tell": statistics.median(told),
            "status": looking,
            "MB of memory": taken,
            "MB of database": size(one.journal),
        }
    )


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what some work gives, and the milliseconds that it took."""
    begun = time.perf_counter()
    done = work()
    return done, 1000 * (time.perf_counter() - begun)


def repeated(work: Callable[[], Any]) -> tuple[None, float]:
    return None, statistics.median(timed(work)[1] for _ in range(TIMES))


def memory() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def size(journal: Storage) -> float:
    """Return the MB that a journal takes where it is kept."""
    path = getattr(journal, "path", None)
    if path is not None:
        return float(sum(one.stat().st_size for one in path.parent.glob("journal*")) / 2**20)
    ((found,),) = journal._run(
        "SELECT CAST(sum(pg_total_relation_size(c.oid)) AS double precision) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = ?",
        (f"lossmith_{journal.name}",),
    )
    return float(found / 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--units", type=int, default=500)
    options = parser.parse_args()
    head = ""
    for trials in options.trials:
        for kind in ["sqlite", "postgresql"] if SERVER else ["sqlite"]:
            with TemporaryDirectory() as made:
                place = Path(made)
                address = address_of(kind, place)
                one = study(address, place / "files", trials, options.units)
                fill(one, options.units)
                one.journal.close()
                found = get_context("spawn").SimpleQueue()
                given = address, place / "files", trials, options.units, found
                worker = get_context("spawn").Process(target=measure, args=given)
                worker.start()
                worker.join()
                values = found.get()
                open_journal(address).close()
            if not head:
                head = " | ".join(["trials", "kept in", *values])
                print(f"| {head} |\n|{'---|' * (2 + len(values))}")
            cells = [f"{value:.{1 if value < 100 else 0}f}" for value in values.values()]
            print(f"| {trials:,} | {kind} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
