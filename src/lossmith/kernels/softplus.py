"""Sums of log(1 + e^score) over all products of rows, a tile at a time: never N × N numbers.

    s_ij     = left_i · right_j + bias        a tile of T × T of N × M at a time
    value_i  = Σ_j log(1 + e^(s_ij))          (N,), without what is skipped
    ∂left_i  = g_i Σ_j σ(s_ij) right_j        (N, D)
    ∂right_j = Σ_i w_i σ(s_ij) left_i         (M, D), under row weights w
    ∂bias    = Σ_i g_i Σ_j σ(s_ij)            its terms (N,)

A product's slope is formed while it is at hand, so that three products' time does for forward and
backward together, under the row weights known beforehand; see `kernels.fused_rows`.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lossmith.kernels import devices
from lossmith.kernels.fused_rows import fused_rows, proportion
from lossmith.kernels.products import Tile, reach, tiles

FOLDS = 2  # at most, of a row of a tile before its logarithms are taken
BOUND = 80.0  # e to it is a number; each folding doubles the exponents


def reference(left: Tensor, right: Tensor, bias: Tensor, skip: Tensor) -> Tensor:
    """Return the sums by way of all products, differentiable as often as one likes."""
    scores = left @ right.T + bias
    return softplus(scores.scatter(1, skip, torch.finfo(scores.dtype).min), threshold=40).sum(1)


@torch.no_grad()
def forward(
    left: Tensor,
    right: Tensor,
    bias: Tensor,
    skip: Tensor,
    row_weight: Tensor,
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return values and gradients: of each row by left and bias, of Σ row_weight·value by right."""
    values, by_left, by_right, by_bias = (one.zero_() for one in _buffers(left, right, wanted))
    weighed = left * row_weight.to(left.dtype).unsqueeze(1)
    folds = _folds(left, right, bias)
    for tile in tiles(left, right, skip, bias):
        sums, share = _unbounded(tile) if folds is None else _bounded(tile, folds)
        values[tile.rows].add_(sums)
        if wanted[0]:
            by_left[tile.rows].addmm_(share, right[tile.columns])
        if wanted[1]:
            by_right[tile.columns].addmm_(share.T, weighed[tile.rows])
        if wanted[2]:
            by_bias[tile.rows].add_(share.sum(1))
    return values, by_left, by_right, by_bias


def _folds(left: Tensor, right: Tensor, bias: Tensor) -> int | None:
    """Return how often exponentials may be multiplied; None where they are too large, or unseen."""
    if not devices.readable(left):
        return None
    highest = reach(left, right) + bias.item()
    return next((n for n in range(FOLDS, -1, -1) if highest * 2**n <= BOUND), None)


def _bounded(tile: Tile, folds: int) -> tuple[Tensor, Tensor]:
    """Return Σ log(1 + e^s) of each row and its slopes."""
    share = torch.sigmoid(tile.scores, out=tile.work)
    masses = tile.scores.exp_()
    for _ in range(folds):
        masses = _folded(masses)
    return masses.log1p_().sum(1), share


def _folded(masses: Tensor) -> Tensor:
    """Return half as many numbers of which 1 + x multiply to the same: (1 + a)(1 + b) − 1."""
    half = masses.shape[1] // 2
    kept, others = masses.split([masses.shape[1] - half, half], dim=1)
    first = kept[:, :half]
    first.addcmul_(first, others).add_(others)
    return kept


def _unbounded(tile: Tile) -> tuple[Tensor, Tensor]:
    """Return the same of scores whose exponentials may be too large."""
    softplus_to = torch.ops.aten.softplus.out  # torch.nn.functional's has memory of its own
    sums: Tensor = softplus_to(tile.scores, threshold=40, out=tile.work).sum(1)
    return sums, tile.scores.sigmoid_()


@torch.no_grad()
def backward(
    grad: Tensor,
    left: Tensor,
    right: Tensor,
    bias: Tensor,
    skip: Tensor,
    row_weight: Tensor,
    by_left: Tensor,
    by_right: Tensor,
    by_bias: Tensor,
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients under `grad`: those at hand scaled, or by right anew."""
    if wanted[1]:
        factor = proportion(grad, row_weight)
        if factor is None:
            by_right, factor = forward(left, right, bias, skip, grad, [False, True, False])[2], 1.0
        by_right.mul_(factor)
    if wanted[0]:
        by_left.mul_(grad.unsqueeze(1))
    return by_left, by_right, grad @ by_bias if wanted[2] else by_bias


def _buffers(left: Tensor, right: Tensor, wanted: list[bool]) -> tuple[Tensor, ...]:
    shapes = left.shape, right.shape, left.shape[:1]
    given = zip(shapes, wanted, strict=True)
    return left.new_empty(left.shape[0]), *(
        left.new_empty(s if want else (0,)) for s, want in given
    )


_fused = fused_rows(
    "softplus_sums",
    forward,
    backward,
    lambda left, right, bias, skip, row_weight: reference(left, right, bias, skip),
    lambda args, wanted: _buffers(args[0], args[1], wanted),
    free=3,
)


def tiled(left: Tensor, right: Tensor, bias: Tensor, skip: Tensor, row_weight: Tensor) -> Tensor:
    """Return for each row of left Σ log(1 + exp(left·right + bias)) without the rows it skips.

    row_weight is what the rows' values will weigh; gradients are right under any, and cost less
    under a multiple of it.
    """
    return _fused(left, right, bias, skip, row_weight)
