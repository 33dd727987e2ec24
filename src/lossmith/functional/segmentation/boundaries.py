"""Losses of boundaries and centre lines of masks, one value an image."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, max_pool3d

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    check,
    is_concrete,
    same_shape,
    wrapped,
)
from lossmith.functional.classification.multiclass import is_target
from lossmith.functional.segmentation.masks import (
    binary_masks,
    binary_pixels,
    class_masks,
    class_pixels,
)

__all__ = [
    "binary_hausdorff_dt",
    "boundary",
    "boundary_distance",
    "cl_dice",
    "hausdorff_dt",
    "signed_distance",
    "soft_skeleton",
]

_AT_ONCE = 2**20  # numbers an image and mask at a time, in a distance transform


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


def hausdorff_dt(
    input: Tensor, target: Tensor, *, alpha: Tensor | float = 2.0, ignore_index: int = -100
) -> Tensor:
    """Return the mean of (p − t)²·(d_p^alpha + d_t^alpha) (Karimi & Salcudean, 2019).

    d is each pixel's distance to the boundary of the mask above ½, or of the true mask.
    """
    logits, _, kept = class_pixels(input, target, ignore_index=ignore_index)
    masks = class_masks(input, target, ignore_index=ignore_index)
    logits = logits.detach()
    first = is_target(logits, logits.argmax(1))
    rest = logits.masked_fill(first, -torch.inf).logsumexp(1, keepdim=True)
    return _hausdorff(*masks, first & (logits > rest), kept, alpha)


def binary_hausdorff_dt(
    input: Tensor, target: Tensor, *, alpha: Tensor | float = 2.0, ignore_index: int = -100
) -> Tensor:
    """Return the same of one mask, the sigmoid's."""
    logits, _, kept = binary_pixels(input, target, ignore_index=ignore_index)
    masks = binary_masks(input, target, ignore_index=ignore_index)
    return _hausdorff(*masks, logits.unsqueeze(1) > 0, kept, alpha)


def _hausdorff(
    predicted: Tensor, true: Tensor, inside: Tensor, kept: Tensor, alpha: Tensor | float
) -> Tensor:
    """Mean of what errors cost; inside is where what is predicted lies above ½, exactly."""
    power = as_scalar_or_tensor(alpha, predicted) / 2
    far = torch.zeros((), device=predicted.device, dtype=predicted.dtype)
    for mask in (inside & kept.unsqueeze(1), true.reshape(inside.shape) > 0.5):
        square = _squared_boundary_distance(mask).to(predicted.dtype)
        far = far + torch.where(square > 0, square.clamp(min=1).pow(power), 0)
    errors = (predicted - true).square() * far.flatten(2)
    return errors.sum(2).mean(1) / kept.flatten(1).sum(1).clamp(min=1)


def boundary_distance(mask: Tensor) -> Tensor:
    """Return each pixel's distance to the nearest of the other side, of masks (N, K, …).

    A mask that holds every pixel, or none, has no boundary and distances of 0.

    >>> boundary_distance(torch.tensor([[[False, False, True, True, True]]]))
    tensor([[[2., 1., 1., 2., 3.]]])
    """
    return _squared_boundary_distance(mask).sqrt()


def _squared_boundary_distance(mask: Tensor) -> Tensor:
    space = tuple(range(2, mask.ndim))
    other = [_squared_distance(seeds, space) for seeds in (mask, ~mask)]
    bounded = mask.flatten(2).any(2) & ~mask.flatten(2).all(2)
    bounded = bounded.reshape(*mask.shape[:2], *(1,) * len(space))
    return torch.where(bounded, other[0] + other[1], 0)  # one of both is 0


def _squared_distance(seeds: Tensor, space: tuple[int, ...]) -> Tensor:
    """The squared distance to the nearest seed, an axis after the other; 0 where there is none."""
    far = float(sum(seeds.shape[axis] for axis in space))  # squared, beyond any distance
    first, *others = space
    line = seeds.movedim(first, -1)
    place = torch.arange(line.shape[-1], device=seeds.device, dtype=torch.float32)
    before = torch.where(line, place, -far).cummax(-1).values
    after = torch.where(line, place, 2 * far).flip(-1).cummin(-1).values.flip(-1)
    square = torch.minimum(place - before, after - place).square().movedim(-1, first)
    some = seeds.flatten(2).any(2).reshape(*seeds.shape[:2], *(1,) * len(space))
    square = torch.where(some, square, 0)
    for axis in others:
        square = _nearest(square.movedim(axis, -1).contiguous()).movedim(-1, axis)
    return square


def _nearest(square: Tensor) -> Tensor:
    """The least of square_j + (i − j)² along the last dimension."""
    if torch.compiler.is_compiling() or wrapped(square):  # a graph of few operations
        return _nearest_in_parts(square)
    found = square.clone()
    for step in range(1, square.shape[-1]):
        cost = float(step**2)
        if is_concrete(found) and not (found > cost).any():
            break  # whatever is farther is no nearer
        for here, there in (
            (found[..., step:], square[..., :-step]),
            (found[..., :-step], square[..., step:]),
        ):
            torch.minimum(here, there + cost, out=here)
    return found


def _nearest_in_parts(square: Tensor) -> Tensor:
    """The same of all pairs at once, in parts that fit memory."""
    place = torch.arange(square.shape[-1], device=square.device, dtype=square.dtype)
    part = max(_AT_ONCE // max(square[0, 0].numel(), 1), 1) if square.numel() else 1
    found = [
        (square.unsqueeze(-2) + (some.unsqueeze(-1) - place).square()).amin(-1)
        for some in place.split(part)
    ]
    return torch.cat(found, -1)


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
    eroded = _eroded(mask)
    skeleton = (mask - _dilated(eroded)).relu()
    for _ in range(iterations):
        mask, eroded = eroded, _eroded(eroded)
        new = (mask - _dilated(eroded)).relu()
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
