"""Log-sums of exponentials over all products of rows, a tile at a time: never N × N numbers.

Forward keeps one log-sum a row, and one a column where asked; backward forms each tile again. Rows
among themselves make a symmetric matrix, of which the upper tiles alone are formed: two products'
time in all, where a stored matrix needs three.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

TILE = 768  # rows and columns: a tile stays in the cache
NEAR = 16.0  # what differs by less is shifted inside an exponential without loss
FAINT = 1e-20  # a sum of exponentials above it has lost nothing to underflow


class Tile(NamedTuple):
    """The products of some rows with some columns, and as much memory to work in."""

    rows: slice
    columns: slice
    scores: Tensor
    work: Tensor
    diagonal: bool


def plain(left: Tensor, right: Tensor | None, skip: Tensor, columns: bool) -> tuple[Tensor, Tensor]:
    """Return the log-sums by way of all products, differentiable as often as one likes."""
    scores = left @ (left if right is None else right).T
    scores = scores.scatter_(1, skip, torch.finfo(scores.dtype).min)
    return scores.logsumexp(1), scores.logsumexp(0) if columns else scores.new_empty(0)


def tiled(left: Tensor, right: Tensor | None, skip: Tensor, columns: bool) -> tuple[Tensor, Tensor]:
    """Return the log-sums of left @ right.T without what each row skips, by rows and by columns.

    right None stands for left itself. skip holds column numbers for each row; rows and columns
    both leave the skipped products out.
    """
    given = (left, right)
    wanted = [one is not None and one.requires_grad and torch.is_grad_enabled() for one in given]
    rows, down = _Tiled.apply(wanted, left, right, skip, columns)
    return rows, down


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, wanted: list[bool], *args: Any) -> tuple[Tensor, Tensor]:
        left, right, skip, columns = args
        run: Any = sums_op if torch.compiler.is_compiling() else sums
        rows, down = run(left, right, skip, columns)
        ctx.wanted, ctx.columns = wanted, columns
        ctx.save_for_backward(left, right, skip, rows, down)
        return rows, down

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wanted, columns, saved = ctx.wanted, ctx.columns, ctx.saved_tensors
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            sources = [one for one, want in zip(saved, wanted, strict=False) if want]
            left, right, skip = saved[:3]
            sums, count = plain(left, right, skip, columns), 2 if columns else 1
            again = torch.autograd.grad(sums[:count], sources, grads[:count], create_graph=True)
            each = iter(again)
            found: Any = [next(each) if want else None for want in wanted]
        else:
            run: Any = slopes_op if torch.compiler.is_compiling() else slopes
            found = run(*saved, *grads, columns, wanted)
        return None, *(found[i] if wanted[i] else None for i in range(2)), None, None


@torch.no_grad()
def sums(left: Tensor, right: Tensor | None, skip: Tensor, columns: bool) -> tuple[Tensor, Tensor]:
    """Return the log-sums by rows, and by columns if asked; see `tiled`."""
    across = left if right is None else right
    lowest = torch.finfo(left.dtype).min
    rows = left.new_full((len(left),), lowest)
    down = rows if right is None else left.new_full((len(across) if columns else 0,), lowest)
    for tile in tiles(left, right, skip):
        top = tile.scores.max()
        masses = torch.sub(tile.scores, top, out=tile.work).exp_()
        _add_log_sum(rows[tile.rows], tile.scores, masses, top, 1)
        if columns if right is not None else not tile.diagonal:
            _add_log_sum(down[tile.columns], tile.scores, masses, top, 0)
    return rows, left.new_empty(0) if right is None else down


@torch.no_grad()
def slopes(
    left: Tensor,
    right: Tensor | None,
    skip: Tensor,
    rows: Tensor,
    down: Tensor,
    by_rows: Tensor,
    by_down: Tensor,
    columns: bool,
    wanted: list[bool],
) -> tuple[Tensor, Tensor]:
    """Return the gradients by left and right of the log-sums under gradients by each of them."""
    by_left, by_right = (one.zero_() for one in _slopes_of(left, right, wanted))
    across, by_across = (left, by_left) if right is None else (right, by_right)
    down, by_down = (rows, by_rows) if right is None else (down, by_down)
    ratio = _ratio(rows, down, by_down)
    for tile in tiles(left, right, skip):
        here, by_here = rows[tile.rows, None], by_rows[tile.rows, None]
        if not (columns if right is not None else not tile.diagonal):
            slope = tile.scores.sub_(here).exp_().mul_(by_here)
        elif ratio is not None:
            factor = torch.mul(ratio[0][tile.rows, None], ratio[1][tile.columns], out=tile.work)
            slope = tile.scores.sub_(here).exp_().mul_(factor.add_(by_here))
        else:
            slope = torch.sub(tile.scores, here, out=tile.work).exp_().mul_(by_here)
            share = tile.scores.sub_(down[tile.columns]).exp_()
            slope += share.mul_(by_down[tile.columns])
        if wanted[0]:
            by_left[tile.rows].addmm_(slope, across[tile.columns])
        if right is None or wanted[1]:
            by_across[tile.columns].addmm_(slope.T, left[tile.rows])
    return by_left, by_right


def _ratio(rows: Tensor, down: Tensor, by_down: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return what exp(score − row) times one and the other is by_down·exp(score − down).

    It spares the second exponential of each product; None where log-sums are too far apart.
    """
    both = torch.cat([rows, down])
    low, high = both.aminmax() if len(both) else (both.sum(), both.sum())
    if high - low > NEAR:
        return None
    return (rows - low).exp(), by_down * (low - down).exp()


