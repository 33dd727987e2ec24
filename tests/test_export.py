"""Losses export with a batch of any size, as a server or another runtime needs them."""

import pytest
import torch
from torch import Tensor, nn

from lossmith import find
from lossmith.core.tree import tree_map
from lossmith.testing.cases import Case, example

NOT = {
    "ctc": "torch's operation has no graph for it",
    "linear_cross_entropy": "it asks which rows count",
    "sinkhorn_divergence": "it iterates until it has converged",
}
BATCH = torch.export.Dim("batch", min=4, max=4096)  # sorting a batch of 2 would be another graph


class Alone(nn.Module):
    """A loss without a target, called with its input alone."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, input: Tensor) -> Tensor:
        return self.loss(input)


@pytest.mark.parametrize("key", sorted(set(find()) - set(NOT)))
def test_exports_with_any_batch(key: str) -> None:
    loss = example(find()[key])
    given = [tree_map(_single, part) for part in Case(loss).batch()]
    module = Alone(loss) if given[1] is None else loss
    given = [part for part in given if part is not None]
    sizes = [tree_map(lambda part: {0: BATCH} if part.ndim else None, part) for part in given]
    torch.export.export(module, tuple(given), dynamic_shapes=_named(module, sizes), strict=False)


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _named(module: nn.Module, sizes: list) -> dict:
    names = ("input", "target")[: len(sizes)]
    return dict(zip(names, sizes, strict=True))
