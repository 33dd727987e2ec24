"""Softmax cross-entropy of rows as one Triton kernel, value and gradient; see `cross_entropy`.

    value_i = w_i ℓ(u_i, y_i)    ∂u_i = w_i ∂ℓ/∂u_i    with u (n, C), y (n,), w (n,), value (n,)

One program a row. The first pass over it keeps the top m and the mass s = Σ e^(x - m) together: a
block with a higher top scales what was summed before by e^(old - new). The second forms gradients.
Rows of weight 0 and of the target that is ignored are not read: both outputs are 0 there, whatever
they hold. All arithmetic is float32. Importing this needs Triton.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 4096  # numbers of a row at a time: 16 a thread, which no target spills
WARPS = 8


@triton.jit
def _capped(x, cap):
    """Return cap·tanh(x/cap); near 0 by a series, as 1 - e^(-2|x|/cap) cancels."""
    u = x / cap
    size = tl.abs(u)
    e = tl.exp(-2 * size)
    square = u * u
    near = u * (1 + square * (-1 / 3 + square * (2 / 15 + square * (-17 / 315))))
    far = tl.where(u < 0, -1.0, 1.0) * (1 - e) / (1 + e)
    return cap * tl.where(size < 0.1, near, far)


@triton.jit
def _cap_slope(x, cap):
    """Return 1 - tanh²(x/cap), which cancels nowhere in this form."""
    e = tl.exp(-2 * tl.abs(x / cap))
    return 4 * e / ((1 + e) * (1 + e))


@triton.jit
def row_cross_entropy(
    logits,  # (n, C), a row every `stride` numbers
    grads,  # (n, C), a row every `grads_stride` numbers; may be logits
    target,  # (n,) int64
    weight,  # (n,) float32; not read unless WEIGHED
    values,  # (n,) float32
    stride,
    grads_stride,
    classes,
    ignore_index,
    smoothing,
    z_loss,
    cap,
    WEIGHED: tl.constexpr,
    SMOOTHED: tl.constexpr,
    Z: tl.constexpr,
    CAPPED: tl.constexpr,
    GRADIENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    logits += row * stride
    grads += row * grads_stride
    hit = tl.load(target + row)
    scale = 1.0
    if WEIGHED:
        scale = tl.load(weight + row)
    if (hit == ignore_index) | (scale == 0):
        tl.store(values + row, 0.0)
        if GRADIENT:
            for start in range(0, classes, BLOCK):
                at = start + tl.arange(0, BLOCK)
                nothing = tl.zeros([BLOCK], dtype=grads.dtype.element_ty)
                tl.store(grads + at, nothing, mask=at < classes)
        return

    # Read before the sums below, at which a row's threads wait for each other: once gradients are
    # written over the logits, it may be gone.
    mine = tl.load(logits + hit).to(tl.float32)
    if CAPPED:
        mine = _capped(mine, cap)

    # Online softmax. A top of -inf has no mass yet: e^(-inf - -inf) would be NaN.
    top = -float("inf")
    mass = 0.0
    total = 0.0
    for start in range(0, classes, BLOCK):
        at = start + tl.arange(0, BLOCK)
        inside = at < classes
        x = tl.load(logits + at, mask=inside, other=-float("inf")).to(tl.float32)
        if CAPPED:
            x = tl.where(inside, _capped(x, cap), -float("inf"))
        higher = tl.maximum(top, tl.max(x, 0))
        zero = tl.where(higher == -float("inf"), 0.0, higher)
        mass = mass * tl.exp(top - zero) + tl.sum(tl.exp(x - zero), 0)
        top = higher
        if SMOOTHED:
            total += tl.sum(tl.where(inside, x, 0.0), 0)

    log_mass = tl.log(mass)
    value = (top - mine) + log_mass  # not (top + log_mass) - mine: that rounds where top is large
    if SMOOTHED:
        value = (1 - smoothing) * value + smoothing * ((top - total / classes) + log_mass)
    if Z:
        value += z_loss * (top + log_mass) * (top + log_mass)
    tl.store(values + row, scale * value)

    if GRADIENT:
        factor = 1 / mass
        if Z:
            factor *= 1 + 2 * z_loss * (top + log_mass)
        for start in range(0, classes, BLOCK):
            at = start + tl.arange(0, BLOCK)
            inside = at < classes
            x = tl.load(logits + at, mask=inside, other=-float("inf")).to(tl.float32)
            u = x
            if CAPPED:
                x = _capped(u, cap)
            grad = factor * tl.exp(x - top)
            if SMOOTHED:
                grad -= smoothing / classes + tl.where(at == hit, 1 - smoothing, 0.0)
            else:
                grad -= tl.where(at == hit, 1.0, 0.0)
            if CAPPED:
                grad *= _cap_slope(u, cap)
            grad *= scale
            tl.store(grads + at, grad.to(grads.dtype.element_ty), mask=inside)


@torch.library.custom_op("lossmith::row_cross_entropy", mutates_args=("logits", "grads"))
def rows(
    logits: Tensor,
    grads: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    label_smoothing: float | None,
    z_loss: float | None,
    softcap: float | None,
    gradient: bool,
    ignore_index: int = -100,
) -> Tensor:
    """Return rows' values in float32; gradients go into grads, into logits where that is None."""
    into = logits if grads is None else grads
    values = torch.empty(len(logits), device=logits.device)
    if not logits.numel():
        return values
    with torch.cuda.device_of(logits):  # Triton launches on the device that is current
        row_cross_entropy[(len(logits),)](
            logits,
            into,
            target,
            values if weight is None else weight,
            values,
            logits.stride(0),
            into.stride(0),
            logits.shape[1],
            ignore_index,
            label_smoothing or 0.0,
            z_loss or 0.0,
            softcap or 1.0,
            WEIGHED=weight is not None,
            SMOOTHED=bool(label_smoothing),
            Z=bool(z_loss),
            CAPPED=softcap is not None,
            GRADIENT=gradient,
            BLOCK=min(BLOCK, triton.next_power_of_2(logits.shape[1])),
            num_warps=WARPS,
        )
    return values


@rows.register_fake
def _(logits: Tensor, *_: object) -> Tensor:
    return logits.new_empty(logits.shape[0], dtype=torch.float32)
