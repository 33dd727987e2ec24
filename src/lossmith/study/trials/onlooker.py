"""Looking at a study from outside: its verdict and how it goes, without its code."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.journal import Storage, Training
from lossmith.study.trials.optuna_export import export
from lossmith.study.trials.place import read_place
from lossmith.study.trials.progress import Progress, progress_of
from lossmith.study.trials.verdict import Verdict, View, verdict_of

# What reading may raise of a journal that is not as a study wrote it.
READING = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def verdict_in(address: str | Path) -> Verdict:
    """Return the verdict of the study at an address, as it stands.

    Raises:
        InputError: if there is no study, or its journal is damaged.
    """
    with _view(read_place(address)) as view:
        return verdict_of(view)


def progress_in(address: str | Path) -> Progress:
    """Return how the study at an address goes.

    Raises:
        InputError: if there is no study, or its journal is damaged.
    """
    return next(follow(address))


def follow(address: str | Path) -> Iterator[Progress]:
    """Yield how the study at an address goes, as often as it is asked; see `progress_in`."""
    journal = read_place(address)
    while True:
        with _view(journal) as view:
            progress = progress_of(view)
        yield progress


def export_to_optuna(address: str | Path, storage: str) -> tuple[str, int]:
    """Write the study at an address to an Optuna storage; return the name there, and how many.

    Raises:
        InputError: if there is no study, or Optuna or its storage cannot be used.
    """
    with _view(read_place(address)) as view:
        return export(view, storage)


@contextmanager
def _view(journal: Storage) -> Iterator[View]:
    try:
        yield View.of(journal, form=_unformed)
    except InputError:
        raise
    except READING as error:
        raise InputError(f"{journal} is damaged: {error}") from error
    finally:
        journal.close()


def _unformed(training: Training, _epoch: int) -> np.ndarray:
    raise InputError(
        f"what each row adds to the score of {training.setting.candidate} was not formed yet, "
        "which takes the study's own metric; open the study in Python and call study.verdict()"
    )
