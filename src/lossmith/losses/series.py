"""Losses of time series as wholes: their shape, when it comes, frequencies, what they move by."""

import math
from collections.abc import Mapping

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real, Switch

GAMMA = Real(
    default=1.0,
    low=0.0,
    exclusive=True,
    doc="how far ways besides the best one count, in squared units of the series",
)
SHARE = Real(default=0.5, low=0.0, high=1.0, doc="weight of the shape; the delay has the rest")


class SoftDTW(Pointwise):
    r"""Soft dynamic time warping: series alike but for when things happen.

    .. math:: \ell(x, y) = -\gamma \log \sum_{A} \exp\Bigl(-\frac1\gamma \sum_{(i, j) \in A}
        \lVert x_i - y_j \rVert^2\Bigr)

    over all alignments A, that is ways from the first pair of times to the last.

    Shapes: input (N, T) or (N, T, D), target (N, S) or (N, S, D): lengths may differ. One value a
    series, in squared units of theirs; gradients flow into both. As gamma goes to 0 it is dynamic
    time warping; for any gamma it may lie below 0, and equal series are not its minimum.
    `divergence` takes away half of what each series has with itself, and is 0 where they are equal,
    never below. Time is T + S steps, memory T·S·D numbers a series.

    Use when: The shape of a series counts, and not exactly when it comes: clusters, means, motions.
    Avoid when: Time must be right: squared errors, or DILATE, which weighs both.
    Source: Cuturi, Blondel, Soft-DTW: A Differentiable Loss Function for Time-Series (2017);
    divergence: Blondel, Mensch, Vert, Differentiable Divergences between Time Series (2021).

    >>> step = torch.tensor([[0.0, 1.0]])
    >>> SoftDTW()(step, step)  # three ways, of costs 0, 1 and 1
    tensor(-0.5514)
    >>> SoftDTW(divergence=True)(step, step)
    tensor(0.)
    """

    function = staticmethod(F.soft_dtw)
    gamma: Real = GAMMA
    divergence: Switch = Switch(default=False, doc="whether equal series have the value 0")
    card = Card(
        key="soft_dtw",
        tasks=("series",),
        input="values",
        target="values",
        symmetric=True,
        # 3 ways to the last pair, each past one or two pairs with costs 1 or 0
        example=Example(input=[[0.0, 1.0]], target=[[0.0, 1.0]], value=-math.log(1 + 2 / math.e)),
    )


class DILATE(Pointwise):
    r"""Soft-DTW of the shape, and how late each part of it comes.

    .. math:: \ell(x, y) = \alpha \, \mathrm{dtw}_\gamma(C) + \frac{1 - \alpha}{T^2} \sum_{i, j}
        \frac{\partial \, \mathrm{dtw}_\gamma(C)}{\partial C_{ij}} (i - j)^2 \qquad
        C_{ij} = \lVert x_i - y_j \rVert^2

    Shapes: input and target (N, T) or (N, T, D). One value a series. Terms: shape, in squared units
    of the series, and time, a mean squared delay in units of T². The defaults are those of the
    authors' code, for series scaled to about 0 … 1.

    Use when: Sudden changes are forecast, and squared errors give what is smooth and late.
    Avoid when: Series are long: memory is T² numbers each, and steps 2·T.
    Source: Le Guen, Thome, Shape and Time Distortion Loss for Training Deep Time Series Forecasting
    Models (2019).

    >>> step = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    >>> terms = DILATE().terms(torch.tensor([[0.0, 1.0, 1.0, 1.0]]), step)  # one time step early
    >>> terms["time"] > 0.01
    tensor(True)
    """

    function = staticmethod(F.dilate)
    alpha: Real = SHARE
    gamma: Real = Real(default=0.01, low=0.0, exclusive=True, doc=GAMMA.doc)
    card = Card(
        key="dilate",
        tasks=("series",),
        input="values",
        target="values",
        # as for soft-DTW; the soft path visits both pairs off the diagonal 1/(2 + e) of the time
        example=Example(
            arguments={"gamma": 1.0},
            input=[[0.0, 1.0]],
            target=[[0.0, 1.0]],
            value=-0.5 * math.log(1 + 2 / math.e) + 0.5 * 2 / (2 + math.e) / 4,
        ),
    )


