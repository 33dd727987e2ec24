"""Losses of pixels each on its own, of which an image's value is made; one value an image."""

import torch
from torch import Tensor

from lossmith.functional.binary.elementwise import binary_cross_entropy
from lossmith.functional.checks import as_scalar_or_tensor
from lossmith.functional.classification.multiclass import nll
from lossmith.functional.segmentation.masks import binary_pixels, class_pixels

__all__ = ["binary_top_k_cross_entropy", "top_k_cross_entropy"]


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


def _worst(values: Tensor, kept: Tensor, fraction: Tensor | float) -> Tensor:
    """Return the mean of the largest values, 0 at least; the last of them may count in part."""
    values = torch.where(kept, values, -1).flatten(1).sort(1, descending=True).values
    count = as_scalar_or_tensor(fraction, values) * kept.flatten(1).sum(1, keepdim=True)
    rank = torch.arange(values.shape[1], device=values.device, dtype=values.dtype)
    share = (count - rank).clamp(0, 1)
    return (share * values).sum(1) / torch.where(count > 0, count, 1).squeeze(1)
