"""What a network did last, read from the graph that autograd keeps."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from lossmith.functional.checks import TOLERANCE, sums_to_one

Squash = Literal["softmax", "sigmoid", "log_softmax", "tanh", "relu", "softplus"]
_LAST: dict[str, Squash] = {
    "Softmax": "softmax",
    "Sigmoid": "sigmoid",
    "Hardsigmoid": "sigmoid",
    "LogSoftmax": "log_softmax",
    "Tanh": "tanh",
    "Relu": "relu",
    "Softplus": "softplus",
}
_SHAPING = {
    *("Squeeze", "Unsqueeze", "View", "UnsafeView", "ReshapeAlias", "Alias", "Expand", "Permute"),
    *("Transpose", "T", "Select", "Slice", "Split", "SplitWithSizes", "Unbind", "Index"),
    *("IndexSelect", "Narrow", "Clone", "Clamp", "ClampMin", "ClampMax", "ToCopy", "Cat", "Stack"),
}  # operations that leave numbers what they are, or keep them off the ends
_LINEAR = {"Addmm", "Mm", "Bmm", "Baddbmm", "Convolution", "NativeLayerNorm", "NativeBatchNorm"}
ENOUGH = 32  # numbers that all lie in 0 … 1 and so are probabilities


@dataclass(frozen=True)
class Last:
    """The last operation before a tensor: what squashed it, along which dimension.

    known: whether the graph says what was last; else only numbers can tell.
    """

    squash: Squash | None = None
    over_batch: bool = False
    known: bool = False


def last_of(tensor: Tensor) -> Last:
    """Return what was done last to a tensor, shapes apart.

    >>> last_of(torch.zeros(2, 3, requires_grad=True).softmax(1).squeeze(1)).squash
    'softmax'
    """
    node = tensor.grad_fn
    while node is not None:
        name = node.name().rstrip("0123456789").removesuffix("Backward")
        if name in _LAST:
            return Last(_LAST[name], _over_batch(node), known=True)
        if name not in _SHAPING:
            return Last(known=name in _LINEAR)
        node = next((one for one, _ in node.next_functions if one is not None), None)
    return Last()


def _over_batch(node: Any) -> bool:
    """Return whether a softmax sums over dimension 0 of several."""
    try:
        return node._saved_dim == 0 and node._saved_result.ndim > 1
    except (AttributeError, RuntimeError):  # no softmax, or its graph is gone
        return False


def squashed(tensor: Tensor) -> Squash | None:
    """Return by what a tensor was made probabilities, by its graph or else its numbers."""
    last = last_of(tensor)
    if last.squash in ("softmax", "sigmoid", "log_softmax"):
        return last.squash
    if sums_to_one(tensor):
        return "softmax"
    return None if last.known or last.squash else _by_range(tensor)


def _by_range(tensor: Tensor) -> Squash | None:
    numbers = tensor.detach().float()
    if numbers.numel() < ENOUGH or not 0 <= numbers.min() <= numbers.max() <= 1:
        return None
    return "sigmoid" if numbers.min() > 0 and numbers.std() > TOLERANCE else None


def log_normalised(tensor: Tensor, dim: int = 1) -> bool:
    """Return whether numbers are logarithms of what sums to 1."""
    numbers = tensor.detach().float()
    dim = dim if numbers.ndim > 1 else 0
    return bool((torch.logsumexp(numbers, dim)).abs().max() < 10 * TOLERANCE)
