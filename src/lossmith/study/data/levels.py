"""Columns of many levels by what their levels' rows have as target, learnt out of fold."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

FEW = 32  # levels up to which a column has a number for each anyway
REPEATED = 1.5  # rows a level, below which levels are no levels
PARTS = 10  # of the training rows; the levels of one are judged by the others
BINS = 12  # that a column of numbers is held against: what its order tells of the target
TOLD = 0.1  # share of the target's variance which that leaves that levels must tell
CLASSES = 10  # of which levels have a share, the frequent ones
LARGEST = 3.0  # standard deviations

Known = tuple[np.ndarray, np.ndarray]  # levels in order, and their numbers (levels, signals)


def learn_levels(
    columns: dict[str, np.ndarray], target: np.ndarray, units: np.ndarray
) -> tuple[dict[str, Known], np.ndarray]:
    """Return the levels worth a number of their own, and the numbers of the training rows.

    A level's number is the mean target of its rows, shrunk towards all rows' by its credibility
    (Bühlmann, *Experience Rating and Credibility*, 1967). Training rows have those of other parts
    of the rows, so that no row sees its own target; a column whose numbers do not predict those
    rows' targets is left out, and so is one of numbers that tell no more by level than in order.

    Args:
        columns: texts or numbers, a value a row.
        target: (n,) or (n, targets); classes are whole numbers.
        units: a code a row; rows of one code are in one part.
    """
    signals, parts = _signals(target), _parts(units)
    found: dict[str, Known] = {}
    rows = [np.empty((len(target), 0))]
    for name, column in columns.items():
        codes, levels = pd.factorize(column, sort=True, use_na_sentinel=False)
        if len(levels) <= FEW or len(column) < REPEATED * len(levels):
            continue
        own = _out_of_fold(codes, signals, parts)
        beside = 0.0
        if levels.dtype != object:
            beside = _told(_out_of_fold(_binned(column, codes), signals, parts), signals)
        if _told(own, signals) > beside + TOLD * (1 - beside):
            weight = _weight(codes, signals)
            found[name] = np.asarray(levels), _shrunk(*_sums(codes, signals), weight)
            rows.append(own)
    return found, np.concatenate(rows, axis=1)


def level_numbers(column: np.ndarray, known: Known) -> np.ndarray:
    """Return the numbers of each row's level, (n, signals); 0 where it was not seen."""
    levels, numbers = known
    places = pd.Index(levels).get_indexer(pd.Index(column))
    return np.where(places[:, None] >= 0, numbers[places], 0.0)


def _signals(target: np.ndarray) -> np.ndarray:
    """Return what levels are to tell, (n, signals) of mean 0 and variance 1.

    Ranks of numbers, so that neither outliers nor units count; of classes who has them.
    """
    if target.dtype.kind in "iu":
        counts = np.bincount(target)
        classes = np.argsort(-counts, kind="stable")[: 1 if len(counts) == 2 else CLASSES]
        signals = (target[:, None] == np.sort(classes)).astype(float)
    else:
        signals = rankdata(target.reshape(len(target), -1), axis=0)
    spread = signals.std(axis=0)
    return (signals - signals.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _parts(units: np.ndarray) -> np.ndarray:
    codes, distinct = pd.factorize(units)
    return (np.random.default_rng(0).permutation(len(distinct)) % PARTS)[codes]


def _binned(column: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return codes of equally many rows in the order of a column, and one of those without."""
    ranks = (rankdata(codes) - 0.5) / len(codes)
    return np.where(np.isnan(column), BINS, np.floor(BINS * ranks)).astype(int)


def _sums(codes: np.ndarray, signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each level's number of rows (levels, 1) and sums (levels, signals)."""
    sums = [np.bincount(codes, one) for one in signals.T]
    return np.bincount(codes)[:, None], np.stack(sums, axis=1)


def _weight(codes: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """Return how many rows the mean of all counts for: variance within over between levels."""
    counts, sums = _sums(codes, signals)
    seen = np.maximum(counts, 1)
    rows, levels = len(codes), int((counts > 0).sum())
    between = (sums**2 / seen).sum(axis=0)
    within = ((signals**2).sum(axis=0) - between) / max(rows - levels, 1)
    spread = (between - (levels - 1) * within) / (rows - (counts**2).sum() / rows)
    return np.where(spread > 0, within / np.where(spread > 0, spread, 1.0), np.inf)


def _shrunk(counts: np.ndarray, sums: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the levels' means, shrunk, and large ones squashed."""
    means = sums / np.maximum(counts + weight, 1e-9)
    return means / np.sqrt(1 + (means / LARGEST) ** 2)


def _out_of_fold(codes: np.ndarray, signals: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return each row's level's numbers by the rows of other parts, (n, signals)."""
    counts, sums = _sums(codes, signals)
    both = codes * PARTS + parts
    own_counts, own_sums = _sums(both, signals)
    counts, sums = counts[codes] - own_counts[both], sums[codes] - own_sums[both]
    return _shrunk(counts, sums, _weight(codes, signals))


def _told(numbers: np.ndarray, signals: np.ndarray) -> float:
    """Return which share of the signals' variance numbers tell."""
    return 1 - float(((signals - numbers) ** 2).mean())
