"""How fast losses are on one GPU, beside torch, torch.compile, Liger and cut-cross-entropy.

    python bench/gpu.py [--minutes 8] [--only TEXT] --out bench/results/gpu.jsonl
    python bench/gpu.py --table bench/results/gpu.jsonl >> docs/speed.md
    python bench/gpu.py --device cpu --minutes 1          # small, to try the script itself

First each contender's value and gradients are compared: with torch's in float64 on a smaller batch,
or with lossmith's own where there are no products; who is wrong is named and not timed. Then all
run forward and backward in turns; quoted is the median over rounds of the time against the first's
of the same round. Who runs out of memory is left out and named, as are packages that are not there
and cases for which no time is left. Memory is the peak above the inputs.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from contenders import COMPILED, Case, Run, Step, contrastive, linear_head, pointwise
from lossmith import find
from peers import TORCH
from speed_table import table

ROUNDS, LEAST = 5, 0.03  # seconds that a contender's turn takes at least
WRONG = {torch.float32: 1e-4, torch.bfloat16: 3e-2}  # relative errors beyond which one is wrong
Runs = dict[str, Run]


def others(target: Tensor, eager: Step) -> dict[str, Callable[..., Tensor]]:
    """Return a head's contenders beyond those on a CPU: functions of input and weight."""
    found: dict[str, Callable[..., Tensor]] = {"torch.compile": torch.compile(eager.function)}
    if hasattr(torch.nn, "LinearCrossEntropyOptions"):
        options = torch.nn.LinearCrossEntropyOptions()
        fused = functional.linear_cross_entropy
        found["torch chunked"] = lambda x, w: fused(x, w, target, options=options)
    if not target.is_cuda:  # the others are Triton's
        return found
    if find_spec("liger_kernel"):
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

        liger = LigerFusedLinearCrossEntropyLoss()
        found["Liger"] = lambda x, w: liger(w, x, target)
    if find_spec("cut_cross_entropy"):
        from cut_cross_entropy import linear_cross_entropy

        found["cut-cross-entropy"] = lambda x, w: linear_cross_entropy(x, w, target)
    return found


def logits(dtype: torch.dtype, rows: int, classes: int) -> Runs:
    """Return the contenders of cross-entropy on logits that are there."""
    input = torch.randn(rows, classes).to(dtype).requires_grad_()
    target = torch.randint(classes, (rows,))
    loss = find()["cross_entropy"]()

    def eager(x: Tensor) -> Tensor:
        return functional.cross_entropy(x.to(torch.promote_types(x.dtype, torch.float32)), target)

    found = {"lossmith": lambda x: loss(x, target), "torch eager": eager}
    found["torch.compile"] = torch.compile(eager)
    if target.is_cuda and find_spec("liger_kernel"):
        from liger_kernel.transformers import LigerCrossEntropyLoss

        liger = LigerCrossEntropyLoss()
        found["Liger"] = lambda x: liger(x, target)
    return {name: Step(function, input) for name, function in found.items()}


def cases(small: bool) -> Iterator[tuple[Case, Callable[[], Runs]]]:
    """Yield cases, and each as a smaller batch on which its contenders are compared."""
    half = torch.bfloat16
    rows, width, classes = (2048, 64, 4096) if small else (8192, 4096, 128_256)
    pairs, largest = (512, 10**4) if small else (16_384, 10**7)

    def head(*size: int) -> Callable[[], Runs]:
        return lambda: linear_head(half, *size, others=others)

    name = f"{rows:,} × {width:,} → {classes:,}, bfloat16"
    yield Case("linear head", name, head(rows, width, classes)), head(1200, 64, 4096)
    name = f"{rows:,} × {classes:,} logits, bfloat16"
    of_logits = Case("cross-entropy", name, lambda: logits(half, rows, classes))
    yield of_logits, lambda: logits(half, 64, 4096)
    for key in ("nt_xent", "sup_con", "clip", "siglip"):
        name = f"{key}, {pairs:,} pairs × 128"
        both = [lambda k=key, p=count: contrastive(k, p) for count in (pairs, 1100)]
        yield Case("contrastive", name, both[0]), both[1]
    for size in (largest, 1000):
        for key in TORCH:
            compiled = key in COMPILED and size == largest
            each = [
                lambda k=key, n=count, c=compiled: pointwise(k, n, compiled=c)
                for count in (size, 1000)
            ]
            yield Case(f"{size:,} numbers", key, each[0]), each[1]


