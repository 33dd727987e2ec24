"""Losses of images: structural similarity, total variation, distance of a network's features."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Paper
from lossmith.core.loss import Pointwise

_RANGE = Hyper(default=1.0, low=0.0, open=True, meaning="largest less smallest possible value")
_WINDOW = Hyper(default=11, low=1, meaning="side of the Gaussian window in pixels, odd")
_SIGMA = Hyper(default=1.5, low=0.0, open=True, meaning="standard deviation of the window")
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


class SSIM(Pointwise):
    r"""One less the structural similarity of two images.

    .. math:: \ell(x, y) = 1 - \mathrm{mean} \frac{(2 \mu_x \mu_y + C_1)(2 \sigma_{xy} + C_2)}
        {(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)}

    with means and covariances under a Gaussian window, C₁ = (0.01 L)², C₂ = (0.03 L)² and the
    range L of the data.

    Shapes: input and target (N, C, H, W), at least a window large. One value an image, from 0
    to 2.

    Windows lie within the image, as in pytorch-msssim and the authors' code; the mean is over
    windows and channels. The range is 1 by default, 255 there.

    Args:
        data_range: L, largest less smallest possible value.
        window: side of the Gaussian window in pixels, odd.
        sigma: standard deviation of the window in pixels.

    Raises:
        ValueError: if shapes differ, are no images or smaller than a window, or the window is
            even.

    Source: Wang, Bovik, Sheikh, Simoncelli, Image Quality Assessment: From Error Visibility to
    Structural Similarity (2004).

    >>> SSIM(window=3)(torch.full((1, 1, 4, 4), 0.5), torch.ones(1, 1, 4, 4))
    tensor(0.2000)
    """

    data_range: Tensor
    window: int
    sigma: Tensor
    card: ClassVar[Card] = Card(
        key="ssim",
        tasks=("image",),
        target="values",
        input="values",
        formula="1 - mean SSIM, Gaussian windows",
        use_when="Images are judged by structure; mostly beside an absolute error.",
        avoid_when="Colours or brightness must be exact: it forgives both.",
        paper=Paper(
            authors="Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli",
            title="Image Quality Assessment: From Error Visibility to Structural Similarity",
            year=2004,
        ),
        # Flat images differ in brightness alone: 1 − (1 + C₁)/(1.25 + C₁).
        example=Example(
            arguments={"window": 3},
            input=[[[[0.5] * 4] * 4]],
            target=[[[[1.0] * 4] * 4]],
            value=0.25 / 1.2501,
        ),
        hypers={"data_range": _RANGE, "window": _WINDOW, "sigma": _SIGMA},
    )

    def __init__(self, *, data_range: Number = 1.0, window: int = 11, sigma: Number = 1.5) -> None:
        super().__init__(data_range=data_range, window=window, sigma=sigma)
        _check_odd("SSIM", self.window)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return 1 − SSIM of each image."""
        return F.ssim(
            input, target, data_range=self.data_range, window=self.window, sigma=self.sigma
        )


