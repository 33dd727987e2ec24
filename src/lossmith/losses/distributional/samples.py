"""Scores of a distribution over vectors that is given as a sample."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Switch


class EnergyScore(Pointwise):
    r"""The energy score: how near samples are to what came, and how far from each other.

    .. math:: \ell(x, y) = \frac1M \sum_i \lVert x_i - y \rVert - \frac{1}{2 M (M - f)} \sum_{i, j}
        \lVert x_i - x_j \rVert

    with f = 0, the score of the samples as they are, or f = 1, the fair score, unbiased for the
    distribution that they are drawn from.

    Shapes: input (N, M, D), M samples of a vector of D numbers; target (N, D). One value a row, in
    the unit of the numbers, which should share one. With D = 1 it is `EnsembleCRPS`. It is strictly
    proper for the whole joint distribution, though it tells wrong means better than wrong
    correlations. Memory is N·M²·D/2 numbers. `decode` gives the samples' mean.

    Use when: A model draws whole paths or vectors, and their parts hang together.
    Avoid when: Only each number's own distribution counts: EnsembleCRPS, at less cost.
    Source: Gneiting & Raftery, Strictly Proper Scoring Rules, Prediction, and Estimation (2007).

    >>> samples = torch.tensor([[[3.0, 4.0], [0.0, 0.0]]])
    >>> EnergyScore()(samples, torch.zeros(1, 2))  # (5 + 0)/2 − 2·5/8
    tensor(1.2500)
    """

    function = staticmethod(F.energy_score)
    fair: Switch = Switch(default=False, doc="whether to take f = 1")
    card = Card(
        key="energy_score",
        tasks=("series",),
        input="values",
        target="values",
        # distances 1, √2 and 1 to the target; 1, 1 and √2 between
        example=Example(
            input=[[[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]],
            target=[[0.0, 0.0]],
            value=(2 + math.sqrt(2)) / 3 - (2 + math.sqrt(2)) / 9,
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean of the samples."""
        return F.ensemble_mean(output)
