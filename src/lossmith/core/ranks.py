"""Several processes: rows of all ranks together, with the gradient of one process.

The rule, for every loss that couples the rows of a batch: each rank computes the loss of the whole
batch, and what a collective gives forward it takes back by a sum over ranks. So the value is the
whole batch's on every rank, and the gradients, averaged over ranks as DistributedDataParallel does,
are those of one process with the whole batch, learned temperatures included.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

from lossmith.core.tree import tensors


def several() -> bool:
    """Whether there is more than one process."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


class Gather:
    """Brings the rows of all ranks together, in the order of ranks; each may hold another number.

    Every rank must take part. Without several processes it gives tensors back as they are.

    Args:
        rows: the rows that this rank holds.
        device: where its tensors are.

    >>> gather = Gather(2, torch.device("cpu"))
    >>> gather(torch.tensor([1.0, 2.0])), gather.own
    (tensor([1., 2.]), slice(0, 2, None))
    """

    def __init__(self, rows: int, device: torch.device) -> None:
        self.counts = [rows]
        before = 0
        if several():
            held = torch.tensor([rows], device=device)
            counts = [torch.empty_like(held) for _ in range(dist.get_world_size())]
            dist.all_gather(counts, held)
            self.counts = torch.cat(counts).tolist()
            before = sum(self.counts[: dist.get_rank()])
        self.own = slice(before, before + rows)

    @classmethod
    def of(cls, data: Any) -> "Gather":
        """Return what gathers data of as many rows as a tensor, or each of named ones, has.

        Raises:
            ValueError: if a tensor is one number, which has no rows.
        """
        first = next(tensors(data))
        if first.ndim == 0:
            raise ValueError("over several processes each needs a batch of rows, got a scalar")
        return cls(len(first), first.device)

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the rows of all ranks; gradients of all ranks flow back to the rank of a row.

        Raises:
            ValueError: if the tensor has other rows than were announced.
        """
        rows = self.own.stop - self.own.start
        if tensor.shape[:1] != (rows,):
            raise ValueError(f"a tensor of shape {tuple(tensor.shape)} does not have {rows} rows")
        if not several():
            return tensor
        if tensor.dtype == torch.bool:
            return self(tensor.to(torch.uint8)).bool()
        together: Tensor = _Rows.apply(tensor, self.counts, self.own)
        return together


def gathered(tensor: Tensor) -> Tensor:
    """Return the rows of all ranks, in their order; the tensor itself in a single process.

    Ranks may hold different numbers of rows. A gradient flows back to every row from all ranks.

    >>> gathered(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    return Gather.of(tensor)(tensor)


def summed(tensor: Tensor) -> Tensor:
    """Return the sum over ranks of tensors of one shape, gradients too summed over ranks.

    >>> summed(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    if not several():
        return tensor
    total: Tensor = _Sum.apply(tensor)
    return total


class _Sum(Function):
    """The sum over ranks, its own adjoint."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Sum.apply(gradient)


class _Rows(Function):
    """The rows of all ranks; its adjoint is the sum over ranks, of which each keeps its rows."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, counts: list[int], own: slice) -> Tensor:
        ctx.own = own
        padded = tensor.new_zeros((max(counts), *tensor.shape[1:]))  # collectives want one shape
        padded[: len(tensor)] = tensor
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Sum.apply(gradient)[ctx.own], None, None
