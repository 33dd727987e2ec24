"""Continuous ranked probability scores, and a histogram of bins as a target, unreduced."""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    check_head,
    clamp_if_outside,
    head_dim,
    promote,
    several_outputs,
)
from lossmith.functional.regression.counts import exp_linear_tail
from lossmith.functional.regression.point import non_crossing, quantile

__all__ = [
    "distribution_focal",
    "ensemble_crps",
    "ensemble_mean",
    "expected_value",
    "gaussian_bins",
    "gaussian_crps",
    "hl_gauss",
    "ordered_members",
    "quantile_crps",
]


def gaussian_crps(input: Tensor, target: Tensor, *, floor: Tensor | float) -> Tensor:
    """Return scale·(z·(2Φ(z) − 1) + 2φ(z) − 1/√π) (Gneiting & Raftery, 2007)."""
    input, target = several_outputs(input, target, 2)
    place, raw = input.unbind(head_dim(input))
    most = torch.finfo(input.dtype).max / 100
    scale, r = (
        clamp_if_outside(as_scalar_or_tensor(floor, input) + exp_linear_tail(raw), high=most),
        place - target,
    )
    reach = 40 * scale  # beyond, Φ is 0 or 1 and φ is 0
    z = r.clamp(-reach, reach) / scale
    density = (-z.square() / 2).exp() * math.sqrt(2 / math.pi)
    return r * torch.erf(z / math.sqrt(2)) + scale * (density - 1 / math.sqrt(math.pi))


def quantile_crps(input: Tensor, target: Tensor, *, quantiles: int) -> Tensor:
    """Return twice the mean pinball value of a non-crossing head at levels (k − 1/2)/quantiles."""
    check_head(input, target, quantiles)
    values = non_crossing(input)
    rank = torch.arange(quantiles, device=values.device, dtype=values.dtype)
    return 2 * quantile(values, target, level=(rank + 0.5) / quantiles)


def ensemble_crps(input: Tensor, target: Tensor, *, members: int, fair: bool) -> Tensor:
    """Return mean |x_i − target| − Σ_ij |x_i − x_j|/(2 M²), or /(2 M (M − 1)) if fair."""
    input, target = several_outputs(input, target, members)
    dim = head_dim(input)
    miss = ((input - target.unsqueeze(dim)).abs() / members).sum(dim)
    rank = torch.arange(1 - members, members, 2, device=input.device, dtype=input.dtype)
    share = rank / (members * (members - 1 if fair else members))  # Σ_ij |x_i − x_j|/2, sorted
    share = share.reshape(-1, *(1,) * (input.ndim - 1 - dim))
    return miss - (share * input.sort(dim).values).sum(dim)


def ensemble_mean(output: Tensor) -> Tensor:
    """Return the mean of a head of members."""
    return promote(output).mean(head_dim(output))


def ordered_members(output: Tensor) -> Tensor:
    """Return a head of members in rising order."""
    return promote(output).sort(head_dim(output)).values


def hl_gauss(
    input: Tensor,
    target: Tensor,
    *,
    bins: int,
    low: Tensor | float,
    high: Tensor | float,
    sigma_ratio: Tensor | float,
) -> Tensor:
    """Return the cross-entropy of input's bins against a Gaussian around the target.

    The Gaussian has a standard deviation of sigma_ratio bins and is truncated to low … high;
    targets beyond are clipped (Imani & White, 2018).
    """
    check_head(input, target, bins)
    dim, input = head_dim(input), promote(input)
    width = as_scalar_or_tensor((high - low) / bins, input)
    position = (target.to(input.dtype) - as_scalar_or_tensor(low, input)) / width
    probabilities = gaussian_bins(position.clamp(0, bins), bins=bins, sigma_ratio=sigma_ratio)
    most = torch.finfo(input.dtype).max / 4  # so that no difference of logits is infinite
    logits = clamp_if_outside(input, -most, most)
    return -(probabilities.movedim(-1, dim) * logits.log_softmax(dim)).sum(dim)


def distribution_focal(
    input: Tensor,
    target: Tensor,
    *,
    points: int,
    low: Tensor | float,
    high: Tensor | float,
) -> Tensor:
    """Return the cross-entropy of input's points against the two next to the target (Li, 2020).

    Each of the two counts by how near the target is; targets beyond low … high are clipped.
    """
    check_head(input, target, points)
    dim, input = head_dim(input), promote(input)
    place = (target.to(input.dtype) - as_scalar_or_tensor(low, input)) / as_scalar_or_tensor(
        (high - low) / (points - 1), input
    )
    place = place.clamp(0, points - 1).unsqueeze(dim)
    steps = torch.arange(points, dtype=input.dtype, device=input.device)
    steps = steps.reshape(-1, *(1,) * (input.ndim - 1 - dim))
    share = (1 - (steps - place).abs()).clamp(min=0)
    most = torch.finfo(input.dtype).max / 4  # so that no difference of logits is infinite
    return -(share * clamp_if_outside(input, -most, most).log_softmax(dim)).sum(dim)


def gaussian_bins(position: Tensor, *, bins: int, sigma_ratio: Tensor | float) -> Tensor:
    """Return a truncated Gaussian's mass in each unit bin of 0 … bins, in a last dimension."""
    edges = torch.arange(bins + 1, dtype=position.dtype, device=position.device)
    sigma = as_scalar_or_tensor(sigma_ratio, position)
    below = torch.erf((edges - position.unsqueeze(-1)) / (sigma * math.sqrt(2)))
    return below.diff(dim=-1) / (below[..., -1:] - below[..., :1])


def expected_value(
    output: Tensor, *, bins: int, low: Tensor | float, high: Tensor | float
) -> Tensor:
    """Return the mean of the bin centres under softmax(output)."""
    dim, output = head_dim(output), promote(output)
    if output.shape[dim] != bins:
        raise ValueError(
            f"output has shape {tuple(output.shape)} but a head of {bins} bins is read from "
            f"dimension {dim}"
        )
    probabilities = output.softmax(dim).movedim(dim, -1)
    centres = torch.arange(bins, dtype=output.dtype, device=output.device) + 0.5
    width = as_scalar_or_tensor((high - low) / bins, output)
    return as_scalar_or_tensor(low, output) + width * (probabilities * centres).sum(-1)
