"""What is wrong with the atlas's training rows: a target in, the rows kept and their target out."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
Fault = Callable[[Any, np.random.Generator], tuple[Array, Any]]
FEW = "few rows"
LEAST = 24  # rows that are left


def few(target: Any, random: np.random.Generator, share: float) -> tuple[Array, Any]:
    """Keep a share of the rows."""
    kept = np.sort(random.permutation(len(target))[: max(LEAST, int(share * len(target)))])
    return kept, target[kept]


def long_tail(target: Array, random: np.random.Generator, least: float) -> tuple[Array, Array]:
    """Keep ever fewer of the classes, down to a share of the last one."""
    codes = np.unique(target)
    kept = []
    for code, share in zip(codes, least ** np.linspace(0, 1, len(codes)), strict=True):
        own = random.permutation(np.flatnonzero(target == code))
        kept.append(own[: max(3, int(share * len(own)))])
    rows = np.sort(np.concatenate(kept))
    return rows, target[rows]


def wrong_classes(target: Array, random: np.random.Generator, share: float) -> tuple[Array, Array]:
    """Turn a share of the classes into another of those that there are."""
    codes, places = np.unique(target, return_inverse=True)
    hit = random.random(len(target)) < share
    moved = (places + random.integers(1, len(codes), len(target))) % len(codes)
    return np.arange(len(target)), codes[np.where(hit, moved, places)]


def wrong_grades(target: Array, random: np.random.Generator, share: float) -> tuple[Array, Array]:
    """Give a share of the rows any grade."""
    hit = random.random(len(target)) < share
    anything = random.integers(target.max() + 1, size=len(target))
    return np.arange(len(target)), np.where(hit, anything, target)


def missing_labels(target: Array, random: np.random.Generator, share: float) -> tuple[Array, Array]:
    """Forget a share of the labels that rows have."""
    return np.arange(len(target)), target * (random.random(target.shape) >= share)


def wrong_values(target: Array, random: np.random.Generator, share: float) -> tuple[Array, Array]:
    """Move a share of the numbers by 5 to 15 standard deviations, up or down."""
    hit = random.random(len(target)) < share
    size = random.uniform(5, 15, len(target)) * random.choice([-1, 1], len(target))
    return np.arange(len(target)), np.where(hit, target + size * target.std(), target)


def tenfold(target: Array, random: np.random.Generator, share: float) -> tuple[Array, Array]:
    """Write a share of the counts with one zero too many."""
    hit = random.random(len(target)) < share
    return np.arange(len(target)), np.where(hit, 10 * target, target)


def spikes(target: Array, random: np.random.Generator, share: float) -> tuple[Array, Array]:
    """Move a share of the numbers up by 3 to 8 standard deviations."""
    hit = random.random(target.shape) < share
    size = random.uniform(3, 8, target.shape) * target.std()
    return np.arange(len(target)), np.where(hit, target + size, target).astype(target.dtype)


def censored(target: dict, random: np.random.Generator, share: float) -> tuple[Array, dict]:
    """Cut a share of the times short, at any time before."""
    hit = random.random(len(target["time"])) < share
    cut = target["time"] * random.uniform(0.05, 1, len(hit)).astype(np.float32)
    time = np.where(hit, cut, target["time"])
    return np.arange(len(hit)), {"time": time, "event": np.where(hit, 0, target["event"])}


def wrong_choices(target: Array, random: np.random.Generator, share: float) -> tuple[Array, Array]:
    """Move a share of what is relevant to any other item of the query."""
    target = target.copy()
    for row in target:
        for item in np.flatnonzero(row > 0):
            free = np.flatnonzero(row == 0)
            if len(free) and random.random() < share:
                other = random.choice(free)
                row[item], row[other] = 0, row[item]
    return np.arange(len(target)), target


def wrong_tokens(target: Array, random: np.random.Generator, share: float) -> tuple[Array, Array]:
    """Turn a share of the tokens into any other."""
    hit = (random.random(target.shape) < share) & (target > 0)
    anything = random.integers(1, target.max() + 1, target.shape)
    return np.arange(len(target)), np.where(hit, anything, target)


def loose(target: Array, random: np.random.Generator, share: float) -> tuple[Array, Array]:
    """Move each edge of a box in or out by a share of its side, as its deviation."""
    sides = np.tile(target[:, 2:] - target[:, :2], 2)
    moved = target + share * sides * random.normal(size=target.shape)
    low, high = np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])
    return np.arange(len(target)), np.hstack([low, high + 1e-3]).astype(target.dtype)


def ragged(target: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Shift each mask by up to two pixels and let it grow, shrink or stay by one."""
    return np.arange(len(target)), np.stack([_ragged(mask, random) for mask in target])


def _ragged(mask: Array, random: np.random.Generator) -> Array:
    y, x = random.integers(-2, 3, size=2)
    padded = np.pad(mask, 3, mode="edge")
    side = mask.shape[0]
    around = [
        padded[3 + y + dy : 3 + y + dy + side, 3 + x + dx : 3 + x + dx + side]
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    ]
    how = random.integers(3)
    return around[4] if how == 0 else np.max(around, axis=0) if how == 1 else np.min(around, axis=0)
