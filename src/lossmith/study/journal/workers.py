"""Who trains: a process of this machine, and whether it still lives."""

import os
import socket
from pathlib import Path


def this_worker() -> str:
    """Return this process's name, another after a fork."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def lives(worker: str) -> bool:
    """Tell whether a worker may still be at work; one of another machine may."""
    host, process, started = worker.rsplit(":", 2)
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's, and lives
        pass
    return _started(int(process)) == started


def _started(process: int) -> str:
    """Return when a process began, since numbers are given again; "" where that can't be told.

    One that is dead but not yet waited for by its parent has no begin that a worker could have.
    """
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "dead" if fields[0] in "ZX" else fields[19]
