"""Losses of images: structural similarity, total variation, features, depth, registration."""

import math

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real, Reals, Switch, Whole
from lossmith.functional.checks import promote

_RANGE = Real(default=1.0, low=0.0, exclusive=True, doc="largest less smallest possible value")
_WINDOW = Whole(default=11, low=1, doc="side of the Gaussian window in pixels, odd")
_SIGMA = Real(default=1.5, low=0.0, exclusive=True, doc="standard deviation of the window")
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_MIXED = 1 / (2 + 2 * math.cosh(0.5))  # s(1 − s) of s = σ(1/2)


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

    Use when: Images are judged by structure, as in super-resolution, denoising and depth; mostly
    beside an absolute error.
    Avoid when: Colours or brightness must be exact: it forgives both.
    Source: Wang, Bovik, Sheikh, Simoncelli, Image Quality Assessment: From Error Visibility to
    Structural Similarity (2004).

    >>> SSIM(window=3)(torch.full((1, 1, 4, 4), 0.5), torch.ones(1, 1, 4, 4))
    tensor(0.2000)
    """

    function = staticmethod(F.ssim)
    data_range: Real = _RANGE
    window: Whole = _WINDOW
    sigma: Real = _SIGMA
    card = Card(
        key="ssim",
        tasks=("image",),
        input="values",
        target="values",
        # Flat images differ in brightness alone: 1 − (1 + C₁)/(1.25 + C₁).
        example=Example(
            arguments={"window": 3},
            input=[[[[0.5] * 4] * 4]],
            target=[[[[1.0] * 4] * 4]],
            value=0.25 / 1.2501,
        ),
    )

    def __post_init__(self) -> None:
        _check_odd(type(self).__name__, self.window)


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

    Use when: Images are judged by structure and seen at no fixed distance.
    Avoid when: Images are small, or colours must be exact; beside an absolute error then.
    Source: Wang, Simoncelli, Bovik, Multiscale Structural Similarity for Image Quality Assessment
    (2003).

    >>> loss = MSSSIM(scale_weights=[0.5, 0.5], window=3)
    >>> loss(torch.full((1, 1, 6, 6), 0.5), torch.ones(1, 1, 6, 6))
    tensor(0.1056)
    """

    function = staticmethod(F.ms_ssim)
    scale_weights: Reals = Reals(
        default=_WEIGHTS, low=0.0, doc="w, one exponent a scale, the finest first"
    )
    data_range: Real = _RANGE
    window: Whole = _WINDOW
    sigma: Real = _SIGMA
    card = Card(
        key="ms_ssim",
        tasks=("image",),
        input="values",
        target="values",
        example=Example(
            arguments={"scale_weights": [0.5, 0.5], "window": 3},
            input=[[[[0.5] * 6] * 6]],
            target=[[[[1.0] * 6] * 6]],
            value=1 - (1.0001 / 1.2501) ** 0.5,
        ),
    )

    def __post_init__(self) -> None:
        _check_odd(type(self).__name__, self.window)


class ImageTotalVariation(Pointwise):
    r"""The mean length of an image's gradient: how much neighbouring pixels differ.

    .. math:: \ell(x) = \frac{1}{P} \sum_i \sqrt{(\partial_h x)_i^2 + (\partial_w x)_i^2}

    Shapes: input (N, C, H, W), no target. One value an image, in the unit of the pixels.

    Differences go to the next pixel and are 0 at the last; P is the number of pixels times
    channels, so that the value does not depend on the size. kornia and TensorFlow sum
    |∂h x| + |∂w x| instead, `isotropic=False` times P. The gradient where an image is flat is 0.

    Use when: Generated or restored images are to be piecewise smooth; with a small weight.
    Avoid when: Fine texture matters: it is what is smoothed away.
    Source: Rudin, Osher, Fatemi, Nonlinear Total Variation Based Noise Removal Algorithms (1992).

    >>> ImageTotalVariation()(torch.tensor([[[[0.0, 4.0], [3.0, 0.0]]]]))
    tensor(3.)
    """

    function = staticmethod(F.image_total_variation)
    isotropic: Switch = Switch(
        default=True,
        search=(True, False),
        doc="whether the length is the Euclidean one, as in the paper, or |∂h| + |∂w|",
    )
    card = Card(
        key="image_total_variation",
        tasks=("image",),
        input="values",
        target=None,
        # Lengths 5, 4, 3 and 0.
        example=Example(input=[[[[0.0, 4.0], [3.0, 0.0]]]], target=None, value=3.0),
    )


