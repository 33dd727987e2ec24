"""Losses of images against images, unreduced: one value an image."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, avg_pool2d, avg_pool3d, conv2d, pad

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    clamp_if_outside,
    flat_rows,
    matmul_full_precision,
    promote,
    same_shape,
    tensor_like,
)
from lossmith.functional.embeddings import root as root_of

__all__ = [
    "focal_frequency",
    "has_depth",
    "image_total_variation",
    "ms_ssim",
    "mutual_information",
    "ncc",
    "perceptual",
    "silog",
    "ssim",
]

K1, K2 = 0.01, 0.03  # the paper's constants, in units of the data's range
FLAT = 1e-5  # a window's sum of squared deviations that counts as none, as in MONAI
_POOLS: dict[int, Callable[..., Tensor]] = {3: avg_pool1d, 4: avg_pool2d, 5: avg_pool3d}
_LEAST = 1e-30
_MOST = 1e15  # a value whose square float32 still holds


def ssim(
    input: Tensor,
    target: Tensor,
    *,
    data_range: Tensor | float = 1.0,
    window: int = 11,
    sigma: Tensor | float = 1.5,
) -> Tensor:
    """Return 1 − SSIM of each image, mean over channels and windows (Wang et al., 2004)."""
    input, target, unit = _scaled(input, target, data_range, window)
    light, rest = _differences(input, target, unit, window, sigma)
    return (light + rest - light * rest).flatten(1).mean(1)


def ms_ssim(
    input: Tensor,
    target: Tensor,
    *,
    scale_weights: Tensor,
    data_range: Tensor | float = 1.0,
    window: int = 11,
    sigma: Tensor | float = 1.5,
) -> Tensor:
    """Return 1 − MS-SSIM of each image, mean over channels (Wang et al., 2003).

    At each scale but the last, contrast and structure; at the last, brightness too. One that is
    negative counts as 0.
    """
    scales = len(scale_weights)
    input, target, unit = _scaled(input, target, data_range, window * 2 ** (scales - 1))
    product = torch.ones(input.shape[:2], dtype=input.dtype, device=input.device)
    for scale, weight in enumerate(scale_weights.to(input).unbind()):
        light, rest = _differences(input, target, unit, window, sigma)
        if scale == scales - 1:
            rest = light + rest - light * rest
        product = product * _power((1 - rest).flatten(2).mean(2), weight)
        if scale < scales - 1:
            input, target = avg_pool2d(input, 2), avg_pool2d(target, 2)
    return 1 - product.mean(1)


def focal_frequency(input: Tensor, target: Tensor, *, alpha: Tensor | float = 1.0) -> Tensor:
    """Return the mean of w·|F|² over an image's spectrum F of errors (Jiang et al., 2021).

    w = |F|^alpha over its largest in each channel, held constant.
    """
    input, target = same_shape(input, target)
    if input.ndim != 4 or 0 in input.shape[1:]:
        raise ValueError(f"images must have shape (N, C, H, W), got {tuple(input.shape)}")
    if input.shape[0] == 0:
        return input.sum((1, 2, 3))
    size = torch.maximum(input.detach().abs(), target.detach().abs()).amax((1, 2, 3), keepdim=True)
    size = torch.where(size > _MOST, size, 1)  # so that transforms are numbers
    errors = torch.view_as_real(torch.fft.fft2(input / size - target / size, norm="ortho"))
    power = errors.square().sum(-1)
    most = power.detach().amax((2, 3), keepdim=True)
    share = power.detach() / torch.where(most > 0, most, 1)
    weighed = share.pow(as_scalar_or_tensor(alpha, power) / 2) * power
    if size.dtype == torch.float64:  # in which float32 is formed again where its squares overflow
        size = size.clamp(max=1e150)
    return weighed.mean((1, 2, 3)) * size.flatten() * size.flatten()


def ncc(input: Tensor, target: Tensor, *, window: int = 9) -> Tensor:
    """Return 1 − the squared correlation of each window, mean over an image (Avants et al., 2008).

    Windows are centred on every pixel, zeros beyond the border.
    """
    input, target = same_shape(input, target)
    if input.ndim not in _POOLS or 0 in input.shape[1:]:
        raise ValueError(
            "images must have shape (N, C, …) with 1 to 3 dimensions of space, got "
            f"{tuple(input.shape)}"
        )
    (one, least), (other, lowest) = (_centred(image, window) for image in (input, target))
    stack = torch.stack([one, other, one.square(), other.square(), one * other])
    pooled = _POOLS[input.ndim](stack.flatten(0, 1), window, stride=1).unflatten(0, (5, -1))
    mean, middle, square, squared, product = pooled.unbind()
    shared = product - mean * middle
    spreads = (_spread(square, mean, least), _spread(squared, middle, lowest))
    return (1 - shared / spreads[0] * (shared / spreads[1])).flatten(1).mean(1)


def mutual_information(
    input: Tensor,
    target: Tensor,
    *,
    bins: int = 23,
    sigma: Tensor | float = 0.5,
    data_range: Tensor | float = 1.0,
) -> Tensor:
    """Return −Σ p_ij log(p_ij/(p_i·p_j)) of two images' smoothed histograms (Viola & Wells, 1997).

    Bins are centred from 0 to the range; a pixel is shared among them by a Gaussian of so many
    bins' width. Pixels beyond the range count as its ends.
    """
    input, target = (flat_rows(image, dims=2) for image in same_shape(input, target))
    one, other = (_shares(image, bins, sigma, data_range) for image in (input, target))
    joint = matmul_full_precision(one.transpose(1, 2), other) / input.shape[1]
    apart = one.mean(1).unsqueeze(2) * other.mean(1).unsqueeze(1)
    least = torch.finfo(joint.dtype).tiny
    ratio = joint.clamp(min=least).log() - apart.clamp(min=least).log()
    return -(joint * ratio).sum((1, 2))


def silog(
    input: Tensor, target: Tensor, *, lambda_: Tensor | float = 0.5, root: bool = False
) -> Tensor:
    """Return mean g² − lambda·(mean g)² of g = input − log target (Eigen et al., 2014).

    Means are over the pixels of an image whose target is above 0; `root` takes the square root.
    """
    input, target = same_shape(input, target)
    input, target = flat_rows(input, dims=2), flat_rows(target, dims=2)
    known = ~(target <= 0)  # NaN is to stay
    most = torch.finfo(input.dtype).max / 4
    held = clamp_if_outside(torch.where(known, input, 0), -most, most)
    gap = torch.where(known, held - torch.where(known, target, 1).log(), 0)
    share = known.to(gap.dtype) / known.sum(1, keepdim=True).clamp(min=1)
    mean = (share * gap).sum(1)
    spread = (share * (gap - mean.unsqueeze(1)).square()).sum(1)
    value = spread + (1 - as_scalar_or_tensor(lambda_, mean)) * mean * mean
    return root_of(value) if root else value


def has_depth(target: Tensor) -> Tensor:
    """Return for each image whether any of its depths is known."""
    return (~(flat_rows(target, dims=2) <= 0)).any(1)


def image_total_variation(input: Tensor, *, isotropic: bool = True) -> Tensor:
    """Return the mean over pixels of the length of the gradient (Rudin et al., 1992).

    Differences go to the next pixel, and are 0 at the last. The length is √(dx² + dy²), or
    |dx| + |dy| where not isotropic.
    """
    input = promote(input)
    if input.ndim != 4:
        raise ValueError(f"input must hold images (N, C, H, W), got shape {tuple(input.shape)}")
    quarter = input / 4  # differences and lengths of the largest numbers are numbers then
    down = quarter.diff(dim=2, append=quarter[:, :, -1:])
    right = quarter.diff(dim=3, append=quarter[..., -1:])
    if not isotropic:
        return 4 * (down.abs() + right.abs()).flatten(1).mean(1)
    some = (down != 0) | (right != 0)
    length = torch.hypot(torch.where(some, down, 1.0), right)
    return 4 * torch.where(some, length, 0.0).flatten(1).mean(1)


def perceptual(input: Tensor, target: Tensor) -> Tensor:
    """Return the mean square of the difference of features, one value a row (Johnson et al.)."""
    input, target = same_shape(input, target)
    if input.ndim < 2:
        raise ValueError(f"input must hold features (N, …), got shape {tuple(input.shape)}")
    return (input - target).square().flatten(1).mean(1)


def _scaled(
    input: Tensor, target: Tensor, data_range: Tensor | float, least: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Check images; return them over their largest number or the range, and the range over it."""
    input, target = same_shape(input, target)
    if input.ndim != 4 or min(input.shape[2:]) < least:
        raise ValueError(
            f"input must hold images (N, C, H, W) of at least {least} × {least} pixels, got shape "
            f"{tuple(input.shape)}"
        )
    span = tensor_like(data_range, input)
    both = torch.cat([input, target], 1).detach().abs().amax((1, 2, 3), keepdim=True)
    scale = torch.maximum(both, span)
    return input / scale, target / scale, span / scale


