"""Which rows train, which validate and which are the test's: the same for every candidate."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from sklearn.model_selection import train_test_split

from lossmith.core.card import Task
from lossmith.study.base.errors import InputError
from lossmith.study.data.units import units_by_class
from lossmith.study.tasks import TABLE_TASKS

TEST_SHARE = 0.2
FOLDS = 5
LEAST_GROUPS = 2 * FOLDS
REPEATS = 2
SCREENING = 2  # folds of the first repeat on which every candidate starts
LATER = 0.4  # share of the rows in order of time that validate, each after those that train for it
LEAST_LATER = 8  # rows of a fold that validate in order of time
# A large table is studied on samples of at least so many rows, each with at least so many units of
# the rarest class; a few must do where samples would be very large. What holds fewer such samples
# than these is studied whole: samples of it would save little (bench/large.py).
SAMPLE, SAMPLE_OF_CLASS, FEWEST_SAMPLES = 20_000, 200, 4
LARGEST_SAMPLE, LEAST_OF_CLASS = 100_000, 20


@dataclass(frozen=True, kw_only=True)
class Fold:
    """A part of the rows under one seed: those that train a model and those that judge it."""

    seed: int
    repeat: int
    train: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Split:
    """The rows of a study.

    screening_folds: numbers of the folds on which every candidate starts; confirmation_folds: of
    all others. Folds of one repeat share no validation rows; of a large table they are of a sample,
    each repeat's its own. groups: a code a row of the table; rows of one code count as one unit,
    and stay together unless time parts them. None where every row is its own.
    """

    train: np.ndarray
    test: np.ndarray
    folds: tuple[Fold, ...]
    screening_folds: tuple[int, ...]
    confirmation_folds: tuple[int, ...]
    groups: np.ndarray | None = None

    @cached_property
    def studied(self) -> int:
        """The number of rows that train or judge in some fold."""
        rows = [part for fold in self.folds for part in (fold.train, fold.valid)]
        return len(np.unique(np.concatenate(rows)))

    @property
    def sampled(self) -> bool:
        """Whether the study is of samples of the rows, though the final models see them all."""
        return self.studied < len(self.train)

    def units(self, rows: np.ndarray) -> np.ndarray:
        """Return the numbers of the units that rows belong to."""
        return rows if self.groups is None else self.groups[rows]

    def siblings(self, fold: int, folds: Sequence[int]) -> list[int]:
        """Return the other folds that share no validation row with a fold."""
        repeat = self.folds[fold].repeat
        return [other for other in folds if other != fold and self.folds[other].repeat == repeat]


def split_rows(
    task: Task,
    target: np.ndarray,
    seed: int,
    groups: np.ndarray | None = None,
    *,
    whole: bool = False,
) -> Split:
    """Split rows into untouched test rows and repeated folds of the rest, stratified by class.

    groups: a code a row; rows of one code never stand on two sides of a split. None where all
    rows are different.

    Raises:
        InputError: if there are too few groups to part.
    """
    classes = TABLE_TASKS[task].strata(target)
    train, test = _test_rows(len(target), classes, groups, seed)
    folds = []
    samples = [train] * REPEATS if whole else _samples(train, classes, groups, seed)
    for repeat, rows in enumerate(samples):
        own_classes, own_groups = (_of(part, rows) for part in (classes, groups))
        part = _parts(len(rows), own_classes, own_groups, FOLDS, seed + repeat)
        for number in range(FOLDS):
            own = 1000 * seed + FOLDS * repeat + number
            pair = {"train": rows[part != number], "valid": rows[part == number]}
            folds.append(Fold(seed=own, repeat=repeat, **pair))
    return _split(train, test, folds, groups)


def _samples(
    rows: np.ndarray, classes: np.ndarray | None, groups: np.ndarray | None, seed: int
) -> list[np.ndarray]:
    """Return the rows of each repeat: all of them, or of a large table samples that share none."""
    own_classes = np.zeros(len(rows), dtype=int) if classes is None else classes[rows]
    rarest = int(units_by_class(own_classes, _of(groups, rows)).min())
    count = _samples_in(len(rows), rarest)
    if count == 1:
        return [rows] * REPEATS
    part = _parts(len(rows), _of(classes, rows), _of(groups, rows), count, seed)
    return [rows[part == repeat] for repeat in range(REPEATS)]


def _samples_in(rows: int, rarest: int) -> int:
    """Return in how many samples rows are parted; rarest: units of the rarest class, or all."""
    wanted = min(rows // SAMPLE, rarest // SAMPLE_OF_CLASS)
    needed = min(-(-rows // LARGEST_SAMPLE), rarest // LEAST_OF_CLASS)
    return max(1, needed, wanted if wanted >= FEWEST_SAMPLES else 1)


def split_by_time(times: np.ndarray, seed: int, groups: np.ndarray | None = None) -> Split:
    """Set the latest rows aside, and judge models by rows later than those that trained them.

    The latest of the other rows validate, in blocks; a window of equally many rows, up to where a
    block begins, trains for it. The second repeat's blocks begin half a block earlier. Rows of one
    time are never parted by the end of a window. The latest blocks come first.

    groups: which rows are one unit in the test; they may stand on both sides.

    Raises:
        InputError: if there are too few times.
    """
    order = np.random.default_rng(seed).permutation(len(times))
    order = order[np.argsort(times[order], kind="stable")]
    ends = np.append(np.flatnonzero(np.diff(times[order])) + 1, len(order))
    cut = _nearest(ends, (1 - TEST_SHARE) * len(order))
    later = LATER * cut
    blocks = min(FOLDS, max(SCREENING, int(later / LEAST_LATER)))
    pairs = []
    for repeat in range(REPEATS):
        marks = cut - later * (np.arange(blocks + 1) + repeat / 2) / blocks
        found = np.unique([_nearest(ends, mark) for mark in marks])
        pairs += [(repeat, *pair) for pair in pairwise(found)][::-1]
    fewest = min(sum(one == repeat for one, *_ in pairs) for repeat in range(REPEATS))
    if cut == len(order) or fewest < SCREENING:
        raise InputError(
            f"{len(ends)} different times part the rows too coarsely: the latest fifth is set "
            f"aside, and {SCREENING} or more blocks of the rest must follow rows that train"
        )
    window = min(start for _, start, _ in pairs)
    thin = slice(None, None, _samples_in(window, window))  # of a large table every so many-th row
    return _split(
        train=order[:cut],
        test=order[cut:],
        folds=[
            Fold(
                seed=1000 * seed + number,
                repeat=repeat,
                train=order[start - window : start][thin],
                valid=order[start:end][thin],
            )
            for number, (repeat, start, end) in enumerate(pairs)
        ],
        groups=groups,
    )


def _nearest(ends: np.ndarray, mark: float) -> int:
    """Return the end of a time's rows that lies nearest to a place in their order."""
    return int(ends[np.abs(ends - mark).argmin()])


