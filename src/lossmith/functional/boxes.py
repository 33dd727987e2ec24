"""Losses of boxes (x1, y1, x2, y2) against boxes, unreduced: one value a box.

A box whose x2 lies below x1, or y2 below y1, has no area. Boxes that have none, together, have an
overlap of 0; nothing is divided by zero, and no constant is added to a denominator.
"""

import math

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, same_shape, tensor_like
from lossmith.functional.embeddings import row_lengths

__all__ = ["alpha_iou", "ciou", "diou", "eiou", "giou", "iou", "mpdiou", "nwd", "prob_iou", "siou"]

_MOST = 1e8  # a coordinate whose fourth power float32 still holds
_LEAST = 1e-18  # an area whose square float32 still holds
_THIN = 1e-6  # the least side of an oriented box, of the extent of both


def iou(input: Tensor, target: Tensor) -> Tensor:
    """Return 1 − IoU of each box (Rezatofighi et al., 2019)."""
    input, target = boxes(input, target)
    shared, union = _areas(input, target)
    return 1 - _ratio(shared, union)


def giou(input: Tensor, target: Tensor) -> Tensor:
    """Return 1 − IoU + (C − U)/C, with C the area of the hull, U of the union (ibid.)."""
    input, target = boxes(input, target)
    shared, union = _areas(input, target)
    width, height = _hull(input, target)
    hull = width * height
    return 1 - _ratio(shared, union) + _ratio(hull - union, hull)


def diou(input: Tensor, target: Tensor) -> Tensor:
    """Return 1 − IoU + ρ²/c²: centres' distance over the hull's diagonal (Zheng et al., 2020)."""
    input, target = boxes(input, target)
    shared, union = _areas(input, target)
    return 1 - _ratio(shared, union) + _offset(input, target)


def ciou(input: Tensor, target: Tensor) -> Tensor:
    """Return the distance-IoU loss + αv, α = v/(1 − IoU + v) held constant (Zheng et al., 2020).

    v = 4/π²·(atan(w_t/h_t) − atan(w/h))² compares the shapes.
    """
    input, target = boxes(input, target)
    shared, union = _areas(input, target)
    apart = 1 - _ratio(shared, union)
    return apart + _offset(input, target) + _aspect(input, target, apart)


def alpha_iou(
    input: Tensor, target: Tensor, *, alpha: Tensor | float = 3.0, penalty: str = "none"
) -> Tensor:
    """Return 1 − IoU^alpha, and GIoU's, DIoU's or CIoU's terms to that power (He et al., 2021)."""
    input, target = boxes(input, target)
    shared, union = _areas(input, target)
    overlap, alpha = _ratio(shared, union), as_scalar_or_tensor(alpha, input)
    value = 1 - _power(overlap, alpha)
    if penalty == "giou":
        width, height = _hull(input, target)
        return value + _power(_ratio(width * height - union, width * height), alpha)
    if penalty in ("diou", "ciou"):
        value = value + _power(_offset(input, target), alpha)
    if penalty == "ciou":
        value = value + _power(_aspect(input, target, 1 - overlap), alpha)
    return value


def mpdiou(
    input: Tensor, target: Tensor, *, width: Tensor | float, height: Tensor | float
) -> Tensor:
    """Return 1 − IoU + (d₁² + d₂²)/(width² + height²), d of two corners each (Ma & Xu, 2023)."""
    first, second = _checked(input, target)
    diagonal = torch.hypot(tensor_like(width, first), tensor_like(height, first))
    return iou(first, second) + ((first - second) / diagonal).square().sum(1)


def nwd(input: Tensor, target: Tensor, *, scale: Tensor | float = 12.8) -> Tensor:
    """Return 1 − exp(−W/scale) (Wang et al., 2021).

    W is the Wasserstein distance of boxes as Gaussians, of their centre and of half their sides:
    the length of the gap of all four coordinates, over √2.
    """
    first, second = _checked(input, target)
    apart = row_lengths(first - second) / math.sqrt(2)
    return -torch.expm1(-apart / as_scalar_or_tensor(scale, first))


def eiou(input: Tensor, target: Tensor) -> Tensor:
    """Return the distance-IoU loss + (w − w_t)²/C_w² + (h − h_t)²/C_h² (Zhang et al., 2021).

    C_w and C_h are the hull's sides.
    """
    input, target = boxes(input, target)
    shared, union = _areas(input, target)
    gaps = [a - b for a, b in zip(_sides(input), _sides(target), strict=True)]
    hull = _hull(input, target)
    unlike = [_ratio(g.square(), side.square()) for g, side in zip(gaps, hull, strict=True)]
    return 1 - _ratio(shared, union) + _offset(input, target) + sum(unlike)


def siou(input: Tensor, target: Tensor) -> Tensor:
    """Return 1 − IoU + (Δ + Ω)/2 (Gevorgyan, 2022).

    Δ = Σ 1 − exp((Λ − 2)·(d/C)²) over both axes, d the centres' gap, C the hull's side, Λ = sin 2α
    of the angle α of that gap; Ω = Σ (1 − exp(−|w − w_t|/max(w, w_t)))⁴.
    """
    input, target = boxes(input, target)
    shared, union = _areas(input, target)
    apart = (input[:, :2] + input[:, 2:] - target[:, :2] - target[:, 2:]).unbind(1)
    square = [(d / 2).square() for d in apart]
    slant = _ratio((apart[0] * apart[1]).abs() / 2, square[0] + square[1])
    offset = [
        -torch.expm1((slant - 2) * _ratio(d, side.square()))
        for d, side in zip(square, _hull(input, target), strict=True)
    ]
    unlike = [
        torch.expm1(-_ratio((a - b).abs(), torch.maximum(a, b))).pow(4)
        for a, b in zip(_sides(input), _sides(target), strict=True)
    ]
    return 1 - _ratio(shared, union) + sum([*offset, *unlike]) / 2


