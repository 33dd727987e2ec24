"""Images of classes or labels as masks: what the losses of segmentation are computed on.

A mask is one number a pixel from 0 to 1, in shape (N, K, P): N images, K classes, P pixels. An
ignored pixel is 0 in all masks, the predicted and the true ones.
"""

import torch
from torch import Tensor

from lossmith.functional.checks import check_range, class_logits, is_concrete, same_shape

__all__ = ["image_weights"]


def class_masks(input: Tensor, target: Tensor, *, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Return the softmax of logits (N, C, …) and integer classes (N, …), each as C masks."""
    kept = kept_pixels(target, ignore_index)
    logits, classes = class_logits(input, target, ignore_index)
    known = torch.arange(logits.shape[1], device=classes.device)
    true = classes.flatten(1).unsqueeze(1) == known.unsqueeze(1)
    logits = logits.flatten(2)
    if is_concrete(kept) and kept.all():
        return logits.softmax(1), true.to(logits.dtype)
    kept = kept.flatten(1).unsqueeze(1)
    predicted = torch.where(kept, logits, 0).softmax(1)  # before it, for what they hold may be NaN
    return predicted.masked_fill(~kept, 0.0), (true & kept).to(predicted.dtype)


def class_pixels(
    input: Tensor, target: Tensor, *, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Check logits (N, C, …) and classes; return both, 0 where ignored, and which are not."""
    kept = kept_pixels(target, ignore_index)
    logits, classes = class_logits(input, target, ignore_index)
    if not (is_concrete(kept) and kept.all()):
        logits = torch.where(kept.unsqueeze(1), logits, 0)
    return logits, classes, kept


def binary_masks(input: Tensor, target: Tensor, *, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Return the sigmoid of logits (N, …) and labels (N, …) from 0 to 1, each as one mask."""
    logits, labels, kept = binary_pixels(input, target, ignore_index=ignore_index)
    predicted = logits.sigmoid() * kept
    return predicted.flatten(1).unsqueeze(1), labels.flatten(1).unsqueeze(1)


def binary_pixels(
    input: Tensor, target: Tensor, *, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Check logits (N, …) and labels; return both, 0 where ignored, and which are not."""
    kept = kept_pixels(target, ignore_index)
    logits, labels = same_shape(input, target)
    if not (is_concrete(kept) and kept.all()):
        logits, labels = torch.where(kept, logits, 0), torch.where(kept, labels, 0)
    message = f"target holds a label outside 0 … 1 that is not ignore_index, {ignore_index}"
    check_range(labels, 0, 1, message)
    return logits, labels, kept


def image_weights(target: Tensor, *, ignore_index: int) -> Tensor:
    """Return weight 1 for each image, 0 for one whose pixels are all ignored."""
    return kept_pixels(target, ignore_index).flatten(1).any(1)


def kept_pixels(target: Tensor, ignore_index: int) -> Tensor:
    """Return which pixels of images (N, …) are not ignored."""
    if target.ndim < 2:
        raise ValueError(
            f"target must hold images (N, …), one value a pixel; got shape {tuple(target.shape)}"
        )
    return target != ignore_index
