"""A linear head and its cross-entropy in one: N × C logits exist one chunk of rows at a time.

    u_ic    = input_i · weight_c + bias_c                 a chunk (n, C) of (N, C) at a time
    value_i = cross-entropy of row u_i, see `kernels.cross_entropy`                  (N,)
    G_ic    = ∂value_i/∂u_ic, written over the chunk                                 (n, C)
    ∂input  = G · weight                                  of each row, not weighed   (N, D)
    ∂weight = Gᵀ · (w input)    ∂bias = Gᵀ · w            under row weights w (N,)   (C, D), (C,)

Rows of weight 0 are left out. A CPU looks for them and passes them by. A device, of which the host
would have to await the answer, goes through all rows and writes 0 for these. What sums over rows is
kept in float32 at least; where a product of halves gives float32 itself, so are a chunk's logits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from lossmith.kernels import devices
from lossmith.kernels.cross_entropy import accumulator, row_cross_entropy
from lossmith.kernels.fused_rows import fused_rows, proportion


class Options(NamedTuple):
    """What changes the cross-entropy: 0-dim tensors, or None where it does not."""

    label_smoothing: Tensor | None = None
    z_loss: Tensor | None = None
    softcap: Tensor | None = None


def reference(
    input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, options: Options
) -> Tensor:
    """Return each row's value by way of all logits, differentiable as often as one likes."""
    logits = linear(input, weight, bias)
    logits = logits.float() if logits.itemsize < 4 else logits
    smoothing, z_loss, cap = (one if one is None else one.to(logits.dtype) for one in options)
    if cap is not None:
        logits = cap * (logits / cap).tanh()
    target, log_p = target.unsqueeze(1), logits.log_softmax(1)
    hit = log_p.gather(1, target).squeeze(1)
    values = -hit if smoothing is None else (smoothing - 1) * hit - smoothing * log_p.mean(1)
    if z_loss is not None:
        values = values + z_loss * (logits.gather(1, target).squeeze(1) - hit).square()
    return values


