"""Log-sums of exponentials over all products of rows, a tile at a time: never N × N numbers.

    s_ij   = left_i · right_j                        a tile of T × T of N × M at a time
    rows_i = log Σ_j e^(s_ij)   down_j = log Σ_i e^(s_ij)     (N,), (M,), without what is skipped
    ∂s_ij  = g_i e^(s_ij - rows_i) + h_j e^(s_ij - down_j)    g (N,), h (M,): gradients from above
    ∂left  = ∂s · right    ∂right = ∂sᵀ · left                (N, D), (M, D), summed over tiles

Forward keeps the log-sums alone; backward forms each tile again. Rows among themselves make a
symmetric matrix, of which the upper tiles alone are formed: two products' time in all, where a
stored matrix needs three. Buffers: two of T × T, the products and room to work in.

Exponentials are taken of s - c, with one c for all, where that can be told not to overflow and
not to lose a whole sum: two passes over a tile less than log-sum-exp by row and by column. On a CPU
the rows' lengths tell, at the price of a look. A device is not asked, for then the host would wait:
there the caller's bound tells, and without one each tile is summed with care.
"""

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import threshold

from lossmith.kernels import devices
from lossmith.kernels.recompute import needs_double_backward, recompute_gradients

ROOM = 60.0  # e to it, times any number of rows, is a number
FAINT = -46.0  # a sum of exponentials whose logarithm is above has lost nothing to underflow


class Tile(NamedTuple):
    """The products of some rows with some columns, and as much memory to work in."""

    rows: slice
    columns: slice
    scores: Tensor
    work: Tensor
    diagonal: bool


def reference(
    left: Tensor, right: Tensor | None, skip: Tensor, columns: bool
) -> tuple[Tensor, Tensor]:
    """Return the log-sums by way of all products, differentiable as often as one likes."""
    scores = left @ (left if right is None else right).T
    scores = scores.scatter_(1, skip, torch.finfo(scores.dtype).min)
    return scores.logsumexp(1), scores.logsumexp(0) if columns else scores.new_empty(0)


def tiled(
    left: Tensor, right: Tensor | None, skip: Tensor, columns: bool, bound: float | None = None
) -> tuple[Tensor, Tensor]:
    """Return the log-sums of left @ right.T without what each row skips, by rows and by columns.

    right None stands for left itself. skip holds column numbers for each row; rows and columns
    both leave the skipped products out. bound is what no product exceeds in size, if that is known.
    """
    given = (left, right)
    wanted = [one is not None and one.requires_grad and torch.is_grad_enabled() for one in given]
    rows, down = _Tiled.apply(wanted, left, right, skip, columns, bound)
    return rows, down


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, wanted: list[bool], *args: Any) -> tuple[Tensor, Tensor]:
        left, right, skip, columns, bound = args
        run: Any = forward_op if torch.compiler.is_compiling() else forward
        rows, down = run(left, right, skip, columns, bound)
        ctx.wanted, ctx.columns, ctx.bound = wanted, columns, bound
        ctx.save_for_backward(left, right, skip, rows, down)
        return rows, down

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wanted, columns, saved = ctx.wanted, ctx.columns, ctx.saved_tensors
        found: Any
        if needs_double_backward(*grads):
            count = 2 if columns else 1
            found = recompute_gradients(
                lambda left, right, skip: reference(left, right, skip, columns)[:count],
                saved[:3],
                wanted,
                *grads[:count],
            )
        else:
            run: Any = backward_op if torch.compiler.is_compiling() else backward
            found = run(*saved, *grads, columns, ctx.bound, wanted)
        return None, *(found[i] if wanted[i] else None for i in range(2)), None, None, None


@torch.no_grad()
def forward(
    left: Tensor, right: Tensor | None, skip: Tensor, columns: bool, bound: float | None
) -> tuple[Tensor, Tensor]:
    """Return the log-sums by rows, and by columns if asked; see `tiled`."""
    shift = _shift(left, right, bound)
    if shift is not None:
        rows, down = _shifted_sums(left, right, skip, columns, shift)
        if not devices.readable(left) or _clear(rows, down, shift):
            return rows, down
    return _careful_sums(left, right, skip, columns)


