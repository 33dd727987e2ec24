"""Losses of maps of depth and disparity, unreduced."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, clamp_if_outside, promote
from lossmith.functional.regression.point import residual

__all__ = ["berhu", "edge_aware_smoothness"]


def berhu(
    input: Tensor, target: Tensor, *, weight: Tensor | None = None, share: Tensor | float = 0.2
) -> Tensor:
    """Return |r|, beyond c (r² + c²)/(2c), c = share·max |r|, a constant (Laina et al., 2016).

    Where the weight is 0 a residual is none of the maximum's.
    """
    r = residual(input, target).abs()
    if r.numel() == 0:
        return r
    r = clamp_if_outside(r, high=torch.finfo(r.dtype).max / 4)
    seen = r.detach() if weight is None else torch.where(weight > 0, r.detach(), 0)
    c = as_scalar_or_tensor(share, r) * seen.amax()
    far = r > c
    some = torch.where(c > 0, c, 1)
    return torch.where(far, (torch.where(far, r, 0) / some * r + c) / 2, r)


def edge_aware_smoothness(input: Tensor, target: Tensor) -> Tensor:
    """Return mean |d_x|·e^{−|I_x|} + mean |d_y|·e^{−|I_y|} of maps d and images I (Godard, 2017).

    Differences go to the next pixel; those of an image are averaged over its channels.
    """
    maps = promote(input)
    if (
        maps.ndim != 4
        or target.ndim != 4
        or maps.shape[::2] != target.shape[::2]
        or (maps.shape[3] != target.shape[3])
    ):
        raise ValueError(
            f"input has shape {tuple(input.shape)} but target has shape {tuple(target.shape)}; "
            "maps and images must be (N, C, H, W), alike but for C"
        )
    images = target.to(maps.dtype)
    quarter = maps / 4  # whose differences are numbers
    across, down = (
        quarter.diff(dim=dim).abs() * (-images.diff(dim=dim).abs().mean(1, keepdim=True)).exp()
        for dim in (3, 2)
    )
    return 4 * (_mean(across) + _mean(down))


def _mean(values: Tensor) -> Tensor:
    """Return the mean of each row, 0 of none."""
    rows = values.flatten(1)
    return rows.sum(1) / max(rows.shape[1], 1)
