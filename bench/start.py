"""What first contact costs: commands and imports, each a fresh process, in turns; medians.

Usage: python bench/start.py [--rounds 15] [--out docs/start.md]
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

IMPORTS = {
    "python": "pass",
    "import torch": "import torch",
    "import lossmith": "import lossmith",
    "a loss": "import lossmith; lossmith.Huber()",
    "all losses": "import lossmith; lossmith.find()",
    "lossmith.select": "import lossmith; lossmith.select",
}
VERBS = ("--version", "--help", "list", "show huber", "select --help")
HEAD = """# What starting costs

Made by `python bench/start.py --out docs/start.md`: each line is a fresh process, all lines
in turns, medians of {rounds} rounds after one that is not counted, on {cores} cores with a load of
{load:.1f}. Seconds of the clock, and of the processor, which other work touches less.

| | seconds | processor |
|---|---|---|
"""


def commands() -> dict[str, list[str]]:
    """Return what is measured: the command line of each process by its name."""
    code = {name: [sys.executable, "-c", line] for name, line in IMPORTS.items()}
    verbs = {f"lossmith {verb}": ["-m", "lossmith", *verb.split()] for verb in VERBS}
    return code | {name: [sys.executable, *argv] for name, argv in verbs.items()}


def cost(argv: list[str]) -> tuple[float, float]:
    """Return seconds of the clock and of the processor that one process takes."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env=kept)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, spent


def measured(rounds: int) -> dict[str, tuple[float, float]]:
    """Return the medians by name, of rounds that each run every command once."""
    tried = commands()
    taken = [{name: cost(argv) for name, argv in tried.items()} for _ in range(rounds + 1)][1:]
    return {
        name: (median(one[name][0] for one in taken), median(one[name][1] for one in taken))
        for name in tried
    }


def page(costs: dict[str, tuple[float, float]], rounds: int) -> str:
    """Return the table, and what lossmith adds to torch."""
    text = HEAD.format(rounds=rounds, cores=os.cpu_count(), load=os.getloadavg()[0])
    text += "".join(f"| {name} | {wall:.2f} | {own:.2f} |\n" for name, (wall, own) in costs.items())
    torch = costs["import torch"]
    added = (
        f"{name} takes {costs[name][0] / torch[0]:.1%} of the time of `import torch` "
        f"({costs[name][1] / torch[1]:.1%} of the processor's)"
        for name in ("import lossmith", "a loss", "all losses")
    )
    return text + "\n" + "; ".join(added) + ".\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    written = page(measured(options.rounds), options.rounds)
    if options.out:
        options.out.write_text(written, encoding="utf-8")
    print(written)
