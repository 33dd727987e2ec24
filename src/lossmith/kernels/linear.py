"""A linear head and its cross-entropy in one: N × C logits exist one chunk of rows at a time."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from lossmith.kernels.swept import proportion, swept

CHUNK = 1 << 26  # bytes of logits that exist at a time
ROWS = 256  # fewer rows at a time would make thin matrix products
BLOCK = 1 << 18  # logits that are worked on while they stay in the cache


class Bend(NamedTuple):
    """What bends the cross-entropy: 0-dim tensors, or None where it does not."""

    label_smoothing: Tensor | None = None
    z_loss: Tensor | None = None
    softcap: Tensor | None = None


def plain(input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, bend: Bend) -> Tensor:
    """Return each row's value by way of all logits, differentiable as often as one likes."""
    logits = linear(input, weight, bias)
    logits = logits.float() if logits.itemsize < 4 else logits
    smoothing, z_loss, cap = (one if one is None else one.to(logits.dtype) for one in bend)
    if cap is not None:
        logits = cap * (logits / cap).tanh()
    target, log_p = target.unsqueeze(1), logits.log_softmax(1)
    hit = log_p.gather(1, target).squeeze(1)
    values = -hit if smoothing is None else (smoothing - 1) * hit - smoothing * log_p.mean(1)
    if z_loss is not None:
        values = values + z_loss * (logits.gather(1, target).squeeze(1) - hit).square()
    return values


