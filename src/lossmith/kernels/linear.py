r"""A linear head and its cross-entropy in one: N × C logits exist one chunk of rows at a time.

While a chunk's logits are at hand their gradient is formed, so that three matrix products do for
forward and backward together. The gradient for `input` belongs to each row alone and is scaled by
the gradient from above. The gradient for `weight` sums over rows, so it is formed under the row
weights known beforehand; a gradient from above that is not proportional to them makes backward
form it again from the logits.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

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


def fused(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    row_weight: Tensor,
    bend: Bend,
) -> Tensor:
    """Return the values of rows that weigh something, 0 for the others, chunk by chunk."""
    given = (input, weight, bias)
    wanted = [one is not None and one.requires_grad and torch.is_grad_enabled() for one in given]
    values: Tensor = _Fused.apply(wanted, *given, target, row_weight, *bend)
    return values


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, wanted: list[bool], *args: Any) -> Tensor:
        run: Any = sweep_op if torch.compiler.is_compiling() else sweep
        values, *gradients = run(*args, wanted)
        ctx.save_for_backward(*args, *gradients)
        ctx.wanted = wanted
        return values

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        wanted, saved = ctx.wanted, ctx.saved_tensors
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            found: Any = differentiable(grad, saved[:8], wanted)
        else:
            run: Any = settle_op if torch.compiler.is_compiling() else settle
            found = run(grad, *saved, wanted)
        return None, *(found[i] if wanted[i] else None for i in range(3)), *(None,) * 5


def differentiable(grad: Tensor, args: Sequence[Any], wanted: list[bool]) -> list[Tensor | None]:
    """Return gradients that can be differentiated again, by way of all logits."""
    input, weight, bias, target, row_weight, *bend = args
    values = plain(input, weight, bias, target, Bend(*bend)) * (row_weight != 0)
    sources = [args[i] for i in range(3) if wanted[i]]
    found = iter(torch.autograd.grad(values, sources, grad, create_graph=True))
    return [next(found) if want else None for want in wanted]


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
    values, by_input, *outputs = (one.zero_() for one in _outputs(input, weight, wanted))
    by_weight, by_bias = (one.to(values.dtype) for one in outputs)
    bend = tuple(None if one is None else float(one) for one in (label_smoothing, z_loss, softcap))
    kept, most = row_weight.nonzero().squeeze(1), chunk_rows(len(weight), input.itemsize)
    chunk = input.new_empty(min(most, len(kept)), len(weight))  # one memory for all chunks
    for rows in kept.split(most) if len(kept) else ():
        x, scale, logits = input[rows], row_weight[rows].to(values.dtype), chunk[: len(rows)]
        _linear(x, weight, bias, logits)
        values[rows] = bend_rows(logits, target[rows].unsqueeze(1), bend, any(wanted))
        if wanted[0]:
            by_input[rows] = logits @ weight
        if wanted[1]:
            _add_product(by_weight, logits.T, (x * scale.unsqueeze(1)).to(x.dtype))
        if wanted[2]:
            _add_product(by_bias, logits.T, scale.to(x.dtype))
    return values, by_input, by_weight.to(weight.dtype), by_bias.to(weight.dtype)


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
    """Return the gradients under `grad`: those at hand scaled, or by weight and bias anew."""
    factor = proportion(grad, row_weight)
    if factor is None:
        scale, anew = grad * (row_weight != 0), [False, *wanted[1:]]
        bend = (label_smoothing, z_loss, softcap)
        by_weight, by_bias = sweep(input, weight, bias, target, scale, *bend, anew)[2:]
        factor = 1.0
    by_input = grad.unsqueeze(1) * by_input if wanted[0] else by_input.clone()
    return by_input.to(input.dtype), by_weight * factor, by_bias * factor


def proportion(grad: Tensor, row_weight: Tensor) -> float | None:
    """Return by what factor grad is row_weight, None if by none, where row_weight isn't 0."""
    known, given = row_weight.double(), torch.where(row_weight == 0, 0, grad.double())
    largest = known.abs().max() if len(known) else known.sum()
    if largest == 0:
        return 0.0
    factor = given[known.abs().argmax()] / known[known.abs().argmax()]
    rounding = 8 * torch.finfo(grad.dtype).eps
    return float(factor) if torch.allclose(given, factor * known, rtol=rounding, atol=0) else None


