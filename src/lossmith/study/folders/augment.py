"""Augmentation: what is still the same picture when it is moved a little, or seen in a mirror."""

import torch
from torch import Tensor

from lossmith.study.base.errors import InputError
from lossmith.study.data.dataset import Augment

WAYS = ("shift", "flip")
FARTHEST = 8  # a picture moves by at most this part of its side


def ways_of(text: str) -> tuple[str, ...]:
    """Return the ways that a text names: shift,flip, or none.

    Raises:
        InputError: if it names others.
    """
    named = [one.strip() for one in text.split(",")]
    if named == ["none"]:
        return ()
    if not set(named) <= set(WAYS):
        raise InputError(f"--augment is {' or '.join((','.join(WAYS), *WAYS, 'none'))}, not {text}")
    return tuple(way for way in WAYS if way in named)


def augmentation(ways: tuple[str, ...]) -> Augment | None:
    """Return what moves each picture of a batch, and its mask alike, by chance.

    shift: by up to an eighth of the side either way; what enters mirrors what leaves. flip: half of
    the pictures, left to right.
    """
    if not ways:
        return None

    def moved(pictures: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        count, side = len(pictures), pictures.shape[-1]
        far = side // FARTHEST if "shift" in ways else 0
        rows, columns = (_places(count, side, far) for _ in range(2))
        if "flip" in ways:
            mirrored = torch.rand(count, 1) < 0.5
            columns = torch.where(mirrored, side - 1 - columns, columns)
        seen = _taken(pictures, rows, columns)
        if target.ndim == 1:
            return seen, target
        return seen, _taken(target.unsqueeze(1), rows, columns).squeeze(1)

    return moved


def _places(count: int, side: int, far: int) -> Tensor:
    """Return from where in each picture its rows, or columns, come, (count, side)."""
    places = torch.arange(side) + torch.randint(-far, far + 1, (count, 1))
    return side - 1 - (side - 1 - places.abs()).abs()  # reflected at both ends


def _taken(pictures: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    picture = torch.arange(len(pictures))[:, None, None, None]
    channel = torch.arange(pictures.shape[1])[:, None, None]
    return pictures[picture, channel, rows[:, None, :, None], columns[:, None, None, :]]
