"""Values and their gradient block by block, while what is between them stays in the cache.

Written plainly, each step of a loss makes a new tensor of the input's size, and most of the time
goes into fetching fresh memory. Rows do not depend on each other, so that each block's gradient can
be formed with its values; backward scales it by the gradient from above.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lossmith.kernels.choice import choose, explaining, transformed

BLOCK = 1 << 16  # numbers of input at a time
FEW = 1 << 21  # numbers of input of which plain values are as fast
STEPS = 6  # operations that differentiate; fewer are as fast written plainly

Values = Callable[[Tensor, Tensor], Tensor]


def choose_blocks(values: Values, learned: Iterator[Tensor], input: Any, target: Any) -> bool:
    """Return whether values(input, target), one an element, is to be had block by block.

    learned are the parameters that the values depend on.
    """
    if torch.compiler.is_compiling():
        return False
    if isinstance(input, Tensor) and input.numel() < FEW and not explaining():
        return False  # at once: small inputs take microseconds
    return choose("blockwise", _obstacles(values, learned, input, target), "many steps and numbers")


def _obstacles(
    values: Values, learned: Iterator[Tensor], input: Any, target: Any
) -> Iterator[tuple[bool, str]]:
    plain = type(input) in (Tensor, nn.Parameter) and type(target) is Tensor
    yield not plain, "not of one input and one target"
    yield input.numel() < FEW, f"fewer than {FEW} numbers"
    yield input.shape != target.shape, "not of one output an element"
    yield target.requires_grad, "the target has a gradient too"
    yield transformed(), "torch.func needs operations that it can transform"
    yield any(one.requires_grad for one in learned), "a parameter is learned"
    with torch.enable_grad():
        probe = values(input[:1].detach().requires_grad_(), target[:1])
    fits = isinstance(probe, Tensor) and probe.shape == target[:1].shape
    yield not fits, "not of one value an element"
    yield _steps(probe) < STEPS, f"fewer than {STEPS} steps"


def _steps(values: Tensor) -> int:
    """Return how many operations lie between values and their input."""
    seen: set[Any] = set()
    ahead = [values.grad_fn]
    while ahead:
        one = ahead.pop()
        if one is not None and one not in seen:
            seen.add(one)
            ahead += [before for before, _ in one.next_functions]
    return len(seen)


def blockwise(values: Values, input: Tensor, target: Tensor) -> Tensor:
    """Return values(input, target), one an element, one block of rows after another."""
    wanted = input.requires_grad and torch.is_grad_enabled()
    found: Tensor = _Blocks.apply(values, wanted, input, target)
    return found


class _Blocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Values, wanted: bool, input: Tensor, target: Tensor) -> Tensor:
        rows = max(1, BLOCK // max(1, input[:1].numel()))
        exact = torch.float64 if input.dtype == torch.float64 else torch.float32
        found, slope = (input.new_empty(input.shape, dtype=exact) for _ in range(2))
        parts = (one.split(rows) for one in (input, target, found, slope))
        for x, y, value, by_x in zip(*parts, strict=True):
            _block(values, wanted, x, y, value, by_x)
        ctx.values = values
        ctx.save_for_backward(input, target, slope)
        return found

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        input, target, slope = ctx.saved_tensors
        if torch.is_grad_enabled():
            again = ctx.values(input, target)
            (found,) = torch.autograd.grad(again, input, grad, create_graph=True)
            return None, None, found, None
        return None, None, (grad * slope).to(input.dtype), None


def _block(values: Values, wanted: bool, x: Tensor, y: Tensor, value: Tensor, by_x: Tensor) -> None:
    x = x.detach().to(value.dtype)
    if not wanted:
        value.copy_(values(x, y))
        return
    with torch.enable_grad():
        part = values(x.requires_grad_(), y)
        (slope,) = torch.autograd.grad(part.sum(), x)
    value.copy_(part.detach())
    by_x.copy_(slope)
