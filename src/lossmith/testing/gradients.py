"""Values and gradients: the worked example, finite differences, extremes, half precision."""

import torch
from torch import Tensor

from lossmith.testing.cases import Case, example, refusal

WIDE = 12  # numbers beyond which finite differences are taken along random directions
LARGE = {
    torch.float16: (1e4, 65504.0),
    torch.bfloat16: (1e4, 1e15),
    torch.float32: (1e4, 1e15),
    torch.float64: (1e4, 1e15),
}


def reference_value(case: Case) -> None:
    """The card's example has the value that the card states."""
    shown = case.card.example
    loss = example(type(case.loss))
    target = torch.as_tensor(shown.target)
    target = target.double() if target.is_floating_point() else target
    got = loss(torch.as_tensor(shown.input, dtype=torch.float64), target).item()
    assert abs(got - shown.value) <= 1e-5 * max(1.0, abs(shown.value)), (
        f"the example's value is {shown.value}, the loss gives {got}"
    )


def gradient(case: Case) -> None:
    """The gradient agrees with finite differences in float64."""
    input, target = case.batch()
    fast = input.numel() > WIDE
    torch.autograd.gradcheck(lambda x: case.loss(x, target), input.requires_grad_(), fast_mode=fast)


def second_gradient(case: Case) -> None:
    """The second derivative agrees with finite differences, and is finite where input is target."""
    input, target = case.batch()
    fast = input.numel() > WIDE
    torch.autograd.gradgradcheck(
        lambda x: case.loss(x, target), input.requires_grad_(), fast_mode=fast
    )
    for start in (torch.zeros_like(input), _hit(case, input, target)):
        leaf = start.detach().requires_grad_()
        (slope,) = torch.autograd.grad(case.loss(leaf, target), leaf, create_graph=True)
        if slope.requires_grad:
            (curvature,) = torch.autograd.grad(slope.sum(), leaf)
            assert curvature.isfinite().all(), f"the second derivative is {curvature} at {start}"


def finite_at_extremes(case: Case) -> None:
    """Values and gradients are finite for huge, saturated, tiny and perfectly predicted inputs."""
    for dtype, sizes in LARGE.items():
        for size in sizes:
            input, target = extremes(case, size, dtype)
            value, slope = _value_and_slope(case, _held(input, dtype), target)
            where = f"for {dtype} inputs of size {size:g}"
            assert value.isfinite(), f"the value is {value.item()} {where}"
            assert slope.isfinite().all(), f"the gradient is {slope.tolist()} {where}"


def finite_at_far_targets(case: Case) -> None:
    """Targets of any size give finite values and gradients, or are refused with a ValueError."""
    for size in (1e4, 1e15):
        input, _ = extremes(case, size, torch.float32)
        for sign in (1.0, -1.0):
            target = torch.full(input.shape[:1], sign * size)
            try:
                value, slope = _value_and_slope(case, input.float(), target)
            except ValueError:
                continue
            assert value.isfinite(), f"the value is {value.item()} at targets {sign * size:g}"
            assert slope.isfinite().all(), f"the gradient is {slope.tolist()} at {sign * size:g}"


def not_nan_at_largest(case: Case) -> None:
    """The largest numbers of a dtype never give NaN."""
    for dtype in LARGE:
        input, target = extremes(case, torch.finfo(dtype).max, dtype)
        value, slope = _value_and_slope(case, input.to(dtype), target)
        assert not value.isnan(), f"the value is NaN at the largest {dtype}"
        assert not slope.isnan().any(), f"the gradient is {slope.tolist()} at the largest {dtype}"


def half_precision(case: Case) -> None:
    """Half inputs are computed in float32: the same value, the gradient in the input's dtype."""
    for dtype in (torch.float16, torch.bfloat16):
        for size in (1.0, *LARGE[dtype]):
            input, target = extremes(case, size, dtype)
            half, slope = _value_and_slope(case, input.to(dtype), target)
            full, exact = _value_and_slope(case, input.to(dtype).float(), target)
            assert half.dtype == torch.float32, f"{dtype} input gives a loss of {half.dtype}"
            assert torch.equal(half, full), f"{dtype} gives {half.item()}, float32 {full.item()}"
            assert torch.equal(slope, exact.to(dtype)), f"the gradient in {dtype} differs"


def dtype_kept(case: Case) -> None:
    """A float32 input gives a float32 loss and gradient, a float64 input float64 ones."""
    for dtype in (torch.float32, torch.float64):
        value, slope = _value_and_slope(case, *case.batch(dtype=dtype))
        assert value.dtype == slope.dtype == dtype, f"{dtype} input gives a loss of {value.dtype}"
        assert value.ndim == 0, f"the loss has shape {tuple(value.shape)}, not one scalar"


def integer_input(case: Case) -> None:
    """An input of integers is a TypeError."""
    input, target = case.batch()
    refusal(TypeError, "an input of integers", case.loss, input.long(), target)


def extremes(case: Case, size: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return rows of heads at ±size, zero, tiny and mixed, each with every kind of target."""
    heads = [size * head for head in _signs(case.width)]
    heads += [torch.zeros_like(heads[0]), torch.full_like(heads[0], torch.finfo(dtype).tiny)]
    input = torch.stack(heads)
    low, high = case.domain
    if case.card.target == "classes":
        kinds = torch.arange(case.width)
    else:
        kinds = torch.tensor([low, high] if case.card.target == "values" else [0.0, 1.0])
    rows = input.repeat_interleave(len(kinds), dim=0)
    target = kinds.repeat(len(input))
    input = rows.reshape(case.head(len(rows)))
    return torch.cat([input, _hit(case, input, target)]), target.repeat(2)


def _signs(width: int) -> list[Tensor]:
    """Heads of ±1: all alike, alternating, and one apart from the rest (the first four of them)."""
    ones = torch.ones(width, dtype=torch.float64)
    heads = [ones, (-ones).pow(torch.arange(width))]
    for place in range(min(width, 4)):
        heads.append(ones.clone().index_fill(0, torch.tensor([place]), -1.0))
        heads.append((ones.cumsum(0) == place + 1).double())
    return [sign * head for head in heads for sign in (1.0, -1.0)]


def _hit(case: Case, input: Tensor, target: Tensor) -> Tensor:
    """A head as close to the target as its kind tells: the value itself, or a saturated logit."""
    if case.card.input == "values":
        shape = (*target.shape, *([1] * (input.ndim - 1)))
        return target.to(input.dtype).reshape(shape).expand_as(input).clone()
    return torch.zeros_like(input)


def _held(input: Tensor, dtype: torch.dtype) -> Tensor:
    """The numbers that `dtype` holds, in the dtype that the loss is computed in."""
    return input.to(dtype).to(dtype if dtype == torch.float64 else torch.float32)


def _value_and_slope(case: Case, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    input = input.detach().clone().requires_grad_()
    value = case.loss(input, target)
    (slope,) = torch.autograd.grad(value, input)
    return value.detach(), slope
