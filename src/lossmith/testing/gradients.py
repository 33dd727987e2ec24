"""Values and gradients: the worked example, finite differences, extremes, half precision."""

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lossmith.core.tree import tree_leaves, tree_map
from lossmith.testing.cases import Case, example, joined_data, refusal
from lossmith.testing.draws import as_tensors, degenerate, extreme, sized

WIDE = 12  # numbers beyond which finite differences are taken along random directions
SIZES = (1e-30, 1e-10, 1e7, 1e18, 2e19, 1e25, 1e30)
LARGE = {
    torch.float16: (1e4, 65504.0),
    torch.bfloat16: (1e4, 1e15),
    torch.float32: (1e4, 1e15),
    torch.float64: (1e4, 1e15),
}


def reference_value(case: Case) -> None:
    """The card's example has the value that the card states."""
    card = case.card
    loss = example(type(case.loss))
    torch.manual_seed(0)
    input = as_tensors(card.input, card.example.input)
    input = tree_map(lambda x: x.double() if card.trains_head else x, input)
    got = loss(input, as_tensors(card.target, card.example.target)).item()
    stated = card.example.value
    assert abs(got - stated) <= 1e-5 * max(1.0, abs(stated)), (
        f"the example's value is {stated}, the loss gives {got}"
    )


def gradient(case: Case) -> None:
    """The gradient agrees with finite differences in float64."""
    function, leaves, fast = _of_leaves(case)
    torch.autograd.gradcheck(function, leaves, fast_mode=fast)


def second_gradient(case: Case) -> None:
    """The second derivative agrees with finite differences, and is finite where input is target."""
    function, leaves, fast = _of_leaves(case)
    torch.autograd.gradgradcheck(function, leaves, fast_mode=fast)
    if not case.card.trains_head:
        return
    input, target = case.batch()
    for start in (torch.zeros_like(input), _hit(case, input, target)):
        leaf = start.detach().requires_grad_()
        (slope,) = torch.autograd.grad(case.loss(leaf, target), leaf, create_graph=True)
        if slope.requires_grad:
            (curvature,) = torch.autograd.grad(slope.sum(), leaf)
            assert curvature.isfinite().all(), f"the second derivative is {curvature} at {start}"


def learned_gradient(case: Case) -> None:
    """Parameters are there where the card says so, and their gradients are finite differences."""
    loss = copy.deepcopy(case.loss).double()
    learned = dict(loss.named_parameters())
    assert bool(learned) == case.card.learns, (
        f"the card says learns={case.card.learns}, the parameters are {sorted(learned)}"
    )
    batch = case.batch()

    def function(*given: Tensor) -> Tensor:
        named = dict(zip(learned, given, strict=True))
        return torch.func.functional_call(loss, named, batch)

    if learned and not case.card.detached:
        leaves = tuple(x.detach().clone().requires_grad_() for x in learned.values())
        wide = sum(leaf.numel() for leaf in leaves) > WIDE
        torch.autograd.gradcheck(function, leaves, fast_mode=wide)


def alive_at_corners(case: Case) -> None:
    """Where an input is 0 or 1, a gradient is not 0 unless the value is flat there or turns.

    A head that starts at 0, or a ReLU that is off, would never learn. Log-probabilities end at 0.
    """
    batch = case.batch()
    start = [leaf.detach() for leaf in case.free(*batch)]
    ends = _ends_at_0(case, batch[0])
    for place, number in itertools.product(range(len(start)), (0.0, 1.0)):
        if place in ends and number > 0:
            continue
        point = [part.clone() for part in start]
        point[place].fill_(number)
        try:
            _, slopes = case.slopes(*case.at(*batch, point))
        except ValueError:  # outside what the loss takes
            continue
        flat = slopes[place].flatten() == 0
        for entry in flat.nonzero().flatten()[:WIDE].tolist():
            beside = _beside(case, batch, point, (place, entry), place in ends)
            turns = len({side > 0 for side in beside}) > 1
            assert turns or min(map(abs, beside), default=0) < 1e-4, (
                f"the gradient is 0 where an input is {number:g}, the slopes beside it {beside}"
            )


def finite_at_extremes(case: Case) -> None:
    """Values and gradients are finite for huge, saturated, tiny and perfectly predicted inputs.

    Where the value is beyond the dtype of computation, as float64 shows, there is no such number.
    """
    for dtype, sizes in LARGE.items():
        for size in sizes:
            for input, target in extremes(case, size, dtype):
                input, target = _held(input, dtype), _held(target, dtype, case.card.symmetric)
                value, slopes = case.slopes(input, target)
                if not _representable(case, input, target):
                    continue
                where = f"for {dtype} inputs of size {size:g}"
                assert value.isfinite(), f"the value is {value.item()} {where}"
                for slope in slopes:
                    assert slope.isfinite().all(), f"the gradient is {slope.tolist()} {where}"


