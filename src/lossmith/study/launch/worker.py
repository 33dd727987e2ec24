"""A worker: it opens a study by its address, trains what is asked for, and reports itself."""

import socket
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from lossmith.study.base.errors import InputError
from lossmith.study.base.named import function_at
from lossmith.study.journal import JOURNAL, is_url
from lossmith.study.trials.trial import Trial

STUDY = "study"  # the function that opens the study, in the module of the one that trains

_alone = threading.RLock()  # of a thread, so that a training may hold a study of its own


def work(address: str, place: str, number: int = 0) -> None:
    """Train what the study at an address asks for, until it has ended.

    What it measures is in the study's journal, so nothing is returned, and nothing is lost with it.

    Args:
        address: of a study that has begun.
        place: the function that trains, as "module:function".
        number: of this worker, so that an engine does not take two for one.

    Raises:
        InputError: if the study is not there, or is another than the module's.
    """
    if not is_url(address) and not (Path(address) / JOURNAL).is_file():
        raise InputError(
            f"there is no study in {address} on {socket.gethostname()}: a folder serves the "
            "processes of one machine; begin the study at postgresql://… for several"
        )
    study, train = opened(address, place)
    train_all(study, train)


def opened(address: str, place: str) -> tuple[Any, Callable[[Trial], Any]]:
    """Return the study at an address, opened by the module that trains, and what trains.

    Raises:
        InputError: if the module does not say which study it is, or says another.
    """
    module, train = function_at(place)
    where = place.rpartition(":")[0]
    make = getattr(module, STUDY, None)
    if not callable(make):
        raise InputError(
            f"{where} has no function {STUDY}(address) that returns lossmith.Study(address, …); "
            "every worker opens the study by it"
        )
    try:
        study = make(address)
    except InputError as error:
        raise InputError(f"{where}:{STUDY}: {error}") from error
    if getattr(study, "address", None) != address:
        raise InputError(
            f"{where}:{STUDY}({address!r}) returned {study!r}, which is not the study at this "
            "address; return lossmith.Study(address, …)"
        )
    return study, train


def train_all(study: Any, train: Callable[[Trial], Any]) -> None:
    """Call a function with each trial, seeded, until the study has ended.

    Raises:
        InputError: if another thread of the process already does.
    """
    if not _alone.acquire(blocking=False):
        raise InputError(
            "two workers in one process would draw from the same generators, so trainings would "
            "not be alike; let the engine use processes of one thread each"
        )
    try:
        with closing(iter(study)) as trials:  # what ends it gives the trial back at once
            for trial in trials:
                with trial.seeded():
                    train(trial)
    finally:
        _alone.release()
