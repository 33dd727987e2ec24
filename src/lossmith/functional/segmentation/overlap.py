"""Losses of the overlap of masks, one value an image."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor
from lossmith.functional.segmentation.masks import binary_masks, binary_pixels, class_masks

__all__ = [
    "binary_dice",
    "binary_focal_tversky",
    "binary_jaccard",
    "binary_tversky",
    "dice",
    "focal_tversky",
    "generalized_dice",
    "jaccard",
    "lovasz_hinge",
    "lovasz_softmax",
    "tversky",
]

Number = Tensor | float


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


def dice(
    input: Tensor,
    target: Tensor,
    *,
    smooth: Number = 1e-5,
    squared: bool = True,
    ignore_index: int = -100,
) -> Tensor:
    """Return 1 − (2Σpt + smooth)/(Σp² + Σt² + smooth), or of Σp + Σt (Milletari et al., 2016)."""
    return _dice(*class_masks(input, target, ignore_index=ignore_index), smooth, squared)


def binary_dice(
    input: Tensor,
    target: Tensor,
    *,
    smooth: Number = 1e-5,
    squared: bool = True,
    ignore_index: int = -100,
) -> Tensor:
    """Return the Dice loss of one mask, the sigmoid's."""
    return _dice(*binary_masks(input, target, ignore_index=ignore_index), smooth, squared)


def jaccard(
    input: Tensor, target: Tensor, *, smooth: Number = 1e-5, ignore_index: int = -100
) -> Tensor:
    """Return 1 − (Σpt + smooth)/(Σp + Σt − Σpt + smooth) (Rahman & Wang, 2016)."""
    masks = class_masks(input, target, ignore_index=ignore_index)
    return missed(*masks, 1.0, 1.0, smooth).mean(1)


def binary_jaccard(
    input: Tensor, target: Tensor, *, smooth: Number = 1e-5, ignore_index: int = -100
) -> Tensor:
    """Return the Jaccard loss of one mask, the sigmoid's."""
    masks = binary_masks(input, target, ignore_index=ignore_index)
    return missed(*masks, 1.0, 1.0, smooth).mean(1)


def tversky(
    input: Tensor,
    target: Tensor,
    *,
    alpha: Number = 0.3,
    beta: Number = 0.7,
    smooth: Number = 1e-5,
    ignore_index: int = -100,
) -> Tensor:
    """Return 1 − TP/(TP + alpha·FP + beta·FN) of soft counts (Salehi et al., 2017)."""
    masks = class_masks(input, target, ignore_index=ignore_index)
    return missed(*masks, alpha, beta, smooth).mean(1)


def binary_tversky(
    input: Tensor,
    target: Tensor,
    *,
    alpha: Number = 0.3,
    beta: Number = 0.7,
    smooth: Number = 1e-5,
    ignore_index: int = -100,
) -> Tensor:
    """Return the Tversky loss of one mask, the sigmoid's."""
    masks = binary_masks(input, target, ignore_index=ignore_index)
    return missed(*masks, alpha, beta, smooth).mean(1)


def focal_tversky(
    input: Tensor,
    target: Tensor,
    *,
    alpha: Number = 0.3,
    beta: Number = 0.7,
    gamma: Number = 4 / 3,
    smooth: Number = 1e-5,
    ignore_index: int = -100,
) -> Tensor:
    """Return the mean over classes of (Tversky loss)^(1/gamma) (Abraham & Khan, 2019)."""
    masks = class_masks(input, target, ignore_index=ignore_index)
    return root(missed(*masks, alpha, beta, smooth), gamma).mean(1)


def binary_focal_tversky(
    input: Tensor,
    target: Tensor,
    *,
    alpha: Number = 0.3,
    beta: Number = 0.7,
    gamma: Number = 4 / 3,
    smooth: Number = 1e-5,
    ignore_index: int = -100,
) -> Tensor:
    """Return the focal Tversky loss of one mask, the sigmoid's."""
    masks = binary_masks(input, target, ignore_index=ignore_index)
    return root(missed(*masks, alpha, beta, smooth), gamma).mean(1)


def generalized_dice(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return 1 − 2Σ w_c Σpt / Σ w_c Σ(p + t), w_c = 1/(Σt)² (Sudre et al., 2017)."""
    predicted, true = class_masks(input, target, ignore_index=ignore_index)
    count = true.sum(2)
    rarest = count.masked_fill(count == 0, torch.inf).amin(1, keepdim=True)
    # In units of the rarest class, so that no weight is near the end of its dtype.
    weight = torch.where(count == 0, 1.0, (rarest / count).square())
    shared = (weight * (predicted * true).sum(2)).sum(1)
    both = (weight * (predicted.sum(2) + count)).sum(1)
    return 1 - 2 * shared / torch.where(both == 0, 1.0, both)


def _dice(predicted: Tensor, true: Tensor, smooth: Number, squared: bool) -> Tensor:
    smooth = as_scalar_or_tensor(smooth, predicted)
    shared = (predicted * true).sum(2)
    both = predicted.square() + true.square() if squared else predicted + true
    return (1 - (2 * shared + smooth) / (both.sum(2) + smooth)).mean(1)


def missed(predicted: Tensor, true: Tensor, alpha: Number, beta: Number, smooth: Number) -> Tensor:
    """1 − (TP + smooth)/(TP + alpha·FP + beta·FN + smooth), without the difference."""
    alpha, beta, smooth = (
        as_scalar_or_tensor(number, predicted) for number in (alpha, beta, smooth)
    )
    shared = predicted * true
    wrong = alpha * (predicted - shared).sum(2) + beta * (true - shared).sum(2)
    return wrong / (shared.sum(2) + wrong + smooth)


def root(values: Tensor, gamma: Number) -> Tensor:
    """values^(1/gamma), whose gradient at 0 is taken as 0."""
    none = values <= 0  # NaN stays
    power = torch.where(none, 1.0, values).pow(1 / as_scalar_or_tensor(gamma, values))
    return torch.where(none, 0.0, power)
