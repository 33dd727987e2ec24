"""Findings on rows: copies, columns that give the target away, rows in training and validation."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from lossmith.doctor.findings import Finding
from lossmith.doctor.seen import Seen

COPIES = 0.01  # share of rows that are copies, from which on it is told
DRAWN = 0.1  # the same of a batch alone, whose rows may be drawn with replacement
BEYOND = 100  # times as many pairs of equal rows as independent columns make
LEAST = 20  # rows, from which a column can be told to be the target
SAME = 0.9999  # rank correlation


def duplicated(seen: Seen) -> Iterator[Finding]:
    """Find rows that are copies of others, beyond what columns of few values make by chance."""
    if getattr(seen.setup.sampler, "replacement", False):
        return
    inputs, targets = _stacked(seen.setup.batches)
    if inputs is None or len(inputs) < LEAST:
        return
    rows = inputs if targets is None else torch.cat([inputs, targets], 1)
    counts = rows.unique(dim=0, return_counts=True)[1]
    copies = (len(rows) - len(counts)) / len(rows)
    pairs = (counts * (counts - 1) / 2).sum().item()
    least = DRAWN if seen.setup.loader is None else COPIES
    if copies > least and pairs > BEYOND * _by_chance(rows):
        yield Finding(
            name="duplicated rows",
            severity="warning",
            evidence=f"{len(rows) - len(counts)} of {len(rows)} rows are copies of others, target "
            "included",
            remedy="remove them, or keep copies on one side of every split",
        )


def leaking_column(seen: Seen) -> Iterator[Finding]:
    """Find columns of the input that are the target."""
    inputs, targets = _stacked(seen.setup.batches)
    flat = inputs is not None and seen.setup.batches[0][0].ndim == 2
    if not flat or inputs is None or targets is None or targets.shape[1] != 1:
        return
    y = targets[:, 0]
    if len(y) < LEAST or len(y.unique()) < 2:
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
    inputs, held = _stacked(setup.batches)[0], _stacked(setup.valid)[0]
    fits = inputs is not None and held is not None and inputs.shape[1] == held.shape[1]
    if not shared and fits:
        known = {row.numpy().tobytes() for row in inputs}  # type: ignore[union-attr]
        rows = [row.numpy().tobytes() for row in held]  # type: ignore[union-attr]
        shared, whole, where = sum(row in known for row in rows), len(rows), "that were read"
        if shared and shared <= COPIES * whole:
            return
    if shared:
        yield Finding(
            name="rows in training and validation",
            severity="error",
            evidence=f"{shared} of the {whole} rows {where} are in the training data as well",
            remedy="split by rows, or by groups of rows that belong together, before anything else",
        )


def _stacked(batches: Sequence[tuple[Any, Any]]) -> tuple[Tensor | None, Tensor | None]:
    """Return the rows of inputs and of targets (N, D), where they are tensors of one shape."""
    inputs = [one for one, _ in batches if isinstance(one, Tensor) and one.ndim > 0]
    shapes = {one.shape[1:] for one in inputs}
    if not inputs or len(inputs) < len(batches) or len(shapes) > 1 or not inputs[0].numel():
        return None, None
    rows = torch.cat([_flat(one) for one in inputs])
    targets = [one for _, one in batches if isinstance(one, Tensor) and one.ndim > 0]
    fits = len(targets) == len(batches) and len({one.shape[1:] for one in targets}) == 1
    if not fits or sum(map(len, targets)) != len(rows):
        return rows, None
    return rows, torch.cat([_flat(one) for one in targets])


def _flat(batch: Tensor) -> Tensor:
    return batch.detach().cpu().reshape(len(batch), -1).double()


def _by_chance(rows: Tensor) -> float:
    """Return how many pairs of equal rows independent columns of these values would make."""
    log = torch.tensor(len(rows) * (len(rows) - 1) / 2).log().double()
    for column in rows.T[:4096]:
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
