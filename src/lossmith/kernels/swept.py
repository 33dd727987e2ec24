"""Values of rows whose slopes are formed in the same sweep over the data, as autograd sees them.

While a chunk's products are at hand their slopes are formed, so that three matrix products do for
forward and backward together. The gradient by what belongs to a row alone is scaled by the gradient
from above. That by what all rows share sums over rows, so it is formed under the row weights known
beforehand; a gradient from above that is not proportional to them makes backward sweep again.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lossmith.kernels import devices
from lossmith.kernels.again import again, needed


def swept(
    name: str,
    sweep: Callable[..., Any],
    settle: Callable[..., Any],
    plain: Callable[..., Tensor],
    room: Callable[..., Sequence[Tensor]],
    *,
    free: int,
) -> Callable[..., Tensor]:
    """Return a function of args whose first `free` ones may have gradients.

    Compiled, sweep and settle are operations of torch that nothing looks into.

    Args:
        name: of the operation.
        sweep: of (*args, wanted), returns values and what slopes are wanted of each free argument.
        settle: of (grad, *args, *slopes, wanted), returns the gradients; it may use the slopes up.
        plain: of args, returns the same values, differentiable as often as one likes.
        room: of (args, wanted), returns tensors like those of sweep.
        free: how many of args may have gradients.
    """

    def settle_copies(*given: Any) -> Any:
        *before, wanted = given
        slopes = (one.clone() for one in before[-free:])
        return settle(*before[:-free], *slopes, wanted)

    sweep_op = torch.library.custom_op(f"lossmith::{name}", sweep, mutates_args=())
    settle_op = torch.library.custom_op(
        f"lossmith::{name}_backward",
        settle_copies,
        mutates_args=(),
        schema=torch.library.infer_schema(settle, mutates_args=()),
        tags=(torch.Tag.cudagraph_unsafe,),  # `proportion` waits for an answer
    )
    sweep_op.register_fake(lambda *given: room(given[:-1], given[-1]))
    settle_op.register_fake(
        lambda grad, *given: tuple(
            one.new_empty(one.shape) if want else grad.new_empty(0)
            for one, want in zip(given, given[-1], strict=False)
        )
    )

    class Swept(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, wanted: list[bool], *args: Any) -> Tensor:
            run: Any = sweep_op if torch.compiler.is_compiling() else sweep
            values, *slopes = run(*args, wanted)
            if torch.compiler.is_compiling():
                ctx.save_for_backward(*args, *slopes)
            else:
                ctx.save_for_backward(*args)
                ctx.slopes = slopes
            ctx.wanted = wanted
            return values

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
            wanted, saved = ctx.wanted, ctx.saved_tensors
            if torch.compiler.is_compiling():
                found = settle_op(grad, *saved, wanted)
                rest = len(saved) - 2 * free
            else:
                found = eagerly(ctx, grad, saved, wanted)
                rest = len(saved) - free
            gradients = (found[i] if wanted[i] else None for i in range(free))
            return None, *gradients, *(None,) * rest

    def eagerly(ctx: Any, grad: Tensor, args: Sequence[Any], wanted: list[bool]) -> Sequence[Any]:
        if needed(grad):
            return again(plain, args, wanted, grad)
        slopes = ctx.slopes or sweep(*args, wanted)[1:]
        ctx.slopes = None  # handed over: scaled in place, they need no second memory
        return settle(grad, *args, *slopes, wanted)

    def call(*args: Any) -> Tensor:
        given = args[:free]
        enabled = torch.is_grad_enabled()
        wanted = [enabled and one is not None and one.requires_grad for one in given]
        values: Tensor = Swept.apply(wanted, *args)
        return values

    return call


def proportion(grad: Tensor, row_weight: Tensor) -> Tensor | float | None:
    """Return by what factor grad is row_weight, None if by none.

    A device is asked once, for one bit. While a CUDA graph is recorded nobody can be asked, and
    None, which is right for any gradient, costs two products.
    """
    if not devices.readable(grad):
        return _proportion_on_device(grad, row_weight)
    known, given = row_weight.double(), grad.double()
    largest = known.abs().max() if len(known) else known.sum()
    if largest == 0:
        return None if given.any() else 0.0
    factor = given[known.abs().argmax()] / known[known.abs().argmax()]
    rounding = 8 * torch.finfo(grad.dtype).eps
    return float(factor) if torch.allclose(given, factor * known, rtol=rounding, atol=0) else None


def _proportion_on_device(grad: Tensor, row_weight: Tensor) -> Tensor | float | None:
    if not len(grad):
        return 0.0
    if grad.is_cuda and torch.cuda.is_available() and torch.cuda.is_current_stream_capturing():
        return None
    known = row_weight.to(grad.dtype)
    largest = known.abs().argmax(keepdim=True)  # an index would make the host wait
    factor = grad.gather(0, largest) / known.gather(0, largest)
    factor = factor.masked_fill(known.gather(0, largest) == 0, 0)
    expected = factor * known
    rounding = 8 * torch.finfo(grad.dtype).eps
    fits = ((grad - expected).abs() <= rounding * expected.abs()).all()
    return factor if fits else None
