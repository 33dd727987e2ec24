"""Linear heads whose weight is shared out among ranks give what one process gives.

By classes, as tensor parallelism does: value and gradients are those of the whole head. By FSDP:
gradients averaged over ranks are those of all rows.
"""

import copy
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from lossmith import LinearCrossEntropy, SampledLinearCrossEntropy
from lossmith.functional import linear_cross_entropy
from lossmith.functional.classification import sharded
from lossmith.losses.classification.linear import LinearHead
from shared.processes import found_by_ranks, work

ROWS, WIDTH, CLASSES = 8, 4, 6  # of classes the last of four ranks has none
TARGET = torch.tensor([0, 1, 2, 3, 4, 5, 1, 4])
HEADS: dict[str, Callable[[], LinearHead]] = {
    "plain": partial(LinearCrossEntropy, in_features=WIDTH, classes=CLASSES),
    "bent": partial(
        LinearCrossEntropy,
        in_features=WIDTH,
        classes=CLASSES,
        bias=True,
        label_smoothing=0.1,
        z_loss=0.3,
        softcap=2.0,
        class_weight=[1.0, 2.0, 3.0, 1.0, 0.5, 0.0],
    ),
    "sampled": partial(
        SampledLinearCrossEntropy, in_features=WIDTH, classes=CLASSES, samples=3, bias=True
    ),
    "evaluated": lambda: SampledLinearCrossEntropy(
        in_features=WIDTH, classes=CLASSES, samples=3
    ).eval(),
}


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return found_by_ranks(__file__, tmp_path_factory.mktemp("sharded"))


WAYS = ("colwise", "chunks", "fsdp", "fused")
JOB_NAMES = [*(f"{way} {head}" for way in WAYS for head in HEADS), "both ways", "decoded", "wrong"]


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("job", JOB_NAMES)
def test_a_head_in_parts_is_the_whole_one(job: str, ranks: int, reports: dict[str, str]) -> None:
    assert reports[f"{job} {ranks}"] == ""


def _made(head: str) -> LinearHead:
    loss = HEADS[head]().double()
    draws = torch.Generator().manual_seed(1)
    for one in loss.parameters():
        nn.init.normal_(one, generator=draws)
    return loss


def _batch(loss: LinearHead) -> tuple[Tensor, Tensor]:
    input = 10 * torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(2)).double()
    target = TARGET.clone()
    target[2] = loss.ignore_index
    input[2] = torch.nan
    return input.requires_grad_(), target


def _gradients(loss: nn.Module) -> list[Tensor]:
    return [sharded.whole(one.grad) for one in loss.parameters()]


def _close(got: Any, right: Any) -> None:
    torch.testing.assert_close(got, right, rtol=1e-9, atol=1e-12)


def _colwise(head: str) -> None:
    loss, (input, target) = _made(head), _batch(_made(head))
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    parts = copy.deepcopy(loss)
    parallelize_module(parts, mesh, {"head": ColwiseParallel()})
    weight = torch.linspace(0, 2, ROWS).double()
    spread = [distribute_tensor(input.detach(), mesh, [one]) for one in (Replicate(), Shard(0))]
    for given in (input, *(one.requires_grad_() for one in spread)):
        mine = input.detach().clone().requires_grad_()
        value = loss(mine, target, weight=weight)
        (slope,) = torch.autograd.grad(value, mine, create_graph=True)
        slope[:2].square().sum().backward(retain_graph=True)  # second derivatives, of which zeros
        value.backward()
        found = parts(given, target, weight=weight)
        (ours,) = torch.autograd.grad(found, given, create_graph=True)
        ours[:2].square().sum().backward(retain_graph=True)
        found.backward()
        _close(found, value)
        _close(sharded.whole(ours.detach()), slope.detach())
        _close(_gradients(parts), _gradients(loss))
        assert all(isinstance(one.grad, DTensor) for one in parts.parameters())
        for one in (*loss.parameters(), *parts.parameters()):
            one.grad = None


def _chunks(head: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharded, "chunk_rows", lambda device, classes, size: 3)
        _first_derivatives(head)


def _first_derivatives(head: str) -> None:
    loss, (input, target) = _made(head), _batch(_made(head))
    parts = copy.deepcopy(loss)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    parallelize_module(parts, mesh, {"head": ColwiseParallel()})
    value, found = loss(input, target), parts(input, target)
    _close(found, value)
    (right,) = torch.autograd.grad(value, input, retain_graph=True)
    (got,) = torch.autograd.grad(found, input, retain_graph=True)
    _close(got, right)
    value.backward()
    found.backward()
    _close(_gradients(parts), _gradients(loss))


