"""A mean and its gradient block by block, while what is between them stays in the cache.

    total = Σ_i f(x_i)    ∂x_i = f'(x_i)    x (N, …) and ∂x (N, …), some rows i of them at a time

Written plainly, each step of a loss makes a new tensor of the input's size, and most of the time
goes into fetching fresh memory. Rows do not depend on each other, so that each block's gradient can
be formed with its partial sum: the gradient is the one large tensor that is left.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

import torch
from torch import Tensor, nn

from lossmith.kernels.choice import Why, choose, transformed
from lossmith.kernels.value_and_grad import value_and_grad

BLOCK = 1 << 17  # numbers of input at a time
WIDE = BLOCK  # numbers of a row beyond which a block of one leaves the cache
FEW = 1 << 21  # numbers of input of which plain values are as fast

PartialSum = Callable[..., Tensor]


def choose_blocks(
    values: Callable[[Tensor, Tensor], Any], fixed: Iterator[Any], input: Any, target: Any
) -> Tensor | None:
    """Return the first row's values where a mean of values is to be had block by block, else None.

    fixed are the tensors beside input that the mean depends on.
    """
    probe: list[Tensor] = []
    obstacles = _obstacles(values, fixed, input, target, probe)
    return probe[0] if choose("blockwise", obstacles, "many steps and numbers") else None


def _obstacles(
    values: Callable[[Tensor, Tensor], Any],
    fixed: Iterator[Any],
    input: Any,
    target: Any,
    probe: list[Tensor],
) -> Iterator[tuple[bool, Why]]:
    plain = type(input) in (Tensor, nn.Parameter) and type(target) is Tensor
    yield not plain, "not of one input and one target"
    yield input.numel() < FEW, f"fewer than {FEW} numbers"
    yield input.device.type != "cpu", "only a CPU's cache holds a block"
    yield input.shape[:1] != target.shape[:1], "not of one target a row"
    yield input[:1].numel() > WIDE, f"a row of more than {WIDE} numbers is no block"
    yield target.requires_grad, "the target has a gradient too"
    yield transformed(), "torch.func needs operations that it can transform"
    yield (
        any(isinstance(one, Tensor) and one.requires_grad for one in fixed),
        "a parameter is learned",
    )
    first = _first(values, input, target)
    fits = isinstance(first, Tensor) and first.shape[:1] == target[:1].shape[:1]
    yield not fits, "not of one value a row"
    yield _steps(first) < 2, "one operation alone"
    probe.append(first.detach())


def _first(values: Callable[[Tensor, Tensor], Any], input: Tensor, target: Tensor) -> Any:
    """Return the first row's values; None where it is refused, as is a class of one sample."""
    try:
        with torch.enable_grad():
            return values(input[:1].detach().clone().requires_grad_(), target[:1])
    except ValueError:
        return None


def _steps(values: Tensor) -> int:
    """Return how many operations lie between values and their input."""
    seen: set[Any] = set()
    ahead = [values.grad_fn]
    while ahead:
        one = ahead.pop()
        if one is not None and one not in seen and one.next_functions:  # else input itself
            seen.add(one)
            ahead += [before for before, _ in one.next_functions]
    return len(seen)


def blockwise(partial_sum: PartialSum, input: Tensor, *beside: Tensor | None) -> Tensor:
    """Return partial_sum(input, *beside), a sum over rows, one block of rows after another."""
    if not (input.requires_grad and torch.is_grad_enabled()):
        return _sum_of_blocks(partial_sum, input, beside, None)

    def run(input: Tensor) -> tuple[Tensor, list[Tensor]]:
        grad = input.new_empty(input.shape, dtype=_exact(input))
        return _sum_of_blocks(partial_sum, input, beside, grad), [grad]

    return value_and_grad(run, lambda input: partial_sum(input, *beside), input)


def _sum_of_blocks(
    partial_sum: PartialSum, input: Tensor, beside: Sequence[Tensor | None], grad: Tensor | None
) -> Tensor:
    """Return the sum of the blocks, and write its gradient into a grad that is given."""
    rows, exact = max(1, BLOCK // max(1, input[:1].numel())), _exact(input)
    parts = (repeat(None) if one is None else one.split(rows) for one in (*beside, grad))
    total = 0.0
    for x, *others, by_x in zip(input.detach().split(rows), *parts, strict=False):
        x = x.to(exact).requires_grad_(grad is not None)
        with torch.set_grad_enabled(grad is not None):
            part = partial_sum(x, *others)
        if by_x is not None:
            by_x.copy_(torch.autograd.grad(part, x)[0])
        total += float(part)
    return input.new_tensor(total, dtype=exact)


def _exact(input: Tensor) -> torch.dtype:
    return torch.float64 if input.dtype == torch.float64 else torch.float32