def _differences(
    input: Tensor, target: Tensor, unit: Tensor, window: int, sigma: Tensor | float
) -> tuple[Tensor, Tensor]:
    """1 − SSIM's brightness term, and 1 − its product of contrast and structure, a window.

    As squares over sums of squares, which lose nothing where images are nearly equal.
    """
    means = [image.detach().mean((2, 3), keepdim=True) for image in (input, target)]
    one, other = input - means[0], target - means[1]
    stack = [one, other, one.square(), other.square(), (one - other).square()]
    mean, middle, square, squared, apart = _blur(torch.stack(stack), window, sigma).unbind()
    spread = (square - mean.square()).relu() + (squared - middle.square()).relu()
    unlike = torch.minimum((apart - (mean - middle).square()).relu(), 2 * spread)
    mean, middle = mean + means[0], middle + means[1]
    bright = mean.square() + middle.square() + (K1 * unit).square().clamp(min=_LEAST)
    light = (mean - middle).square() / bright
    return light, unlike / (spread + (K2 * unit).square().clamp(min=_LEAST))


def _shares(image: Tensor, bins: int, sigma: Tensor | float, data_range: Tensor | float) -> Tensor:
    """Return how each pixel (N, P) is shared among bins, (N, P, bins)."""
    centres = torch.arange(bins, dtype=image.dtype, device=image.device)
    place = (image / as_scalar_or_tensor(data_range, image)).clamp(0, 1) * (bins - 1)
    away = (place.unsqueeze(2) - centres) / as_scalar_or_tensor(sigma, image)
    return (-away.square() / 2).softmax(2)