class Perceptual(Pointwise):
    r"""Mean squared distance of the features that a network of the user's sees in two images.

    .. math:: \ell(x, y) = \frac{1}{C H W} \lVert \phi(x) - \phi(y) \rVert^2

    Shapes: input and target (N, …), features φ of one layer. One value an image.

    The network is the user's own: `lossmith.functional.features` collects what its named modules
    give, and a sum of losses compares several layers: `Perceptual().on("conv1") +
    Perceptual().on("conv2")` takes the two dicts. The paper's network was trained on ImageNet;
    its style loss, of Gram matrices, is not part of this.

    Use when: Images should look alike to a network that knows what matters in them.
    Avoid when: No network suits the images, or pixels themselves must be exact.
    Source: Johnson, Alahi, Fei-Fei, Perceptual Losses for Real-Time Style Transfer and
    Super-Resolution (2016).

    >>> Perceptual()(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2))
    tensor(2.5000)
    """

    function = staticmethod(F.perceptual)
    card = Card(
        key="perceptual",
        tasks=("image",),
        input="values",
        target="values",
        example=Example(input=[[[[1.0]], [[2.0]]]], target=[[[[0.0]], [[0.0]]]], value=2.5),
    )


def _check_odd(owner: str, window: int) -> None:
    if window % 2 == 0:
        raise ValueError(f"{owner}: window must be odd, got {window}")


class FocalFrequency(Pointwise):
    r"""The squared error of an image's spectrum, each frequency weighed by its own error.

    .. math:: \ell(x, y) = \frac{1}{C H W} \sum_{c, u, v} w_{cuv} |F_{cuv}|^2 \qquad
        F = \mathcal{F}(x - y) \qquad w_{cuv} = \Bigl(\frac{|F_{cuv}|}{\max_{u, v} |F_{cuv}|}
        \Bigr)^\alpha

    with the two-dimensional Fourier transform, divided by √(HW), of each channel.

    Shapes: input and target (N, C, H, W). One value an image, in the squared unit of the values.

    The weights are constant in the gradient: frequencies that are right already fade. With
    alpha = 0 it is the mean squared error. As the authors' code by default: whole images, no
    logarithm, the largest error of each channel. They multiply it by 1 to 100, beside a loss of
    pixels.

    Use when: Generated images miss fine structure, or show the grid of upsampling.
    Avoid when: Alone: which pixels are wrong is told by few of its weights.
    Source: Jiang, Dai, Wu, Loy, Focal Frequency Loss for Image Reconstruction and Synthesis (2021).

    >>> FocalFrequency()(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
    tensor(1.)
    """

    function = staticmethod(F.focal_frequency)
    alpha: Real = Real(default=1.0, low=0.0, doc="how fast frequencies that are right fade")
    card = Card(
        key="focal_frequency",
        tasks=("image",),
        input="values",
        target="values",
        # errors 3, 1, 1, -1 have the spectrum 2, 2, 2, -2 over a root of 4, all alike
        example=Example(
            input=[[[[3.0, 1.0], [1.0, -1.0]]]], target=[[[[0.0, 0.0], [0.0, 0.0]]]], value=3.0
        ),
        detached=True,
    )


class NCC(Pointwise):
    r"""One less the local normalised cross-correlation: images alike but for local contrast.

    .. math:: \ell(x, y) = 1 - \operatorname*{mean}_w \frac{\operatorname{cov}_w(x, y)^2}
        {\operatorname{var}_w(x) \operatorname{var}_w(y)}

    over the windows w around every pixel.

    Shapes: input and target (N, C, …) with one to three dimensions of space. One value an image,
    from 0 to 1; windows that are flat in either image count 1.

    As in VoxelMorph and MONAI, whose losses are this one less 1: the correlation is squared, so
    that inverted contrast is as good; beyond the border are zeros; the windows are boxes, 9 wide
    in VoxelMorph, 3 by default in MONAI. A sum of squared deviations in a window below 1e-5 counts
    as 1e-5, as in MONAI; images should be scaled to about 0 … 1.

    Use when: Images are registered, and their contrast differs from place to place.
    Avoid when: Images are of different kinds, as MR and CT: their contrasts do not correlate.
    Source: Avants, Epstein, Grossman, Gee, Symmetric Diffeomorphic Image Registration with
    Cross-Correlation (2008); Balakrishnan, Zhao, Sabuncu, Guttag, Dalca, VoxelMorph: A Learning
    Framework for Deformable Medical Image Registration (2019).

    >>> spot = torch.tensor([[[1.0, 0.0, 0.0]]])
    >>> NCC(window=3)(spot, torch.ones(1, 1, 3))  # alike in the third window, zeros around
    tensor(0.9167)
    """

    function = staticmethod(F.ncc)
    window: Whole = Whole(default=9, low=1, doc="side of the window in pixels, odd")
    card = Card(
        key="ncc",
        tasks=("image",),
        input="values",
        target="values",
        # windows 010, 100, 000 against 011, 111, 110: squared correlations 1/4, 0, 0
        example=Example(
            arguments={"window": 3},
            input=[[[1.0, 0.0, 0.0]]],
            target=[[[1.0, 1.0, 1.0]]],
            value=1 - 1 / 4 / 3,
        ),
        claims=Claims(bounded=True),
    )

    def __post_init__(self) -> None:
        _check_odd(type(self).__name__, self.window)


