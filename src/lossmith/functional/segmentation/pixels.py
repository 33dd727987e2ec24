"""Losses of pixels each on its own, of which an image's value is made; one value an image."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, avg_pool2d, avg_pool3d

from lossmith.functional.binary.elementwise import binary_cross_entropy
from lossmith.functional.checks import as_scalar_or_tensor
from lossmith.functional.classification.multiclass import is_target, nll
from lossmith.functional.segmentation.masks import binary_pixels, class_pixels

__all__ = ["binary_top_k_cross_entropy", "nacl", "top_k_cross_entropy"]

_POOLS = {3: avg_pool1d, 4: avg_pool2d, 5: avg_pool3d}


def top_k_cross_entropy(
    input: Tensor, target: Tensor, *, fraction: Tensor | float, ignore_index: int = -100
) -> Tensor:
    """Return the mean cross-entropy of the worst fraction of an image's pixels (Wu, 2016)."""
    logits, classes, kept = class_pixels(input, target, ignore_index=ignore_index)
    return _worst(nll(logits, classes), kept, fraction)


def binary_top_k_cross_entropy(
    input: Tensor, target: Tensor, *, fraction: Tensor | float, ignore_index: int = -100
) -> Tensor:
    """Return the same of one logit a pixel, against labels from 0 to 1."""
    logits, labels, kept = binary_pixels(input, target, ignore_index=ignore_index)
    return _worst(binary_cross_entropy(logits, labels), kept, fraction)


def nacl(
    input: Tensor,
    target: Tensor,
    *,
    alpha: Tensor | float = 0.1,
    size: int = 3,
    distance: str = "l1",
    ignore_index: int = -100,
) -> Tensor:
    """Return the cross-entropy + alpha·mean|x − share of the class nearby| (Murugesan, 2023).

    Nearby is the box of so many pixels around each; beyond the image there is no class. The gap
    is squared where distance is "l2".
    """
    logits, classes, kept = class_pixels(input, target, ignore_index=ignore_index)
    if logits.ndim not in _POOLS:
        raise ValueError(
            "input must hold images (N, C, …) with 1 to 3 dimensions of space, got "
            f"{tuple(input.shape)}"
        )
    true = (is_target(logits, classes) & kept.unsqueeze(1)).to(logits.dtype)
    near = _POOLS[logits.ndim](true, size, stride=1, padding=size // 2)
    gap = near - logits
    gap = gap.abs() if distance == "l1" else gap.square()
    values = nll(logits, classes) + as_scalar_or_tensor(alpha, logits) * gap.mean(1)
    values = torch.where(kept, values, 0).flatten(1).sum(1)
    return values / kept.flatten(1).sum(1).clamp(min=1)


def _worst(values: Tensor, kept: Tensor, fraction: Tensor | float) -> Tensor:
    """Return the mean of the largest values, 0 at least; the last of them may count in part."""
    values = torch.where(kept, values, -1).flatten(1).sort(1, descending=True).values
    count = as_scalar_or_tensor(fraction, values) * kept.flatten(1).sum(1, keepdim=True)
    rank = torch.arange(values.shape[1], device=values.device, dtype=values.dtype)
    share = (count - rank).clamp(0, 1)
    return (share * values).sum(1) / torch.where(count > 0, count, 1).squeeze(1)
