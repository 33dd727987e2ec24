"""What a folder's files are to a body: images as pixels at a size, texts as n-grams or as bytes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lossmith.core.plain import check_shape
from lossmith.study.base.named import function_at
from lossmith.study.base.settings import check_kinds
from lossmith.study.folders.bodies import (
    STEP,
    MakeBody,
    OfPictures,
    mean_of_n_grams,
    small_network,
    u_net,
)
from lossmith.study.folders.pictures import pixels
from lossmith.study.folders.texts import byte_codes, n_gram_codes, read_text

LARGEST = 512
SMALL = "small"  # the body of this package


class Inputs(ABC):
    """What the files of a folder are, and how a body sees them.

    word: one of them. shape: of the facts by which they are read again.
    """

    word: ClassVar[str]
    shape: ClassVar[Mapping[str, Any]]
    masked: bool = False  # whether a mask is predicted of each, rather than a class

    @property
    def name(self) -> str:
        """What a run calls them."""
        return f"{self.word}s"

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return the facts by which files are read again."""

    @abstractmethod
    def read(self, files: Sequence[Path]) -> Tensor:
        """Return what a body sees of files, the first dimension."""

    @abstractmethod
    def blank(self) -> Tensor:
        """Return one input in which there is nothing."""

    @abstractmethod
    def small(self) -> MakeBody:
        """Return what makes the body of this package."""

    @property
    @abstractmethod
    def body(self) -> str:
        """That body in words."""

    def wrapped(self, body: nn.Module) -> nn.Module:
        """Return a body that takes what is read."""
        return body

    def body_of(self, place: str) -> MakeBody:
        """Return what makes the body of a name.

        Raises:
            InputError: if there is no such function.
        """
        if place == SMALL:
            make = self.small()
        else:
            _, make = function_at(place)
            check_kinds(None, make, None, None)
        return lambda width: self.wrapped(make(width))


@dataclass(frozen=True)
class Images(Inputs):
    """Images, squeezed to a square of some pixels a side, grey or in colour."""

    size: int
    channels: int
    masked: bool = False
    word: ClassVar[str] = "image"
    shape: ClassVar[Mapping[str, Any]] = {"size": int, "channels": int}

    def __post_init__(self) -> None:
        """Raise ValueError for a size or channels that no image is read at."""
        if not fits(self.size) or self.channels not in (1, 3):
            raise ValueError(f"images of {self.channels} channels and {self.size} pixels a side")

    @property
    def name(self) -> str:
        """What a run calls them."""
        return "images with masks" if self.masked else "images"

    def facts(self) -> dict[str, Any]:
        """Return the side and the channels."""
        return {name: getattr(self, name) for name in self.shape}

    def read(self, files: Sequence[Path]) -> Tensor:
        """Return pictures as bytes, (N, channels, size, size)."""
        found = [pixels(file, self.size, self.channels) for file in files]
        return torch.from_numpy(np.stack(found))

    def blank(self) -> Tensor:
        """Return a black picture."""
        return torch.zeros(1, self.channels, self.size, self.size, dtype=torch.uint8)

    def small(self) -> MakeBody:
        """Return what makes a convolutional network, or of masks a U-Net."""
        return u_net(self.channels) if self.masked else small_network(self.channels, self.size)

    @property
    def body(self) -> str:
        """That body in words."""
        if self.masked:
            return "a U-Net of three halvings"
        return "three convolutions and a linear head"

    def wrapped(self, body: nn.Module) -> nn.Module:
        """Return a body that takes bytes."""
        return OfPictures(body)


@dataclass(frozen=True)
class Texts(Inputs):
    """Texts: the body of this package sees their n-grams (N, any), the user's own their bytes."""

    own: bool
    word: ClassVar[str] = "text"
    shape: ClassVar[Mapping[str, Any]] = {}

    def facts(self) -> dict[str, Any]:
        """Return none: every text is read alike."""
        return {}

    def read(self, files: Sequence[Path]) -> Tensor:
        """Return the codes of texts."""
        return self.codes([read_text(file) for file in files])

    def codes(self, texts: Sequence[str]) -> Tensor:
        """Return what a body sees of texts in memory."""
        return torch.from_numpy((byte_codes if self.own else n_gram_codes)(texts))

    def blank(self) -> Tensor:
        """Return a text of one word."""
        return self.codes(["a"])

    def small(self) -> MakeBody:
        """Return what makes the mean of n-grams' vectors with a linear head."""
        return mean_of_n_grams

    @property
    def body(self) -> str:
        """That body in words."""
        return "the mean vector of a text's hashed n-grams (fastText) and a linear head"


def inputs_of(facts: Mapping[str, Any], own: bool) -> Inputs:
    """Return what a run's files are, by the name and the facts that it kept of them.

    Raises:
        ValueError: if it is of none that is known.
    """
    name = facts["input"]
    if name == "texts":
        return Texts(own)
    if name not in ("images", "images with masks"):
        raise ValueError(f"model.json is of {name}")
    check_shape(facts, Images.shape, "model.json")
    return Images(facts["size"], facts["channels"], masked=name != "images")


def fits(size: int) -> bool:
    """Tell whether pictures can have a side."""
    return 0 < size <= LARGEST and size % STEP == 0
