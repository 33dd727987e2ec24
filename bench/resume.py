"""Long benchmarks: what a file of results holds already is not done again."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

Lines = Sequence[dict[str, Any]]


def resumed(
    work: Callable[[Any], Lines],
    jobs: Sequence[tuple],
    names: Sequence[str],
    out: Path,
    workers: int,
) -> Iterator[tuple[str, Lines]]:
    """Do the jobs that a file lacks; add each one's lines, and yield them with how far it is.

    names: the entries of a line that make up its job, in the job's order.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    known = map(json.loads, out.read_text().splitlines()) if out.exists() else ()
    done = {tuple(line[name] for name in names) for line in known}
    missing = [job for job in jobs if job not in done]
    with ProcessPoolExecutor(workers) as pool, out.open("a") as file:
        for number, lines in enumerate(pool.map(work, missing), 1):
            file.writelines(json.dumps(line) + "\n" for line in lines)
            file.flush()
            yield f"{number}/{len(missing)}", lines