def tiles(
    left: Tensor, right: Tensor | None, skip: Tensor, bias: Tensor | None = None
) -> Iterator[Tile]:
    """Yield the tiles, the upper ones alone where rows are multiplied among themselves."""
    across = left if right is None else right
    memory = left.new_empty(2, TILE * TILE)
    for i in range(0, len(left), TILE):
        rows = slice(i, min(i + TILE, len(left)))
        for j in range(i if right is None else 0, len(across), TILE):
            columns = slice(j, min(j + TILE, len(across)))
            shape = rows.stop - i, columns.stop - j
            scores, work = (one[: shape[0] * shape[1]].view(shape) for one in memory)
            if bias is None:
                torch.mm(left[rows], across[columns].T, out=scores)
            else:
                torch.addmm(bias, left[rows], across[columns].T, out=scores)
            _leave_out(scores, skip[rows] - j)
            yield Tile(rows, columns, scores, work, right is None and i == j)


def _leave_out(scores: Tensor, skip: Tensor) -> None:
    row, which = ((skip >= 0) & (skip < scores.shape[1])).nonzero(as_tuple=True)
    if len(row):
        scores[row, skip[row, which]] = torch.finfo(scores.dtype).min


def _add_log_sum(total: Tensor, scores: Tensor, masses: Tensor, top: Tensor, dim: int) -> None:
    """Add the tile's exponentials, which are masses·exp(top), to log-sums in place."""
    mass = masses.sum(dim)
    kept = bool(mass.min() > FAINT)  # else some lie too far below the tile's largest
    part = mass.log_().add_(top) if kept else scores.logsumexp(dim)
    torch.logaddexp(total, part, out=total)


sums_op = torch.library.custom_op("lossmith::log_sums", sums, mutates_args=())
slopes_op = torch.library.custom_op("lossmith::log_sums_backward", slopes, mutates_args=())


@sums_op.register_fake
def _(left: Tensor, right: Tensor | None, skip: Tensor, columns: bool) -> tuple[Tensor, Tensor]:
    down = len(right) if columns and right is not None else 0
    return left.new_empty(len(left)), left.new_empty(down)


@slopes_op.register_fake
def _(left: Tensor, right: Tensor | None, *args: Any) -> tuple[Tensor, Tensor]:
    return _slopes_of(left, right, args[-1])


def _slopes_of(left: Tensor, right: Tensor | None, wanted: list[bool]) -> tuple[Tensor, Tensor]:
    width = left.shape[1]
    rows = len(left) if wanted[0] else 0, len(right) if right is not None and wanted[1] else 0
    return left.new_empty(rows[0], width), left.new_empty(rows[1], width)
