"""Losses of maps of depth and disparity."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise, Statistic
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.reduce import broadcast_weight, reduce


class BerHu(Statistic):
    r"""The reverse Huber loss: absolute near zero, squared beyond a share of the largest error.

    .. math:: \ell = \overline{b(r)} \qquad b(r) = \begin{cases} |r| & |r| \le c \\ \dfrac{r^2 +
        c^2}{2 c} & |r| > c \end{cases} \qquad c = \tfrac15 \max |r|, \quad r = x - y

    with the largest residual of the batch; c is a constant of the gradient; in some code
    gradients flow through it.

    Shapes: input and target alike, any shape. One number of the batch, the mean, in the target's
    unit. Pixels without a depth have weight 0: they are neither in the mean nor in c.

    Use when: Dense depth is estimated: large errors are to shrink fast, small ones to the end.
    Avoid when: Some targets are outliers: the worst one sets c, and has the largest pull.
    Source: Laina, Rupprecht, Belagiannis, Tombari, Navab, Deeper Depth Prediction with Fully
    Convolutional Residual Networks (2016).

    >>> BerHu()(torch.tensor([0.5, 5.0]), torch.zeros(2))  # c = 1: (0.5 + 13)/2
    tensor(6.7500)
    """

    share: Real = Real(
        default=0.2,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="of the largest residual, from which errors are squared",
    )
    card = Card(
        key="berhu",
        tasks=("image",),
        input="values",
        target="values",
        # c = 1
        example=Example(
            input=[[0.5, -5.0], [1.0, 2.0]],
            target=[[0.0, 0.0], [0.0, 0.0]],
            value=(0.5 + 13 + 1 + 2.5) / 4,
        ),
        detached=True,
    )

    def value(self, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """Return the weighted mean over all residuals."""
        if weight is not None:
            weight = broadcast_weight(weight, input)
        return reduce(F.berhu(input, target, weight=weight, share=self.share), weight=weight)


class EdgeAwareSmoothness(Pointwise):
    r"""How much a map of depth or disparity varies where its image does not.

    .. math:: \ell(d, I) = \overline{|\partial_x d| \, e^{-|\partial_x I|}} +
        \overline{|\partial_y d| \, e^{-|\partial_y I|}}

    with differences to the next pixel, those of an image averaged over its channels.

    Shapes: input (N, C, H, W), maps of mostly one channel; target (N, C', H, W), their images, from
    0 to 1 in the papers. One value a map, in its unit. Means are over each direction's own pairs,
    as in Monodepth2's code and kornia's; Monodepth2 divides disparity by its mean first, `d /
    d.mean((2, 3), keepdim=True)`.

    Use when: Depth or disparity is learned without labels, beside a photometric loss.
    Avoid when: Alone: a constant satisfies it.
    Source: Godard, Mac Aodha, Brostow, Unsupervised Monocular Depth Estimation with Left-Right
    Consistency (2017), equation 3.

    >>> maps, images = torch.tensor([[[[0.0, 1.0, 3.0]]]]), torch.zeros(1, 3, 1, 3)
    >>> EdgeAwareSmoothness()(maps, images)  # (1 + 2)/2
    tensor(1.5000)
    """

    function = staticmethod(F.edge_aware_smoothness)
    card = Card(
        key="edge_aware_smoothness",
        tasks=("image",),
        input="values",
        target="values",
        # across 1, beside an edge of 1, and 4; down 2 and 5, of which one is beside an edge of 2
        example=Example(
            input=[[[[0.0, 1.0], [2.0, 6.0]]]],
            target=[[[[0.0, 1.0], [0.0, 3.0]]]],
            value=(math.exp(-1) + 4 * math.exp(-3)) / 2 + (2 + 5 * math.exp(-2)) / 2,
        ),
    )