class FreDF(Pointwise):
    r"""Frequency-enhanced forecasting: errors of the spectrum, in which steps don't correlate.

    .. math:: \ell(x, y) = \frac{\alpha}{K} \sum_{k=1}^{K} \bigl| \mathcal{F}(x - y)_k \bigr| +
        \frac{1 - \alpha}{T} \sum_{t=1}^{T} (x_t - y_t)^2

    Shapes: input and target (N, T) or (N, T, D); K = ⌊T/2⌋ + 1 frequencies of the real transform
    without scale, along T. One value a series. Terms: frequency, in units of the series, and time,
    in squared ones. The transform is linear, so that it can be taken of the difference.

    Use when: Many steps are forecast at once, and errors of neighbouring steps go together.
    Avoid when: Steps differ in what they cost, or some are missing.
    Source: Wang, Pan, Shen, Chen, Yang, Yang, Liu, Li, Tao, FreDF: Learning to Forecast in the
    Frequency Domain (2025).

    >>> FreDF(alpha=1.0)(torch.ones(1, 4), torch.zeros(1, 4))  # 4 at frequency 0, of three
    tensor(1.3333)
    """

    function = staticmethod(F.fredf)
    alpha: Real = Real(
        default=0.8,
        low=0.0,
        high=1.0,
        doc="weight of the spectrum; tuned by data set in the paper, 0.8 or 1 in most scripts of "
        "the authors",
    )
    card = Card(
        key="fredf",
        tasks=("series",),
        input="values",
        target="values",
        # spectrum (4, 0, 0), squares 1
        example=Example(
            arguments={"alpha": 0.75},
            input=[[1.0, 1.0, 1.0, 1.0]],
            target=[[0.0, 0.0, 0.0, 0.0]],
            value=0.75 * 4 / 3 + 0.25,
        ),
        claims=Claims(convex=True),
    )


class MASE(Pointwise):
    r"""Mean absolute scaled error: of each series in units of how much it moves by itself.

    .. math:: \ell(x, y) = \frac{1}{T} \sum_{t=1}^{T} \frac{|x_t - y_t|}{q} \qquad q = \frac{1}{S -
        m} \sum_{t = m + 1}^{S} |h_t - h_{t - m}|

    with the history h of the series before the forecast, and m the length of its season.

    Shapes: input (N, T), or (N, T, D); target a dict of "value", alike, and "scale", q as
    `functional.naive_error(history, season=m)` gives it, (N,), or (N, D). One value a series,
    without unit: 1 is the error of a forecast that repeats the last season, where that goes on as
    before. A scale of 0 is an error; neuralforecast gives such series the value 0.

    Use when: Series of unlike size are forecast by one model, and MASE is the metric.
    Avoid when: All are of one size: MAE. The scale is no number that a model may choose.
    Source: Hyndman, Koehler, Another Look at Measures of Forecast Accuracy (2006).

    >>> from lossmith.functional import naive_error
    >>> scale = naive_error(torch.tensor([[1.0, 3.0, 2.0]]))  # (2 + 1) / 2
    >>> MASE()(torch.tensor([[5.0, 5.0]]), {"value": torch.tensor([[2.0, 2.0]]), "scale": scale})
    tensor(2.)
    """

    card = Card(
        key="mase",
        tasks=("series",),
        input="values",
        target={"value": "values", "scale": "positive"},
        example=Example(
            input=[[1.0, 2.0], [1.0, 1.0]],
            target={"value": [[2.0, 4.0], [1.0, 4.0]], "scale": [0.5, 3.0]},
            value=(1.5 / 0.5 + 1.5 / 3.0) / 2,
        ),
        claims=Claims(convex=True),
    )

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the scaled error of each series."""
        return F.mase(input, target["value"], target["scale"])
