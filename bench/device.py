"""Kernels of every loss on a simulated GPU, and what the host waits for, beside torch's own.

Nothing is computed and nothing timed: torch's dispatcher counts what would run. It needs the CPU
build of torch and a C++ compiler. Kernels are forward + backward; apart is a loss left on the CPU.

    python bench/device.py          # cuda
    python bench/device.py mps
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
sys.path.append(str(TESTS / "device"))

import guard  # noqa: E402 - once it is on the path


def outcomes(device: str) -> dict[str, Any]:
    """Return what the simulation finds on a device."""
    with tempfile.TemporaryDirectory() as folder:
        library = guard.build(Path(folder))
        command = [sys.executable, "-m", "device.simulated", str(library), device]
        found = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=True)
    known: dict[str, Any] = json.loads(found.stdout)
    return known


def kernels(one: dict[str, Any] | None) -> str:
    """Return kernels forward + backward; why there are none in a word."""
    if one is None:
        return ""
    return "on the host" if "error" in one else f"{one['forward']} + {one['backward']}"


def main(device: str) -> None:
    """Print one row a loss."""
    found = outcomes(device)
    print(f"| loss on {device} | kernels | torch's | waits | apart |\n|---|---|---|---|---|")
    for key, one in found["moved"].items():
        own, apart = found["torch"].get(key), kernels(found["unmoved"][key])
        waits = "" if "error" in one else str(len(one["waits"]))
        print(f"| {key} | {kernels(one)} | {kernels(own)} | {waits} | {apart} |")
    counted = [one for one in found["moved"].values() if "error" not in one]
    sums = sorted(one["forward"] + one["backward"] for one in counted)
    print(f"\n{len(counted)} losses, median {sums[len(sums) // 2]} kernels, most {sums[-1]}")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["cuda"]))
