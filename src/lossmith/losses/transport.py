"""Optimal transport between two samples."""

from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example, Hyper, Paper
from lossmith.core.loss import Batchwise
from lossmith.core.schedule import Schedule
from lossmith.losses.coupled import GATHER


class SinkhornDivergence(Batchwise):
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

    Args:
        blur: the scale in units of the samples below which they count as alike. The paper names
            no default; this one, geomloss's, supposes samples in the unit cube, so scale it with
            yours.
        scaling: ratio of one scale of the annealing to that before it.
        gather: over several processes, whether the samples are those of all ranks.

    Raises:
        ValueError: if shapes differ, a hyperparameter is out of range, or weights are given.

    Source: Feydy, Séjourné, Vialard, Amari, Trouvé, Peyré, Interpolating between Optimal Transport
    and MMD using Sinkhorn Divergences (2019).

    >>> SinkhornDivergence()(torch.tensor([[0.0], [1.0]]), torch.tensor([[4.0], [3.0]]))
    tensor(4.5000)
    """

    blur: Tensor
    scaling: Tensor
    card: ClassVar[Card] = Card(
        key="sinkhorn_divergence",
        tasks=("divergence", "transfer"),
        target="embeddings",
        input="embeddings",
        reduction="set",
        symmetric=True,
        detached=True,
        formula="OT(x, y) - OT(x, x)/2 - OT(y, y)/2, entropic at blur^2, cost |x_i - y_j|^2 / 2",
        use_when="Two samples must move together even from where they do not overlap.",
        avoid_when="Dimensions are many and samples few: distances then say little.",
        paper=Paper(
            authors="J. Feydy, T. Séjourné, F.-X. Vialard, S. Amari, A. Trouvé, G. Peyré",
            title="Interpolating between Optimal Transport and MMD using Sinkhorn Divergences",
            year=2019,
        ),
        # one sample each: the only plan moves it all the way
        example=Example(input=[[1.0, 0.0]], target=[[0.0, 0.0]], value=0.5),
        hypers={
            "blur": Hyper(
                default=0.05,
                low=0.0,
                open=True,
                meaning="the scale below which samples count as alike",
            ),
            "scaling": Hyper(
                default=0.5,
                low=0.0,
                high=1.0,
                open=True,
                meaning="ratio of one scale of the annealing to that before it",
            ),
            "gather": GATHER,
        },
        double_backward=False,
        vmap=False,
        fullgraph=False,
    )

    def __init__(
        self, *, blur: float | Schedule = 0.05, scaling: float | Schedule = 0.5, gather: bool = True
    ) -> None:
        super().__init__(blur=blur, scaling=scaling, gather=gather)

    def value(self, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """Return the divergence of the two samples."""
        return F.sinkhorn_divergence(input, target, blur=self.blur, scaling=self.scaling)
