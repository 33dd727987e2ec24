"""How fast and lean the losses are, beside torch, torch.compile, other packages and the limit.

    python bench/speed.py [--only TEXT] [--rounds 3] [--out docs/speed.md]

Every contender runs forward and backward, in turns with the others, after one round that is not
counted. Quoted is the median over the rounds of its time against the floor's in the same round:
the matrix products alone, or for pointwise losses one copy of the input. Peak memory is that of a
fresh process above its inputs. Packages that are not installed are left out.
"""

import argparse
import gc
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from contenders import Case, Run, cases

HEADER = """# Speed

Forward and backward, as multiples of the floor's time in the same round, medians of {rounds}
rounds; torch {torch}, {threads} thread{s}, CPU. The floor is the three matrix products, or for
pointwise losses one copy of the input; below a million elements it is the fixed cost of one call.
Memory is the peak of a fresh process above its inputs. Other programs ran on the machine, so that
small differences mean nothing. Made by `python bench/speed.py`.
"""


def timed(run: Run, least: float) -> float:
    """Return the seconds of one call, the mean over as many as fill `least` seconds."""
    calls, start = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - start < least:
        run()
        calls += 1
    return (time.perf_counter() - start) / calls


def measure(case: Case, rounds: int) -> dict[str, float]:
    """Return each contender's time over the floor's, and the floor's own in milliseconds."""
    torch.manual_seed(0)
    runs = case.build()
    seen: dict[str, list[float]] = {name: [] for name in runs}
    for count in range(rounds + 1):
        for name, run in runs.items():
            seconds = timed(run, 0.02)
            if count:
                seen[name].append(seconds)
    floor = seen["floor"]
    ratios = {
        name: statistics.median(a / b for a, b in zip(times, floor, strict=True))
        for name, times in seen.items()
    }
    return {**ratios, "floor": 1000 * statistics.median(floor)}


def peak(case: Case, contender: str) -> float:
    """Return the MiB that a contender takes above its inputs, in a fresh process."""
    command = [sys.executable, __file__, "--only", case.name, "--peak", contender]
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


def row(case: Case, rounds: int) -> list[str]:
    found = measure(case, rounds)
    lines = []
    for name, number in found.items():
        speed = f"{number:.3g} ms" if name == "floor" else f"{number:.2f}"
        memory = f"{peak(case, name):.0f} MiB" if case.memory else ""
        lines.append(f"| {case.name} | {name} | {speed} | {memory} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = [case for case in cases() if options.only in f"{case.group}: {case.name}"]
    if options.peak:
        print(own_peak(chosen[0], options.peak))
        return
    threads = torch.get_num_threads()
    text = [HEADER.format(rounds=options.rounds, torch=torch.__version__, threads=threads,
                          s="s" if threads > 1 else "")]  # fmt: skip
    for group in dict.fromkeys(case.group for case in chosen):
        text.append(
            f"\n## {group.capitalize()}\n\n| case | what | × floor | peak |\n|---|---|---|---|"
        )
        for case in (case for case in chosen if case.group == group):
            text += row(case, options.rounds)
            print(*text[-8:], sep="\n", file=sys.stderr, flush=True)
    if options.out:
        options.out.write_text("\n".join(text) + "\n", encoding="utf-8")
    else:
        print("\n".join(text))


if __name__ == "__main__":
    main()
