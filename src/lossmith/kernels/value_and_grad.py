"""Values whose gradients are formed in the pass that forms them, and kept for backward.

forward   value (), D_k = ∂value/∂x_k of each free tensor's shape    backward  ∂x_k = g D_k

Or values (N,), each of its own row of the free tensors (N, …).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lossmith.kernels import devices
from lossmith.kernels.recompute import needs_double_backward, recompute_gradients

Run = Callable[..., tuple[Tensor, Sequence[Tensor]]]


def value_and_grad(run: Run, reference: Callable[..., Tensor], *free: Tensor) -> Tensor:
    """Return the values of run(*free), which gives them with the gradients by each of the tensors.

    reference(*free) is the same values, differentiable as often as one likes.
    """
    value: Tensor = _ValueAndGrad.apply(run, reference, *free)
    return value


class _ValueAndGrad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, run: Run, reference: Callable[..., Tensor], *free: Tensor) -> Tensor:
        ctx.run, ctx.reference = run, reference
        ctx.save_for_backward(*free)
        value, ctx.grads = run(*free)
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        free = ctx.saved_tensors
        if needs_double_backward(grad):
            return None, None, *recompute_gradients(ctx.reference, free, [True] * len(free), grad)
        grads: Any = ctx.grads or ctx.run(*free)[1]
        ctx.grads = None  # handed over: scaled in place, they need no second tensor of their size
        if grad.ndim or not devices.readable(grad) or grad != 1:
            grads = [one.mul_(_beside(grad, one)) for one in grads]
        return None, None, *(s.to(x.dtype) for s, x in zip(grads, free, strict=True))


def _beside(grad: Tensor, other: Tensor) -> Tensor:
    """Return a number a row, or one alone, in the shape that spreads over the rows of another."""
    return grad.reshape(*grad.shape, *(1,) * (other.ndim - grad.ndim)) if grad.ndim else grad
