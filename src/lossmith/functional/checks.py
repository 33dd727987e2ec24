"""The one place where inputs and targets are checked and brought to the dtype of computation."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_HALF = (torch.float16, torch.bfloat16)
_SINGLE = torch.float32
wrapped = torch._C._functorch.is_functorch_wrapped_tensor  # whether torch.func is at work on it
LAST = "; if the last dimension holds the {} outputs, use input.movedim(-1, 1)"
ONE_LOGIT = "; one logit against labels of 0 and 1 is BinaryCrossEntropy"
TOLERANCE = 1e-3  # of sums of probabilities, from half precision too


def promote(input: Tensor) -> Tensor:
    """Bring half precision to float32; leave float32 and float64 as they are."""
    if not input.is_floating_point():
        raise TypeError(
            f"input must be a floating-point tensor, got {input.dtype}; "
            "pass the network's raw output"
        )
    return input.float() if input.dtype in _HALF else input


def check_tensor(name: str, given: Any, hint: str | None = None) -> None:
    """Raise TypeError unless a tensor is given."""
    if not isinstance(given, Tensor):
        raise TypeError(
            f"{name} must be a tensor, got {type(given).__name__}; use "
            f"{hint or f'torch.as_tensor({name})'}"
        )


def check_real(name: str, tensor: Tensor) -> None:
    """Raise TypeError where a tensor is complex: a cast would drop its imaginary part."""
    if tensor.is_complex():
        raise TypeError(
            f"{name} must be real, got {tensor.dtype}; pass its real and imaginary parts, as "
            "torch.view_as_real gives them, or its size"
        )


def as_scalar_or_tensor(hyper: Tensor | float, input: Tensor) -> Tensor | float:
    """Return a hyperparameter as a number where it is at hand, else as a tensor of input's dtype.

    Operations with numbers cost less; a 0-dim tensor of float64 would promote 0-dim inputs.
    """
    if not isinstance(hyper, Tensor):
        return hyper
    if hyper.ndim == 0 and not hyper.requires_grad and is_concrete(hyper):
        return hyper.item()
    # A number of its own goes to any device's tensors from the CPU; several must be with them.
    return hyper.to(input) if hyper.ndim else hyper.to(input.dtype)


def tensor_like(hyper: Tensor | float, input: Tensor) -> Tensor:
    """Return a hyperparameter as a tensor of input's dtype, on its device."""
    number = as_scalar_or_tensor(hyper, input)
    if isinstance(number, Tensor):
        return number.to(input)
    return input.new_full((), number)  # written where it is needed: no copy to wait for


def widest(device: torch.device) -> torch.dtype:
    """Return the dtype of the most digits that a device has: float64, on mps float32."""
    return torch.float32 if device.type == "mps" else torch.float64


def beside(numbers: Tensor, other: Tensor) -> Tensor:
    """Return numbers of any dtype where another tensor is, with as many digits as it has there."""
    if numbers.device == other.device:
        return numbers
    return numbers.to(other.device, widest(other.device))


def is_concrete(tensor: Tensor) -> bool:
    """Return whether Python may look at what a tensor holds: nothing waits for it or traces it."""
    return not torch.compiler.is_dynamo_compiling() and readable(tensor)


def readable(tensor: Tensor) -> bool:
    """Return what `is_concrete` does, where it is known that no compiler traces."""
    return (  # other tracers than Dynamo bring tensors of their own
        type(tensor) is Tensor and tensor.is_cpu and not wrapped(tensor)
    )


def clamp_if_outside(
    values: Tensor, low: Tensor | float = -math.inf, high: float = math.inf
) -> Tensor:
    """Return values held within low … high: the tensor itself where it is at hand that all are.

    A bound that guards against what seldom occurs then costs one look, and its far side nothing.
    So where NaN is seen, of which a clamp would make a gradient of 0.
    """
    if isinstance(low, Tensor):
        return values.clamp(min=low).clamp(max=high)
    if is_concrete(values) and not _beyond(values, low, high):
        return values
    return values.clamp(low, high)


def clamped_ratio(values: Tensor, scale: Tensor | float, most: float) -> Tensor:
    """Return values/scale held within ±most, constant beyond: there a learned scale overflows."""
    if not (isinstance(scale, Tensor) and scale.requires_grad):
        return clamp_if_outside(values / scale, -most, most)
    far = values.detach().abs() > most * scale.detach()
    return torch.where(far, most * values.detach().sign(), torch.where(far, 0, values) / scale)


def limited(
    hyper: Tensor | float, input: Tensor, low: float = -math.inf, high: float = math.inf
) -> Tensor | float:
    """Return a hyperparameter as `as_scalar_or_tensor` does, held within low … high."""
    hyper = as_scalar_or_tensor(hyper, input)
    return hyper.clamp(low, high) if isinstance(hyper, Tensor) else min(max(hyper, low), high)


