"""Who trains: a process of this machine, and whether it still lives."""

import os
import socket
import uuid
from functools import cache


def this_worker() -> str:
    """Return this process's name, another after a fork."""
    return f"{socket.gethostname()}:{os.getpid()}:{_token(os.getpid())}"


@cache
def _token(process: int) -> str:
    return uuid.uuid4().hex[:8]


def lives(worker: str) -> bool:
    """Tell whether a worker may still be at work; one of another machine may."""
    host, process, _ = worker.rsplit(":", 2)
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's, and lives
        pass
    return True
