"""An engine of this machine's own processes."""

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any, Self

import torch

from lossmith.study.base.errors import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"


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


class Running:
    """A process that runs what was submitted."""

    def __init__(self, process: BaseProcess) -> None:
        self.process = process

    def done(self) -> bool:
        """Tell whether it has ended."""
        return not self.process.is_alive()

    def exception(self) -> Exception | None:
        """Return what is known of why it failed."""
        code = self.process.exitcode
        return None if code in (0, None) else RuntimeError(f"its process ended with {code}")


class Processes:
    """Runs each submission in a process of its own, on one thread, until the block ends.

    Where processes can be forked they begin with this one's memory, and what is submitted need not
    have a name; elsewhere they begin anew.

    Args:
        resources: {"gpu": share} gives each process the next GPU that has room.

    Raises:
        InputError: for other resources, and where there are fewer GPUs than that.
    """

    def __init__(self, resources: Mapping[str, float] | None = None) -> None:
        wanted = dict(resources or {})
        self.gpu = wanted.pop("gpu", 0.0)
        if wanted or not 0 <= self.gpu <= 1:
            raise InputError(
                f"processes of this machine share out GPUs, as resources={{'gpu': 0.5}}, at most "
                f"one each; got {dict(resources or {})}"
            )
        self.context = multiprocessing.get_context("fork" if can_fork() else "spawn")
        self.running: list[Running] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.running:
            one.process.terminate()
            one.process.join()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Running:
        """Begin a process that calls a function."""
        process = self.context.Process(  # type: ignore[attr-defined]
            target=_begin, args=(self._visible(), function, arguments)
        )
        with warnings.catch_warnings():  # Python 3.12 warns of the threads that torch has made
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        self.running.append(Running(process))
        return self.running[-1]

    def _visible(self) -> str | None:
        if not self.gpu:
            return None
        given = os.environ.get(VISIBLE)
        names = given.split(",") if given else [str(n) for n in range(torch.cuda.device_count())]
        place = len(self.running) // int(1 / self.gpu + 1e-9)
        if place >= len(names):
            raise InputError(
                f"{len(self.running) + 1} workers of {self.gpu:g} GPU need {place + 1} GPUs, and "
                f"there are {len(names)}; give fewer workers, or a smaller share"
            )
        return names[place]


def _begin(visible: str | None, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    if visible is not None:
        os.environ[VISIBLE] = visible  # before CUDA looks
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # what is worth telling is in the journal
    try:
        function(*arguments)
    except BaseException:
        os._exit(1)  # the process that waits meets the same error, and tells it
