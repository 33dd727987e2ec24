"""Regression on targets of which some values are rare, unreduced."""

import torch
from torch import Tensor

from lossmith.functional.checks import divisor, same_shape

__all__ = ["balanced_mse"]


def balanced_mse(
    input: Tensor, target: Tensor, *, noise: Tensor | float, own: slice = slice(None)
) -> Tensor:
    """Return −2 noise²·log of each row's chance to find its own target (Ren et al., 2022).

    That is the softmax over the batch's targets of −|x − y|²/(2 noise²). The factor before the
    logarithm is constant in the gradient.
    """
    input, target = same_shape(input, target)
    rows, targets = (_rows(part) for part in (input, target))
    mine, its = rows[own].unsqueeze(1), targets[own].unsqueeze(1)
    spread = divisor(noise, rows)
    unit = 2 * spread * spread
    # |x − y_i|² − |x − y_j|², halves so that no difference of finite numbers overflows
    apart, middle = targets / 2 - its / 2, mine / 2 - its / 4 - targets / 4
    most = torch.finfo(rows.dtype).max / 8 / max(rows.shape[1], 1)
    gain = (8 * (apart * middle) / unit).clamp(-most, most).sum(2)
    constant = unit.detach() if isinstance(unit, Tensor) else unit
    values = constant * gain.logsumexp(1)
    return values if input.ndim else values.squeeze(0)


def _rows(part: Tensor) -> Tensor:
    """Return numbers, or several a row, as rows (N, D)."""
    return part.flatten(1) if part.ndim > 1 else part.reshape(-1, 1)
