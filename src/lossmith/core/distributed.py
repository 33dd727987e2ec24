"""Several processes: rows of all ranks together, with the gradient of one process.

The rule, for every loss that couples the rows of a batch: each rank computes the loss of the whole
batch, and what a collective gives forward it takes back by the sum over ranks. So the value is the
whole batch's on every rank, and the gradients, averaged over ranks as DistributedDataParallel does,
are those of one process with the whole batch, learned temperatures included.

`ranks` says whose rows these are: False this process's, True those of all, or of a process group.
"""

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

from lossmith.core.tree import Data, tree_leaves

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    Ranks = bool | ProcessGroup


def is_group(ranks: Any) -> bool:
    """Return whether something is a process group of torch."""
    return dist.is_available() and isinstance(ranks, dist.ProcessGroup)


def is_distributed(ranks: "Ranks" = True) -> bool:
    """Return whether there is more than one process, in a group if one is given."""
    if ranks is False or not (dist.is_available() and dist.is_initialized()):
        return False
    return dist.get_world_size(_group(ranks)) > 1


def kept(ranks: Any) -> bool | str:
    """Return what an object that is copied and pickled keeps of ranks: of a group its name.

    Raises:
        TypeError: if they are neither a switch nor a process group of which this rank is a member.
    """
    if isinstance(ranks, bool):
        return ranks
    if not is_group(ranks):
        raise TypeError(
            f"gather must be True, False or a process group that this rank is in, got {ranks!r}"
        )
    return str(ranks.group_name)


def named(kept: bool | str) -> "Ranks":
    """Return the ranks of which `kept` was kept."""
    if isinstance(kept, bool):
        return kept
    find: Any = dist.distributed_c10d._resolve_process_group
    group: ProcessGroup = find(kept)
    return group


class Gather:
    """Brings the rows of all ranks together, in the order of ranks; each may hold another number.

    Every rank must take part. Without several processes it gives tensors back as they are.

    Args:
        rows: the rows that this rank holds.
        device: where its tensors are.
        ranks: whose rows are brought together.
        told: what this rank is about to gather, in words; all must be about the same.

    Raises:
        RuntimeError: on every rank alike, if they are not.

    >>> gather = Gather(2, torch.device("cpu"))
    >>> gather(torch.tensor([1.0, 2.0])), gather.own
    (tensor([1., 2.]), slice(0, 2, None))
    """

    def __init__(
        self, rows: int, device: torch.device, ranks: "Ranks" = True, told: str = ""
    ) -> None:
        self.counts, self.group, self.several = [rows], _group(ranks), is_distributed(ranks)
        before = 0
        if self.several:
            held = torch.tensor([rows, zlib.crc32(told.encode())], device=device)
            each = torch.stack(_gathered(held, self.group)).tolist()
            if len({told for _, told in each}) > 1:
                raise RuntimeError(_unlike(told, self.group))
            self.counts = [rows for rows, _ in each]
            before = sum(self.counts[: dist.get_rank(self.group)])
        self.own = slice(before, before + rows)

    @classmethod
    def of(cls, data: Data, *others: Any, ranks: "Ranks" = True, told: str = "") -> "Gather":
        """Return what gathers data of as many rows as a tensor, or each of named ones, has.

        Ranks whose data, or others to be gathered with them, differ in more than rows are told so.

        Raises:
            ValueError: if a tensor is one number, which has no rows.
        """
        first = next(tree_leaves(data))
        if first.ndim == 0:
            raise ValueError("over several processes each needs a batch of rows, got a scalar")
        if is_distributed(ranks):
            told = ", ".join([told, *(_form(one) for one in (data, *others))])
        return cls(len(first), first.device, ranks, told)

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the rows of all ranks; gradients of all ranks flow back to the rank of a row.

        Raises:
            ValueError: if the tensor has other rows than were announced.
        """
        rows = self.own.stop - self.own.start
        if tensor.shape[:1] != (rows,):
            raise ValueError(f"a tensor of shape {tuple(tensor.shape)} does not have {rows} rows")
        if not self.several:
            return tensor
        if tensor.dtype == torch.bool:
            return self(tensor.to(torch.uint8)).bool()
        together: Tensor = _Rows.apply(tensor, self.counts, self.group)
        return together


def all_gather_rows(tensor: Tensor, ranks: "Ranks" = True) -> Tensor:
    """Return the rows of all ranks, in their order; the tensor itself in a single process.

    Ranks may hold different numbers of rows. A gradient flows back to every row from all ranks.

    >>> all_gather_rows(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    return Gather.of(tensor, ranks=ranks)(tensor)


def all_reduce_sum(tensor: Tensor, ranks: "Ranks" = True) -> Tensor:
    """Return the sum over ranks of tensors of one shape, gradients too summed over ranks.

    >>> all_reduce_sum(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    if not is_distributed(ranks):
        return tensor
    total: Tensor = _Sum.apply(tensor, _group(ranks))
    return total


def _group(ranks: "Ranks") -> "ProcessGroup | None":
    return None if isinstance(ranks, bool) else ranks


def _form(data: Any) -> str:
    """Return how data look but for their number of rows, in words."""
    if isinstance(data, Mapping):
        return "{" + ", ".join(f"{name}: {_form(one)}" for name, one in data.items()) + "}"
    if not isinstance(data, Tensor):
        return str(data)
    sizes = ["rows", *map(str, data.shape[1:])] if data.ndim else []
    return f"{str(data.dtype).removeprefix('torch.')} ({', '.join(sizes)})"


def _unlike(told: str, group: "ProcessGroup | None") -> str:
    """Return what is wrong where ranks are about to gather different things."""
    each: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(each, told, group)
    ranks = {one: [str(rank) for rank, said in enumerate(each) if said == one] for one in each}
    what = "; ".join(f"rank {', '.join(at)}: {one}" for one, at in ranks.items())
    return (
        f"ranks gather rows for different calls ({what}); all must call the same loss on the same "
        "kind of data at once; a rank that calls it alone needs loss.gather = False meanwhile"
    )


def _gathered(tensor: Tensor, group: "ProcessGroup | None") -> list[Tensor]:
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size(group))]
    dist.all_gather(parts, tensor, group)
    return parts


def _padded(rows: Tensor, length: int) -> Tensor:
    """Return rows with zeros behind them, for collectives want one shape."""
    if len(rows) == length:
        return rows.contiguous()
    padded = rows.new_zeros((length, *rows.shape[1:]))
    padded[: len(rows)] = rows
    return padded


class _Sum(Function):
    """The sum over ranks, its own adjoint."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Sum.apply(gradient, ctx.group), None


class _Rows(Function):
    """The rows of all ranks; its adjoint is the sum over ranks of each one's rows."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, counts: list[int], group: Any) -> Tensor:
        ctx.counts, ctx.group = counts, group
        parts = _gathered(_padded(tensor, max(counts)), group)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Share.apply(gradient, ctx.counts, ctx.group), None, None


class _Share(Function):
    """The sum over ranks of this one's rows, by reduce-scatter; its adjoint is the rows of all."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, counts: list[int], group: Any) -> Tensor:
        ctx.counts, ctx.group = counts, group
        parts = [_padded(part, max(counts)) for part in tensor.split(counts)]
        own = torch.empty_like(parts[0])
        dist.reduce_scatter(own, parts, group=group)
        return own[: counts[dist.get_rank(group)]]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Rows.apply(gradient, ctx.counts, ctx.group), None, None
