"""Findings on rows: copies, columns that give the target away, rows in training and validation."""

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from lossmith.doctor.findings import Finding
from lossmith.doctor.seen import Seen

COPIES = 0.01  # share of rows that are copies, from which on it is told
DRAWN = 0.1  # the same of a batch alone, whose rows may be drawn with replacement
BEYOND = 100  # times as many pairs of equal rows as independent columns make
LEAST = 20  # rows, from which a column can be told to be the target
WIDE = 4096  # columns of a row that are looked at one by one
SAME = 0.9999  # rank correlation


def duplicated(seen: Seen) -> Iterator[Finding]:
    """Find rows that are copies of others, beyond what columns of few values make by chance."""
    if getattr(seen.setup.sampler, "replacement", False):
        return
    codes = _codes(seen.setup.batches, targets=True)
    if len(codes) < LEAST:
        return
    counts = Counter(codes).values()
    copied = len(codes) - len(counts)
    least = DRAWN if seen.setup.loader is None else COPIES
    pairs = sum(count * (count - 1) / 2 for count in counts)
    if copied > least * len(codes) and pairs > BEYOND * _by_chance(seen.setup.batches):
        yield Finding(
            name="duplicated rows",
            severity="warning",
            evidence=f"{copied} of {len(codes)} rows are copies of others, target included",
            remedy="remove them, or keep copies on one side of every split",
        )


def leaking_column(seen: Seen) -> Iterator[Finding]:
    """Find columns of the input that are the target."""
    inputs = _stacked([one for one, _ in seen.setup.batches])
    targets = _stacked([one for _, one in seen.setup.batches])
    flat = inputs is not None and seen.setup.batches[0][0].ndim == 2
    if not flat or inputs is None or targets is None or targets.shape[1] != 1:
        return
    y = targets[:, 0]
    if len(y) < LEAST or len(y) != len(inputs) or len(y.unique()) < 2:
        return
    found = [place for place, column in enumerate(inputs.T) if _gives(column, y)]
    if found:
        yield Finding(
            name="a column that gives the target away",
            severity="error",
            evidence=f"column {', '.join(map(str, found[:5]))} of the input is the target, or a "
            f"monotone function of it, in all {len(y)} rows that were read",
            remedy="remove it, unless it is known when you predict",
        )


def shared_rows(seen: Seen) -> Iterator[Finding]:
    """Find rows that are in training and in validation."""
    setup = seen.setup
    places = [_places(loader) for loader in (setup.loader, setup.valid_loader)]
    shared, whole, where = 0, 0, "of validation"
    if all(places):
        (first, mine), (second, theirs) = places  # type: ignore[misc]
        if first is second:
            shared, whole = len(set(mine) & set(theirs)), len(set(theirs))
    if not shared:
        known, held = set(_codes(setup.batches)), _codes(setup.valid)
        shared, whole, where = sum(row in known for row in held), len(held), "that were read"
        if shared <= COPIES * whole:
            return
    if shared:
        yield Finding(
            name="rows in training and validation",
            severity="error",
            evidence=f"{shared} of the {whole} rows {where} are in the training data as well",
            remedy="split by rows, or by groups of rows that belong together, before anything else",
        )


def _stacked(parts: Sequence[Any]) -> Tensor | None:
    """Return rows (N, D) as numbers, the first columns of each; None where they are no tensors."""
    tensors = [one for one in parts if isinstance(one, Tensor) and one.ndim > 0 and one.numel()]
    if not tensors or len(tensors) < len(parts) or len({one.shape[1:] for one in tensors}) > 1:
        return None
    return torch.cat(
        [one.detach().cpu().reshape(len(one), -1)[:, :WIDE].double() for one in tensors]
    )


def _codes(batches: Sequence[tuple[Any, Any]], targets: bool = False) -> list[bytes]:
    """Return a code a row, equal where the input is, and the target if it is asked for."""
    if find_spec("numpy") is None:
        return []
    found = []
    for batch in batches:
        parts = [one for one in (batch if targets else batch[:1]) if one is not None]
        rows = [_bytes(one) for one in parts]
        if not rows or len({len(one) for one in rows}) > 1:
            return []
        found += [
            blake2b(b"".join(row), digest_size=16).digest() for row in zip(*rows, strict=True)
        ]
    return found


def _bytes(part: Any) -> list[bytes]:
    """Return the bytes of each row of a tensor; none of what is no batch of rows."""
    if not isinstance(part, Tensor) or part.ndim == 0 or not part.numel():
        return []
    rows = part.detach().cpu().contiguous().reshape(len(part), -1)
    return [row.view(torch.uint8).numpy().tobytes() for row in rows]


def _by_chance(batches: Sequence[tuple[Any, Any]]) -> float:
    """Return how many pairs of equal rows independent columns of these values would make."""
    parts = [_stacked([batch[place] for batch in batches]) for place in (0, 1)]
    rows = torch.cat([one for one in parts if one is not None], 1)
    log = torch.tensor(len(rows) * (len(rows) - 1) / 2).log().double()
    for column in rows.T:
        shares = column.unique(return_counts=True)[1].double() / len(rows)
        log = log + shares.square().sum().log()
    return log.exp().item()


def _gives(column: Tensor, y: Tensor) -> bool:
    """Return whether a column is the target, or a monotone function of it."""
    values, classes = len(column.unique()), len(y.unique())
    if not column.isfinite().all() or not y.isfinite().all() or values < 2:
        return False
    if values == classes and classes <= len(y) / 4:  # codes: one for each class
        return len(torch.stack([column, y]).unique(dim=1).T) == classes
    if classes < LEAST // 2 or values < classes / 2:
        return False
    ranks = [one.argsort().argsort().double() for one in (column, y)]
    return bool(torch.corrcoef(torch.stack(ranks))[0, 1].abs() > SAME)


def _places(loader: Any) -> tuple[Any, Sequence[int]] | None:
    """Return the data that a loader draws from and the places of its rows in it."""
    dataset = getattr(loader, "dataset", None)
    if isinstance(dataset, torch.utils.data.Subset):
        return dataset.dataset, list(dataset.indices)
    return None
