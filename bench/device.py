"""Kernels, waits, bytes and memory of losses on a simulated GPU, beside torch's own.

Nothing is computed and nothing timed: torch's dispatcher counts what would run. It needs the CPU
build of torch and a C++ compiler.

    python bench/device.py [cuda | mps] > docs/kernels.md                  # every loss, 4,096 rows
    python bench/device.py cuda --large --out bench/results/device.json    # batches of training
    python bench/device.py --table bench/results/device.json >> docs/speed.md
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
sys.path.append(str(TESTS / "device"))

import guard  # noqa: E402 - once it is on the path

HEADER = """
## Launches on a GPU

**No GPU was measured.** These are counts on a simulated one: what torch's dispatcher would launch,
forward and backward in eager mode. Waits are how often the host asks the device for a number. Bytes
are those of every kernel's tensors, each read or written once; memory is the peak above the inputs,
gradients included. The head keeps the sum of its weight's gradient in float32, torch's operator in
bfloat16. Triton makes one kernel of what lies between the products of a chunk. Times on a GPU are
for `bench/gpu.py` to find out. Made by `bench/device.py`, in the environment of `.ci/triton`.
"""
EACH = """# Kernels and memory of every loss

**No GPU was measured.** What torch's dispatcher would launch on a simulated {device}, forward +
backward in eager mode, for 4,096 rows of float32 in the shape shown: that of the loss's example, 16
times as wide where the loss takes it. Below a loss that torch has too stands torch's own.

- **Memory** is the peak above inputs, targets and weights, gradients included, as a multiple of the
  input's bytes: 1 × is the input's gradient alone, and a matrix of all pairs of rows 4,096 × over
  the numbers in a row. What a kernel holds for itself is not seen.
- **Moved** are the bytes of each kernel's tensors, once read or written each, as the same multiple.
- **Waits** are how often the host asks the device for a number. Losses *on the host* look at values
  while they compute, which are none here.
- **Apart** are the kernels of a loss that stays on the CPU while its data moves, where other.

Made by `python bench/device.py`, which needs the CPU build of torch and a C++ compiler; batches of
the size of training are at the end of [speed and memory](speed.md).

| loss | input | kernels | apart | waits | moved | memory |
|---|---|---|---|---|---|---|"""
CASES = {
    "linear head, 8,192 × 4,096 → 128,256, bfloat16": (
        "lossmith",
        "lossmith with Triton",
        "torch, chunked",
        "torch, all logits",
    ),
    "16,384 pairs × 128, float32": ("nt_xent", "sup_con", "info_nce", "clip", "siglip"),
}


def outcomes(device: str, module: str) -> dict[str, Any]:
    """Return what a module of the simulation finds on a device."""
    with tempfile.TemporaryDirectory() as folder:
        library = guard.build(Path(folder))
        command = [sys.executable, "-m", f"device.{module}", str(library), device]
        found = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=True)
    known: dict[str, Any] = json.loads(found.stdout)
    return known


def kernels(one: dict[str, Any]) -> str:
    """Return kernels forward + backward."""
    return f"{one['forward']:,} + {one['backward']:,}"


def times(one: dict[str, Any], what: str) -> str:
    """Return bytes as a multiple of the input's."""
    found = one[what] / one["input"]
    return f"{found:,.0f} ×" if found >= 100 else f"{found:.1f} ×"


def row(name: str, one: dict[str, Any], apart: dict[str, Any] | None = None) -> str:
    """Return a row of the page."""
    if "error" in one:
        return f"| {name} | | on the host | | | | |"
    shape = ", ".join(" × ".join(f"{size:,}" for size in shape) for shape in one["shapes"])
    other = kernels(apart) if apart and kernels(apart) != kernels(one) else ""
    waits, moved, memory = len(one["waits"]), times(one, "bytes"), times(one, "peak")
    return f"| {name} | {shape} | {kernels(one)} | {other} | {waits} | {moved} | {memory} |"


def of_all_losses(device: str) -> None:
    """Print the page of every loss, one row each."""
    found = outcomes(device, "losses")
    print(EACH.format(device=device))
    for key, one in found["moved"].items():
        print(row(f"[{key}](losses/{key}.md)", one, found["unmoved"][key]))
        if own := found["torch"].get(key):
            print(row(f"torch.nn.{own['name']}", own))
    counted = [one for one in found["moved"].values() if "error" not in one]
    sums = sorted(one["forward"] + one["backward"] for one in counted)
    peaks = sorted(one["peak"] / one["input"] for one in counted)
    middle = len(counted) // 2
    print(f"\n{len(counted)} losses; medians: {sums[middle]} kernels, {peaks[middle]:.1f} × memory")


def document(found: dict[str, Any]) -> str:
    """Return the tables of large batches."""
    lines = [HEADER]
    for case, names in CASES.items():
        lines += [
            f"| {case} | kernels | waits | GB moved | MiB of memory |",
            "|---|---|---|---|---|",
        ]
        for name in names:
            if name in found:
                one = found[name]
                sizes = f"{one['bytes'] / 1e9:.0f} | {one['peak'] / 2**20:,.0f}"
                count = one["forward"] + one["backward"]
                lines.append(f"| {name} | {count:,} | {len(one['waits'])} | {sizes} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("device", nargs="?", default="cuda")
    parser.add_argument("--large", action="store_true", help="batches of the size of training")
    parser.add_argument("--out", type=Path, help="where to write what was counted")
    parser.add_argument("--table", type=Path, help="print the tables of such a file")
    options = parser.parse_args()
    if options.table:
        print(document(json.loads(options.table.read_text())))
    elif options.large:
        found = outcomes(options.device, "large")
        print(document(found))
        if options.out:
            options.out.write_text(json.dumps(found, indent=1) + "\n")
    else:
        of_all_losses(options.device)


if __name__ == "__main__":
    main()
