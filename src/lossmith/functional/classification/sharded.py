"""A linear head of which each rank holds some classes: tensor parallel, weights a DTensor.

All ranks of the mesh hold the same rows of input. What is computed of them together is the same on
each, and so are its gradients from above: a sum over ranks hands its gradient to every part as it
is, and what all parts read gets the sum of theirs (the g and f of Shoeybi et al., Megatron-LM,
2019).
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import embedding, linear
from torch.utils.checkpoint import checkpoint

from lossmith.functional.checks import check
from lossmith.kernels.linear import Options, chunk_rows

CALLED = "_called_as_forward"

OTHERS = (
    "ranks hold other targets; a head sharded by classes takes the same rows on each rank of its "
    "mesh, and what fully_shard shards is called through the module that it was given"
)


class Part(NamedTuple):
    """The rows of a weight that this rank holds, from `start` on, of at most `most` a rank."""

    rows: Tensor
    start: int
    most: int
    group: Any

    def places(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return where rows of the whole weight lie in this part, and which of them do."""
        place = index - self.start
        own = (place >= 0) & (place < len(self.rows))
        return place.masked_fill(~own, 0), own


def distributed(tensor: Any) -> bool:
    """Return whether a tensor is torch's DTensor."""
    return hasattr(tensor, "device_mesh")


def whole(tensor: Any) -> Any:
    """Return what all ranks hold of a DTensor together; anything else as it is."""
    return tensor.full_tensor() if distributed(tensor) else tensor


def part(weight: Any) -> Part:
    """Return the rows that this rank holds of a DTensor.

    Raises:
        ValueError: unless it is sharded by its rows, along one dimension of its mesh.
    """
    along = [dim for dim, one in enumerate(weight.placements) if not one.is_replicate()]
    plain = all(type(weight.placements[dim]).__name__ == "Shard" for dim in along)
    if len(along) != 1 or not plain or not weight.placements[along[0]].is_shard(0):
        raise ValueError(
            f"a linear head's weight has the placements {weight.placements}; a loss reads one that "
            "is sharded by its classes along one dimension of the mesh, as ColwiseParallel does"
        )
    group = weight.device_mesh.get_group(along[0])
    most = -(-len(weight) // dist.get_world_size(group))
    start = min(dist.get_rank(group) * most, len(weight))
    return Part(weight.to_local(), start, most, group)


def rows_of(weight: Tensor, index: Tensor, *, sparse: bool = False) -> Tensor:
    """Return the rows of a weight, sharded or not, at an index.

    Raises:
        ValueError: if a sparse gradient is asked of one that is sharded.
    """
    if not distributed(weight):
        return embedding(index, weight, sparse=sparse)
    if sparse:
        raise ValueError("a sharded head has no sparse gradient; use sparse=False")
    here = part(weight)
    place, own = here.places(index)
    rows = here.rows if len(here.rows) else nn.functional.pad(here.rows, (0, 0, 0, 1))
    return total(embedding(place, rows).masked_fill(~own.unsqueeze(1), 0), here.group)


def values(input: Tensor, weight: Any, bias: Any, target: Tensor, options: Options) -> Tensor:
    """Return each row's cross-entropy by two sums over ranks: the largest logit, and the rest.

    Many rows are worked on some at a time, and in backward their logits formed again.
    """
    here, classes = part(weight), len(weight)
    bias = None if bias is None else part(bias).rows
    most = chunk_rows(input.device, here.most, max(4, input.itemsize))
    if len(input) <= most:
        return _values(input, here.rows, bias, target, here, classes, options)
    found = [
        checkpoint(
            _values, rows, here.rows, bias, hits, here, classes, options,
            use_reentrant=False, preserve_rng_state=False,
        )
        for rows, hits in zip(input.split(most), target.split(most), strict=True)
    ]  # fmt: skip
    return torch.cat(found)


def _values(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    here: Part,
    classes: int,
    options: Options,
) -> Tensor:
    logits = linear(read_by_all(input, here.group), weight, bias)
    logits = logits.float() if logits.itemsize < 4 else logits
    smoothing, z_loss, cap = (one if one is None else one.to(logits.dtype) for one in options)
    if cap is not None:
        logits = cap * (logits / cap).tanh()
    top = _top(logits.detach(), target, here.group)
    below = logits - top.unsqueeze(1)
    place, own = here.places(target)
    hit = below.gather(1, place.unsqueeze(1)).squeeze(1) if len(weight) else below.sum(1)
    parts = [below.exp().sum(1), torch.where(own, hit, 0)]
    if smoothing is not None:
        parts.append((below / classes).sum(1))
    mass, hit, *mean = total(torch.stack(parts), here.group)
    log_mass = mass.log()
    found = log_mass - hit
    if smoothing is not None:
        found = log_mass - (1 - smoothing) * hit - smoothing * mean[0]
    return found if z_loss is None else found + z_loss * (top + log_mass).square()


def _top(logits: Tensor, target: Tensor, group: Any) -> Tensor:
    """Return each row's largest logit of all ranks, which also tell whether their targets agree."""
    lowest = torch.finfo(logits.dtype).min
    top = logits.amax(1) if logits.shape[1] else logits.new_full((len(logits),), lowest)
    order = torch.arange(1, len(target) + 1, device=target.device)
    mark = ((target + 1) * order % 8191).sum().remainder(1 << 20).to(top.dtype)  # exact in float32
    told = torch.cat([top, torch.stack([mark, -mark])])
    dist.all_reduce(told, dist.ReduceOp.MAX, group)
    check(told[-2] == -told[-1], OTHERS)
    return told[:-2]


def total(tensor: Tensor, group: Any) -> Tensor:
    """Return the sum over ranks of tensors that are then used alike on each."""
    found: Tensor = _Total.apply(tensor, group)
    return found


def read_by_all(tensor: Tensor, group: Any) -> Tensor:
    """Return what is the same on all ranks, for each to use as its own: gradients are summed."""
    found: Tensor = _Read.apply(tensor, group)
    return found


class _Total(Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Read.apply(gradient, ctx.group), None


class _Read(Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Total.apply(gradient, ctx.group), None


def as_forward(head: nn.Module, function: Callable[[Tensor], Tensor], input: Tensor) -> Tensor:
    """Return function(input), called as a head's own forward is where FSDP shards its parameters.

    Within it they are whole, and their gradients are reduced after backward.
    """
    fsdp = sys.modules.get("torch.distributed.fsdp")
    if fsdp is None or not isinstance(head, getattr(fsdp, "FSDPModule", ())):
        return function(input)
    vars(head)[CALLED] = lambda rows: function(rows).clone()  # FSDP warns of views
    try:
        fsdp.register_fsdp_forward_method(head, CALLED)
        found: Tensor = getattr(head, CALLED)(input)
        return found
    finally:
        vars(head).pop(CALLED, None)