@torch.no_grad()
def backward(
    left: Tensor,
    right: Tensor | None,
    skip: Tensor,
    rows: Tensor,
    down: Tensor,
    by_rows: Tensor,
    by_down: Tensor,
    columns: bool,
    bound: float | None,
    wanted: list[bool],
) -> tuple[Tensor, Tensor]:
    """Return the gradients by left and right of the log-sums under gradients by each of them."""
    by_left, by_right = (one.zero_() for one in _buffers(left, right, wanted))
    across, by_across = (left, by_left) if right is None else (right, by_right)
    lowest = torch.finfo(left.dtype).min  # where all was left out, there is no slope
    rows = threshold(rows, lowest, 0.0)
    down = rows if right is None else threshold(down, lowest, 0.0)
    shift = _shift(left, right, bound)
    if shift is not None and devices.readable(left) and not _clear(rows, down, shift):
        shift = None
    if shift is not None:
        by_rows = by_rows * (shift - rows).exp()
        by_down = by_rows if right is None else by_down * (shift - down).exp()
    elif right is None:
        by_down = by_rows
    for tile in tiles(left, right, skip, left.new_full((), -shift) if shift else None):
        both = _both(tile, right, columns)
        if shift is not None:
            grad = _shifted_grad(tile, by_rows, by_down, both)
        else:
            grad = _careful_grad(tile, rows, down, by_rows, by_down, both)
        if wanted[0]:
            by_left[tile.rows].addmm_(grad, across[tile.columns])
        if right is None or wanted[1]:
            by_across[tile.columns].addmm_(grad.T, left[tile.rows])
    return by_left, by_right


def reach(left: Tensor, right: Tensor | None) -> float:
    """Return what no product of two rows exceeds: their lengths' product."""
    if not left.numel() or (right is not None and not right.numel()):
        return 0.0
    both = (left, left if right is None else right)
    return math.prod(torch.linalg.vector_norm(one, dim=1).max().item() for one in both)


def _shift(left: Tensor, right: Tensor | None, bound: float | None) -> float | None:
    """Return what to take off all products, that no exponential is too large; None if too much.

    On a device no sum may come out too small either: -bound is the least that a product can be.
    """
    if devices.readable(left):
        bound = reach(left, right)
    elif bound is None:
        return None
    shift = max(0.0, bound - ROOM)
    fits = shift <= ROOM if devices.readable(left) else -bound > shift + FAINT
    return shift if fits else None


def _clear(rows: Tensor, down: Tensor, shift: float) -> bool:
    """Return whether all sums of shifted exponentials lie far above what underflows."""
    return all(bool(one.min() > shift + FAINT) for one in (rows, down) if len(one))


def _both(tile: Tile, right: Tensor | None, columns: bool) -> bool:
    """Return whether a tile counts for its columns as for its rows."""
    return not tile.diagonal if right is None else columns


def _shifted_sums(
    left: Tensor, right: Tensor | None, skip: Tensor, columns: bool, shift: float
) -> tuple[Tensor, Tensor]:
    across = left if right is None else right
    make = left.new_empty if len(left) and len(across) else left.new_zeros  # a tile fills it
    rows = make(len(left))
    down = rows if right is None else make(len(right) if columns else 0)
    for tile in tiles(left, right, skip, left.new_full((), -shift) if shift else None):
        masses = tile.scores.exp_()
        _add_sum(masses, 1, rows[tile.rows], first=tile.columns.start == 0)
        if _both(tile, right, columns):
            _add_sum(masses, 0, down[tile.columns], first=tile.rows.start == 0)
    return _log(rows, shift), left.new_empty(0) if right is None else _log(down, shift)


def _add_sum(masses: Tensor, dim: int, total: Tensor, *, first: bool) -> None:
    """Add the sums along a dimension to a total, which the first ones make."""
    if first:
        torch.sum(masses, dim, out=total)
    else:
        total += masses.sum(dim)


def _log(masses: Tensor, shift: float) -> Tensor:
    """Return logarithms in place, the lowest number of what no product was left for."""
    masses = masses.log_()
    if shift:
        masses += shift
    if not devices.readable(masses):  # a CPU's are seen, and formed again with care
        masses.clamp_(min=torch.finfo(masses.dtype).min)
    return masses


def _shifted_grad(tile: Tile, by_rows: Tensor, by_down: Tensor, both: bool) -> Tensor:
    factor = by_rows[tile.rows, None]
    if both:
        factor = torch.add(factor, by_down[tile.columns], out=tile.work)
    return tile.scores.exp_().mul_(factor)


def _careful_sums(
    left: Tensor, right: Tensor | None, skip: Tensor, columns: bool
) -> tuple[Tensor, Tensor]:
    lowest = torch.finfo(left.dtype).min
    rows = left.new_full((len(left),), lowest)
    down = rows if right is None else left.new_full((len(right) if columns else 0,), lowest)
    for tile in tiles(left, right, skip):
        torch.logaddexp(rows[tile.rows], _log_sum(tile, 1), out=rows[tile.rows])
        if _both(tile, right, columns):
            torch.logaddexp(down[tile.columns], _log_sum(tile, 0), out=down[tile.columns])
    return rows, left.new_empty(0) if right is None else down


def _log_sum(tile: Tile, dim: int) -> Tensor:
    """Return the log-sums of a tile as torch's own, which would take another tile's memory."""
    most = torch.finfo(tile.scores.dtype).max
    top = tile.scores.amax(dim, keepdim=True).clamp_(-most, most)
    masses = torch.sub(tile.scores, top, out=tile.work).exp_()
    return masses.sum(dim).log_().add_(top.squeeze(dim))


