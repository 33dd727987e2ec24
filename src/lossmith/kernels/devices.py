"""What differs by device: how much is worked on at a time, and whether Python may look at values.

A CPU wants what its caches hold. Any other device wants few launches: each costs it microseconds,
in which it works through millions of numbers, while its caches hold no block worth a name. And on a
CPU a look at a value costs nothing, where a device would make the host wait for all that it was
given to do.
"""

import functools
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

SHARE = 32  # one part of so many of a device's memory is what each buffer may take
GRAIN = 512  # tiles are cut to multiples of it, as matrix products like them


class Sizes(NamedTuple):
    """What exists at a time of the numbers between two products."""

    chunk: int  # bytes of a linear head's logits
    rows: int  # fewer at a time would make thin matrix products
    block: int  # numbers of a chunk that are worked on at a time
    tile: int  # rows and columns of a tile of products


CPU = Sizes(chunk=1 << 26, rows=256, block=1 << 18, tile=512)
DEVICE = Sizes(chunk=1 << 28, rows=256, block=1 << 26, tile=8192)


def readable(tensor: Tensor) -> bool:
    """Return whether Python may look at what a tensor holds without waiting."""
    return tensor.is_cpu


def sizes(device: torch.device) -> Sizes:
    """Return how much is worked on at a time on a device.

    The bound is the memory that a device has, not what is free of it now: sizes decide the order of
    sums, and a run that is repeated or resumed must give the same bits.
    """
    if device.type == "cpu":
        return CPU
    memory = _memory(device)
    return DEVICE if memory is None else _within(DEVICE, memory // SHARE)


def _within(wanted: Sizes, most: int) -> Sizes:
    """Return sizes of which no buffer of float32 takes more than so many bytes."""
    tile = max(1, math.isqrt(most // 4) // GRAIN) * GRAIN
    return wanted._replace(
        chunk=min(wanted.chunk, most),
        block=min(wanted.block, max(1, most // 4)),
        tile=min(wanted.tile, tile),
    )


@functools.cache
def _memory(device: torch.device) -> int | None:
    """Return the bytes of a device's memory; None where it does not tell."""
    module: Any = torch.get_device_module(device)
    if not module.is_available():  # a device that is simulated
        return None
    if device.type == "mps":
        return int(module.recommended_max_memory())
    ask = getattr(module, "get_device_properties", None)
    return None if ask is None else getattr(ask(device), "total_memory", None)
