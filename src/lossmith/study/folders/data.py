"""The pictures of a folder in memory, small, with their classes or masks, and what was found."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import pluralize
from lossmith.study.base.result import Finding
from lossmith.study.data.arrangement import together
from lossmith.study.data.problem import MINIMUM_ROWS
from lossmith.study.data.units import same_inputs
from lossmith.study.folders.bodies import STEP
from lossmith.study.folders.findings import left_out, of_copies, of_groups, of_pictures
from lossmith.study.folders.listing import groups_of, images_in
from lossmith.study.folders.pictures import Looks, look, pixels
from lossmith.study.folders.targets import by_class, by_mask

SMALL, LARGE = 32, 64  # the sides that pictures get
LEAST_LARGE = 48  # pixels of the shorter side, from which on half of the pictures get the larger
LARGEST = 512


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
            f"{root} has {pluralize(len(listing.names), 'image')}; a study needs {MINIMUM_ROWS}"
        )
    looks = [look(file) for file in listing.files]
    side = size or _side(looks)
    target = by_class(listing, positive) if masks is None else by_mask(listing, masks, looks, side)
    said = None if groups is None else groups_of(listing.names, groups)
    channels = 1 if all(one.grey for one in looks) else 3
    pictures = torch.from_numpy(np.stack([pixels(one, side, channels) for one in listing.files]))
    return FolderData(
        root=root,
        names=listing.names,
        pictures=pictures,
        target=target.codes,
        labels=target.labels,
        groups=together(said, _copies(pictures)),
        findings=(
            *of_pictures(looks, side, channels),
            *target.findings,
            *of_groups(said),
            *of_copies(pictures, target.codes, listing.names),
            *left_out(listing.left_out, "no images"),
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
