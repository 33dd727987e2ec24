"""Divergences between two distributions a row, and distances of samples on a line."""

import math

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Switch
from lossmith.losses._classes import AnyHead

# q = (1/2, 1/2) against p = (3/4, 1/4)
EVEN, UNEVEN = [[0.0, 0.0]], [[math.log(3), 0.0]]


class KL(AnyHead, Pointwise):
    r"""Kullback-Leibler divergence of the target's distribution from the input's.

    .. math:: \ell = \sum_c p_c \log \frac{p_c}{q_c} \qquad p = \mathrm{softmax}(\text{target}), \;
        q = \mathrm{softmax}(\text{input})

    Shapes: input and target (N, C) of logits; give probabilities as their logarithms. One value a
    row, in nats; gradients flow into both. torch's `kl_div` takes log-probabilities and divides
    its "mean" by N·C, which is not the divergence.

    Use when: The input must cover all that the target holds possible.
    Avoid when: One mode of the target would do: the reverse divergence seeks it.
    Source: Kullback, Leibler, On Information and Sufficiency (1951).

    >>> KL()(torch.zeros(1, 2), torch.tensor([[0.75, 0.25]]).log())
    tensor(0.1308)
    """

    function = staticmethod(F.kl)
    mean_function = staticmethod(F.mean_kl)
    card = Card(
        key="kl",
        tasks=("divergence",),
        input="logits",
        target="logits",
        symmetric=True,
        example=Example(
            input=EVEN, target=UNEVEN, value=0.75 * math.log(1.5) + 0.25 * math.log(0.5)
        ),
    )


class ReverseKL(AnyHead, Pointwise):
    r"""Kullback-Leibler divergence of the input's distribution from the target's.

    .. math:: \ell = \sum_c q_c \log \frac{q_c}{p_c} \qquad p = \mathrm{softmax}(\text{target}), \;
        q = \mathrm{softmax}(\text{input})

    Shapes: input and target (N, C) of logits; give probabilities as their logarithms. One value a
    row, in nats; gradients flow into both.

    Use when: A small model should put its mass where the target surely has some.
    Avoid when: Rare outcomes of the target must not be lost.
    Source: Kullback, Leibler, On Information and Sufficiency (1951).

    >>> ReverseKL()(torch.zeros(1, 2), torch.tensor([[0.75, 0.25]]).log())
    tensor(0.1438)
    """

    function = staticmethod(F.reverse_kl)
    card = Card(
        key="reverse_kl",
        tasks=("divergence",),
        input="logits",
        target="logits",
        symmetric=True,
        example=Example(input=EVEN, target=UNEVEN, value=0.5 * math.log(2 / 3) + 0.5 * math.log(2)),
    )


class JensenShannonDivergence(AnyHead, Pointwise):
    r"""The mean divergence of two distributions from their mixture.

    .. math:: \ell = \tfrac12 \mathrm{KL}(p \| m) + \tfrac12 \mathrm{KL}(q \| m) \qquad
        m = \tfrac12 (p + q)

    Shapes: input and target (N, C) of logits, softmaxed; give probabilities as their logarithms.
    One value a row, in nats, from 0 to log 2; gradients flow into both. `JensenShannon` is the
    loss of integer classes that is made from it.

    Use when: Both sides learn and neither may run away: it is symmetric and bounded.
    Avoid when: The two start far apart: where they do not overlap its gradient vanishes.
    Source: Lin, Divergence Measures Based on the Shannon Entropy (1991).

    >>> JensenShannonDivergence()(torch.tensor([[99.0, 0.0]]), torch.tensor([[0.0, 99.0]]))
    tensor(0.6931)
    """

    function = staticmethod(F.jensen_shannon_divergence)
    card = Card(
        key="jensen_shannon_divergence",
        tasks=("divergence",),
        input="logits",
        target="logits",
        symmetric=True,
        example=Example(
            input=EVEN,
            target=UNEVEN,
            value=(
                0.75 * math.log(0.75 / 0.625)
                + 0.25 * math.log(0.25 / 0.375)
                + 0.5 * math.log(0.5 / 0.625)
                + 0.5 * math.log(0.5 / 0.375)
            )
            / 2,
        ),
    )