class MutualInformation(Pointwise):
    r"""How little one image tells of the other: minus the mutual information of their grey values.

    .. math:: \ell(x, y) = -\sum_{i, j} p_{ij} \log \frac{p_{ij}}{p_i p_j}

    over bins of both images' values; p are the mean shares of pixels in them.

    Shapes: input and target (N, …), images or volumes of any shape, all channels in one histogram.
    One value an image, in nats: 0 where neither tells of the other, down to −log of the bins.

    A pixel is shared among bins by a Gaussian, so that there is a gradient: MONAI's
    GlobalMutualInformationLoss, whose sigma_ratio is sigma, without the 1e-7 that it adds to both
    sides. Pixels outside 0 … data_range count as its ends, and have no gradient. Memory is that of
    pixels times bins.

    Use when: Registration is of images of different kinds, as MR and CT.
    Avoid when: Both are of one kind: NCC or squared errors are cheaper and say more of each place.
    Source: Viola, Wells, Alignment by Maximization of Mutual Information (1997).

    >>> image = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    >>> MutualInformation(sigma=0.01)(image, 1 - image)  # each tells all of the other
    tensor(-0.6931)
    """

    function = staticmethod(F.mutual_information)
    bins: Whole = Whole(default=23, low=2, doc="number of bins of each image")
    sigma: Real = Real(
        default=0.5, low=0.0, exclusive=True, doc="width of the Gaussian, in bins; MONAI's ratio"
    )
    data_range: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="the largest value of an image; the least is 0"
    )
    card = Card(
        key="mutual_information",
        tasks=("image",),
        input="values",
        target="values",
        # shares s and 1 − s, s = σ(1/2): p = (s² + (1 − s)²)/2 on the diagonal, s(1 − s) off it
        example=Example(
            arguments={"bins": 2, "sigma": 1.0},
            input=[[[[0.0, 1.0]]]],
            target=[[[[0.0, 1.0]]]],
            value=-(1 - 2 * _MIXED) * math.log(2 - 4 * _MIXED) - 2 * _MIXED * math.log(4 * _MIXED),
        ),
        claims=Claims(bounded=True, lipschitz=True),
    )


class SiLog(Pointwise):
    r"""Scale-invariant error of depth in logarithms: a common factor counts less than the rest.

    .. math:: \ell(x, y) = \overline{g^2} - \lambda \, \overline{g}^2 \qquad g = x - \log y

    with means over the pixels of an image.

    Shapes: input (N, …), the logarithm of depth as the paper's network gives it: of a network that
    gives depths pass `depth.log()`. Target alike, depths above 0; 0 or below is a pixel without a
    depth, which does not count. One value an image, a pure number; an image without a depth has
    weight 0. `decode` gives depths.

    Lambda 0 is the squared error of logarithms, 1 its variance, which no common factor changes.
    mmsegmentation, Transformers and Depth Anything take the root, root=True; BTS and AdaBins ten
    times the root, lambda 0.85, over all pixels of a batch.

    Use when: Depth is estimated from one image, so that its scale is a guess.
    Avoid when: The scale is known and counts, as of stereo pairs; MAE of depths or disparities.
    Source: Eigen, Puhrsch, Fergus, Depth Map Prediction from a Single Image using a Multi-Scale
    Deep Network (2014), equation 4.

    >>> SiLog()(torch.tensor([[2.0, 1.0]]).log(), torch.tensor([[1.0, 1.0]]))  # 3/8 log² 2
    tensor(0.1802)
    """

    function = staticmethod(F.silog)
    lambda_: Real = Real(
        default=0.5,
        low=0.0,
        high=1.0,
        search=(0.5, 1.0),
        doc="λ, how much of a common factor is forgiven",
    )
    root: Switch = Switch(
        default=False, search=(False, True), doc="whether the square root is taken, in each image"
    )
    card = Card(
        key="silog",
        tasks=("image",),
        input="values",
        target="positive",
        example=Example(
            input=[[math.log(2), 0.0]], target=[[1.0, 1.0]], value=3 / 8 * math.log(2) ** 2
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return depths, always finite."""
        output = promote(output)
        return output.clamp(max=math.log(torch.finfo(output.dtype).max) - 1).exp()

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for images without a depth, 1 for the others."""
        return F.has_depth(target)
