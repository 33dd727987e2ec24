"""What lies in a folder: images or texts by class, or images beside their masks."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lossmith.study.base.errors import InputError
from lossmith.study.base.formatting import listed, pluralize
from lossmith.study.folders.pictures import SUFFIXES as OF_IMAGES
from lossmith.study.tasks.classes import MINIMUM_CLASS_ROWS

NAMED = 3  # files that a line names
SUFFIXES = {"image": OF_IMAGES, "text": (".txt",)}


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The images, or the texts, of a folder, by their paths within it, in order.

    word: what one of them is. left_out: other files.
    """

    root: Path
    word: str
    names: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def files(self) -> list[Path]:
        """Their files."""
        return [self.root / name for name in self.names]


def found_in(root: Path, word: str | None = None, apart: Path | None = None) -> Listing:
    """Return all images, or all texts, under a folder, but hidden ones and those of a folder apart.

    word: which of the two; told by the files if None.

    Raises:
        InputError: if there is no such folder, none in it, or some of each in folders of classes.
    """
    names = _files_in(root, apart)
    word = _told(root, names) if word is None else word
    found = _of(word, names)
    if not found:
        kinds = ", ".join(SUFFIXES[word])
        raise InputError(f"{root} holds no {word} ({kinds})")
    left_out = tuple(sorted(set(names) - set(found)))
    return Listing(root=root, word=word, names=tuple(found), left_out=left_out)


def _files_in(root: Path, apart: Path | None) -> list[str]:
    """Return the paths of all files that are not hidden, in order."""
    if not root.is_dir():
        raise InputError(f"there is no folder {root}")
    apart = None if apart is None else apart.resolve()
    names: list[str] = []
    for place, folders, files in os.walk(root, followlinks=True):
        own = Path(place).resolve()
        within = {name: (own / name).resolve() for name in folders if name[0] != "."}
        folders[:] = sorted(
            name
            for name, found in within.items()
            if found != apart and not own.is_relative_to(found)  # a link back leads in circles
        )
        inner = Path(place).relative_to(root)
        names += [(inner / name).as_posix() for name in files if name[0] != "."]
    return sorted(names)


def _of(word: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(name).suffix.lower() in SUFFIXES[word]]


def _told(root: Path, names: list[str]) -> str:
    """Return what files in folders of classes are: a README beside these is of no class."""
    classed = {word: [n for n in _of(word, names) if "/" in n] for word in SUFFIXES}
    told = [word for word, own in classed.items() if own]
    if len(told) == 2:
        image, text = (own[0] for own in classed.values())
        raise InputError(
            f"{root} holds images and texts, as {image} and {text}; a study is of one kind: move "
            "the others away"
        )
    loose = [word for word in SUFFIXES if _of(word, names)]
    if not (told or loose):
        kinds = ", ".join(suffix for own in SUFFIXES.values() for suffix in own)
        raise InputError(f"{root} holds no image and no text ({kinds})")
    return (told or loose)[0]


def classes_in(listing: Listing) -> tuple[np.ndarray, np.ndarray]:
    """Return each file's class as a code, and the classes' names: those of the folders.

    Raises:
        InputError: if files lie in no folder of a class, if there is one class only, or if a
            class has too few of them.
    """
    root, word = listing.root, listing.word
    loose = [name for name in listing.names if "/" not in name]
    if len(loose) == len(listing.names):
        raise InputError(
            f"{root} has {word}s, but no folders: put those of each class into a folder of its name"
            + (", or give --masks DIR" if word == "image" else "")
        )
    if loose:
        raise InputError(
            f"{root} has {pluralize(len(loose), word)} in no folder of a class "
            f"({listed(loose, NAMED)}); move or remove them"
        )
    labels, found = np.unique(
        [name.partition("/")[0] for name in listing.names], return_inverse=True
    )
    empty = sorted(
        one.name
        for one in root.iterdir()
        if one.is_dir() and one.name[0] != "." and one.name not in labels
    )
    if empty:
        raise InputError(
            f"{root / empty[0]} holds no {word}; every folder is a class, so remove it"
        )
    if len(labels) < 2:
        raise InputError(f"{root} has one class only ({labels[0]}); a study needs two or more")
    counts = np.bincount(found)
    if counts.min() < MINIMUM_CLASS_ROWS:
        rare = labels[counts.argmin()]
        raise InputError(
            f"class {rare} has {pluralize(int(counts.min()), word)}; a study needs "
            f"{MINIMUM_CLASS_ROWS} of each: add some, or move its folder away"
        )
    return found, labels


def masks_of(listing: Listing, masks: Path) -> tuple[list[Path], list[str]]:
    """Return each image's mask, which has its path but for the suffix, and masks of no image.

    Raises:
        InputError: if an image has none, or several, or two images share one.
    """
    drawn: dict[str, list[str]] = {}
    for name in found_in(masks, "image").names:
        drawn.setdefault(stem_of(name), []).append(name)
    stems = [stem_of(name) for name in listing.names]
    check_stems(listing)
    imaged = set(stems)
    several = [names for stem, names in drawn.items() if len(names) > 1 and stem in imaged]
    if several:
        raise InputError(f"{' and '.join(several[0])} in {masks} are masks of one image")
    lacking = [name for name, stem in zip(listing.names, stems, strict=True) if stem not in drawn]
    if lacking:
        raise InputError(
            f"{len(lacking)} of {pluralize(len(stems), 'image')} without a mask of the same name "
            f"in {masks}: {listed(lacking, NAMED)}"
        )
    spare = sorted(name for stem, (name, *_) in drawn.items() if stem not in imaged)
    return [masks / drawn[stem][0] for stem in stems], spare


def check_stems(listing: Listing) -> None:
    """Raise InputError where two images would share one mask, as a.png and a.jpg."""
    own: dict[str, str] = {}
    for name in listing.names:
        other = own.setdefault(stem_of(name), name)
        if other != name:
            raise InputError(f"{other} and {name} would share one mask; rename one")


def groups_of(names: tuple[str, ...], pattern: str) -> np.ndarray:
    """Return a label a file: what a regular expression, or its first group, finds in its path.

    >>> groups_of(("cat/p1_a.png", "cat/p1_b.png", "dog/p2.png"), r"p(\\d+)").tolist()
    ['1', '1', '2']

    Raises:
        InputError: if it is no regular expression, or finds nothing in a path.
    """
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"--groups of a folder is a regular expression on paths in it, and {pattern!r} is "
            f"none: {error}"
        ) from error
    found = [_found(wanted, name) for name in names]
    missing = [name for name, text in zip(names, found, strict=True) if text is None]
    if missing:
        raise InputError(
            f"--groups {pattern!r} finds nothing in {pluralize(len(missing), 'path')}: "
            f"{listed(missing, NAMED)}"
        )
    return np.array(found, dtype=str)


def _found(wanted: re.Pattern[str], name: str) -> str | None:
    """Return what a pattern, or its first group, finds; None where that took no part."""
    match = wanted.search(name)
    return None if match is None else match[1 if wanted.groups else 0]


def check_apart(out: Path, root: Path) -> None:
    """Raise InputError for a folder to write to within the folder that is read."""
    if out.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{out} lies in the folder that is read, {root}; choose another --out")


def stem_of(name: str) -> str:
    """Return an image's path without its suffix, which its mask shares."""
    return name.removesuffix(Path(name).suffix)
