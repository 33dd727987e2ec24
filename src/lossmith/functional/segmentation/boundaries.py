"""Losses of boundaries and centre lines of masks, one value an image."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, max_pool3d

from lossmith.functional.checks import as_scalar_or_tensor, check, same_shape
from lossmith.functional.segmentation.masks import binary_masks

__all__ = ["boundary", "cl_dice", "signed_distance", "soft_skeleton"]


def boundary(input: Tensor, target: Tensor) -> Tensor:
    """Return the mean over classes and pixels of softmax × signed distance (Kervadec et al., 2019).

    target holds the distances, of input's shape (N, C, …): see `signed_distance`. A mask of 0 and
    1 is a ValueError.
    """
    input, target = same_shape(input, target)
    if input.ndim < 3:
        raise ValueError(f"input must hold images (N, C, …), got shape {tuple(input.shape)}")
    ones = target == 1
    check(
        ones.all() | ~ones.any() | ~(ones | (target == 0)).all(),
        "target holds 0 and 1 alone, as a mask does; it must hold distances, of which "
        "lossmith.functional.signed_distance makes integer classes",
    )
    return (input.softmax(1) * target).flatten(1).mean(1)


def signed_distance(
    target: Tensor, *, classes: int, spacing: Sequence[float] | None = None
) -> Tensor:
    """Return each pixel's distance to the boundary of each class: negative within, (N, C, …).

    Outside it is the distance to the nearest pixel of the class; within, the distance to the
    nearest pixel of another, less one pixel of that way, and 0 for a pixel beside another class:
    so the class's own rim is 0, as in the authors' code, whatever the spacing. A class that no
    pixel has, or every pixel, has no boundary and distances of 0; so has a pixel that is none of
    the classes, as one to be ignored. Needs scipy.

    Args:
        target: integer classes (N, …).
        classes: the number of classes.
        spacing: the size of a pixel along each dimension; 1 unless given.

    >>> signed_distance(torch.tensor([[0, 1, 1, 1]]), classes=2)[0]
    tensor([[ 0.,  1.,  2.,  3.],
            [ 1.,  0., -1., -2.]])
    """
    maps = torch.zeros((len(target), classes, *target.shape[1:]))
    known = (target >= 0) & (target < classes)
    for row, image in enumerate(target):
        for one in range(classes):
            inside = (image == one).cpu().numpy()
            if inside.any() and not inside.all():
                maps[row, one] = torch.from_numpy(_signed(inside, spacing))
    return (maps * known.cpu().unsqueeze(1)).to(target.device)


def _signed(inside: Any, spacing: Sequence[float] | None) -> Any:
    """Return the signed distances of one mask that has a boundary, numpy's both."""
    import numpy as np
    from scipy.ndimage import binary_erosion, distance_transform_edt

    outer = distance_transform_edt(~inside, sampling=spacing)
    inner, nearest = distance_transform_edt(inside, sampling=spacing, return_indices=True)
    pixels = np.sqrt(np.square(nearest - np.indices(inside.shape)).sum(0)).clip(min=1)
    within = binary_erosion(inside, border_value=1)  # without the rim
    return outer - within * inner * (1 - 1 / pixels)


def cl_dice(
    input: Tensor,
    target: Tensor,
    *,
    iterations: int = 10,
    smooth: Tensor | float = 1.0,
    ignore_index: int = -100,
) -> Tensor:
    """Return 1 − the harmonic mean of the centrelines' precision and recall (Shit et al., 2021).

    Each image is (H, W) or (D, H, W). Precision is the share of the predicted centreline that
    lies in the true mask, recall the share of the true one that lies in the predicted mask.
    """
    if target.ndim not in (3, 4):
        raise ValueError(
            f"target must hold images (N, H, W) or (N, D, H, W), got {tuple(target.shape)}"
        )
    predicted, true = binary_masks(input, target, ignore_index=ignore_index)
    predicted, true = (mask.reshape(target.shape).unsqueeze(1) for mask in (predicted, true))
    smooth = as_scalar_or_tensor(smooth, predicted)
    precision = _share(soft_skeleton(predicted, iterations), true, smooth)
    recall = _share(soft_skeleton(true, iterations), predicted, smooth)
    return 1 - 2 * precision * recall / (precision + recall)


def soft_skeleton(mask: Tensor, iterations: int) -> Tensor:
    """Return the centreline of masks (N, 1, H, W) or (N, 1, D, H, W), by soft morphology.

    What opening takes away is centreline, at each of so many erosions: as many as the thickest
    structure has pixels to its centre.
    """
    skeleton = (mask - _dilated(_eroded(mask))).relu()
    for _ in range(iterations):
        mask = _eroded(mask)
        new = (mask - _dilated(_eroded(mask))).relu()
        skeleton = skeleton + (new - skeleton * new).relu()
    return skeleton


def _share(line: Tensor, mask: Tensor, smooth: Tensor | float) -> Tensor:
    return ((line * mask).flatten(1).sum(1) + smooth) / (line.flatten(1).sum(1) + smooth)


def _eroded(mask: Tensor) -> Tensor:
    """The least of each pixel and its neighbours along each axis."""
    axes, pool = mask.ndim - 2, max_pool2d if mask.ndim == 4 else max_pool3d
    least = mask
    for axis in range(axes):
        size = [3 if axis == other else 1 for other in range(axes)]
        padding = [1 if axis == other else 0 for other in range(axes)]
        least = torch.minimum(least, -pool(-mask, size, stride=1, padding=padding))
    return least


def _dilated(mask: Tensor) -> Tensor:
    """The most of each pixel and all its neighbours."""
    pool = max_pool2d if mask.ndim == 4 else max_pool3d
    return pool(mask, 3, stride=1, padding=1)
