"""Losses of masks that count more than overlap: what is rightly left out, what confuses what."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, check, check_range, promote, same_shape
from lossmith.functional.classification.imbalance import log_prior
from lossmith.functional.classification.multiclass import focal, nll, per_class
from lossmith.functional.segmentation.masks import (
    binary_pixels,
    class_masks,
    class_pixels,
    kept_pixels,
)
from lossmith.functional.segmentation.overlap import missed, root

__all__ = [
    "blob_dice",
    "blob_weights",
    "exponential_logarithmic",
    "generalized_wasserstein_dice",
    "mcc",
    "unified_focal",
]

Number = Tensor | float

_LEAST = 1e-30  # a variance whose root float32 still holds


def mcc(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return 1 − Matthews' correlation of the sigmoid with the mask (Abhishek & Hamarneh, 2021).

    (TP·TN − FP·FN)/√((TP + FP)(TP + FN)(TN + FP)(TN + FN)) of soft counts, 0 where a side is 0.
    """
    logits, true, kept = (
        one.flatten(1) for one in binary_pixels(input, target, ignore_index=ignore_index)
    )
    count = kept.sum(1, keepdim=True).clamp(min=1)
    inside, outside = logits.sigmoid() * kept, (-logits).sigmoid() * kept
    p, q, t = (one.sum(1, keepdim=True) / count for one in (inside, outside, true))
    # Of the side that is smaller, whose digits are all there.
    above = torch.where(p > q, q - outside, inside - p)
    shared = (above * (true - t) * kept).sum(1, keepdim=True) / count
    spread, wanted = p * q, t * (1 - t)
    some = ~((spread <= _LEAST) | (wanted <= _LEAST))  # so that NaN stays
    roots = torch.where(some, spread, 1).sqrt() * torch.where(some, wanted, 1).sqrt()
    return 1 - torch.where(some, shared / roots, 0).squeeze(1)


def exponential_logarithmic(
    input: Tensor,
    target: Tensor,
    *,
    counts: Tensor,
    dice_weight: Number = 0.8,
    dice_gamma: Number = 0.3,
    cross_gamma: Number = 0.3,
    ignore_index: int = -100,
) -> tuple[Tensor, Tensor]:
    """Return two parts of each image's value (Wong et al., 2018).

    dice_weight·mean_c (−log D_c)^dice_gamma, D_c = (2 TP + 1)/(2 TP + FP + FN + 1) of a class, and
    (1 − dice_weight)·mean_i w_y (−log p_y)^cross_gamma of pixels, w_c = √(Σ counts / counts_c).
    """
    input = promote(input)  # once: gradients of half precision would each be rounded
    lost = missed(*class_masks(input, target, ignore_index=ignore_index), 0.5, 0.5, 0.5)
    logits, classes, kept = class_pixels(input, target, ignore_index=ignore_index)
    dice_weight, dice_gamma, cross_gamma = (
        as_scalar_or_tensor(one, logits) for one in (dice_weight, dice_gamma, cross_gamma)
    )
    per_class("counts", counts, logits)
    scale = (-log_prior(counts) / 2).exp().to(logits)
    values = torch.where(kept, scale[classes] * root(nll(logits, classes), 1 / cross_gamma), 0)
    cross = values.flatten(1).sum(1) / kept.flatten(1).sum(1).clamp(min=1)
    dice = root(-torch.log1p(-lost), 1 / dice_gamma).mean(1)
    return dice_weight * dice, (1 - dice_weight) * cross


