"""How fast and lean the losses are, beside torch, torch.compile, other packages and the limit.

    python bench/speed.py [--only TEXT] [--rounds 3] --out bench/results/speed.jsonl
    python bench/speed.py --table bench/results/speed.jsonl > docs/speed.md

Every contender runs forward and backward, in turns with the others, after one round that is not
counted. Quoted is the median over the rounds of its time against the first's in the same round: the
matrix products alone where they are the limit, else lossmith's. On one thread time is that of the
process, which other programs do not stretch. Peak memory is that of a fresh process above its
inputs; errors are those of value and gradients against torch eager in float64. Packages that are
not installed are left out. Results are added to a file, a case a line; the last of a case counts.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from contenders import Case, Run, Step, cases
from speed_table import document

CLOCK = time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def timed(run: Run, least: float) -> float:
    """Return the seconds of one call, the mean over as many as fill `least` seconds."""
    calls, start = 0, CLOCK()
    while calls == 0 or CLOCK() - start < least:
        run()
        calls += 1
    return (CLOCK() - start) / calls


def measure(case: Case, rounds: int) -> dict[str, object]:
    """Return the seconds of the first contender, and each one's time over its."""
    torch.manual_seed(0)
    runs = case.build()
    seen: dict[str, list[float]] = {name: [] for name in runs}
    for count in range((rounds + 1) * case.turns):
        for name, run in runs.items():
            seconds = timed(run, 0.1 / case.turns)
            if count >= case.turns:
                seen[name].append(seconds)
    base = case.base or ("floor" if "floor" in runs else "lossmith")
    ratios = {
        name: statistics.median(a / b for a, b in zip(times, seen[base], strict=True))
        for name, times in seen.items()
    }
    return {"base": base, "seconds": statistics.median(seen[base]), "ratios": ratios}


def peak(case: Case, contender: str) -> float:
    """Return the MiB that a contender takes above its inputs, in a fresh process."""
    only = f"{case.group}: {case.name}"
    command = [sys.executable, __file__, "--only", only, "--peak", contender]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def own_peak(case: Case, contender: str) -> float:
    torch.manual_seed(0)
    run = case.build()[contender]
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    run()
    return (resident("VmHWM") - before) / 1024


def resident(which: str) -> int:
    """Return the KiB of this process in memory now (VmRSS), or at its peak (VmHWM); Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which))


def errors(case: Case) -> dict[str, list[float]]:
    """Return ‖got − true‖/‖true‖ of each contender's value and gradients, true in float64."""
    torch.manual_seed(0)
    runs = {name: run for name, run in case.build().items() if isinstance(run, Step)}
    truth = runs["torch eager"].outcome(torch.float64)
    return {
        name: [
            float((got.double() - true).norm() / true.norm())
            for got, true in zip(run.outcome(), truth, strict=True)
        ]
        for name, run in runs.items()
    }


def row(case: Case, rounds: int) -> dict[str, object]:
    found = measure(case, rounds)
    if case.memory:
        found["peaks"] = {name: peak(case, name) for name in found["ratios"]}
    if case.exact:
        found["errors"] = errors(case)
    setting = {"torch": torch.__version__, "threads": torch.get_num_threads(), "rounds": rounds}
    return {"group": case.group, "case": case.name, **setting, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, help="print the document of such a file")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.table:
        print(document([json.loads(line) for line in options.table.read_text().splitlines()]))
        return
    chosen = [case for case in cases() if options.only in f"{case.group}: {case.name}"]
    if options.peak:
        print(own_peak(chosen[0], options.peak))
        return
    for case in chosen:
        line = json.dumps(row(case, options.rounds))
        print(line, flush=True)
        if options.out:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    main()
