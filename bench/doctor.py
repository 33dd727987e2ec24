"""Does the doctor raise a false alarm? Every example, each loss at its first training step.

    python bench/doctor.py [example ...] [--seconds 12]

Prints each example with the losses that were looked at, and what was found; ends with 1 where
something was.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from shared.examined import EXAMPLES, found_in


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("examples", nargs="*", default=EXAMPLES)
    parser.add_argument("--seconds", type=float, default=12.0, help="of training, of an example")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    alarms = 0
    for example in options.examples:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            found = found_in(example, Path(folder), options.seconds)
        print(f"{example}: {len(found)} losses", flush=True)
        for name, said in found.items():
            alarms += len(said)
            print("".join(f"  {name}: {one}\n" for one in said), end="", flush=True)
    return int(alarms > 0)


if __name__ == "__main__":
    sys.exit(main())