class TotalVariationDistance(AnyHead, Pointwise):
    r"""Half the summed gap of two distributions: the largest gap of any event's probability.

    .. math:: \ell = \tfrac12 \sum_c |p_c - q_c|

    Shapes: input and target (N, C) of logits, softmaxed; give probabilities as their logarithms.
    One value a row, from 0 to 1; gradients flow into both.

    Use when: The error of any probability counts as it is, and outliers must not dominate.
    Avoid when: Smooth gradients near the target are wanted.
    Source: Levin, Peres, Wilmer, Markov Chains and Mixing Times (2009), chapter 4.

    >>> TotalVariationDistance()(torch.zeros(1, 2), torch.tensor([[0.75, 0.25]]).log())
    tensor(0.2500)
    """

    function = staticmethod(F.total_variation_distance)
    card = Card(
        key="total_variation_distance",
        tasks=("divergence",),
        input="logits",
        target="logits",
        symmetric=True,
        example=Example(input=EVEN, target=UNEVEN, value=0.25),
    )


class OrderedWasserstein(AnyHead, Pointwise):
    r"""Wasserstein-1 between two distributions over ordered classes: how far mass must move.

    .. math:: \ell = \sum_{k < C} \Bigl| \sum_{c \le k} (p_c - q_c) \Bigr|

    Shapes: input and target (N, C) of logits, softmaxed; give probabilities as their logarithms.
    One value a row, in classes: neighbours are one unit apart. Gradients flow into both.

    Use when: Classes are ordered, as bins or grades: nearer mistakes should cost less.
    Avoid when: Classes have no order.
    Source: Vallender, Calculation of the Wasserstein Distance Between Probability Distributions on
    the Line (1974).

    >>> OrderedWasserstein()(torch.tensor([[99.0, 0, 0]]), torch.tensor([[0, 0, 99.0]]))
    tensor(2.)
    """

    function = staticmethod(F.ordered_wasserstein)
    card = Card(
        key="ordered_wasserstein",
        tasks=("divergence",),
        input="logits",
        target="logits",
        symmetric=True,
        # (1/2, 1/4, 1/4) against (1/4, 1/4, 1/2)
        example=Example(
            input=[[math.log(2), 0.0, 0.0]], target=[[0.0, 0.0, math.log(2)]], value=0.5
        ),
    )


class Wasserstein1D(Pointwise):
    r"""Wasserstein-1 between two samples on a line: the mean gap of their sorted values.

    .. math:: \ell = \frac{1}{S} \sum_{k=1}^{S} |x_{(k)} - y_{(k)}|

    Shapes: input and target (N, S): S samples of each a row. One value a row, in the unit of the
    samples; gradients flow into both.

    Use when: Samples of one number should be spread alike, whichever is which.
    Avoid when: Samples have several dimensions, or pairs belong together.
    Source: Vallender, Calculation of the Wasserstein Distance Between Probability Distributions on
    the Line (1974).

    >>> Wasserstein1D()(torch.tensor([[0.0, 3.0]]), torch.tensor([[4.0, 1.0]]))
    tensor(1.)
    """

    function = staticmethod(F.wasserstein_1d)
    card = Card(
        key="wasserstein_1d",
        tasks=("divergence",),
        input="values",
        target="values",
        symmetric=True,
        example=Example(input=[[0.0, 3.0, 5.0]], target=[[4.0, 1.0, 5.0]], value=2 / 3),
    )


class Chamfer(Pointwise):
    r"""How far the points of each of two clouds are from the nearest of the other.

    .. math:: \ell = \frac1P \sum_p \min_q \lVert x_p - y_q \rVert^2 + \frac1Q \sum_q \min_p \lVert
        y_q - x_p \rVert^2

    Shapes: input (N, P, D) and target (N, Q, D): clouds of P and Q points. One value a pair of
    clouds, in the unit of the points squared; gradients flow into both. The convention is
    pytorch3d's: squared distances, means over points, both ways added and not halved; the paper
    sums over points. squared=False has plain distances: completion's CD-ℓ₁ is half of that, CD-ℓ₂
    is this. Clouds of unlike size in one batch: give each pair a call, never a padded point.

    Use when: Point clouds are regressed: completion, reconstruction, lidar.
    Avoid when: How densely points lie must be right: many may share one nearest; an optimal
    transport pairs them.
    Source: Fan, Su, Guibas, A Point Set Generation Network for 3D Object Reconstruction from a
    Single Image (2017).

    >>> Chamfer()(torch.tensor([[[0.0], [3.0]]]), torch.tensor([[[1.0]]]))  # (1 + 4)/2 + 1
    tensor(3.5000)
    """

    function = staticmethod(F.chamfer)
    squared: Switch = Switch(
        default=True, search=(True, False), doc="whether distances are squared"
    )
    card = Card(
        key="chamfer",
        tasks=("divergence",),
        input="values",
        target="values",
        symmetric=True,
        example=Example(
            input=[[[0.0, 0.0], [3.0, 0.0], [0.0, 5.0]]],
            target=[[[1.0, 0.0], [0.0, 4.0]]],
            value=(1 + 4 + 1) / 3 + (1 + 1) / 2,
        ),
    )