def finite_at_far_targets(case: Case) -> None:
    """Targets of any size give finite values and gradients, or are refused with a ValueError."""
    for size in (1e4, 1e15):
        for input, _ in extremes(case, size, torch.float32):
            for sign in (1.0, -1.0):
                target = torch.full(input.shape[:1], sign * size)
                try:
                    value, slopes = case.slopes(input.float(), target)
                except ValueError:
                    continue
                where = f"at targets {sign * size:g}"
                assert value.isfinite(), f"the value is {value.item()} {where}"
                assert slopes[0].isfinite().all(), f"the gradient is {slopes[0].tolist()} {where}"


def not_nan_at_largest(case: Case) -> None:
    """The largest numbers of a dtype never give NaN."""
    for dtype in LARGE:
        for input, target in extremes(case, torch.finfo(dtype).max, dtype):
            value, slopes = case.slopes(tree_map(_cast(dtype), input), target)
            assert not value.isnan(), f"the value is NaN at the largest {dtype}"
            for slope in slopes:
                assert not slope.isnan().any(), (
                    f"the gradient is {slope.tolist()} at the largest {dtype}"
                )


def as_in_float64(case: Case) -> None:
    """At every size of input and target the value is that of float64, where float32 holds it."""
    card = case.card
    input, target = case.batch()
    for size in SIZES:
        far = sized(card.input, input, size)
        for other in (target, sized(card.target, target, size)):
            given = [tree_map(_cast(torch.float32), part) for part in (far, other)]
            try:
                value, slopes = case.slopes(*given)
                right, _ = case.slopes(*(tree_map(_cast(torch.float64), part) for part in given))
            except ValueError:  # out of the loss's range
                continue
            where = f"at size {size:g}: {value.item():g}, in float64 {right.item():g}"
            assert not value.isnan(), f"the value is NaN {where}"
            for slope in slopes:
                assert not slope.isnan().any(), f"the gradient is NaN {where}"
            if right.abs() < torch.finfo(torch.float32).max / 1e3:  # as much as sums leave
                # what is far below 1 may be a difference that rounding of inputs alone decides
                fine = torch.allclose(value.double(), right, rtol=5e-3, atol=1e-6)
                assert fine, f"the value is wrong {where}"


def degenerate_rows(case: Case) -> None:
    """Rows of zeros, or alike, have gradients of the size of the others', in every dtype."""
    input, target = case.batch()
    symmetric = case.card.symmetric
    others = degenerate(case.card.target, target) if symmetric else itertools.repeat(target)
    usual = max([1e-3, *(slope.abs().max().item() for slope in case.slopes(input, target)[1])])
    for far, other in zip(degenerate(case.card.input, input), others, strict=False):
        for dtype in LARGE:
            given = (
                tree_map(_cast(dtype), far),
                tree_map(_cast(dtype), other) if symmetric else other,
            )
            for slope in case.slopes(*given)[1]:
                largest = slope.abs().max().item()
                assert largest <= 1e4 * usual, (
                    f"a degenerate row has gradient {largest:g} in {dtype}, others {usual:g}"
                )


def half_precision(case: Case) -> None:
    """Half inputs are computed in float32: the same value, the gradient in the input's dtype."""
    for dtype in (torch.float16, torch.bfloat16):
        for size in (1.0, *LARGE[dtype]):
            for input, target in extremes(case, size, dtype):
                if case.card.symmetric:
                    target = tree_map(_cast(dtype), target)
                input = tree_map(_cast(dtype), input)
                half, slopes = case.slopes(input, target)
                full, exact = case.slopes(*(tree_map(_widened, part) for part in (input, target)))
                assert half.dtype == torch.float32, f"{dtype} input gives a loss of {half.dtype}"
                assert _equal(half, full), f"{dtype} gives {half.item()}, float32 {full.item()}"
                for slope, right in zip(slopes, exact, strict=True):
                    assert _equal(slope, right.to(dtype)), f"the gradient in {dtype} differs"


def dtype_kept(case: Case) -> None:
    """A float32 input gives a float32 loss and gradient, a float64 input float64 ones."""
    for dtype in (torch.float32, torch.float64):
        input, target = case.batch(dtype=dtype)
        target = tree_map(_cast(dtype), target) if case.card.symmetric else target
        value, slopes = case.slopes(input, target)
        assert value.dtype == dtype, f"{dtype} input gives a loss of {value.dtype}"
        assert {slope.dtype for slope in slopes} <= {dtype}, f"{dtype} input, another gradient"
        assert value.ndim == 0, f"the loss has shape {tuple(value.shape)}, not one scalar"


