"""The folds of a study of one's own loop: any splitter's, one fixed split, or made here."""

import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import listed, pluralize

FOLDS, REPEATS = 5, 2  # that are made here
FIXED_SEEDS = 5  # trainings on one fixed split, unless asked for otherwise
BLOCKS = 2000  # of units, where there are more


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The rows that train and those that judge, under one seed; units: of the rows that judge.

    A unit is a row, a group, or a block of either.
    """

    train: np.ndarray
    valid: np.ndarray
    units: np.ndarray
    seed: int


@dataclass(frozen=True, kw_only=True)
class Folds:
    """The folds of a study."""

    folds: tuple[Fold, ...]
    fixed: bool  # one split, under several seeds
    grouped: bool
    judged: tuple[int, ...]  # how many units judge in the first fold, the first two, and so on

    def fingerprint(self) -> str:
        """Return a hash of which rows train and judge where."""
        return fingerprint(
            *(p for fold in self.folds for p in (fold.train, fold.valid, fold.units))
        )

    @property
    def overlap(self) -> float:
        """Validation rows for each training row, by which scores of folds are not independent."""
        first = self.folds[0]
        return 0.0 if self.fixed else len(first.valid) / len(first.train)


def fingerprint(*arrays: np.ndarray) -> str:
    """Return a hash of what arrays hold, equal in every process."""
    digest = hashlib.sha256()
    for one in arrays:
        digest.update(f"{one.dtype}{one.shape}".encode())
        digest.update(repr(one.tolist()).encode() if one.dtype.hasobject else one.tobytes())
    return digest.hexdigest()


def column_bytes(column: pd.Series) -> np.ndarray:
    """Return a hash of each of a column's values, whatever they are, with the column's name."""
    try:
        values = pd.util.hash_pandas_object(column, index=False)
    except TypeError:  # values of several kinds
        values = pd.util.hash_pandas_object(column.map(repr), index=False)
    return np.append(values.to_numpy(), np.frombuffer(str(column.name).encode(), np.uint8))


def folds_of(
    splits: Any, *, groups: Any, target: Any, classes: bool, seeds: int | None, seed: int
) -> Folds:
    """Return the folds that a study asks for.

    Args:
        splits: an iterable of pairs of row numbers (train, valid), one such pair, or None for five
            folds, twice, of the target's rows.
        groups: one label a row, whose rows belong together, or None.
        target: one entry a row, or None.
        classes: whether the target's classes are to be dealt out evenly.
        seeds: trainings on each split; one if None, or five on a single split.
        seed: of the study.

    Raises:
        InputError: where rows both train and judge, are out of range, or a group is on both sides.
    """
    labels = None if groups is None else _codes(groups, target)
    pairs = _made(target, labels, classes, seed) if splits is None else _given(splits)
    rows = len(target) if target is not None else None if labels is None else len(labels)
    for number, (train, valid) in enumerate(pairs):
        _check(number, train, valid, rows, groups, labels)
    times = seeds or (FIXED_SEEDS if len(pairs) == 1 else 1)
    own = [valid if labels is None else labels[valid] for _, valid in pairs]
    units = blocks_of(own)
    return Folds(
        folds=tuple(
            Fold(
                train=train,
                valid=valid,
                units=units[number],
                seed=1000 * seed + len(pairs) * time + number,
            )
            for time in range(times)
            for number, (train, valid) in enumerate(pairs)
        ),
        fixed=len(pairs) == 1,
        grouped=labels is not None,
        judged=_judged(own * times),
    )


def blocks_of(units: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the block of each unit, the same in every fold; units themselves where they are few.

    A study keeps one number a unit of every report, and millions would fill a disk. Sums over
    fixed random blocks of independent units are independent, and their squares tell the variance
    as those of the units do: with 2,000 of them the test has the same level and nearly the same
    power (`bench/blocks.py`).
    """
    codes = np.unique(np.concatenate(units))
    if len(codes) <= BLOCKS:
        return list(units)
    block = np.random.default_rng(0).permutation(len(codes)) % BLOCKS
    return [block[np.searchsorted(codes, own)] for own in units]


