"""Scores of samples of a distribution over vectors, unreduced."""

import torch
from torch import Tensor

from lossmith.functional.checks import clamp_if_outside, promote
from lossmith.functional.embeddings import row_lengths

__all__ = ["energy_score"]


def energy_score(input: Tensor, target: Tensor, *, fair: bool = False) -> Tensor:
    """Return mean |x_i − y| − Σ_ij |x_i − x_j|/(2 M²), or /(2 M (M − 1)) if fair.

    Shapes: input (N, M, D), M vectors drawn a row, target (N, D) -> (N,).
    """
    if input.ndim != 3 or target.shape != (input.shape[0], input.shape[2]) or not input.shape[1]:
        raise ValueError(
            f"input has shape {tuple(input.shape)} and target {tuple(target.shape)}; samples must "
            "be (N, M, D) and targets (N, D)"
        )
    input = promote(input)
    members = input.shape[1]
    if fair and members < 2:
        raise ValueError("input holds one sample a row; the fair score needs two or more")
    first, second = torch.triu_indices(members, members, 1, device=input.device)
    miss = _apart(input, target.to(input.dtype).unsqueeze(1)).mean(1)
    spread = _apart(input[:, first], input[:, second])  # each pair once: half the sum
    return miss - (spread / (members * (members - 1 if fair else members))).sum(1)


def _apart(first: Tensor, second: Tensor) -> Tensor:
    """Return the distance of each vector to its partner, below infinity."""
    most = torch.finfo(first.dtype).max / 8
    return row_lengths(clamp_if_outside(first - second, -most, most))