class MSSSIM(Pointwise):
    r"""One less the structural similarity of two images over several scales.

    .. math:: \ell(x, y) = 1 - l_M^{w_M} \prod_{j=1}^{M} (c_j s_j)^{w_j}

    with contrast and structure at each scale, the image halved from one to the next, and
    brightness at the last.

    Shapes: input and target (N, C, H, W), at least 2^(M − 1) windows large: 176 pixels by
    default. One value an image, from 0 to 1.

    As in pytorch-msssim, brightness is multiplied in before the mean over the last scale's
    windows, a mean that is negative counts as 0, and the value is the mean over channels. Sides
    that are odd lose their last pixel when halved; there they are padded with zeros.

    Args:
        scale_weights: w, one exponent a scale, the finest first.
        data_range: L, largest less smallest possible value; 1 here, 255 in pytorch-msssim.
        window: side of the Gaussian window in pixels, odd.
        sigma: standard deviation of the window in pixels.

    Raises:
        ValueError: if shapes differ, are no images or too small, or the window is even.

    Source: Wang, Simoncelli, Bovik, Multiscale Structural Similarity for Image Quality Assessment
    (2003).

    >>> loss = MSSSIM(scale_weights=[0.5, 0.5], window=3)
    >>> loss(torch.full((1, 1, 6, 6), 0.5), torch.ones(1, 1, 6, 6))
    tensor(0.1056)
    """

    scale_weights: Tensor
    data_range: Tensor
    window: int
    sigma: Tensor
    card: ClassVar[Card] = Card(
        key="ms_ssim",
        tasks=("image",),
        target="values",
        input="values",
        formula="1 - l_M^w_M prod_j (c_j s_j)^w_j over scales",
        use_when="Images are judged by structure and seen at no fixed distance.",
        avoid_when="Images are small, or colours must be exact; beside an absolute error then.",
        paper=Paper(
            authors="Z. Wang, E. P. Simoncelli, A. C. Bovik",
            title="Multiscale Structural Similarity for Image Quality Assessment",
            year=2003,
        ),
        example=Example(
            arguments={"scale_weights": [0.5, 0.5], "window": 3},
            input=[[[[0.5] * 6] * 6]],
            target=[[[[1.0] * 6] * 6]],
            value=1 - (1.0001 / 1.2501) ** 0.5,
        ),
        hypers={
            "scale_weights": Hyper(
                default=_WEIGHTS, low=0.0, several=True, meaning="one exponent a scale"
            ),
            "data_range": _RANGE,
            "window": _WINDOW,
            "sigma": _SIGMA,
        },
    )

    def __init__(
        self,
        *,
        scale_weights: Sequence[float] = _WEIGHTS,
        data_range: Number = 1.0,
        window: int = 11,
        sigma: Number = 1.5,
    ) -> None:
        super().__init__(
            scale_weights=scale_weights, data_range=data_range, window=window, sigma=sigma
        )
        _check_odd("MSSSIM", self.window)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return 1 − MS-SSIM of each image."""
        return F.ms_ssim(
            input,
            target,
            scale_weights=self.scale_weights,
            data_range=self.data_range,
            window=self.window,
            sigma=self.sigma,
        )


class ImageTotalVariation(Pointwise):
    r"""The mean length of an image's gradient: how much neighbouring pixels differ.

    .. math:: \ell(x) = \frac{1}{P} \sum_i \sqrt{(\partial_h x)_i^2 + (\partial_w x)_i^2}

    Shapes: input (N, C, H, W), no target. One value an image, in the unit of the pixels.

    Differences go to the next pixel and are 0 at the last; P is the number of pixels times
    channels, so that the value does not depend on the size. kornia and TensorFlow sum
    |∂h x| + |∂w x| instead, `isotropic=False` times P. The gradient where an image is flat is 0.

    Args:
        isotropic: whether the length is the Euclidean one, as in the paper, or |∂h| + |∂w|.

    Raises:
        ValueError: if the input holds no images.

    Source: Rudin, Osher, Fatemi, Nonlinear Total Variation Based Noise Removal Algorithms (1992).

    >>> ImageTotalVariation()(torch.tensor([[[[0.0, 4.0], [3.0, 0.0]]]]))
    tensor(3.)
    """

    isotropic: bool
    card: ClassVar[Card] = Card(
        key="image_total_variation",
        tasks=("image",),
        target=None,
        input="values",
        formula="mean_i sqrt(dh² + dw²)",
        use_when="Generated or restored images are to be piecewise smooth; with a small weight.",
        avoid_when="Fine texture matters: it is what is smoothed away.",
        paper=Paper(
            authors="L. I. Rudin, S. Osher, E. Fatemi",
            title="Nonlinear Total Variation Based Noise Removal Algorithms",
            year=1992,
        ),
        # Lengths 5, 4, 3 and 0.
        example=Example(input=[[[[0.0, 4.0], [3.0, 0.0]]]], target=None, value=3.0),
        hypers={
            "isotropic": Hyper(
                default=True, search=(True, False), meaning="whether lengths are Euclidean"
            )
        },
    )

    def __init__(self, *, isotropic: bool = True) -> None:
        super().__init__(isotropic=isotropic)

    def values(self, input: Tensor, target: None) -> Tensor:
        """Return the mean length of each image's gradient."""
        return F.image_total_variation(input, isotropic=self.isotropic)


class Perceptual(Pointwise):
    r"""Mean squared distance of the features that a network of the user's sees in two images.

    .. math:: \ell(x, y) = \frac{1}{C H W} \lVert \phi(x) - \phi(y) \rVert^2

    Shapes: input and target (N, …), features φ of one layer. One value an image.

    The network is the user's own: `lossmith.functional.features` collects what its named modules
    give, and a sum of losses compares several layers: `Perceptual().on("conv1") +
    Perceptual().on("conv2")` takes the two dicts. The paper's network was trained on ImageNet;
    its style loss, of Gram matrices, is not part of this.

    Raises:
        ValueError: if the shapes of input and target differ or have no rows.

    Source: Johnson, Alahi, Fei-Fei, Perceptual Losses for Real-Time Style Transfer and
    Super-Resolution (2016).

    >>> Perceptual()(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2))
    tensor(2.5000)
    """

    card: ClassVar[Card] = Card(
        key="perceptual",
        tasks=("image",),
        target="values",
        input="values",
        formula="mean (phi(x) - phi(y))^2",
        use_when="Images should look alike to a network that knows what matters in them.",
        avoid_when="No network suits the images, or pixels themselves must be exact.",
        paper=Paper(
            authors="J. Johnson, A. Alahi, L. Fei-Fei",
            title="Perceptual Losses for Real-Time Style Transfer and Super-Resolution",
            year=2016,
        ),
        example=Example(input=[[[[1.0]], [[2.0]]]], target=[[[[0.0]], [[0.0]]]], value=2.5),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared distance of each image's features."""
        return F.perceptual(input, target)


def _check_odd(owner: str, window: int) -> None:
    if window % 2 == 0:
        raise ValueError(f"{owner}: window must be odd, got {window}")