def _judged(units: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Return how many units there are in the first fold, in the first two, and so on."""
    codes, index = np.unique(np.concatenate(units), return_inverse=True)
    folds = np.repeat(np.arange(len(units)), [len(own) for own in units])
    first = np.full(len(codes), len(units))
    np.minimum.at(first, index, folds)
    return tuple(np.cumsum(np.bincount(first, minlength=len(units))).tolist())


def _codes(groups: Any, target: Any) -> np.ndarray:
    labels = np.asarray(groups)
    if labels.ndim != 1 or (target is not None and len(labels) != len(target)):
        wanted = "" if target is None else f" ({len(target)} rows)"
        raise InputError(f"groups must have one label a row{wanted}, got shape {labels.shape}")
    missing = int(pd.isna(labels).sum())
    if missing:
        raise InputError(
            f"groups has no label in {pluralize(missing, 'row')}, which would be one group; give "
            "each such row a label, one of its own where it belongs to none"
        )
    return np.unique(labels, return_inverse=True)[1]


def _made(
    target: Any, groups: np.ndarray | None, classes: bool, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    if target is None:
        raise InputError(
            "splits= is needed where no target is given: KFold(5).split(x), or (train, valid)"
        )
    strata = np.asarray(target) if classes else None
    _tell_of_rare(strata)
    kinds = {
        (False, False): KFold,
        (True, False): StratifiedKFold,
        (False, True): GroupKFold,
        (True, True): StratifiedGroupKFold,
    }
    kind = kinds[classes, groups is not None]
    pairs = []
    for repeat in range(REPEATS):
        splitter = kind(FOLDS, shuffle=True, random_state=seed + repeat)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The least populated class")
                pairs += splitter.split(np.zeros(len(target)), strata, groups)
        except ValueError as error:
            raise InputError(f"the rows can't be cut into {FOLDS} folds: {error}") from error
    return pairs


def _tell_of_rare(strata: np.ndarray | None) -> None:
    """Warn of a class that some folds lack, once."""
    if strata is None:
        return
    names, counts = np.unique(strata, return_counts=True)
    if counts.min() < FOLDS:
        rare = names[counts < FOLDS].tolist()
        warnings.warn(
            f"class {listed([str(one) for one in rare])} has {counts.min()} of {len(strata)} rows, "
            f"so that some of the {FOLDS} folds lack it, to train or to judge by; merge or drop it",
            stacklevel=5,
        )


def _given(splits: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    if not isinstance(splits, Iterable):
        raise InputError(
            "splits must be pairs of row numbers (train, valid), as KFold(5).split(x) gives; "
            f"got a {type(splits).__name__}"
        )
    found = list(splits)
    if len(found) == 2 and all(np.ndim(part) == 1 for part in found):
        found = [tuple(found)]
    if not found:
        raise InputError("splits is empty; a generator can be read only once: make it anew")
    pairs = []
    for number, pair in enumerate(found):
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise InputError(f"split {number} must be a pair (train, valid) of row numbers")
        pairs.append((_rows(number, pair[0]), _rows(number, pair[1])))
    return pairs


def _rows(number: int, part: Any) -> np.ndarray:
    rows = np.asarray(part)
    if rows.dtype == bool:
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or len(rows) == 0:
        raise InputError(
            f"split {number} must hold whole row numbers, at least one on each side; got "
            f"{rows.dtype} of shape {rows.shape}"
        )
    return rows.astype(np.int64)


def _check(
    number: int,
    train: np.ndarray,
    valid: np.ndarray,
    rows: int | None,
    groups: Any,
    labels: np.ndarray | None,
) -> None:
    first, last = int(min(train.min(), valid.min())), int(max(train.max(), valid.max()))
    if first < 0 or (rows is not None and last >= rows):
        wrong, end = first if first < 0 else last, "" if rows is None else f" to {rows - 1}"
        raise InputError(f"split {number} names row {wrong}; rows are counted from 0{end}")
    both = np.intersect1d(train, valid)
    if len(both):
        raise InputError(
            f"split {number} trains and judges by the same rows ({len(both)} of them, the first is "
            f"{both[0]}); a loss would be praised for what it has seen"
        )
    if len(np.unique(valid)) < len(valid):
        raise InputError(f"split {number} names a validation row twice")
    if labels is not None:
        shared = np.intersect1d(labels[train], labels[valid])
        if len(shared):
            name = np.asarray(groups)[labels == shared[0]][0]
            raise InputError(
                f"split {number} has rows of group {name} on both sides; split by group "
                "(GroupKFold, or splits=None)"
            )
