"""Negative log-likelihoods of a location and a raw scale in the head, unreduced.

The head holds two outputs a target: the location and u, the raw log-scale. The scale is
floor + exp(u), kept as its logarithm throughout: finite for every u, never below the floor.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith.functional.checks import head_dim, held, in_dtype, several_outputs
from lossmith.functional.robust import log1p_square


def gaussian_nll(input: Tensor, target: Tensor, *, floor: Tensor | float) -> Tensor:
    """Return z²/2 + log scale + log(2π)/2, z = (location − target)/scale (Nix & Weigend, 1994)."""
    r, log_scale = location_scale(input, target, floor)
    return (r * (-log_scale).exp()).square() / 2 + log_scale + math.log(2 * math.pi) / 2


def laplace_nll(input: Tensor, target: Tensor, *, floor: Tensor | float) -> Tensor:
    """Return |z| + log scale + log 2, z = (location − target)/scale (Laplace, 1774)."""
    r, log_scale = location_scale(input, target, floor)
    return r.abs() * (-log_scale).exp() + log_scale + math.log(2)


def student_t_nll(
    input: Tensor, target: Tensor, *, degrees_of_freedom: Tensor | float, floor: Tensor | float
) -> Tensor:
    """Return (ν + 1)/2·log(1 + z²/ν) + log scale + log normaliser (Lange et al., 1989)."""
    r, log_scale = location_scale(input, target, floor)
    normaliser = _student_t_normaliser(degrees_of_freedom).to(r.dtype)
    nu = in_dtype(degrees_of_freedom, r)
    tail = log1p_square(r, (-log_scale).exp() / nu**0.5)
    return (nu + 1) / 2 * tail + log_scale + normaliser


def location(output: Tensor, *, outputs: int) -> Tensor:
    """Return the first output of a head: the location of the distribution."""
    dim = head_dim(output)
    if output.ndim == 0 or output.shape[dim] != outputs:
        raise ValueError(
            f"output has shape {tuple(output.shape)}, but a head of {outputs} has them in "
            f"dimension {dim}"
        )
    return output.select(dim, 0)


def _student_t_normaliser(nu: Tensor | float) -> Tensor:
    exact = nu if isinstance(nu, Tensor) else torch.tensor(nu, dtype=torch.float64)
    return torch.lgamma(exact / 2) - torch.lgamma((exact + 1) / 2) + (exact * math.pi).log() / 2


def location_scale(input: Tensor, target: Tensor, floor: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return location − target and the logarithm of the scale floor + exp(u) of a head of two."""
    input, target = several_outputs(input, target, 2)
    place, raw = input.unbind(head_dim(input))
    return place - target, log_scale_of(raw, floor)


def log_scale_of(raw: Tensor, floor: Tensor | float) -> Tensor:
    """Return log(floor + exp(raw)), finite for every raw output."""
    floor = in_dtype(floor, raw)
    low = floor.log() if isinstance(floor, Tensor) else math.log(floor)
    raw = held(raw, low - 40)  # below, the scale is the floor to the last bit of float64
    return low - nnf.logsigmoid(low - raw)