class _Model(nn.Module):
    def __init__(self, loss: LinearHead) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.loss = nn.Linear(WIDTH, WIDTH).double(), copy.deepcopy(loss)

    def forward(self, input: Tensor, target: Tensor, count: float) -> Tensor:
        value: Tensor = self.loss(self.body(input), target, denominator=count)
        return value


def _fsdp(head: str) -> None:
    loss, ranks = _made(head), dist.get_world_size()
    mesh = init_device_mesh("cpu", (ranks,))
    input, target = _batch(loss)
    input, own = input.detach().nan_to_num(0), slice(dist.get_rank(), None, ranks)
    model = _Model(loss)
    value = model(input, target, 7.0)
    value.backward()
    for unit in ("root", "loss", "loss.head"):
        for keep in (True, False):  # whether forward frees the weights again
            parts = _Model(loss)
            if unit != "root":
                fully_shard(parts.get_submodule(unit), mesh=mesh, reshard_after_forward=keep)
            fully_shard(parts, mesh=mesh)
            for _ in range(2):
                parts.zero_grad()
                found = parts(input[own], target[own], 7.0 / ranks)
                found.backward()
                _close(_gradients(parts), _gradients(model))
                total = found.detach().clone()
                dist.all_reduce(total)
                _close(total / ranks, value.detach())


def _fused(head: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for few in ("FEW_LOGITS", "FEW_CLASSES"):
            patch.setattr(sys.modules[linear_cross_entropy.__module__], few, 0)
        _fsdp(head)


def _both_ways() -> None:
    """Sharded by classes in one direction of the mesh, by FSDP in the other."""
    ranks = dist.get_world_size()
    mesh = init_device_mesh("cpu", (ranks // 2, 2), mesh_dim_names=("data", "classes"))
    loss = _made("bent")
    input, target = _batch(loss)
    input = input.detach().nan_to_num(0)
    model, parts = _Model(loss), _Model(loss)
    value = model(input, target, 7.0)
    value.backward()
    parallelize_module(parts.loss, mesh["classes"], {"head": ColwiseParallel()})
    for unit in (parts.loss.head, parts):
        fully_shard(unit, mesh=mesh["data"])
    own = slice(mesh.get_local_rank("data"), None, ranks // 2)
    found = parts(input[own], target[own], 7.0 / (ranks // 2))
    found.backward()
    _close(_gradients(parts), _gradients(model))


def _decoded() -> None:
    loss = _made("bent")
    input = _batch(loss)[0].detach().nan_to_num(0)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    parts, units = copy.deepcopy(loss), copy.deepcopy(loss)
    parallelize_module(parts, mesh, {"head": ColwiseParallel()})
    fully_shard(units, mesh=mesh)
    for one in (parts, units):
        _close(one.decode(input).detach(), loss.decode(input).detach())


def _wrong() -> None:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    loss = _made("plain")
    input, target = _batch(loss)
    rowwise = copy.deepcopy(loss)
    parallelize_module(rowwise, mesh, {"head": RowwiseParallel()})
    with pytest.raises(ValueError, match="sharded by its classes along one dimension"):
        rowwise(input, target)
    parts = copy.deepcopy(loss)
    parallelize_module(parts, mesh, {"head": ColwiseParallel()})
    with pytest.raises(ValueError, match="ranks hold other targets"):
        parts(input, target.roll(dist.get_rank()))
    model = _Model(loss)
    fully_shard(model, mesh=mesh)
    with pytest.raises(ValueError, match="called through the module that it was given"):
        model.loss(input, target.roll(dist.get_rank()))
    sparse = SampledLinearCrossEntropy(in_features=WIDTH, classes=CLASSES, samples=3, sparse=True)
    parallelize_module(sparse, mesh, {"head": ColwiseParallel()})
    with pytest.raises(ValueError, match="no sparse gradient"):
        sparse(input.float(), target)


JOBS: dict[str, Callable[[], None]] = {
    **{f"colwise {head}": partial(_colwise, head) for head in HEADS},
    **{f"chunks {head}": partial(_chunks, head) for head in HEADS},
    **{f"fsdp {head}": partial(_fsdp, head) for head in HEADS},
    **{f"fused {head}": partial(_fused, head) for head in HEADS},
    "both ways": _both_ways,
    "decoded": _decoded,
    "wrong": _wrong,
}

if __name__ == "__main__":
    work(JOBS)
