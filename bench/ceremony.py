"""How much stands between a reader, or a call, and a loss's arithmetic: counted, not timed.

Run with `python bench/ceremony.py`: the lines of the loss layer, in all and for each loss, those of
a class, and the Python calls of one evaluation and of one construction beside torch's module.
"""

import ast
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch

import lossmith

ROOT = Path(lossmith.__file__).parent


def lines(folder: str) -> int:
    """Return the lines of a folder's Python files."""
    return sum(len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py"))


def class_lines() -> dict[str, int]:
    """Return the lines of each loss's class by name."""
    found = {}
    for path in (ROOT / "losses").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and hasattr(getattr(lossmith, node.name, 0), "card"):
                found[node.name] = (node.end_lineno or 0) - node.lineno + 1
    return found


def calls(call: Callable[[], Any]) -> int:
    """Return how many Python functions run in a call, after a first one that may fill caches."""
    count = -2  # the call itself, and the end of the count

    def heard(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    call()
    sys.setprofile(heard)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count + 1


def main() -> None:
    """Print the figures."""
    input, target, weight = torch.randn(32), torch.randn(32), torch.rand(32)
    ours, theirs = lossmith.Huber(), torch.nn.HuberLoss()
    of_classes = class_lines()
    rows = {
        "lines of losses/": lines("losses"),
        "families of losses": len(list((ROOT / "losses").glob("[a-z]*"))),
        "classes of losses": len(of_classes),
        "lines of losses/ for each": round(lines("losses") / len(of_classes), 1),
        "lines of a class, median": statistics.median(of_classes.values()),
        "lines of Huber": of_classes["Huber"],
        "calls of Huber()(x, y)": calls(lambda: ours(input, target)),
        "calls of Huber()(x, y, weight=w)": calls(lambda: ours(input, target, weight=weight)),
        "calls of torch.nn.HuberLoss()(x, y)": calls(lambda: theirs(input, target)),
        "calls of building Huber": calls(lossmith.Huber),
        "calls of building torch.nn.HuberLoss": calls(torch.nn.HuberLoss),
    }
    width = max(map(len, rows))
    for name, number in rows.items():
        print(f"{name:<{width}}  {number:>8,g}")


if __name__ == "__main__":
    main()
