"""The seam between a study and whoever places its workers: all that is asked is `submit`."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from lossmith.study.base.errors import InputError
from lossmith.study.base.named import function_at, place_of
from lossmith.study.base.settings import check_counts
from lossmith.study.launch.processes import Processes, can_fork
from lossmith.study.launch.worker import STUDY, train_all, work
from lossmith.study.trials.trial import Trial

LOOK = 1.0  # seconds between two looks at whether a study has ended, at most
Train = Callable[[Trial], Any] | str
Needs = Mapping[str, float] | None  # of a worker, as {"gpu": 0.5}


class Engine(Protocol):
    """Whoever places workers: any `concurrent.futures.Executor`, and whatever else submits."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Call a function somewhere, soon."""


def launch(study: Any, train: Train, workers: int | None, on: Any, resources: Needs) -> None:
    """Let workers train what a study asks for, until it has ended; this process where none do.

    Raises:
        InputError: if workers could not find what trains, or the engine is none.
        RuntimeError: if all workers ended before the study did.
    """
    check_counts(workers=workers)
    if on is None and workers is None:
        train_all(study, named(train))
    elif on == "torchrun":
        from lossmith.study.launch.torchrun import train_together

        train_together(study, named(train))
    elif on in (None, "processes"):
        _on_this_machine(study, train, workers or 1, resources)
    else:
        engine, place, many = engine_of(on, resources), checked(train), range(workers or 1)
        _await(study, [engine.submit(work, study.address, place, number) for number in many])


def named(train: Train) -> Callable[[Trial], Any]:
    """Return what trains, given or named."""
    return function_at(train)[1] if isinstance(train, str) else train


def checked(train: Train) -> str:
    """Return the name of what trains, by which every worker finds it and its study.

    Raises:
        InputError: if it has none, or its module does not say which study it is.
    """
    place = train if isinstance(train, str) else place_of(train)
    module, _ = function_at(place)
    where, _, name = place.rpartition(":")
    if not callable(getattr(module, STUDY, None)):
        raise InputError(
            f"{where} has no function {STUDY}(address) that returns lossmith.Study(address, …); "
            "every worker opens the study by it"
        )
    return f"{Path(where).resolve()}:{name}" if where.endswith(".py") else place


def engine_of(on: Any, resources: Needs) -> Engine:
    """Return what places workers, told what each of them needs."""
    if on == "ray":
        from lossmith.study.launch.ray import Ray

        return Ray(resources)
    if hasattr(on, "get_executor"):  # a client of Dask; two equal calls are two, not one
        return on.get_executor(pure=False, **({"resources": dict(resources)} if resources else {}))
    if not hasattr(on, "submit"):
        raise InputError(
            f"on must be 'processes', 'ray', 'torchrun' or have a submit(fn, *args), as executors "
            f"and Dask's clients do; got {on!r}"
        )
    if resources:
        raise InputError(
            f"{type(on).__name__} takes no resources here; tell it what workers need when you make "
            "it"
        )
    return on


def follow(workers: Sequence[Any], wait: Callable[[], bool], tell: Callable[[Any], None]) -> None:
    """Wait until all workers have ended, or `wait` says that it is enough.

    Args:
        workers: futures; those without `done` are waited for by `wait` alone.
        wait: does so for a while.
        tell: called with each exception that ended a worker.
    """
    left = list(workers)
    while left and not wait():
        for one in [one for one in left if hasattr(one, "done") and one.done()]:
            left.remove(one)
            if (error := one.exception()) is not None:
                tell(error)


def _await(study: Any, workers: Sequence[Any]) -> None:
    """Wait for the end of a study; workers elsewhere that have yet to hear of it do not matter."""
    errors: list[Exception] = []

    def tell(error: Exception) -> None:
        errors.append(error)
        warnings.warn(f"a worker ended early: {error!r}", stacklevel=6)

    follow(workers, lambda: _ended(study, LOOK), tell)
    if not _ended(study, 0.0):
        if errors and isinstance(errors[-1], InputError):
            raise errors[-1]
        raise RuntimeError(
            f"all {len(workers)} workers ended before the study did"
            f"{f' ({errors[-1]!r})' if errors else ''}; what they reported is kept: run it again "
            "to go on"
        )
    for one in workers:  # those that still wait for their place
        if hasattr(one, "cancel"):
            one.cancel()


def _on_this_machine(study: Any, train: Train, workers: int, resources: Needs) -> None:
    """Train in this machine's processes; what dead ones left is done here."""
    with Processes(resources) as engine:
        for number in range(workers):
            if can_fork():
                engine.submit(train_all, study, named(train))
            else:
                engine.submit(work, study.address, checked(train), number)
        follow(engine.running, _patience, lambda error: None)
    for text in study.verdict().warnings:  # the processes have kept silent
        warnings.warn(text, stacklevel=5)
    train_all(study, named(train))


def _patience() -> bool:
    time.sleep(0.1)
    return False


def _ended(study: Any, seconds: float) -> bool:
    """Tell whether a study has ended, after a while."""
    if "end" not in study.journal.decisions():
        study.journal.wait(seconds)
    return "end" in study.journal.decisions()
