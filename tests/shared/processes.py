"""Tests in several processes: a file of tests runs itself in each, which tell what they found."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.distributed as dist


def found_by_ranks(file: str, folder: Path) -> dict[str, str]:
    """Run a file as four processes; return what any of them found wrong, by job and ranks."""
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    running = [
        subprocess.Popen(
            [sys.executable, file, str(folder), str(rank)],
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        for rank in range(4)
    ]
    for one in running:
        _, told = one.communicate(timeout=300)
        assert one.returncode == 0, told
    found: dict[str, str] = {}
    for path in folder.glob("*.pt"):
        found.update(torch.load(path))
    return found


def work(jobs: Mapping[str, Callable[[], None]]) -> None:
    """Do all jobs in four processes together, then in two: what such a file is run for."""
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    for ranks in (4, 2):
        if rank < ranks:
            where = f"file://{folder / f'store{ranks}'}"
            dist.init_process_group("gloo", init_method=where, rank=rank, world_size=ranks)
            found = {f"{key} {ranks}": _tried(job) for key, job in jobs.items()}
            told = {key: wrong for key, wrong in found.items() if wrong or rank == 0}
            torch.save(told, folder / f"found{ranks}-{rank}.pt")
            dist.destroy_process_group()


def _tried(job: Callable[[], None]) -> str:
    try:
        job()
    except Exception as error:  # told to the main process; the other ranks go on
        return f"{type(error).__name__}: {error}"
    return ""
