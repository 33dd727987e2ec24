"""A scalar whose gradients are formed in the pass that forms it, and kept for backward."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lossmith.kernels.again import again, needed

Both = Callable[..., tuple[Tensor, Sequence[Tensor]]]


def one_pass(both: Both, plain: Callable[..., Tensor], *free: Tensor) -> Tensor:
    """Return the scalar of both(*free), which gives it with its gradients by each of the tensors.

    plain(*free) is the same scalar, differentiable as often as one likes.
    """
    value: Tensor = _OnePass.apply(both, plain, *free)
    return value


class _OnePass(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, both: Both, plain: Callable[..., Tensor], *free: Tensor) -> Tensor:
        ctx.both, ctx.plain = both, plain
        ctx.save_for_backward(*free)
        value, ctx.slopes = both(*free)
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        free = ctx.saved_tensors
        if needed(grad):
            return None, None, *again(ctx.plain, free, [True] * len(free), grad)
        slopes: Any = ctx.slopes or ctx.both(*free)[1]
        ctx.slopes = None  # handed over: scaled in place, they need no second tensor of their size
        if grad != 1:
            slopes = [slope.mul_(grad) for slope in slopes]
        return None, None, *(s.to(x.dtype) for s, x in zip(slopes, free, strict=True))
