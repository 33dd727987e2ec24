"""The target of a folder: a class a file by where it lies, or a mask beside an image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import listed
from lossmith.study.base.result import Finding
from lossmith.study.folders.findings import left_out, note, of_classes, of_masks
from lossmith.study.folders.listing import Listing, classes_in, masks_of
from lossmith.study.folders.pictures import Looks, codes, shrunk
from lossmith.study.metrics.reading import IGNORED
from lossmith.study.tasks import TABLE_TASKS


@dataclass(frozen=True, kw_only=True)
class FolderTarget:
    """Class codes (N,), or masks of them (N, S, S), the classes' names, and what was found."""

    codes: Tensor
    labels: tuple[str, ...]
    findings: list[Finding]


def by_class(listing: Listing, positive: str | None) -> FolderTarget:
    """Return each file's class; of two the positive one, the rarer one unless said, has code 1."""
    found, labels = classes_in(listing)
    task = TABLE_TASKS["binary" if len(labels) == 2 else "multiclass"]
    if positive is not None and len(labels) > 2:
        raise InputError(f"--positive is for two classes, and {listing.root} has {len(labels)}")
    found, labels = task.arranged(found, labels, "the class", positive)
    told = [note("classes", text) for text in task.notes(labels, found)]
    return FolderTarget(
        codes=torch.from_numpy(found.astype(np.int64)),
        labels=tuple(map(str, labels)),
        findings=of_classes(found, labels) + told,
    )


def by_mask(listing: Listing, masks: Path, looks: list[Looks], side: int) -> FolderTarget:
    """Return each image's mask at the side of the pictures."""
    files, spare = masks_of(listing, masks)
    small, seen = _read(files, looks, side)
    found = left_out(spare, "masks of no image")
    if np.flatnonzero(seen).tolist() == [0, IGNORED]:
        small, seen = (small == IGNORED).astype(np.uint8), np.arange(len(seen)) < 2
        found.append(note("masks", "black and white: white, 255, is read as class 1"))
    count = _count(np.flatnonzero(seen), small)
    target = torch.from_numpy(small.astype(np.int64))
    labels = tuple(str(code) for code in range(count))
    return FolderTarget(codes=target, labels=labels, findings=found + of_masks(target))


def _read(files: list[Path], looks: list[Looks], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the masks, small, and whether each code of 0 to 255 stands in any of them."""
    small, seen = [], np.zeros(IGNORED + 1, dtype=bool)
    for file, shape in zip(files, looks, strict=True):
        mask = codes(file, shape)
        seen[np.unique(mask)] = True
        small.append(shrunk(mask, side))
    return np.stack(small), seen


def _count(found: np.ndarray, small: np.ndarray) -> int:
    """Return how many classes the masks have.

    Raises:
        InputError: if there is one only, if codes leave a gap, or if a class is too small to see.
    """
    known = found[found != IGNORED]
    if len(known) < 2:
        raise InputError("the masks hold one class only; a study needs two or more")
    if known.tolist() != list(range(len(known))):
        raise InputError(
            f"the masks hold the codes {listed([str(code) for code in known])}; class codes must "
            f"be 0, 1, 2 … without a gap, and {IGNORED} is ignored"
        )
    lost, side = np.setdiff1d(known, small), small.shape[-1]
    if len(lost):
        raise InputError(
            f"class {lost[0]} of the masks vanishes at {side} × {side} pixels; give a larger --size"
        )
    return len(known)
