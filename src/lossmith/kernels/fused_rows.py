"""Values of rows whose gradients are formed in the same pass over the data, as autograd sees them.

    forward   value (N,), D_i = ∂value_i/∂x_i of each row's own x (N, D), S = Σ_i w_i ∂value_i/∂W
    backward  ∂x_i = g_i D_i    ∂W = c S if g = c w, else Σ_i g_i ∂value_i/∂W anew

While a chunk's products are at hand their gradients are formed, so that three matrix products do
for forward and backward together. That by what all rows share, W, sums over rows, so it is formed
under the row weights w that are known beforehand: g (N,), the gradient from above, may differ.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lossmith.kernels import devices
from lossmith.kernels.recompute import needs_double_backward, recompute_gradients


def fused_rows(
    name: str,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    reference: Callable[..., Tensor],
    fake: Callable[..., Sequence[Tensor]],
    *,
    free: int,
) -> Callable[..., Tensor]:
    """Return a function of args whose first `free` ones may have gradients.

    Compiled, forward and backward are operations of torch that nothing looks into.

    Args:
        name: of the operation.
        forward: of (*args, wanted), returns values and what grads are wanted of each free argument.
        backward: of (grad, *args, *grads, wanted), returns the gradients; it may use the grads up.
        reference: of args, returns the same values, differentiable as often as one likes.
        fake: of (args, wanted), returns tensors like those of forward.
        free: how many of args may have gradients.
    """

    def backward_copies(*given: Any) -> Any:
        *before, wanted = given
        grads = (one.clone() for one in before[-free:])
        return backward(*before[:-free], *grads, wanted)

    forward_op = torch.library.custom_op(f"lossmith::{name}", forward, mutates_args=())
    backward_op = torch.library.custom_op(
        f"lossmith::{name}_backward",
        backward_copies,
        mutates_args=(),
        schema=torch.library.infer_schema(backward, mutates_args=()),
        tags=(torch.Tag.cudagraph_unsafe,),  # `proportion` waits for an answer
    )
    forward_op.register_fake(lambda *given: fake(given[:-1], given[-1]))
    backward_op.register_fake(
        lambda grad, *given: tuple(
            one.new_empty(one.shape) if want else grad.new_empty(0)
            for one, want in zip(given, given[-1], strict=False)
        )
    )

    class FusedRows(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, wanted: list[bool], *args: Any) -> Tensor:
            run: Any = forward_op if torch.compiler.is_compiling() else forward
            values, *grads = run(*args, wanted)
            if torch.compiler.is_compiling():
                ctx.save_for_backward(*args, *grads)
            else:
                ctx.save_for_backward(*args)
                ctx.grads = grads
            ctx.wanted = wanted
            return values

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
            wanted, saved = ctx.wanted, ctx.saved_tensors
            if torch.compiler.is_compiling():
                found = backward_op(grad, *saved, wanted)
                rest = len(saved) - 2 * free
            else:
                found = eagerly(ctx, grad, saved, wanted)
                rest = len(saved) - free
            gradients = (found[i] if wanted[i] else None for i in range(free))
            return None, *gradients, *(None,) * rest

    def eagerly(ctx: Any, grad: Tensor, args: Sequence[Any], wanted: list[bool]) -> Sequence[Any]:
        if needs_double_backward(grad):
            return recompute_gradients(reference, args, wanted, grad)
        grads = ctx.grads or forward(*args, wanted)[1:]
        ctx.grads = None  # handed over: scaled in place, they need no second memory
        return backward(grad, *args, *grads, wanted)

    def call(*args: Any) -> Tensor:
        given = args[:free]
        enabled = torch.is_grad_enabled()
        wanted = [enabled and one is not None and one.requires_grad for one in given]
        values: Tensor = FusedRows.apply(wanted, *args)
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
