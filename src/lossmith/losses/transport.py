"""Optimal transport between two samples."""

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.loss import SetLoss


class SinkhornDivergence(SetLoss):
    r"""Debiased entropic optimal transport between two samples.

    .. math:: \ell = \mathrm{OT}(x, y) - \tfrac12 \mathrm{OT}(x, x) - \tfrac12 \mathrm{OT}(y, y)
        \qquad \mathrm{OT}(x, y) = \min_\pi \sum_{ij} \pi_{ij} \tfrac12 \|x_i - y_j\|^2
        + \varepsilon\, \mathrm{KL}(\pi \,\|\, \tfrac1N \otimes \tfrac1N)

    with :math:`\varepsilon` = blur², over plans π whose margins are uniform.

    Shapes: input and target (N, D) of samples; gradients flow into both. One number of the two
    samples as a whole, in squared units of theirs: it takes no weights. As blur goes to 0 it is
    half the squared Wasserstein distance, as it grows half the squared distance of the means.
    Memory grows with N².

    The temperature is annealed to blur², by Newton's method on the dual at each: value and gradient
    are within 1e-4 of the minimum's, where geomloss, which stops as it reaches blur², may have a
    gradient that is half off. The gradient holds the plan constant, which is exact at the minimum.
    Time grows with N³: 5 ms for 20 rows, 40 ms for 100, 0.4 s for 300 on one core. There is no
    second gradient, no vmap and no full graph of `torch.compile`: how many steps are run depends on
    the samples.

    Use when: Two samples must move together even from where they do not overlap.
    Avoid when: Dimensions are many and samples few: distances then say little.
    Source: Feydy, Séjourné, Vialard, Amari, Trouvé, Peyré, Interpolating between Optimal Transport
    and MMD using Sinkhorn Divergences (2019).

    >>> SinkhornDivergence()(torch.tensor([[0.0], [1.0]]), torch.tensor([[4.0], [3.0]]))
    tensor(4.5000)
    """

    function = staticmethod(F.sinkhorn_divergence)
    blur: Real = Real(
        default=0.05,
        low=0.0,
        exclusive=True,
        doc="the scale in units of the samples below which they count as alike. The paper names "
        "no default; this one, geomloss's, supposes samples in the unit cube, so scale it "
        "with yours",
    )
    scaling: Real = Real(
        default=0.5,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="ratio of one scale of the annealing to that before it",
    )
    card = Card(
        key="sinkhorn_divergence",
        tasks=("divergence", "transfer"),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        detached=True,
        # one sample each: the only plan moves it all the way
        example=Example(input=[[1.0, 0.0]], target=[[0.0, 0.0]], value=0.5),
        double_backward=False,
        vmap=False,
        fullgraph=False,
    )