def unified_focal(
    input: Tensor,
    target: Tensor,
    *,
    lambda_: Number = 0.5,
    delta: Number = 0.6,
    gamma: Number = 0.5,
    asymmetric: bool = True,
    smooth: Number = 1e-7,
    ignore_index: int = -100,
) -> Tensor:
    """Return lambda·(focal cross-entropy) + (1 − lambda)·(focal Tversky) (Yeung et al., 2022).

    Of an image's pixels (1 − delta)·(1 − p)^gamma·(−log p) where it is class 0, delta·(−log p)
    elsewhere; of classes the mean of 1 − T of class 0 and (1 − T)^(1 − gamma) of the others, T the
    Tversky index whose false negatives weigh delta. Unless asymmetric, gamma is of all.
    """
    input = promote(input)  # once: gradients of half precision would each be rounded
    logits, classes, kept = class_pixels(input, target, ignore_index=ignore_index)
    lambda_, delta, gamma = (as_scalar_or_tensor(one, logits) for one in (lambda_, delta, gamma))
    faded = focal(logits, classes, gamma=gamma)
    seen = delta * (nll(logits, classes) if asymmetric else faded)
    pixels = torch.where(classes == 0, (1 - delta) * faded, seen) * kept
    count = kept.flatten(1).sum(1).clamp(min=1)
    masks = class_masks(input, target, ignore_index=ignore_index)
    wrong = missed(*masks, 1 - delta, delta, smooth)
    raised = root(wrong, 1 / (1 - gamma))
    if asymmetric:
        raised = torch.cat([wrong[:, :1], raised[:, 1:]], 1)
    return lambda_ * pixels.flatten(1).sum(1) / count + (1 - lambda_) * raised.mean(1)


def generalized_wasserstein_dice(
    input: Tensor,
    target: Tensor,
    *,
    distances: Tensor,
    smooth: Number = 1e-5,
    ignore_index: int = -100,
) -> Tensor:
    """Return 1 − (2T + smooth)/(2T + ΣW + smooth) (Fidon et al., 2017).

    W is Σ_c distances[target, c]·p_c of each pixel, distances over their largest; T is Σ(1 − W) of
    the pixels that are not of class 0, the background.
    """
    logits, classes, kept = class_pixels(input, target, ignore_index=ignore_index)
    width = logits.shape[1]
    if distances.shape != (width, width):
        raise ValueError(
            f"distances has shape {tuple(distances.shape)} but input has {width} classes; give "
            "one row and one column a class"
        )
    costs = (distances / distances.max()).to(logits)
    each = costs[classes].movedim(-1, 1)  # (N, C, …)
    apart = ((each * logits.softmax(1)).sum(1) * kept).flatten(1)
    true = ((classes != 0) & kept).flatten(1)
    wrong = apart.sum(1)
    right = 2 * ((1 - apart) * true).sum(1)
    return wrong / (right + wrong + as_scalar_or_tensor(smooth, logits))


def blob_dice(
    input: Tensor,
    target: Tensor,
    *,
    smooth: Number = 1e-5,
    squared: bool = False,
    ignore_index: int = -100,
) -> Tensor:
    """Return the mean over an image's blobs of 1 − Dice of each alone (Kofler et al., 2022).

    Of each the pixels of other blobs are left out. target numbers blobs from 1, 0 is background.
    """
    kept = kept_pixels(target, ignore_index)
    logits, numbers = (torch.where(kept, one, 0).flatten(1) for one in same_shape(input, target))
    pixels = logits.shape[1]
    message = f"target holds a blob outside 0 … {pixels}, the pixels of an image; number from 1 on"
    check_range(numbers, 0, pixels, message)
    check((numbers == numbers.trunc()).all(), "target holds fractions; blobs are whole numbers")
    seen = logits.sigmoid() * kept.flatten(1)
    parts = (seen, seen.square() if squared else seen, kept.flatten(1).to(seen.dtype))
    empty, place = seen.new_zeros(seen.shape[0], pixels + 1), numbers.long()
    found, whole, size = (empty.scatter_add(1, place, part) for part in parts)
    both = whole[:, :1] + whole[:, 1:] + size[:, 1:]  # the background's and its own
    smooth = as_scalar_or_tensor(smooth, seen)
    values = 1 - (2 * found[:, 1:] + smooth) / (both + smooth)
    there = size[:, 1:] > 0
    return torch.where(there, values, 0).sum(1) / there.sum(1).clamp(min=1)


def blob_weights(target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return weight 1 for each image that has a blob, 0 for the others."""
    return (kept_pixels(target, ignore_index) & (target != 0)).flatten(1).any(1)
