"""The linear head and the contrastive losses on a simulated device, at the sizes of training.

Run with the guard's library and a device, it prints a row a case as JSON.
"""

import json
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

from device import guard

if __name__ == "__main__":
    guard.load(sys.argv[1], sys.argv[2])

import torch
from torch import Tensor, nn

from device.simulation import Simulation
from lossmith import find
from lossmith import functional as F
from lossmith.kernels import cross_entropy

HEAD = (8192, 4096, 128_256)  # rows, width, classes
PAIRS, WIDTH = 16_384, 128


def heads(simulation: Simulation, size: tuple[int, int, int]) -> Iterator[tuple[str, Any]]:
    """Yield the contenders of a linear head in bfloat16, as calls."""
    rows, width, classes = size
    half = {"dtype": torch.bfloat16, "device": simulation.device}
    input = torch.empty(rows, width, **half).requires_grad_()
    weight = torch.empty(classes, width, **half).requires_grad_()
    target = torch.empty(rows, dtype=torch.long, device=simulation.device)
    loss = find()["linear_cross_entropy"](in_features=width, classes=2)
    loss.classes, loss.head.weight = classes, nn.Parameter(weight.detach())
    with patch.object(cross_entropy, "_triton", lambda logits: None):
        yield "lossmith", lambda: loss(input, target)
        yield "functional, mean", lambda: F.linear_cross_entropy(input, weight, target).mean()
    if find_spec("triton"):
        yield "lossmith with Triton", lambda: loss(input, target)
    yield (
        "torch, all logits",
        lambda: nn.functional.cross_entropy(nn.functional.linear(input, weight).float(), target),
    )
    chunked = chunked_by_torch(input.detach(), weight.detach(), target)
    if chunked is not None:
        yield "torch, chunked", chunked


def chunked_by_torch(input: Tensor, weight: Tensor, target: Tensor) -> Any:
    """Return torch's own chunked operator, its loop and the two scalings of its backward."""
    try:
        from torch.nn import LinearCrossEntropyOptions
        from torch.nn.modules import linear_cross_entropy as module

        loop = module._linear_cross_entropy_batch_chunked_accumulator
    except (ImportError, AttributeError):  # before 2.13
        return None
    rows, width = input.shape
    known = LinearCrossEntropyOptions(acc_dtype=torch.float32)
    chosen = known._adjust(rows, width, len(weight), input.dtype, torch.device("cuda"))
    options = ("mean", -100, 0.0, chosen.batch_chunk_size, chosen.acc_policy, torch.float32)

    @torch.no_grad()
    def call() -> None:
        value, by_input, by_weight, _ = loop(
            input, weight, target, None, None, *options, True, True, False
        )
        by_input.mul_(value)
        by_weight.mul_(value)

    return call


def contrastive(simulation: Simulation, pairs: int) -> Iterator[tuple[str, Any]]:
    """Yield the contrastive losses of many pairs in float32, as calls."""
    for key in ("nt_xent", "sup_con", "info_nce", "clip", "siglip"):
        first, second = (
            torch.empty(pairs, WIDTH, device=simulation.device).requires_grad_() for _ in range(2)
        )
        loss = find()[key]().to(simulation.device)
        if key == "sup_con":
            target = torch.empty(2 * pairs, dtype=torch.long, device=simulation.device)
            yield key, lambda a=first, b=second, f=loss, y=target: f(torch.cat([a, b]), y)
        else:
            yield key, lambda a=first, b=second, f=loss: f(a, b)


def of_large(
    device: str, head: tuple[int, int, int] = HEAD, pairs: int = PAIRS
) -> dict[str, dict[str, Any]]:
    """Return what each contender takes at the sizes of training."""
    found = {}
    for make, size in ((heads, head), (contrastive, pairs)):
        simulation = Simulation(device, answers=True)
        with simulation.on():
            for name, call in make(simulation, size):
                found[name] = simulation.outcome(call)
    return found


if __name__ == "__main__":
    torch.__future__.set_swap_module_params_on_conversion(False)
    print(json.dumps(of_large(sys.argv[2])), flush=True)
    os._exit(0)  # an ordinary exit may wait for threads of a device that is none, and abort