def _centred(image: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Return an image of numbers up to 1 around its mean, zeros padded, and the least variance."""
    size = image.detach().abs().flatten(1).amax(1).clamp(min=1.0)
    size = size.reshape(-1, *(1,) * (image.ndim - 1))
    image = image / size
    middle = image.detach().flatten(2).mean(2).reshape(*image.shape[:2], *(1,) * (image.ndim - 2))
    sides = [window // 2] * 2 * (image.ndim - 2)
    least = FLAT / window ** (image.ndim - 2) / size / size
    return pad(image, sides) - middle, least


def _spread(square: Tensor, mean: Tensor, least: Tensor) -> Tensor:
    """Return variances, at least what counts as none and what rounding leaves of none."""
    rounding = 8 * torch.finfo(square.dtype).eps * square.detach()
    return torch.maximum(square - mean.square(), (least + rounding).clamp(min=_LEAST))


def _blur(images: Tensor, window: int, sigma: Tensor | float) -> Tensor:
    """Gaussian means of all windows that lie within the images, over the last two dimensions."""
    places = torch.arange(window, dtype=images.dtype, device=images.device) - window // 2
    kernel = (-(places / as_scalar_or_tensor(sigma, images)).square() / 2).softmax(0)
    flat = images.reshape(-1, 1, *images.shape[-2:])
    with torch.autocast(images.device.type, enabled=False):
        flat = conv2d(flat, kernel.reshape(1, 1, -1, 1))
        flat = conv2d(flat, kernel.reshape(1, 1, 1, -1))
    return flat.reshape(*images.shape[:-2], *flat.shape[-2:])


def _power(base: Tensor, exponent: Tensor) -> Tensor:
    """base^exponent, 0 with no gradient where base is not positive."""
    none = base <= 0  # NaN stays
    return torch.where(none, 0.0, torch.where(none, 1.0, base).pow(exponent))
