"""What a folder holds, in memory, small, with its classes or masks, and what was found."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import pluralize
from lossmith.study.base.result import Finding
from lossmith.study.data.arrangement import together
from lossmith.study.data.problem import MINIMUM_ROWS
from lossmith.study.data.units import same_inputs
from lossmith.study.folders.bodies import STEP
from lossmith.study.folders.findings import left_out, of_copies, of_groups, of_pictures, of_texts
from lossmith.study.folders.inputs import LARGEST, Images, Inputs, Texts, fits
from lossmith.study.folders.listing import Listing, found_in, groups_of
from lossmith.study.folders.pictures import Looks, look
from lossmith.study.folders.targets import FolderTarget, by_class, by_mask
from lossmith.study.folders.texts import read_text

SMALL, LARGE = 32, 64  # the sides that pictures get
LEAST_LARGE = 48  # pixels of the shorter side, from which on half of the pictures get the larger


@dataclass(frozen=True, kw_only=True)
class FolderData:
    """What a body sees of each file, and a class each, or a mask (N, S, S).

    texts: as they were read; of images none. labels: the classes' names; those of masks are their
    codes. groups: a label a file, or None. findings: what the user should know.
    """

    root: Path
    inputs: Inputs
    names: tuple[str, ...]
    seen: Tensor
    target: Tensor
    labels: tuple[str, ...]
    groups: np.ndarray | None
    findings: tuple[Finding, ...]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Read:
    """What was read of the files, and what is said of them."""

    inputs: Inputs
    seen: Tensor
    target: FolderTarget
    findings: list[Finding]
    texts: tuple[str, ...] = ()


def read_folder(
    root: Path,
    *,
    masks: Path | None = None,
    size: int | None = None,
    groups: str | None = None,
    positive: str | None = None,
    own: bool = False,
) -> FolderData:
    """Read a folder of images or texts: one folder a class, or images with masks beside.

    own: whether the body is the user's.

    Raises:
        InputError: with one line that says what is wrong with the folder, or a file.
    """
    if masks is not None and masks.resolve() == root.resolve():
        raise InputError(f"--masks is the folder of the images itself, {root}")
    if size is not None and not fits(size):
        raise InputError(f"--size must be a multiple of {STEP} up to {LARGEST}, got {size}")
    listing = found_in(root, None if masks is None else "image", masks)
    word = listing.word
    if len(listing.names) < MINIMUM_ROWS:
        raise InputError(
            f"{root} has {pluralize(len(listing.names), word)}; a study needs {MINIMUM_ROWS}"
        )
    if word == "text":
        read = _texts(listing, size, positive, own)
    else:
        read = _images(listing, size, positive, masks)
    said = None if groups is None else groups_of(listing.names, groups)
    return FolderData(
        root=root,
        inputs=read.inputs,
        names=listing.names,
        seen=read.seen,
        target=read.target.codes,
        labels=read.target.labels,
        groups=together(said, _copies(read.seen)),
        findings=(
            *read.findings,
            *read.target.findings,
            *of_groups(said, word),
            *of_copies(read.seen, read.target.codes, listing.names, word),
            *left_out(listing.left_out, f"no {word}s"),
        ),
        texts=read.texts,
    )


def _images(listing: Listing, size: int | None, positive: str | None, masks: Path | None) -> Read:
    looks = [look(file) for file in listing.files]
    channels = 1 if all(one.grey for one in looks) else 3
    inputs = Images(size or _side(looks), channels, masked=masks is not None)
    if masks is None:
        target = by_class(listing, positive)
    else:
        target = by_mask(listing, masks, looks, inputs.size)
    return Read(
        inputs=inputs,
        seen=inputs.read(listing.files),
        target=target,
        findings=of_pictures(looks, inputs.size, channels),
    )


def _texts(listing: Listing, size: int | None, positive: str | None, own: bool) -> Read:
    if size is not None:
        raise InputError(f"--size is for images, and {listing.root} holds texts")
    inputs, target = Texts(own), by_class(listing, positive)
    texts = tuple(map(read_text, listing.files))
    return Read(
        inputs=inputs,
        seen=inputs.codes(texts),
        target=target,
        findings=of_texts(texts, [file.stat().st_size for file in listing.files]),
        texts=texts,
    )


def _side(looks: list[Looks]) -> int:
    shorter = np.median([min(one.width, one.height) for one in looks])
    return LARGE if shorter >= LEAST_LARGE else SMALL


def _copies(seen: Tensor) -> np.ndarray | None:
    """Return a code a file, equal where these are, whatever is said of them; None of none."""
    alike = same_inputs(seen)
    return alike if alike.max() + 1 < len(alike) else None