@torch.no_grad()
def sweep(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    row_weight: Tensor,
    label_smoothing: Tensor | None,
    z_loss: Tensor | None,
    softcap: Tensor | None,
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return values and the gradients wanted: of each row by input, of Σ row_weight·value else."""
    values, by_input, by_weight, by_bias = _outputs(input, weight, wanted)
    values.zero_()
    by_input.zero_()
    bend = tuple(None if one is None else float(one) for one in (label_smoothing, z_loss, softcap))
    kept, most = row_weight.nonzero().squeeze(1), chunk_rows(len(weight), input.itemsize)
    chunk = input.new_empty(min(most, len(kept)), len(weight))  # one memory for all chunks
    for number, rows in enumerate(kept.split(most)):  # of one part at least, maybe of no row
        x, scale, logits = input[rows], row_weight[rows].to(values.dtype), chunk[: len(rows)]
        _linear(x, weight, bias, logits)
        values[rows] = bend_rows(logits, target[rows].unsqueeze(1), bend, any(wanted))
        if wanted[0]:
            by_input[rows] = logits @ weight
        if wanted[1]:
            weighed = (x * scale.unsqueeze(1)).to(x.dtype)
            _add_product(by_weight, logits.T, weighed, anew=number == 0)
        if wanted[2]:
            _add_product(by_bias, logits.T, scale.to(x.dtype), anew=number == 0)
    return values, by_input, by_weight, by_bias


@torch.no_grad()
def settle(
    grad: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    row_weight: Tensor,
    label_smoothing: Tensor | None,
    z_loss: Tensor | None,
    softcap: Tensor | None,
    by_input: Tensor,
    by_weight: Tensor,
    by_bias: Tensor,
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients under `grad`: those at hand, scaled in place, or new ones."""
    if wanted[0]:
        by_input.mul_(grad.unsqueeze(1))
    if any(wanted[1:]):
        counted = grad.masked_fill(row_weight == 0, 0)  # where values are 0 whatever they are of
        factor = proportion(counted, row_weight)
        if factor is None:
            bend, anew = (label_smoothing, z_loss, softcap), [False, *wanted[1:]]
            by_weight, by_bias = sweep(input, weight, bias, target, counted, *bend, anew)[2:]
            factor = 1.0
        by_weight, by_bias = (one.mul_(factor).to(weight.dtype) for one in (by_weight, by_bias))
    return by_input, by_weight, by_bias


def bend_rows(
    logits: Tensor,
    target: Tensor,
    bend: tuple[float | None, ...],
    gradient: bool,
) -> Tensor:
    """Return the values of a chunk of rows; with `gradient`, turn logits into theirs in place."""
    step, dtype = max(1, BLOCK // logits.shape[1]), accumulator(logits)
    work = logits.new_empty(step, logits.shape[1], dtype=dtype) if logits.dtype != dtype else None
    found = []
    for raw, hits in zip(logits.split(step), target.split(step), strict=True):
        block = raw if work is None else work[: len(raw)].copy_(raw)
        found.append(_bend_block(block, hits, bend, gradient))
        if gradient and work is not None:
            raw.copy_(block)
    below, mass, top = (torch.cat(parts).squeeze(1) for parts in zip(*found, strict=True))
    log_mass = mass.log()
    values = log_mass + below
    return values if not bend[1] else values + bend[1] * (top + log_mass).square()


def _bend_block(
    x: Tensor,
    target: Tensor,
    bend: tuple[float | None, ...],
    gradient: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return by how much the target lies below the top, the mass below it, and the top."""
    (label_smoothing, z_loss, softcap), slope = bend, None
    if softcap is not None:
        slope = 1 - x.div_(softcap).tanh_().square()
        x.mul_(softcap)
    hit, top = x.gather(1, target), x.amax(1, keepdim=True)
    below, smoothing = top - hit, label_smoothing or 0.0
    if smoothing:
        below = (1 - smoothing) * below + smoothing * (top - x.mean(1, keepdim=True))
    mass = x.sub_(top).exp_().sum(1, keepdim=True)
    if gradient:
        x.mul_((1 + 2 * z_loss * (top + mass.log())) / mass if z_loss else 1 / mass)
        x.scatter_add_(1, target, torch.full_like(hit, smoothing - 1))
        if smoothing:
            x.sub_(smoothing / x.shape[1])
        if slope is not None:
            x.mul_(slope)
    return below, mass, top


def accumulator(tensor: Tensor) -> torch.dtype:
    """Return the dtype in which sums over a tensor are kept."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    if bias is None:
        torch.mm(input, weight.T, out=out)
    else:
        torch.addmm(bias, input, weight.T, out=out)


def _add_product(total: Tensor, left: Tensor, right: Tensor, *, anew: bool) -> None:
    """Add left @ right to total, in total's dtype even where the product's is lower."""
    if total.dtype == left.dtype:
        add = total.addmm_ if right.ndim == 2 else total.addmv_
        add(left, right, beta=0 if anew else 1)
        return
    step = max(1, BLOCK * len(right) // max(1, right.numel()))
    product = total.new_empty(4 * step, *total.shape[1:], dtype=left.dtype)
    exact = total.new_empty(step, *total.shape[1:])  # stays in the cache, as a sum's own would not
    for sums, rows in zip(total.split(4 * step), left.split(4 * step), strict=True):
        found = torch.matmul(rows, right, out=product[: len(rows)])
        for part, piece in zip(sums.split(step), found.split(step), strict=True):
            if anew:
                part.copy_(piece)
            else:
                part += exact[: len(piece)].copy_(piece)


def chunk_rows(classes: int, itemsize: int) -> int:
    """Return how many rows' logits exist at a time."""
    return max(1, CHUNK // (classes * itemsize * ROWS)) * ROWS


def _outputs(
    input: Tensor, weight: Tensor, wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return room for values and slopes; what sums over rows is kept more exactly."""
    sums = accumulator(input)
    shapes, dtypes = (input.shape, weight.shape, weight.shape[:1]), (input.dtype, sums, sums)
    given = zip(shapes, dtypes, wanted, strict=True)
    a, b, c = (input.new_empty(s if want else (0,), dtype=dtype) for s, dtype, want in given)
    return input.new_empty(len(input), dtype=sums), a, b, c


def _kept(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    row_weight: Tensor,
    *bend: Tensor | None,
) -> Tensor:
    return plain(input, weight, bias, target, Bend(*bend)) * (row_weight != 0)


_swept = swept(
    "linear_cross_entropy",
    sweep,
    settle,
    _kept,
    lambda args, wanted: _outputs(args[0], args[1], wanted),
    free=3,
)


def fused(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    row_weight: Tensor,
    bend: Bend,
) -> Tensor:
    """Return the values of rows that weigh something, 0 for the others, chunk by chunk."""
    return _swept(input, weight, bias, target, row_weight, *bend)
