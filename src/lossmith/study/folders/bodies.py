"""The small bodies that every loss trains: convolutions, a U-Net, and for texts a bag."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from lossmith.study.folders.texts import BUCKETS

STEP = 16  # the side of pictures is a multiple of it
WIDTHS = (32, 64, 128)  # channels of the convolutional network, and of the U-Net's halvings
DEPTHS = (16, 32, 64)
IN_GROUP = 8  # channels that are standardised together
NUMBERS = 16  # of an n-gram's vector

MakeBody = Callable[[int], nn.Module]


class OfPictures(nn.Module):
    """A body of pictures given as bytes: it sees numbers of 0 to 1.

    Shapes: pictures (N, channels, S, S) to (N, width), or for masks (N, width, S, S); one number a
    pixel without its channel, (N, S, S), as losses of one mask read it.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the body's outputs."""
        output = self.body(pictures / 255)
        return output.squeeze(1) if output.ndim == 4 and output.shape[1] == 1 else output


def small_network(channels: int, size: int) -> MakeBody:
    """Return what makes a convolutional network of about 100,000 parameters.

    Its first layer brings pictures of any size to 16 × 16, two more halve that; the mean over what
    is left feeds the head. Groups of channels are standardised rather than batches, so that weights
    may be averaged.
    """
    step = size // STEP

    def make(width: int) -> nn.Module:
        layers = [_layer(channels, WIDTHS[0], kernel=max(3, 2 * step), step=step)]
        layers += [_layer(one, other, kernel=3, step=2) for one, other in pairwise(WIDTHS)]
        head = nn.Linear(WIDTHS[-1], width)
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)

    return make


class UNet(nn.Module):
    """A U-Net of three halvings (Ronneberger et al., 2015), of about 80,000 parameters.

    The first layer halves the picture, and the head gives each of its outputs for the four pixels
    that it covers, which begin alike so that no checkerboard is left (Aitken et al., 2017).
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        into = (channels, *DEPTHS)
        self.down = nn.ModuleList(
            _layer(one, other, kernel=4, step=2) for one, other in pairwise(into)
        )
        self.up = nn.ModuleList(
            _layer(shallow + deep, shallow, kernel=3, step=1)
            for deep, shallow in pairwise(reversed(DEPTHS))
        )
        self.head = nn.Sequential(nn.Conv2d(DEPTHS[0], 4 * width, 1), nn.PixelShuffle(2))
        for part in self.head[0].parameters():
            part.data = part.data[::4].repeat_interleave(4, dim=0)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return (N, width, S, S) of pictures (N, channels, S, S)."""
        seen, kept = pictures, []
        for halve in self.down:
            seen = halve(seen)
            kept.append(seen)
        for join, beside in zip(self.up, reversed(kept[:-1]), strict=True):
            wide = nn.functional.interpolate(seen, scale_factor=2.0)
            seen = join(torch.cat([beside, wide], dim=1))
        return self.head(seen)


def u_net(channels: int) -> MakeBody:
    """Return what makes a U-Net."""
    return lambda width: UNet(channels, width)


def mean_of_n_grams(width: int) -> nn.Module:
    """Return the mean of a vector each n-gram, and a linear head: fastText (Joulin et al., 2017).

    Vectors begin small, as there. Shapes: codes (N, any), 0 for none, to (N, width).
    """
    bag = nn.EmbeddingBag(BUCKETS + 1, NUMBERS, mode="mean", padding_idx=0)
    nn.init.uniform_(bag.weight, -1 / NUMBERS, 1 / NUMBERS)
    return nn.Sequential(bag, nn.Linear(NUMBERS, width))


def _layer(into: int, out: int, *, kernel: int, step: int) -> nn.Sequential:
    convolution = nn.Conv2d(
        into, out, kernel, stride=step, padding=(kernel - step + 1) // 2, bias=False
    )
    return nn.Sequential(convolution, nn.GroupNorm(out // IN_GROUP, out), nn.ReLU())