def divisor(hyper: Tensor | float, input: Tensor) -> Tensor | float:
    """Return a hyperparameter to divide by, held where the square of its inverse is a number."""
    return limited(hyper, input, low=10 * torch.finfo(input.dtype).tiny ** 0.5)


def matmul_full_precision(left: Tensor, right: Tensor) -> Tensor:
    """Return the matrix product in the tensors' own dtype; autocast would round it to half."""
    with torch.autocast(left.device.type, enabled=False):
        return left @ right


def check(fine: Tensor, message: str) -> None:
    """Raise ValueError unless a 0-dim condition holds, also where the code is compiled.

    Compiled and on a device the check is asynchronous and its error a RuntimeError: nothing waits
    for the device. There is none under vmap, nor on a device that torch has no such check for.
    """
    if torch.compiler.is_compiling() or (not fine.is_cpu and _asserts(fine.device.type)):
        torch._assert_async(fine, message)
    elif fine.is_cpu and not wrapped(fine) and not fine:
        raise ValueError(message)


def _checked(tensor: Tensor) -> bool:
    """Return whether values where a tensor is can be checked at all."""
    return tensor.is_cpu or torch.compiler.is_compiling() or _asserts(tensor.device.type)


@functools.cache
def _asserts(device: str) -> bool:
    """Return whether torch checks asynchronously on a kind of device."""
    if device in ("cuda", "meta"):
        return device == "cuda"
    key = device.upper() if device in ("mps", "xpu", "hpu") else "PrivateUse1"
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key("aten::_assert_async.msg", key))


def check_flags(name: str, flags: Tensor) -> None:
    """Raise ValueError unless all are 0 or 1, none missing."""
    check(((flags == 0) | (flags == 1)).all(), f"{name} holds more than 0 and 1")


def check_range(numbers: Tensor, low: float, high: float, message: str) -> None:
    """Raise ValueError unless all numbers lie in low … high, where `check` would."""
    fine = not _checked(numbers) or _inside(numbers, low, high)
    if isinstance(fine, Tensor):
        check(fine, message)
    elif not fine:
        raise ValueError(message)


def _inside(numbers: Tensor, low: float, high: float) -> Tensor | bool:
    if not numbers.numel():
        return True
    least, most = numbers.detach().aminmax()
    if is_concrete(least):
        return low <= least.item() and most.item() <= high
    return (least >= low) & (most <= high)


def _beyond(numbers: Tensor, low: float, high: float) -> bool:
    """Return whether numbers at hand lie outside low … high, which NaN, if any, does not."""
    if not numbers.numel():
        return False
    least, most = numbers.detach().aminmax()
    return least.item() < low or most.item() > high


def head_dim(input: Tensor) -> int:
    """Return the dimension that holds a head of several outputs: 1 in a batch, 0 in one sample."""
    if input.ndim == 0:
        raise ValueError("input must have a dimension of outputs or classes, got a scalar")
    return 1 if input.ndim > 1 else 0


def sums_to_one(tensor: Tensor) -> bool:
    """Return whether numbers of 0 … 1 sum to 1 along dimension 1, or the last."""
    numbers = tensor.detach().float()
    if numbers.ndim < 2 or not numbers.numel() or not bool((numbers >= 0).all()):
        return False
    sizes = {dim for dim in (1, numbers.ndim - 1) if numbers.shape[dim] > 1}
    return any(bool((numbers.sum(dim) - 1).abs().max() < TOLERANCE) for dim in sizes)