def prob_iou(input: Tensor, target: Tensor, *, distance: str = "hellinger") -> Tensor:
    """Return the distance of oriented boxes as Gaussians (Llerena et al., 2021).

    Boxes are (x, y, width, height, angle), of covariance R·diag(w²/12, h²/12)·Rᵀ. "bhattacharyya"
    is B, "hellinger" √(1 − exp(−B)).
    """
    input, target = same_shape(input, target)
    if input.ndim != 2 or input.shape[1] != 5:
        raise ValueError(
            f"boxes must have shape (N, 5), x y width height angle, got {tuple(input.shape)}"
        )
    apart = _bhattacharyya(input, target)
    if distance == "bhattacharyya":
        return apart
    some = ~(apart <= 0)  # so that NaN stays
    return torch.where(some, -torch.expm1(-torch.where(some, apart, 1)), 0).sqrt()


def _bhattacharyya(input: Tensor, target: Tensor) -> Tensor:
    """The distance of two Gaussians, every sum of terms of one sign."""
    size = torch.maximum(input.detach()[:, :4].abs(), target[:, :4].abs()).amax(1, keepdim=True)
    size = torch.where(size > _MOST, size, 1.0)
    gap = (input[:, :2] / size - target[:, :2] / size).unbind(1)
    sides = [one[:, 2:4].abs() / size for one in (input, target)]
    extent = torch.stack([*(one.abs() for one in gap), *sides[0].unbind(1), *sides[1].unbind(1)])
    extent = extent.detach().amax(0)
    extent = torch.where(extent > 0, extent, 1.0)
    x, y = (one / extent for one in gap)
    (w, h), (v, u) = ((one / extent.unsqueeze(1)).clamp(min=_THIN).unbind(1) for one in sides)
    (cos, sin), (cos_t, sin_t) = ((one[:, 4].cos(), one[:, 4].sin()) for one in (input, target))
    along, across = cos * cos_t + sin * sin_t, sin * cos_t - cos * sin_t
    unlike = (
        (w * h - v * u).square()
        + (along * (w * u - h * v)).square()
        + (across * (w * v - h * u)).square()
    )
    both = 4 * w * h * v * u  # 144 √(det·det); the sum's determinant is (both + unlike)/144
    far = (
        (h * (x * cos + y * sin)).square()
        + (w * (y * cos - x * sin)).square()
        + (u * (x * cos_t + y * sin_t)).square()
        + (v * (y * cos_t - x * sin_t)).square()
    )
    return 3 * far / (both + unlike) + torch.log1p(unlike / both) / 2


def boxes(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check boxes of one shape (N, 4); return both in the dtype of computation, of any scale."""
    input, target = _checked(input, target)
    # Overlaps depend on no scale: coordinates whose squares are no numbers are brought to 1.
    size = torch.maximum(input.detach().abs(), target.abs()).amax(1, keepdim=True)
    size = torch.where(size > _MOST, size, 1.0)
    return input / size, target / size


def _checked(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    input, target = same_shape(input, target)
    if input.ndim != 2 or input.shape[1] != 4:
        raise ValueError(f"boxes must have shape (N, 4), x1 y1 x2 y2, got {tuple(input.shape)}")
    return input, target


def _sides(box: Tensor) -> tuple[Tensor, Tensor]:
    x1, y1, x2, y2 = box.unbind(1)
    return (x2 - x1).clamp(min=0), (y2 - y1).clamp(min=0)  # whose slope at 0 is 1, not relu's 0


def _areas(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The areas that are shared and covered by both."""
    low, high = torch.maximum(input, target), torch.minimum(input, target)
    wide, tall = _sides(torch.cat([low[:, :2], high[:, 2:]], 1))
    shared = wide * tall
    width, height = _sides(input)
    target_width, target_height = _sides(target)
    return shared, width * height + target_width * target_height - shared


def _hull(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The sides of the smallest box around both, all their corners within."""
    both = torch.stack([input[:, :2], input[:, 2:], target[:, :2], target[:, 2:]])
    return (both.amax(0) - both.amin(0)).unbind(1)  # type: ignore[return-value]


def _offset(input: Tensor, target: Tensor) -> Tensor:
    width, height = _hull(input, target)
    apart = (input[:, :2] + input[:, 2:] - target[:, :2] - target[:, 2:]) / 2
    return _ratio(apart.square().sum(1), width.square() + height.square())


def _slant(box: Tensor) -> Tensor:
    """atan(w/h), 0 for a point."""
    width, height = _sides(box)
    some = ~(width.square() + height.square() <= _LEAST)  # so that NaN stays
    return torch.where(some, torch.atan2(width, height.where(some, torch.ones_like(height))), 0.0)


def _aspect(input: Tensor, target: Tensor, apart: Tensor) -> Tensor:
    """CIoU's αv of boxes and their IoU loss, α held constant."""
    unlike = 4 / math.pi**2 * (_slant(target) - _slant(input)).square()
    return _ratio(unlike, apart + unlike).detach() * unlike


def _power(base: Tensor, exponent: Tensor | float) -> Tensor:
    """base^exponent, 0 with no gradient where base is not positive."""
    none = base <= 0  # NaN stays
    return torch.where(none, 0.0, torch.where(none, 1.0, base).pow(exponent))


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    some = ~(whole <= _LEAST)  # so that NaN stays
    return torch.where(some, part / whole.where(some, torch.ones_like(whole)), 0.0)
