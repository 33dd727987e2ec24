"""Work of one kind, spread over processes that begin with this one's memory as it is."""

import multiprocessing
import pickle
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

import torch


def can_fork() -> bool:
    """Whether processes may begin with this one's memory: on Linux, without an accelerator."""
    return sys.platform == "linux" and not torch.accelerator.is_available()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, as a process of several does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def fork_map(work: Callable[[int], Any], count: int, processes: int) -> list[Any]:
    """Return work(0), …, work(count − 1), each by one of several processes on one thread.

    The processes are forked: work may be any function, what it changes in memory is lost, and what
    it returns is pickled. Work that fails there is done again here, where its error is raised.
    """
    found: dict[int, Any] = {}
    if processes > 1 and count > 1:
        found = _served(work, count, min(processes, count))
    return [found[index] if index in found else work(index) for index in range(count)]


def _served(work: Callable[[int], Any], count: int, processes: int) -> dict[int, Any]:
    context = multiprocessing.get_context("fork")
    ticket = context.Value("l", 0)
    ends: list[Any] = []
    workers = []
    found: dict[int, Any] = {}
    try:
        for _ in range(processes):
            end, theirs = context.Pipe(duplex=False)
            worker = context.Process(target=_serve, args=(work, count, ticket, theirs), daemon=True)
            with warnings.catch_warnings():  # Python 3.12 warns of the threads that torch has made
                warnings.simplefilter("ignore", DeprecationWarning)
                worker.start()
            theirs.close()
            ends.append(end)
            workers.append(worker)
        while ends:
            for ready in wait(ends):
                try:
                    index, result = pickle.loads(ready.recv_bytes())  # type: ignore[union-attr]
                    found[index] = result
                except EOFError:
                    ends.remove(ready)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    return found


def _serve(work: Callable[[int], Any], count: int, ticket: Any, end: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits
    torch.set_num_threads(1)
    while True:
        with ticket.get_lock():
            index = ticket.value
            ticket.value += 1
        if index >= count:
            return
        try:
            # As bytes: torch would hand tensors over by files that this process must keep open.
            end.send_bytes(pickle.dumps((index, work(index))))
        except Exception:
            return
