r"""A test that may look early: group-sequential levels that keep the error of one final test.

At look k, after a share t_k of the folds, a candidate is proven where its corrected p-value is
below a nominal level. The levels spend the error by Hwang, Shih and DeCani's function (Group
Sequential Designs Using a Family of Type I Error Probability Spending Functions, 1990), γ = −4,

.. math:: f(t) = \alpha \, (1 - e^{4t}) / (1 - e^4),

and follow from Armitage, McPherson and Rowe's recursion (Repeated Significance Tests on
Accumulating Data, 1969) over a Brownian motion. Folds of a second repeat bring fewer new rows than
those of the first, so real looks are more alike than the recursion assumes, and the levels err on
the safe side.
"""

from functools import cache

import numpy as np
from scipy.signal import fftconvolve
from scipy.stats import norm

ALPHA = 0.05
GAMMA = 4.0
LOOKS = (3, 4, 5, 7, 10, 14, 20, 30, 50, 100)  # folds after which the evidence is looked at
# Leaving is not binding for the error: it can only lose a switch, never make one.
LEAST_CHANCE = 0.05  # of being proven in the end, below which a rival leaves
BEHIND = 0.8  # doubt of being better than the best above which a setting leaves


def looks(folds: int, first: int) -> tuple[int, ...]:
    """Return after how many folds the evidence is looked at: more than `first`, and all.

    >>> looks(10, 2)
    (3, 4, 5, 7, 10)
    >>> looks(5, 2), looks(2, 2), looks(1, 1)
    ((3, 4, 5), (2,), (1,))
    """
    return (*(look for look in LOOKS if first < look < folds), folds)


@cache
def levels(shares: tuple[float, ...], alpha: float = ALPHA) -> tuple[float, ...]:
    """Return the one-sided nominal level of each look; shares: of the folds, ending at 1.

    >>> [round(level, 4) for level in levels((0.3, 0.5, 1.0))]
    [0.0022, 0.0047, 0.0478]
    """
    if len(shares) == 1:  # one look spends all
        return (alpha,)
    nodes = np.linspace(-9, 9, 8001)
    step = nodes[1] - nodes[0]
    density, before, spent = np.zeros(0), 0.0, 0.0
    found: list[float] = []
    for share in shares:
        kernel = norm.pdf(nodes, scale=(share - before) ** 0.5)
        density = kernel if not found else fftconvolve(density, kernel, mode="same") * step
        total = alpha * np.expm1(GAMMA * share) / np.expm1(GAMMA)
        beyond = (np.cumsum(density[::-1])[::-1] - density / 2) * step
        bound = float(np.interp(spent - total, -beyond, nodes))  # where what is left to spend lies
        density = np.where(nodes < bound, density, 0.0)
        found.append(float(norm.sf(bound / share**0.5)))
        before, spent = share, total
    return tuple(found)


def chance(p_value: float, share: float, level: float) -> float:
    r"""Return the chance of being proven at the end, after a share of the folds.

    The predictive power of Spiegelhalter, Freedman and Blackburn (Monitoring clinical trials:
    conditional or predictive?, 1986): with z of the p-value so far and z' of the level at the end,
    whatever the advantage is that the folds so far speak for,

    .. math:: \Phi \left( \frac{z - z' \sqrt{t}}{\sqrt{1 - t}} \right)

    >>> round(chance(0.3, 0.3, 0.05), 2), round(chance(0.3, 0.3, 0.002), 3)
    (0.33, 0.104)
    """
    if share >= 1:
        return float(p_value < level)
    so_far, wanted = norm.isf(p_value), norm.isf(level)
    return float(norm.cdf((so_far - wanted * share**0.5) / (1 - share) ** 0.5))
