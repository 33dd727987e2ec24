"""Which rows are untouched, which train and which validate: the same for every candidate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split

from lossmith.core.card import Task

TEST_SHARE = 0.2
FOLDS = 5
REPEATS = 2
SCREENING = 2  # folds of the first repeat on which every candidate starts


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One fold under one seed: the rows that train a model and those that judge it."""

    seed: int
    repeat: int
    train: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Split:
    """The rows of a study.

    rounds: cells by number, first those on which every candidate starts, then all others. Cells
    of one repeat share no validation rows.
    """

    develop: np.ndarray
    test: np.ndarray
    cells: tuple[Cell, ...]
    rounds: tuple[tuple[int, ...], tuple[int, ...]]

    def siblings(self, cell: int, cells: Sequence[int]) -> list[int]:
        """Return the other cells that share no validation row with a cell."""
        own = self.cells[cell].repeat
        return [c for c in cells if c != cell and self.cells[c].repeat == own]


def split_rows(task: Task, target: np.ndarray, seed: int) -> Split:
    """Split rows into untouched test rows and repeated folds of the rest, stratified by class."""
    rows = np.arange(len(target))
    classes = None if task == "regression" else target
    develop, test = train_test_split(
        rows, test_size=TEST_SHARE, random_state=seed, stratify=classes
    )
    cells = []
    for repeat in range(REPEATS):
        fold = _folds(len(develop), None if classes is None else classes[develop], seed + repeat)
        for number in range(FOLDS):
            own = 1000 * seed + FOLDS * repeat + number
            train, valid = develop[fold != number], develop[fold == number]
            cells.append(Cell(seed=own, repeat=repeat, train=train, valid=valid))
    rounds = tuple(range(SCREENING)), tuple(range(SCREENING, len(cells)))
    return Split(develop=develop, test=test, cells=tuple(cells), rounds=rounds)


def _folds(rows: int, classes: np.ndarray | None, seed: int) -> np.ndarray:
    """Return the fold of each row, rows of a class dealt out in turn, however few they are."""
    order = np.random.default_rng(seed).permutation(rows)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    folds = np.empty(rows, dtype=int)
    folds[order] = np.arange(rows) % FOLDS
    return folds
