"""Softmax cross-entropy of rows of logits, values and gradients in one go.

    x     = cap tanh(u / cap), or u itself                    u (n, C) logits
    m     = max_c x_c    s = Σ_c e^(x_c - m)                  (n, 1) each
    value = (1 - ε)(m - x_y) + ε(m - mean x) + log s + z (m + log s)²          (n,)
    ∂x_c  = (1 + 2 z (m + log s)) e^(x_c - m) / s - ε/C - (1 - ε) 1[c = y]     (n, C)
    ∂u_c  = ∂x_c (1 - (x_c / cap)²)

On a CPU and without Triton each step is an operation of torch, in place, on a block of rows at a
time in float32 or more: of half precision one block's copy exists. On CUDA all of it is one kernel.
"""

import functools
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from lossmith.kernels import devices

Options = Sequence[Tensor | float | None]  # label smoothing ε, factor z, softcap; None for none


def row_cross_entropy(
    logits: Tensor, target: Tensor, options: Options, grads: Tensor | None
) -> Tensor:
    """Return rows' values, using the logits up, and write their gradients into grads if given.

    Args:
        logits: (n, C).
        target: (n,) classes.
        options: label smoothing, z-loss and softcap, numbers or 0-dim tensors, or None.
        grads: (n, C), of any dtype; it may be logits itself.
    """
    kernel = _triton(logits)
    if kernel is not None and not any(isinstance(one, Tensor) for one in options):
        into = None if grads is logits else grads
        values: Tensor = kernel.rows(logits, into, target, None, *options, grads is not None)
        return values
    return _by_blocks(logits, target.unsqueeze(1), options, grads)


def accumulator(tensor: Tensor) -> torch.dtype:
    """Return the dtype in which sums over a tensor are kept."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _triton(logits: Tensor) -> Any:
    """Return the module of the Triton kernel where it may run, else None."""
    return _module() if logits.is_cuda and logits.dtype != torch.float64 else None


@functools.cache
def _module() -> Any:
    try:  # Triton comes with torch's CUDA builds, and takes a second to import
        from lossmith.kernels import cross_entropy_triton
    except ImportError:
        return None
    return cross_entropy_triton


def _by_blocks(logits: Tensor, target: Tensor, options: Options, grads: Tensor | None) -> Tensor:
    step = max(1, devices.sizes(logits.device).block // logits.shape[1])
    dtype = accumulator(logits)
    work = logits.new_empty(step, logits.shape[1], dtype=dtype) if logits.dtype != dtype else None
    outs = repeat(None) if grads is None else grads.split(step)
    found = []
    for raw, hits, out in zip(logits.split(step), target.split(step), outs, strict=False):
        block = raw if work is None else work[: len(raw)].copy_(raw)
        found.append(_block(block, hits, options, grads is not None))
        if out is not None and (work is not None or grads is not logits):
            out.copy_(block)
    below, mass, top = (torch.cat(parts).squeeze(1) for parts in zip(*found, strict=True))
    log_mass = mass.log()
    values = log_mass + below
    return values if options[1] is None else values + options[1] * (top + log_mass).square()


def _block(
    x: Tensor, target: Tensor, options: Options, gradient: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return by how much the target lies below the top, the mass below it, and the top.

    With `gradient` x becomes its own gradient; without, it is used up.
    """
    (smoothing, z_loss, softcap), slope = options, None
    if softcap is not None:
        slope = 1 - x.div_(softcap).tanh_().square()
        x.mul_(softcap)
    hit, top = x.gather(1, target), x.amax(1, keepdim=True)
    below = top - hit
    if smoothing is not None:
        below = (1 - smoothing) * below + smoothing * (top - x.mean(1, keepdim=True))
    mass = x.sub_(top).exp_().sum(1, keepdim=True)
    if gradient:
        x.mul_(1 / mass if z_loss is None else (1 + 2 * z_loss * (top + mass.log())) / mass)
        hits = torch.full_like(hit, -1)
        if smoothing is not None:
            hits = torch.zeros_like(hit) + (smoothing - 1)
        x.scatter_add_(1, target, hits)
        if smoothing is not None:
            x.sub_(smoothing / x.shape[1])
        if slope is not None:
            x.mul_(slope)
    return below, mass, top
