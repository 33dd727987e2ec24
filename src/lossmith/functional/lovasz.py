"""The Lovász extension of the Jaccard loss, unreduced: one value an image."""

import torch
from torch import Tensor

from lossmith.functional.masks import binary_pixels, class_masks


def lovasz_softmax(
    input: Tensor, target: Tensor, *, present: bool = True, ignore_index: int = -100
) -> Tensor:
    """Return the extension at the errors of the softmax, mean over classes (Berman et al., 2018).

    The classes are those that the image holds, or all where present is false.
    """
    predicted, true = class_masks(input, target, ignore_index=ignore_index)
    values = _extension((predicted - true).abs(), true)
    counted = (true.sum(2) > 0) if present else torch.ones_like(values, dtype=torch.bool)
    return (values * counted).sum(1) / counted.sum(1).clamp(min=1)


def lovasz_hinge(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return the extension at the hinge errors max(0, 1 − s·x) of each pixel (ibid.).

    Labels above ½ are positives, s = 1; the others negatives, s = −1.
    """
    logits, labels, kept = binary_pixels(input, target, ignore_index=ignore_index)
    true = labels > 0.5
    true = true.to(logits.dtype)
    errors = (1 - (2 * true - 1) * logits).relu() * kept
    return _extension(errors.flatten(1), true.flatten(1))


def _extension(errors: Tensor, true: Tensor) -> Tensor:
    """The Lovász extension at errors of 0 or more, in the last dimension."""
    errors, order = errors.sort(dim=-1, descending=True)
    hits = true.gather(-1, order).cumsum(-1)
    total = hits[..., -1:]
    rank = torch.arange(1, errors.shape[-1] + 1, device=errors.device, dtype=errors.dtype)
    # Where the first k pixels are wrong, |intersection| / |union| of what is left.
    jaccard = 1 - (total - hits) / (total + (rank - hits))
    return (errors * jaccard.diff(dim=-1, prepend=torch.zeros_like(total))).sum(-1)
