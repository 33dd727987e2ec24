"""Regression as classification over the bins of a histogram, unreduced."""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import check_head, head_dim, held, in_dtype, promote


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
    width = in_dtype((high - low) / bins, input)
    position = (target.to(input.dtype) - in_dtype(low, input)) / width
    probabilities = gaussian_bins(position.clamp(0, bins), bins=bins, sigma_ratio=sigma_ratio)
    most = torch.finfo(input.dtype).max / 4  # so that no difference of logits is infinite
    logits = held(input, -most, most)
    return -(probabilities.movedim(-1, dim) * logits.log_softmax(dim)).sum(dim)


def gaussian_bins(position: Tensor, *, bins: int, sigma_ratio: Tensor | float) -> Tensor:
    """Return a truncated Gaussian's mass in each unit bin of 0 … bins, in a last dimension."""
    edges = torch.arange(bins + 1, dtype=position.dtype, device=position.device)
    sigma = in_dtype(sigma_ratio, position)
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
    width = in_dtype((high - low) / bins, output)
    return in_dtype(low, output) + width * (probabilities * centres).sum(-1)
