"""The pictures of a folder in memory, small, with their classes or masks, and what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import counted, listed, percent
from lossmith.study.base.result import Finding
from lossmith.study.data.arrangement import together
from lossmith.study.data.problem import MINIMUM_ROWS
from lossmith.study.data.units import same_inputs
from lossmith.study.folders.bodies import STEP
from lossmith.study.folders.listing import (
    NAMED,
    classes_in,
    groups_of,
    images_in,
    masks_of,
)
from lossmith.study.folders.pictures import Looks, codes, look, pixels, shrunk
from lossmith.study.metrics.overlap import IGNORED
from lossmith.study.tasks import TABLE_TASKS

SMALL, LARGE = 32, 64  # the sides that pictures get
LEAST_LARGE = 48  # pixels of the shorter side, from which on half of the pictures get the larger
LARGEST = 512
RARE = 0.2  # of an even share, below which a class is warned of


@dataclass(frozen=True, kw_only=True)
class FolderData:
    """Pictures (N, channels, S, S) as bytes, and a class each, or a mask (N, S, S).

    labels: the classes' names; those of masks are their codes. groups: a label an image, or None.
    notes: what was left out or read in a way that the user should know.
    """

    root: Path
    names: tuple[str, ...]
    pictures: Tensor
    target: Tensor
    labels: tuple[str, ...]
    groups: np.ndarray | None
    findings: tuple[Finding, ...]

    @property
    def masked(self) -> bool:
        """Whether each picture has a mask, rather than a class."""
        return self.target.ndim > 1

    @property
    def channels(self) -> int:
        """One of grey pictures, else three."""
        return self.pictures.shape[1]

    @property
    def size(self) -> int:
        """The side of the pictures."""
        return self.pictures.shape[-1]


def read_folder(
    root: Path,
    *,
    masks: Path | None = None,
    size: int | None = None,
    groups: str | None = None,
    positive: str | None = None,
) -> FolderData:
    """Read a folder of images: one folder a class, or with masks beside.

    Raises:
        InputError: with one line that says what is wrong with the folder, or a file.
    """
    if masks is not None and masks.resolve() == root.resolve():
        raise InputError(f"--masks is the folder of the images itself, {root}")
    if size is not None and not fits(size):
        raise InputError(f"--size must be a multiple of {STEP} up to {LARGEST}, got {size}")
    listing = images_in(root, masks)
    if len(listing.names) < MINIMUM_ROWS:
        raise InputError(
            f"{root} has {counted(len(listing.names), 'image')}; a study needs {MINIMUM_ROWS}"
        )
    if masks is None:
        found, labels = classes_in(listing)
        beside: list[Path] = []
        spare: list[str] = []
    else:
        beside, spare = masks_of(listing, masks)
    looks = [look(file) for file in listing.files]
    side = size or _side(looks)
    channels = 1 if all(one.grey for one in looks) else 3
    notes = _left_out(listing.left_out, "no images") + _left_out(spare, "masks of no image")
    if masks is None:
        task = TABLE_TASKS["binary" if len(labels) == 2 else "multiclass"]
        found, labels = task.arranged(found, labels, "the class", positive)
        target = torch.from_numpy(found.astype(np.int64))
        notes += _of_classes(found, labels)
        notes += [_note("classes", text) for text in task.notes(labels, found)]
    else:
        target, told = _masks(beside, looks, side)
        labels = np.arange(int(target[target != IGNORED].max()) + 1).astype(str)
        notes += told + _of_masks(target)
    pictures = torch.from_numpy(np.stack([pixels(one, side, channels) for one in listing.files]))
    said = None if groups is None else groups_of(listing.names, groups)
    return FolderData(
        root=root,
        names=listing.names,
        pictures=pictures,
        target=target,
        labels=tuple(str(label) for label in labels),
        groups=together(said, _copies(pictures)),
        findings=(
            *_of_pictures(looks, side, channels),
            *notes,
            *_of_groups(said),
            *_of_copies(pictures, target, listing.names),
        ),
    )


def fits(size: int) -> bool:
    """Tell whether pictures can have a side."""
    return 0 < size <= LARGEST and size % STEP == 0


def _side(looks: list[Looks]) -> int:
    shorter = np.median([min(one.width, one.height) for one in looks])
    return LARGE if shorter >= LEAST_LARGE else SMALL


def _copies(pictures: Tensor) -> np.ndarray | None:
    """Return a code a picture, equal where pictures are, whatever is said of them; None of none."""
    alike = same_inputs(pictures)
    return alike if alike.max() + 1 < len(alike) else None


def _masks(files: list[Path], looks: list[Looks], side: int) -> tuple[Tensor, list[Finding]]:
    """Return masks of class codes 0, 1, 2 …; black and white ones are 0 and 1."""
    small, seen = [], np.zeros(256, dtype=bool)
    for file, shape in zip(files, looks, strict=True):
        mask = codes(file, shape)
        seen[np.unique(mask)] = True
        small.append(shrunk(mask, side))
    target, notes = np.stack(small), []
    found = np.flatnonzero(seen)
    if found.tolist() == [0, IGNORED]:
        target, found = (target == IGNORED).astype(np.uint8), np.array([0, 1])
        notes.append(_note("masks", "black and white: white, 255, is read as class 1"))
    known = found[found != IGNORED]
    if len(known) < 2:
        raise InputError("the masks hold one class only; a study needs two or more")
    if known.tolist() != list(range(len(known))):
        raise InputError(
            f"the masks hold the codes {listed([str(code) for code in known])}; class codes must "
            f"be 0, 1, 2 … without a gap, and {IGNORED} is ignored"
        )
    lost = np.setdiff1d(known, target)
    if len(lost):
        raise InputError(
            f"class {lost[0]} of the masks vanishes at {side} × {side} pixels; give a larger --size"
        )
    return torch.from_numpy(target.astype(np.int64)), notes


def _of_pictures(looks: list[Looks], side: int, channels: int) -> list[Finding]:
    widths, heights = (sorted(getattr(one, name) for one in looks) for name in ("width", "height"))
    middle = len(looks) // 2
    return [
        Finding(
            name="images",
            value=f"{len(looks):,}",
            meaning=f"{widths[middle]} × {heights[middle]} pixels in the middle; each is squeezed "
            f"to {side} × {side}, {'grey' if channels == 1 else 'in colour'}"
            + (", where only large differences can be proven" if len(looks) < 500 else ""),
        )
    ]


def _of_classes(found: np.ndarray, labels: np.ndarray) -> list[Finding]:
    counts = np.bincount(found)
    order = np.argsort(-counts, kind="stable")
    share = counts.min() / counts.sum()
    rare = share < RARE / len(labels)
    return [
        Finding(
            name="classes",
            value=f"{len(labels)}",
            meaning=listed([f"{labels[code]} {counts[code]:,}" for code in order])
            + (f"; {labels[order[-1]]} is rare, {percent(share)}" if rare else ""),
            level="warning" if rare else "info",
        )
    ]


def _of_masks(target: Tensor) -> list[Finding]:
    counts = torch.bincount(target.flatten(), minlength=IGNORED + 1).double()
    ignored, counts = float(counts[IGNORED]), counts[:IGNORED]
    counts = counts[: int(counts.nonzero().max()) + 1]
    shares = (counts / counts.sum()).tolist()
    found = [
        Finding(
            name="pixels by class",
            value=f"{len(shares)} classes",
            meaning=listed([f"{code} {percent(share)}" for code, share in enumerate(shares)])
            + (
                "; rare classes sway cross-entropy little"
                if min(shares) < RARE / len(shares)
                else ""
            ),
        )
    ]
    if ignored:
        share = percent(ignored / target.numel())
        found.append(_note("ignored pixels", f"{share} have code {IGNORED} and count nowhere"))
    return found


def _of_groups(said: np.ndarray | None) -> list[Finding]:
    if said is None:
        return []
    meaning = "images of one group stay together in every split, and count as one in the test"
    return [Finding(name="groups", value=f"{len(np.unique(said)):,}", meaning=meaning)]


def _of_copies(pictures: Tensor, target: Tensor, names: Sequence[str]) -> list[Finding]:
    """Return a warning where a picture is there twice, and what is said of it differs."""
    alike, said = same_inputs(pictures), same_inputs(target)
    rows = pd.DataFrame({"picture": alike, "said": said, "name": names})
    torn = rows[rows.groupby("picture")["said"].transform("nunique") > 1]
    if torn.empty:
        return []
    first = list(torn.loc[torn.picture == torn.picture.iloc[0], "name"])
    return [
        Finding(
            name="contradictions",
            value=counted(len(torn), "image"),
            meaning=f"equal pictures of different classes or masks, as {' and '.join(first[:2])}; "
            "they stay together in every split, but one of them must be wrong",
            level="warning",
        )
    ]


def _left_out(names: Any, what: str) -> list[Finding]:
    if not names:
        return []
    told = f"{what}: {listed(list(names), NAMED)}"
    return [Finding(name="left out", value=counted(len(names), "file"), meaning=told)]


def _note(name: str, text: str) -> Finding:
    return Finding(name=name, value="", meaning=text)