def bend_rows(
    logits: Tensor,
    target: Tensor,
    bend: tuple[float | None, ...],
    gradient: bool,
) -> Tensor:
    """Return the values of a chunk of rows; with `gradient`, turn logits into theirs in place."""
    step, dtype = max(1, BLOCK // logits.shape[1]), accumulator(logits)
    work = logits.new_empty(step, logits.shape[1], dtype=dtype) if logits.dtype != dtype else None
    values = []
    for raw, hits in zip(logits.split(step), target.split(step), strict=True):
        block = raw if work is None else work[: len(raw)].copy_(raw)
        values.append(_bend_block(block, hits, bend, gradient))
        if gradient and work is not None:
            raw.copy_(block)
    return torch.cat(values)


def _bend_block(
    x: Tensor,
    target: Tensor,
    bend: tuple[float | None, ...],
    gradient: bool,
) -> Tensor:
    (label_smoothing, z_loss, softcap), slope = bend, None
    if softcap is not None:
        slope = 1 - x.div_(softcap).tanh_().square()
        x.mul_(softcap)
    hit, top = x.gather(1, target), x.amax(1, keepdim=True)
    even, smoothing = x.mean(1, keepdim=True) if label_smoothing else top, label_smoothing or 0.0
    mass = x.sub_(top).exp_().sum(1, keepdim=True)
    log_mass = top + mass.log()
    values = mass.log() + (1 - smoothing) * (top - hit) + smoothing * (top - even)
    if z_loss:
        values = values + z_loss * log_mass.square()
    if gradient:
        x.mul_((1 + 2 * (z_loss or 0.0) * log_mass) / mass)
        x.scatter_add_(1, target, torch.full_like(hit, smoothing - 1))
        if smoothing:
            x.sub_(smoothing / x.shape[1])
        if slope is not None:
            x.mul_(slope)
    return values.squeeze(1)


def accumulator(tensor: Tensor) -> torch.dtype:
    """Return the dtype in which sums over a tensor are kept."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    if bias is None:
        torch.mm(input, weight.T, out=out)
    else:
        torch.addmm(bias, input, weight.T, out=out)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right to total, in total's dtype even where the product's is lower."""
    step = max(1, 4 * BLOCK // right[0].numel())
    if total.dtype == left.dtype:
        add = total.addmm_ if right.ndim == 2 else total.addmv_
        add(left, right)
    else:
        for part, rows in zip(total.split(step), left.split(step), strict=True):
            part += rows @ right


def chunk_rows(classes: int, itemsize: int) -> int:
    """Return how many rows' logits exist at a time."""
    return max(1, CHUNK // (classes * itemsize * ROWS)) * ROWS


def _outputs(input: Tensor, weight: Tensor, wanted: list[bool]) -> tuple[Tensor, ...]:
    shapes = input.shape, weight.shape, weight.shape[:1]
    return (
        input.new_empty(len(input), dtype=accumulator(input)),
        *(input.new_empty(s if want else (0,)) for s, want in zip(shapes, wanted, strict=True)),
    )


sweep_op = torch.library.custom_op("lossmith::linear_cross_entropy", sweep, mutates_args=())
settle_op = torch.library.custom_op(
    "lossmith::linear_cross_entropy_backward", settle, mutates_args=()
)


@sweep_op.register_fake
def _(*args: Any) -> tuple[Tensor, ...]:
    return _outputs(args[0], args[1], args[-1])


@settle_op.register_fake
def _(*args: Any) -> tuple[Tensor, ...]:
    return _outputs(args[1], args[2], args[-1])[1:]