@torch.no_grad()
def forward(
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
    values, by_input, by_weight, by_bias = _buffers(input, weight, wanted)
    values.zero_()
    by_input.zero_()
    options = [_number(one) for one in (label_smoothing, z_loss, softcap)]
    dtype = values.dtype if _gives_float32(input) else input.dtype
    most = chunk_rows(input.device, len(weight), dtype.itemsize)
    input, parts = _parts(input, row_weight, most)
    chunk = input.new_empty(min(most, len(input)), len(weight), dtype=dtype)
    grads_memory = chunk if dtype == input.dtype else torch.empty_like(chunk, dtype=input.dtype)
    for number, rows in enumerate(parts):  # of one part at least, maybe of no row
        x, scale = input[rows], row_weight[rows].to(values.dtype)
        logits, grads = chunk[: len(x)], grads_memory[: len(x)]
        _linear(x, weight, bias, logits)
        into = grads if any(wanted) else None
        values[rows] = row_cross_entropy(logits, target[rows], options, into)
        if wanted[0]:
            by_input[rows] = grads @ weight
        if wanted[1]:
            weighed = (x * scale.unsqueeze(1)).to(x.dtype)
            _add_product(by_weight, grads.T, weighed, anew=number == 0)
        if wanted[2]:
            _add_product(by_bias, grads.T, scale.to(x.dtype), anew=number == 0)
    if not devices.readable(input):
        _leave_out(row_weight == 0, values, by_input)
    return values, by_input, by_weight, by_bias


@torch.no_grad()
def backward(
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
            options, anew = (label_smoothing, z_loss, softcap), [False, *wanted[1:]]
            by_weight, by_bias = forward(input, weight, bias, target, counted, *options, anew)[2:]
            factor = 1.0
        by_weight, by_bias = (one.mul_(factor).to(weight.dtype) for one in (by_weight, by_bias))
    return by_input, by_weight, by_bias


def chunk_rows(device: torch.device, classes: int, itemsize: int) -> int:
    """Return how many rows' logits exist at a time."""
    known = devices.sizes(device)
    return max(1, known.chunk // (classes * itemsize * known.rows)) * known.rows


def _parts(input: Tensor, row_weight: Tensor, most: int) -> tuple[Tensor, Sequence[Tensor | slice]]:
    """Return the rows and which of them to work on at a time; see above."""
    if devices.readable(input):
        return input, row_weight.nonzero().squeeze(1).split(most)
    left_out = (row_weight == 0).unsqueeze(1)
    starts = range(0, max(1, len(input)), most)
    return input.masked_fill(left_out, 0), [slice(i, i + most) for i in starts]


def _leave_out(left_out: Tensor, values: Tensor, by_input: Tensor) -> None:
    values.masked_fill_(left_out, 0)
    if len(by_input):
        by_input.masked_fill_(left_out.unsqueeze(1), 0)


def _number(option: Tensor | None) -> Tensor | float | None:
    """Return what Python can read as a number, None where that is 0: it changes nothing."""
    if option is None or not devices.readable(option):
        return option
    return float(option) or None


def _gives_float32(tensor: Tensor) -> bool:
    """Return whether a product of such tensors can be had in float32, as it was summed."""
    if tensor.dtype != torch.bfloat16 or not tensor.is_cuda or torch.version.hip is not None:
        return False
    return not torch.cuda.is_available() or torch.cuda.get_device_capability(tensor.device)[0] >= 8


def _product(left: Tensor, right: Tensor, out: Tensor) -> Tensor:
    """Write left @ right into out, of left's dtype or of float32 where that can be had."""
    if out.dtype == left.dtype:
        return torch.matmul(left, right, out=out)
    return torch.mm(left, right, out_dtype=out.dtype, out=out)


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    if bias is None:
        _product(input, weight.T, out)
    elif out.dtype == input.dtype:
        torch.addmm(bias, input, weight.T, out=out)
    else:
        _product(input, weight.T, out).add_(bias)


def _add_product(total: Tensor, left: Tensor, right: Tensor, *, anew: bool) -> None:
    """Add left @ right to total, in total's dtype even where the product's is lower."""
    if total.dtype == left.dtype:
        add = total.addmm_ if right.ndim == 2 else total.addmv_
        add(left, right, beta=0 if anew else 1)
    elif right.ndim == 2 and _gives_float32(left):
        _add_float32(total, left, right, anew=anew)
    else:
        _add_rounded(total, left, right, anew=anew)


def _add_float32(total: Tensor, left: Tensor, right: Tensor, *, anew: bool) -> None:
    """Add a product that is had in float32, a block of it at a time."""
    if anew:
        _product(left, right, total)
        return
    step = max(1, devices.sizes(total.device).block // right.shape[1])
    product = total.new_empty(min(step, len(total)), right.shape[1])
    for sums, rows in zip(total.split(step), left.split(step), strict=True):
        sums += _product(rows, right, product[: len(rows)])


def _add_rounded(total: Tensor, left: Tensor, right: Tensor, *, anew: bool) -> None:
    """Add a product that is rounded to left's dtype; its copy of more digits stays in the cache."""
    step = max(1, devices.sizes(total.device).block * len(right) // max(1, right.numel()))
    product = total.new_empty(4 * step, *total.shape[1:], dtype=left.dtype)
    exact = total.new_empty(step, *total.shape[1:])  # stays in the cache, as a sum's own would not
    for sums, rows in zip(total.split(4 * step), left.split(4 * step), strict=True):
        found = torch.matmul(rows, right, out=product[: len(rows)])
        for part, piece in zip(sums.split(step), found.split(step), strict=True):
            if anew:
                part.copy_(piece)
            else:
                part += exact[: len(piece)].copy_(piece)


def _buffers(
    input: Tensor, weight: Tensor, wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return memory for values and gradients; what sums over rows is kept more exactly."""
    sums = accumulator(input)
    shapes, dtypes = (input.shape, weight.shape, weight.shape[:1]), (input.dtype, sums, sums)
    given = zip(shapes, dtypes, wanted, strict=True)
    a, b, c = (input.new_empty(s if want else (0,), dtype=dtype) for s, dtype, want in given)
    return input.new_empty(input.shape[0], dtype=sums), a, b, c


def _reference_of_kept(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    row_weight: Tensor,
    *options: Tensor | None,
) -> Tensor:
    return reference(input, weight, bias, target, Options(*options)) * (row_weight != 0)


_fused = fused_rows(
    "linear_cross_entropy",
    forward,
    backward,
    _reference_of_kept,
    lambda args, wanted: _buffers(args[0], args[1], wanted),
    free=3,
)


def fused(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    row_weight: Tensor,
    options: Options,
) -> Tensor:
    """Return the values of rows that weigh something, 0 for the others, chunk by chunk."""
    return _fused(input, weight, bias, target, row_weight, *options)