def wrong(runs: Runs, exact: bool) -> dict[str, str]:
    """Return who gives another value or other gradients, and by how much."""
    steps = {name: run for name, run in runs.items() if isinstance(run, Step)}
    truth = steps["torch eager" if exact else "lossmith"].outcome(torch.float64 if exact else None)
    found = {}
    for name, step in steps.items():
        try:
            pairs = list(zip(step.outcome(), truth, strict=True))
        except Exception as error:  # of a package whose kernels can't do this
            found[name] = f"{type(error).__name__}: {str(error)[:200]}"
            continue
        errors = [float((got.double() - true).norm() / true.norm()) for got, true in pairs]
        most = WRONG.get(step.leaves[0].dtype, WRONG[torch.float32])
        if not max(errors) <= most:
            found[name] = f"relative errors {', '.join(f'{one:.0e}' for one in errors)}"
    return found


class Clock:
    """Time and memory of a device."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        self.name = torch.cuda.get_device_name(device) if self.cuda else "CPU, to try the script"

    def seconds(self, run: Run, calls: int) -> float:
        """Return the seconds of one call, the mean of several."""
        self.wait()
        start = time.perf_counter()
        for _ in range(calls):
            run()
        self.wait()
        return (time.perf_counter() - start) / calls

    def peak(self, run: Run) -> float:
        """Return the MiB that a call takes above what is there, 0 on a CPU."""
        if not self.cuda:
            run()
            return 0.0
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        self.wait()
        return (torch.cuda.max_memory_allocated() - before) / 2**20

    def wait(self) -> None:
        """Wait until all is done."""
        if self.cuda:
            torch.cuda.synchronize()


def measure(runs: Runs, clock: Clock) -> dict[str, Any]:
    """Return the seconds of the first contender and each one's time over its."""
    peaks, calls, failed = {}, {}, {}
    for name, run in list(runs.items()):
        try:
            run()  # which compiles
            peaks[name] = clock.peak(run)
            calls[name] = max(1, int(LEAST / clock.seconds(run, 2)))
        except torch.OutOfMemoryError:
            failed[name] = "out of memory"
            del runs[name]
        for leaf in run.leaves if isinstance(run, Step) else ():
            leaf.grad = None
    seen: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            seen[name].append(clock.seconds(run, calls[name]))
    base = "floor" if "floor" in runs else "lossmith"
    ratios = {
        name: statistics.median(a / b for a, b in zip(times, seen[base], strict=True))
        for name, times in seen.items()
    }
    found = {"base": base, "seconds": statistics.median(seen[base]), "ratios": ratios}
    return {**found, "peaks": peaks, "failed": failed}


def row(case: Case, smaller: Callable[[], Runs], clock: Clock, device: torch.device) -> Any:
    """Return the results of a case."""
    torch.manual_seed(0)
    with device:
        bad = wrong(smaller(), exact=case.group in ("linear head", "cross-entropy", "contrastive"))
        runs = case.build()
    found = measure({name: run for name, run in runs.items() if name not in bad}, clock)
    found["failed"] |= bad
    setting = {"device": clock.name, "torch": torch.__version__, "rounds": ROUNDS}
    return {"group": case.group, "case": case.name, **setting, **found}


def document(lines: list[dict[str, Any]]) -> str:
    """Return the tables of results, the last of each case."""
    last = {(line["group"], line["case"]): line for line in lines}
    one = lines[-1]
    text = [
        f"\n## On one GPU\n\n{one['device']}, torch {one['torch']}; medians of {one['rounds']} "
        "rounds in which all contenders take turns, as multiples of the column beside the case. "
        "Made by `bench/gpu.py`."
    ]
    for group in dict.fromkeys(name for name, _ in last):
        found = [line for (name, _), line in last.items() if name == group]
        text += [f"\n### {group.capitalize()}\n", *table(found)]
        said = {f"{line['case']}: {k}, {v}" for line in found for k, v in line["failed"].items()}
        text += ["", *(f"- {one}" for one in sorted(said))] if said else []
    return "\n".join(text)


def main() -> None:
    """Measure what is asked for, within the time that is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, help="print the tables of such a file")
    options = parser.parse_args()
    if options.table:
        print(document([json.loads(line) for line in options.table.read_text().splitlines()]))
        return
    start, device = time.monotonic(), torch.device(options.device)
    clock, last = Clock(device), 0.0
    print(clock.name, file=sys.stderr)
    for case, smaller in cases(small=device.type == "cpu"):
        if options.only not in f"{case.group}: {case.name}":
            continue
        before = time.monotonic()
        if before - start + last > 60 * options.minutes:  # the next may take as long
            print(f"no time left for {case.group}: {case.name}", file=sys.stderr)
            continue
        line = json.dumps(row(case, smaller, clock, device))
        last = time.monotonic() - before
        print(line, flush=True)
        if options.out:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    main()
