"""One piece of work in several processes that begin with this one's memory as it is."""

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


def work_together(work: Callable[[], None], processes: int, wait: Callable[[], None]) -> None:
    """Run one piece of work in several forked processes, each on one thread, until all have ended.

    What they change in memory is lost. One that fails ends alone; whoever calls does what is left.

    Args:
        work: what every process does.
        processes: how many.
        wait: called now and then meanwhile; what it raises ends the processes.
    """
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_work, args=(work,)) for _ in range(processes)]
    try:
        for worker in workers:
            with warnings.catch_warnings():  # Python 3.12 warns of the threads that torch has made
                warnings.simplefilter("ignore", DeprecationWarning)
                worker.start()
        while any(worker.is_alive() for worker in workers):
            wait()
            workers[0].join(0.1)
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.terminate()
                worker.join()


def _work(work: Callable[[], None]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # what is worth telling is in the journal
    try:
        work()
    except BaseException:
        os._exit(1)  # the process that waits meets the same error, and tells it