def _split(
    train: np.ndarray, test: np.ndarray, folds: Sequence[Fold], groups: np.ndarray | None
) -> Split:
    return Split(
        train=train,
        test=test,
        folds=tuple(folds),
        screening_folds=tuple(range(SCREENING)),
        confirmation_folds=tuple(range(SCREENING, len(folds))),
        groups=groups,
    )


def _of(values: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[rows]


def _test_rows(
    rows: int, classes: np.ndarray | None, groups: np.ndarray | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that train and the test rows, about a fifth."""
    if groups is None:
        return train_test_split(
            np.arange(rows), test_size=TEST_SHARE, random_state=seed, stratify=classes
        )
    rng = np.random.default_rng((seed, REPEATS))
    parts = _dealt(groups, classes, round(1 / TEST_SHARE), rng)
    order = rng.permutation(rows)
    near = np.abs(np.bincount(parts) - TEST_SHARE * rows).argmin()  # a large group is no test
    return order[parts[order] != near], order[parts[order] == near]


def _parts(
    rows: int, classes: np.ndarray | None, groups: np.ndarray | None, parts: int, seed: int
) -> np.ndarray:
    """Return the part of each row, rows of a class dealt out in turn, however few they are."""
    rng = np.random.default_rng(seed)
    if groups is not None:
        return _dealt(groups, classes, parts, rng)
    order = rng.permutation(rows)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    found = np.empty(rows, dtype=int)
    found[order] = np.arange(rows) % parts
    return found


def _dealt(
    groups: np.ndarray, classes: np.ndarray | None, parts: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the part of each row: groups whole, the largest first, to where fewest rows are.

    Each class is dealt out by itself; a group of several classes counts as its rarest.
    """
    classes = np.zeros(len(groups), dtype=int) if classes is None else classes
    rarity = np.bincount(classes)[classes]
    by_rarity = np.argsort(rarity, kind="stable")
    _, first, number = np.unique(groups[by_rarity], return_index=True, return_inverse=True)
    if len(first) < LEAST_GROUPS:
        raise InputError(f"the rows form {len(first)} groups; a study needs {LEAST_GROUPS} or more")
    kind, size = classes[by_rarity][first], np.bincount(number)
    order = rng.permutation(len(first))
    order = order[np.lexsort((-size[order], kind[order]))]
    part, loads, current = np.empty(len(first), dtype=int), [0] * parts, -1
    for group in order.tolist():
        if kind[group] != current:
            current, own = kind[group], [0] * parts
            turn = rng.permutation(parts).tolist()  # who gets the first of equals
        chosen = min(turn, key=lambda one: (own[one], loads[one]))
        part[group] = chosen
        own[chosen] += size[group]
        loads[chosen] += size[group]
    found = np.empty(len(groups), dtype=int)
    found[by_rarity] = part[number]
    return found