def same_shape(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check that input and target have one shape and return both in the dtype of computation."""
    if input.shape != target.shape:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but target has shape {tuple(target.shape)}; "
            f"they must be equal, nothing is broadcast{_made_equal(input, target)}"
        )
    if input.dtype is _SINGLE is target.dtype:
        return input, target  # what nearly all calls bring
    input = promote(input)
    if target.dtype == input.dtype:
        return input, target
    check_real("target", target)
    return input, target.to(input.dtype)


def _made_equal(input: Tensor, target: Tensor) -> str:
    """Return what would make the shapes of input and target equal, if it is plain to see."""
    if input.shape == (*target.shape, 1):
        return "; a head of one output needs input.squeeze(-1)"
    if target.shape == (*input.shape, 1):
        return "; input has one number a row: use target.squeeze(-1)"
    if input.ndim == 2 and input.shape[:1] == target.shape and _whole(target):
        columns = f"torch.nn.functional.one_hot(target, {input.shape[1]})"
        return f"; for class codes use a loss of classes, as CrossEntropy, or {columns}"
    return ""


def paired_rows(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check two batches of rows (N, D), and bring both to the dtype of computation."""
    first, second = same_shape(input, target)
    if first.ndim != 2:
        raise ValueError(
            f"input and target must be rows of embeddings (N, D), got {tuple(input.shape)}"
        )
    return first, second


def flat_rows(given: Tensor, *, dims: int = 1) -> Tensor:
    """Return a batch (N, …) as rows (N, K); numbers (N,), unless `dims` is 2, as rows of one.

    Raises:
        ValueError: if there are fewer dimensions than that: a scalar, or one row without a batch.
    """
    if given.ndim < dims:
        wanted = "(N, …)" if dims == 1 else "(N, K) or more"
        raise ValueError(f"input must be a batch of rows {wanted}, got shape {tuple(given.shape)}")
    return given.flatten(1) if given.ndim > 1 else given.unsqueeze(1)


def same_rows(named: Mapping[str, Tensor], *, shapes: bool = False) -> dict[str, Tensor]:
    """Check that named tensors have the same rows and return them in one dtype of computation.

    The dtype is the widest of the real ones; integers stay as they are. `shapes` demands that
    the whole shapes are equal.
    """
    (first, one), *others = named.items()
    for name, other in others:
        fine = one.shape == other.shape if shapes else one.shape[:1] == other.shape[:1]
        if not fine:
            raise ValueError(
                f"{first} has shape {tuple(one.shape)} but {name} has shape {tuple(other.shape)}; "
                f"they must have {'one shape' if shapes else 'the same rows'}, nothing is broadcast"
            )
    wide = torch.float32
    for tensor in named.values():
        wide = torch.promote_types(wide, tensor.dtype) if tensor.is_floating_point() else wide
    return {n: t.to(wide) if t.is_floating_point() else t for n, t in named.items()}


def several_outputs(input: Tensor, target: Tensor, outputs: int) -> tuple[Tensor, Tensor]:
    """Check an input with a head of `outputs` numbers for each target value.

    The head's dimension is 1, as in cross-entropy, or 0 for one unbatched sample.
    """
    check_head(input, target, outputs)
    check_real("target", target)
    input = promote(input)
    return input, target.to(input.dtype)


def class_logits(input: Tensor, target: Tensor, ignore_index: int = -100) -> tuple[Tensor, Tensor]:
    """Check logits against integer classes; return float logits and targets safe to gather with.

    Ignored targets come back as class 0: their weight is what makes them vanish.
    """
    check_real("target", target)
    if input.ndim == 0:
        raise ValueError("input must have a class dimension, got a scalar")
    dim = head_dim(input)
    classes = input.shape[dim]
    if not _whole(target):
        hint = "; use target.long()"
        if target.shape == input.shape:
            hint = (
                ONE_LOGIT if input.ndim == 1 else f"; if it is one-hot, target.long().argmax({dim})"
            )
        raise TypeError(
            f"target must hold integer classes, got {target.dtype} of shape {tuple(target.shape)}"
            f"{ONE_LOGIT if classes == 1 else hint}"
        )
    check_head(input, target, classes)
    target = target.long()  # first: in uint8, −100 would wrap to class 156
    outside = not 0 <= ignore_index < classes
    if not (outside and is_concrete(target) and _inside(target, 0, classes - 1)):
        target = target.masked_fill(target == ignore_index, 0)
        check_classes(target, classes)
    return promote(input), target


def check_head(input: Tensor, target: Tensor, outputs: int) -> None:
    """Raise unless input is target's shape with a head of `outputs` inserted."""
    dim = min(1, target.ndim)
    expected = (*target.shape[:dim], outputs, *target.shape[dim:])
    if input.shape != expected:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but target of shape {tuple(target.shape)} with "
            f"a head of {outputs} needs {expected}; nothing is broadcast"
            f"{_made_to_fit(input, target, outputs)}"
        )


def _made_to_fit(input: Tensor, target: Tensor, outputs: int) -> str:
    """Return what would make a head fit its target, if it is plain to see from the shapes."""
    last = input.shape[-1] if input.ndim else 0
    if input.ndim > 2 and input.shape[:-1] == target.shape:
        return LAST.format(last)
    if input.shape == target.shape and not target.is_floating_point():
        codes = f"; if target is one-hot, use target.argmax({head_dim(input)})"
        return codes if input.ndim > 1 and last > 1 else ONE_LOGIT
    if input.shape == target.shape:
        return f"; the model's last layer must give {outputs} outputs, loss.out_features"
    if target.ndim > 1 and input.shape == (len(target), outputs, *target.shape[2:]):
        return "; target has one number a row: use target.squeeze(1)"
    return ""


def _whole(target: Tensor) -> bool:
    return not (target.is_floating_point() or target.dtype == torch.bool)


def check_classes(target: Tensor, classes: int) -> None:
    """Raise when a class lies outside 0 … classes − 1, compiled or not."""
    check_range(
        target,
        0,
        classes - 1,
        f"target holds a class outside 0 … {classes - 1}, the range of input's {classes} logits"
        f"{ONE_LOGIT if classes == 1 else ''}",
    )