def integer_input(case: Case) -> None:
    """An input of integers is a TypeError."""
    input, target = case.batch()
    refusal(TypeError, "an input of integers", case.loss, tree_map(Tensor.long, input), target)


def extremes(case: Case, size: float, dtype: torch.dtype) -> Iterator[tuple[Any, Any]]:
    """Yield batches of inputs at ±size, zero, tiny and mixed, with every kind of target."""
    if case.card.trains_head:
        yield _extreme_heads(case, size, dtype)
        return
    card = case.card
    input, target = case.batch()
    for far in extreme(card.input, input, size, dtype):
        yield far, target
    if target is None:
        return
    for far, other in zip(
        extreme(card.input, input, size, dtype),
        extreme(card.target, target, size if card.symmetric else 1.0, dtype),
        strict=True,
    ):
        yield far, other
    if isinstance(input, Tensor) and isinstance(target, Tensor) and input.shape == target.shape:
        yield target.to(input.dtype), target


def _extreme_heads(case: Case, size: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    heads = [size * head for head in _signs(case.width)]
    heads += [torch.zeros_like(heads[0]), torch.full_like(heads[0], torch.finfo(dtype).tiny)]
    input = torch.stack(heads)
    low, high = case.domain
    if case.card.target == "classes":
        kinds = torch.arange(case.classes)
    else:
        kinds = torch.tensor([0.0, 1.0] if case.card.target == "labels" else [low, high])
    rows = input.repeat_interleave(len(kinds), dim=0)
    target = kinds.repeat(len(input))
    input = rows.reshape(case.head(len(rows)))
    return joined_data(input, _hit(case, input, target)), target.repeat(2)


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


def _ends_at_0(case: Case, input: Any) -> set[int]:
    """Return which of the inputs cannot be above 0."""
    kinds, real = case.card.input, [part.is_floating_point() for part in tree_leaves(input)]
    named = [kinds] if isinstance(kinds, str) else [kinds[name] for name in input]
    free = [kind for kind, is_real in zip(named, real, strict=True) if is_real]
    return {place for place, kind in enumerate(free) if kind == "log_probabilities"}


def _beside(
    case: Case, batch: tuple[Any, Any], point: list[Tensor], at: tuple[int, int], end: bool
) -> list[float]:
    """Return the slopes of the value on both sides of one entry, where there are such."""
    found, step, (place, entry) = [], 1e-5, at
    middle = _seeded(case, batch, point)
    for side in (-step,) if end else (-step, step):
        moved = [part.clone() for part in point]
        moved[place].view(-1)[entry] += side
        try:
            found.append((_seeded(case, batch, moved) - middle) / side)
        except ValueError:
            continue
    return found


def _seeded(case: Case, batch: tuple[Any, Any], point: list[Tensor]) -> float:
    torch.manual_seed(0)
    return case.loss(*case.at(*batch, point)).item()


def _of_leaves(case: Case) -> tuple[Any, tuple[Tensor, ...], bool]:
    """Return the loss as a function of what gradients are taken of, and whether that is wide."""
    input, target = case.batch()
    leaves = tuple(x.detach().clone().requires_grad_() for x in case.free(input, target))

    def function(*given: Tensor) -> Tensor:
        return case.loss(*case.at(input, target, given))

    return function, leaves, sum(leaf.numel() for leaf in leaves) > WIDE


def _cast(dtype: torch.dtype) -> Any:
    return lambda x: x.to(dtype) if x.is_floating_point() else x


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _held(data: Any, dtype: torch.dtype, both: bool = True) -> Any:
    """The numbers that `dtype` holds, in the dtype that the loss is computed in."""
    computed = dtype if dtype == torch.float64 else torch.float32
    return tree_map(lambda x: _cast(computed)(_cast(dtype)(x)), data) if both else data


def _representable(case: Case, input: Any, target: Any) -> bool:
    """Whether the value in float64 is a number of the input's dtype; heads always give one."""
    if case.card.trains_head:
        return True
    most = torch.finfo(next(tree_leaves(input)).dtype).max
    value, slopes = case.slopes(*(tree_map(_cast(torch.float64), part) for part in (input, target)))
    return all(bool((part.abs() < most / 1e3).all()) for part in (value, *slopes))


def _equal(got: Tensor, expected: Tensor) -> bool:
    return torch.allclose(got, expected, rtol=0, atol=0, equal_nan=True)
