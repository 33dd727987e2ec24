"""The one reduction of lossmith: a weighted mean that is never NaN."""

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from lossmith.core.distributed import all_reduce_sum
from lossmith.functional.checks import check, is_concrete, readable

if TYPE_CHECKING:
    from lossmith.core.distributed import Ranks

FEW = 1 << 15  # numbers of which a mean costs less than a sum, whose gradient takes no memory
Mass = TypeVar("Mass", bound=Tensor | float)


def reduce(
    values: Tensor,
    *,
    weight: Tensor | None = None,
    denominator: Tensor | float | None = None,
    ranks: "Ranks" = False,
) -> Tensor:
    r"""Reduce unreduced values to one scalar, the weighted mean.

    .. math:: \frac{\sum_i w_i v_i}{\sum_i w_i}

    A weight of 2 equals the sample twice, a weight of 0 equals the sample left out. Where the
    weights sum to 0, or there are no values, the result is 0 with zero gradients.

    Args:
        values: any shape.
        weight: non-negative, of the shape of values or of its leading dimensions (one weight a
            sample); it is never broadcast otherwise.
        denominator: replaces the sum of the weights, so that accumulated batches or many ranks
            give the gradient of the whole batch; 0 where these, too, have nothing to learn from.
        ranks: sum over all processes too, or those of a group, so that the mean is the whole
            batch's on every rank and its gradients, averaged over ranks, those of one process.

    Raises:
        ValueError: if weight's shape is not values' shape or its leading part, or if a denominator
            is several numbers, is no finite number above 0, or is 0 where something weighs more.

    >>> reduce(torch.tensor([1.0, 4.0]), weight=torch.tensor([2.0, 1.0]))
    tensor(2.)
    """
    alone = weight is None and denominator is None and not ranks
    if alone and 0 < values.numel() < FEW:
        return values.mean()
    if weight is not None and (weight.shape != values.shape or weight.dtype != values.dtype):
        weight = broadcast_weight(weight, values)
    mass: Tensor | float
    if weight is None:
        total, mass = values.sum(), values.numel()
    else:
        total, mass = (values.masked_fill(weight == 0, 0) * weight).sum(), weight.sum()
    if ranks:
        total, mass = all_reduce_sum(torch.stack([total, torch.as_tensor(mass).to(total)]), ranks)
    if denominator is not None:
        return total / _count(denominator, total, mass)
    return total / (mass + (mass == 0))  # as `nonzero`, in one call less


def _count(denominator: Tensor | float, total: Tensor, mass: Tensor | float) -> Tensor | float:
    """Return what a mean of a larger whole is divided by: 1 where all of it weighs nothing."""
    message = "denominator must be a finite number above 0, or 0 where nothing weighs anything"
    if isinstance(denominator, Tensor) and denominator.numel() != 1:
        raise ValueError(
            f"denominator must be one number, got a tensor of shape {tuple(denominator.shape)}; "
            "weights of samples are given as weight"
        )
    if isinstance(denominator, Tensor) and (
        denominator.requires_grad or not is_concrete(denominator)
    ):
        count = denominator.reshape(()).to(total)
        check((count < math.inf) & ((count > 0) | ((count == 0) & (mass == 0))), message)
        return count + (count == 0)
    number = float(denominator)
    if 0 < number < math.inf:
        return number
    nothing = mass == 0 if number == 0 else False
    check(torch.as_tensor(nothing), f"{message}; got {number:g}")
    return 1.0


def sum_terms(values: Tensor | Mapping[str, Tensor]) -> Tensor:
    """Return one value a sample or element: of a loss of several terms their sum."""
    return values if isinstance(values, Tensor) else torch.stack(list(values.values())).sum(0)


def total_weight(values: Tensor, weight: Tensor | None) -> Tensor | float:
    """Return the sum of the weights, one a value; the number of values where there are none."""
    return values.numel() if weight is None else weight.sum()


def nonzero(mass: Mass) -> Mass:
    """Return what a mean divides by: 1 where nothing weighs anything."""
    return mass + (mass == 0)  # type: ignore[return-value]


def checked_weight(owner: str, weight: Any, look: bool, *, of_mean: bool = True) -> Any:
    """Return weights: a tensor, or several by name, none of them below 0 as far as one may look.

    Those of a mean come back smaller or larger by a power of two where their sum is no number: a
    factor of all weights changes no mean.

    Raises:
        TypeError: if one is no tensor.
        ValueError: if one holds a number below 0, infinity or NaN.
    """
    if type(weight) is not Tensor and isinstance(weight, Mapping):
        return {n: checked_weight(owner, one, look, of_mean=of_mean) for n, one in weight.items()}
    if not isinstance(weight, Tensor):
        raise TypeError(
            f"{owner}: weight must be a tensor of one weight a sample, got {weight!r}; a whole "
            "loss is scaled by 2.0 * loss"
        )
    if not (look and weight.numel() and readable(weight)):
        return weight
    least, most = weight.aminmax()
    low, high = least.item(), most.item()
    if not low >= 0 or high == math.inf:
        wrong = low if not low >= 0 else high
        raise ValueError(f"{owner}: weights must be 0 or more and finite, got {wrong:g}")
    if not of_mean or high == 0 or 1e-20 < high < 1e20 or not weight.is_floating_point():
        return weight
    return (weight.double() * 2.0 ** -math.floor(math.log2(high))).to(weight.dtype)


def broadcast_weight(weight: Tensor, values: Tensor) -> Tensor:
    """Return one weight a value from one weight a value or a sample."""
    if weight.shape == values.shape:
        return weight.to(values.dtype)
    if weight.shape != values.shape[: weight.ndim]:
        raise ValueError(
            f"weight has shape {tuple(weight.shape)} but the loss has values of shape "
            f"{tuple(values.shape)}; give one weight a value, or one a sample "
            f"{tuple(values.shape[:1])}"
        )
    missing = values.ndim - weight.ndim
    return weight.to(values.dtype).reshape(weight.shape + (1,) * missing).expand(values.shape)


def combine_weights(values: Tensor, *weights: Tensor | None) -> Tensor | None:
    """Return one weight a value, the product of those given; None where all weigh the same."""
    given = [one for one in weights if one is not None and not _keeps_all(one, values)]
    return (
        functools.reduce(torch.mul, (broadcast_weight(one, values) for one in given))
        if given
        else None
    )


def _keeps_all(mask: Tensor, values: Tensor) -> bool:
    fits = mask.dtype == torch.bool and mask.shape == values.shape[: mask.ndim]
    return fits and is_concrete(mask) and bool(mask.all())
