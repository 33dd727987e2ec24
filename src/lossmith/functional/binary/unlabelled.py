"""Risks of a classifier that knows positives and unlabelled rows alone."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lossmith.functional.binary.elementwise import check_labels
from lossmith.functional.checks import clamp_if_outside, same_shape, tensor_like

__all__ = ["nnpu"]


def nnpu(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    *,
    prior: Tensor | float,
    beta: Tensor | float = 0.0,
    gamma: Tensor | float = 1.0,
    surrogate: str = "sigmoid",
) -> tuple[Tensor, Tensor]:
    """Return the non-negative risk of each label, and which have rows (Kiryo et al., 2017).

    Shapes: input, target and weight (N,) or (N, L) -> () or (L,), twice. Labels above ½ are
    positive, the others unlabelled. Where the risk of negatives is below −beta, the gradient is
    −gamma times that of it alone.
    """
    check_labels(target)
    input, target = same_shape(input, target)
    most = torch.finfo(input.dtype).max / 8
    input, positive = clamp_if_outside(input, -most, most), target > 0.5
    share = tensor_like(prior, input)
    loss: Callable[[Tensor], Tensor] = torch.sigmoid if surrogate == "sigmoid" else softplus
    up = _mean(loss(-input), torch.where(positive, weight, 0))  # a positive taken for a negative
    down = _mean(loss(input), torch.where(positive, weight, 0))
    others = _mean(loss(input), torch.where(positive, 0, weight))
    negative = others - share * down
    below = negative.detach() < -tensor_like(beta, input)
    risk = share * up + torch.where(below, -tensor_like(beta, input), negative)
    followed = torch.where(below, -tensor_like(gamma, input) * negative, share * up + negative)
    return followed + (risk - followed).detach(), weight.sum(0) > 0


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    mass = weight.sum(0)
    return (weight / torch.where(mass > 0, mass, 1) * values).sum(0)
