"""Every example below examples/, run one after the other: seconds, what it printed, a picture.

    python bench/examples.py [example ...]        # all, or those named, as own_loop/text
    python bench/examples.py --page docs/examples.md

Each runs in an empty folder of its own, on one thread, with the arguments that it has by itself.
What is measured goes into bench/results/examples.json, and a picture into docs/pictures: an
example's own where it takes `--picture FILE`, else the differences of its study to the default. The
page is made of that and of the examples' docstrings. Ends with 1 where one fails.
"""

import argparse
import ast
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from examples_page import described, page, shown
from lossmith.study.base.result import CandidateResult, Result
from lossmith.study.report.figures import forest
from lossmith.study.report.svg import COLOURS
from lossmith.study.trials.onlooker import verdict_in

ROOT = Path(__file__).parents[1]
FOLDER, PICTURES = ROOT / "examples", ROOT / "docs" / "pictures"
RESULTS = ROOT / "bench" / "results" / "examples.json"
ALLOWED = 60.0  # seconds of one core, unless the docstring says why
LIMIT = 900.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("examples", nargs="*", help="all, if none is named")
    parser.add_argument(
        "--page", type=Path, help="write the page of what was measured, run nothing"
    )
    options = parser.parse_args()
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    if options.page:
        options.page.write_text(page(known, FOLDER), encoding="utf-8")
        return 0
    names = names_in(FOLDER)
    wanted = options.examples or names
    known = {name: one for name, one in known.items() if name in names}
    print(f"{'example':28} {'seconds':>8} {'of CPU':>7}  verdict, or the last line", flush=True)
    for name in wanted:
        known[name] = one = run(name)
        late = "  (more than a minute)" if one["cpu"] > ALLOWED else ""
        said = shown(one["output"])
        print(f"{name:28} {one['seconds']:8.1f} {one['cpu']:7.1f}  {said}{late}", flush=True)
        if one["failed"]:
            print(one["error"], file=sys.stderr)
        RESULTS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return int(any(known[name]["failed"] for name in wanted))


def names_in(folder: Path) -> list[str]:
    """Return the examples below a folder: files with a main, not what these share."""
    names = []
    for path in folder.rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        if any(isinstance(one, ast.FunctionDef) and one.name == "main" for one in body):
            names.append(path.relative_to(folder).with_suffix("").as_posix())
    return sorted(names)


def run(name: str) -> dict[str, Any]:
    """Return how long an example took and what it printed; keep its picture."""
    draws = "--picture" in described(FOLDER, name)
    with tempfile.TemporaryDirectory(prefix="lossmith-example-") as folder:
        before, start = cpu_seconds(), time.perf_counter()
        try:
            done = subprocess.run(
                [
                    *(sys.executable, "-W", "ignore", FOLDER / f"{name}.py"),
                    *(("--picture", "picture.png") if draws else ()),
                ],
                cwd=folder,
                env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "100"},
                capture_output=True,
                text=True,
                timeout=LIMIT,
            )
            failed, output, error = done.returncode != 0, done.stdout, done.stderr
        except subprocess.TimeoutExpired:
            failed, output, error = True, "", f"{name} took more than {LIMIT:.0f} s"
        seconds, cpu = time.perf_counter() - start, cpu_seconds() - before
        picture = None if failed else keep_picture(name, Path(folder))
    return {
        "seconds": round(seconds, 1),
        "cpu": round(cpu, 1),
        "failed": failed,
        "output": output.rstrip(),
        "picture": picture,
        "error": error[-2000:] if failed else "",
    }


def cpu_seconds() -> float:
    """Return the seconds of processors that ended children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def keep_picture(name: str, folder: Path) -> str | None:
    """Copy or draw an example's picture; return its file's name, None without one."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    stem = name.replace("/", "-")
    for old in PICTURES.glob(f"{stem}.*"):
        old.unlink()
    if (folder / "picture.png").exists():
        shutil.copy(folder / "picture.png", PICTURES / f"{stem}.png")
        return f"{stem}.png"
    result = result_in(folder)
    if result is None:
        return None
    (PICTURES / f"{stem}.svg").write_text(standing_alone(forest(result)) + "\n", encoding="utf-8")
    return f"{stem}.svg"


def result_in(folder: Path) -> Result | None:
    """Return the result of the study, or of the report, below a folder; None without one."""
    for journal in sorted(folder.rglob("journal.sqlite")):
        return verdict_in(journal.parent).result
    for file in sorted(folder.rglob("*.json")):
        told = json.loads(file.read_text(encoding="utf-8"))
        if "candidates" in told:
            rows = tuple(CandidateResult(**row) for row in told["candidates"])
            return Result(**{**told, "candidates": rows})
    return None


def standing_alone(figure: str) -> str:
    """Return a report's figure, as it is for wide pages, as a file of its own."""
    svg = figure[: figure.index("</svg>") + len("</svg>")]
    for name, colour in COLOURS.items():
        svg = svg.replace(f"var(--{name})", colour)
    family = 'xmlns="http://www.w3.org/2000/svg" font-family="DejaVu Sans, Verdana, sans-serif"'
    paper = f'<rect width="100%" height="100%" fill="{COLOURS["paper"]}"/>'
    opening, rest = svg.split(">", 1)
    return f"{opening.replace('<svg', f'<svg {family}', 1)}>{paper}{rest}"


if __name__ == "__main__":
    sys.exit(main())
