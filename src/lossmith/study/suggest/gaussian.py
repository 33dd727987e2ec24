r"""A Gaussian process of gains over tables, each measured with its own known error.

The gain of a loss on table x is, on a scale on which differences of small and of large gains both
count,

.. math:: g(x) = \mu + b + f(x) + e, \quad b \sim N(0, \omega^2), \quad
    \operatorname{cov}(f(x), f(x')) = a^2 k(x, x'), \quad e \sim N(0, \tau^2)

with μ and ω shared by the losses of a metric, from whose mean b is a loss's own; f what the
features tell; e what is the table's own. Measured is g with normal noise of a known standard error.

Source: Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, section 2.2; with
f = 0 it is the random-effects model of DerSimonian & Laird, Meta-Analysis in Clinical Trials, 1986.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

Array = np.ndarray


class Prior(NamedTuple):
    """What is expected of a loss's gains: mean μ, and the standard deviations ω, a and τ."""

    mean: float
    offset: float
    told: float
    own: float


def likeness(points: Array, others: Array, lengths: Array) -> Array:
    """Return how much tables are alike, from 0 to 1: exp(−½ Σ_d (x_d − x'_d)² / ℓ_d²), (n, m)."""
    apart = (points[:, None] - others[None]) / lengths
    return np.exp(-0.5 * (apart**2).sum(axis=2))


def posterior(
    prior: Prior, gains: Array, errors: Array, within: Array, across: Array
) -> tuple[Array, Array]:
    """Return the mean and standard deviation of a loss's gain on m tables, e included.

    Args:
        prior: of the loss.
        gains: measured on n tables.
        errors: their standard errors.
        within: likeness of these tables, (n, n).
        across: of the m tables to them, (m, n).
    """
    offset, told, own = prior.offset**2, prior.told**2, prior.own**2
    if not len(gains):
        return np.full(len(across), prior.mean), np.full(len(across), (offset + told + own) ** 0.5)
    covariance = offset + told * within + np.diag(errors**2 + own)
    factor = cho_factor(covariance, lower=True)
    shared = offset + told * across
    mean = prior.mean + shared @ cho_solve(factor, gains - prior.mean)
    told_away = np.einsum("mn,nm->m", shared, cho_solve(factor, shared.T))
    return mean, np.sqrt(np.maximum(offset + told - told_away, 0.0) + own)