def _careful_grad(
    tile: Tile, rows: Tensor, down: Tensor, by_rows: Tensor, by_down: Tensor, both: bool
) -> Tensor:
    here, by_here = rows[tile.rows, None], by_rows[tile.rows, None]
    grad = torch.sub(tile.scores, here, out=tile.work).exp_().mul_(by_here)
    if both:
        grad += tile.scores.sub_(down[tile.columns]).exp_().mul_(by_down[tile.columns])
    return grad


def tiles(
    left: Tensor, right: Tensor | None, skip: Tensor, bias: Tensor | None = None
) -> Iterator[Tile]:
    """Yield the tiles, the upper ones alone where rows are multiplied among themselves."""
    across = left if right is None else right
    size = devices.sizes(left.device).tile
    memory = left.new_empty(2, min(size, len(left)) * min(size, len(across)))
    skipping = _Looked if devices.readable(left) else _Unseen
    leave_out = skipping(skip, size, len(across), left.dtype)
    for i in range(0, len(left), size):
        rows = slice(i, min(i + size, len(left)))
        for j in range(i if right is None else 0, len(across), size):
            columns = slice(j, min(j + size, len(across)))
            shape = rows.stop - i, columns.stop - j
            scores, work = (one[: shape[0] * shape[1]].view(shape) for one in memory)
            if bias is None:
                torch.mm(left[rows], across[columns].T, out=scores)
            else:
                torch.addmm(bias, left[rows], across[columns].T, out=scores)
            leave_out(scores, rows, columns)
            yield Tile(rows, columns, scores, work, right is None and i == j)


class _Looked:
    """Leaves out of a tile what its rows skip, by a look at where that lies."""

    def __init__(self, skip: Tensor, *_: Any) -> None:
        self.skip = skip
        self.ends = functools.cache(self._ends)  # of a block of rows, asked at each of its tiles

    def _ends(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first and the last column that is left out anywhere."""
        skip = self.skip[start:stop]
        if not skip.numel():
            return 0, -1
        low, high = skip.aminmax()
        return int(low), int(high)

    def __call__(self, scores: Tensor, rows: slice, columns: slice) -> None:
        low, high = self.ends(rows.start, rows.stop)
        if low >= columns.stop or high < columns.start:
            return
        skip = self.skip[rows] - columns.start
        row, which = ((skip >= 0) & (skip < scores.shape[1])).nonzero(as_tuple=True)
        if len(row):
            scores[row, skip[row, which]] = torch.finfo(scores.dtype).min


class _Unseen:
    """The same where nobody looks: each tile's own column numbers and marks, for all tiles at once.

    A tile's score becomes the lesser of itself and its mark: the lowest number where the tile holds
    what is skipped, else infinity. places (N, K), marks (M / T, N, K).
    """

    def __init__(self, skip: Tensor, size: int, columns: int, dtype: torch.dtype) -> None:
        self.size, self.places = size, skip.remainder(size)
        each = torch.arange(-(-columns // size), device=skip.device)
        here = skip.div(size, rounding_mode="floor") == each[:, None, None]
        self.marks = here.new_full(here.shape, math.inf, dtype=dtype)
        self.marks.masked_fill_(here, torch.finfo(dtype).min)

    def __call__(self, scores: Tensor, rows: slice, columns: slice) -> None:
        width, places = scores.shape[1], self.places[rows]
        if not places.numel():
            return
        if width < self.size:  # the last tile: a number beyond it belongs to another
            places = places.clamp(max=width - 1)
        marks = self.marks[columns.start // self.size, rows]
        scores.scatter_reduce_(1, places, marks, "amin")


forward_op = torch.library.custom_op("lossmith::log_sums", forward, mutates_args=())
backward_op = torch.library.custom_op("lossmith::log_sums_backward", backward, mutates_args=())


@forward_op.register_fake
def _(
    left: Tensor, right: Tensor | None, skip: Tensor, columns: bool, bound: float | None
) -> tuple[Tensor, Tensor]:
    down = right.shape[0] if columns and right is not None else 0
    return left.new_empty(left.shape[0]), left.new_empty(down)


@backward_op.register_fake
def _(left: Tensor, right: Tensor | None, *args: Any) -> tuple[Tensor, Tensor]:
    return _buffers(left, right, args[-1])


def _buffers(left: Tensor, right: Tensor | None, wanted: list[bool]) -> tuple[Tensor, Tensor]:
    width = left.shape[1]
    rows = len(left) if wanted[0] else 0, len(right) if right is not None and wanted[1] else 0
    return left.new_empty(rows[0], width), left.new_empty(rows[1], width)
