"""Losses that keep embeddings from collapsing by statistics of the batch."""

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import State
from lossmith.core.bases import ALL, Coupled, SetLoss, Statistic
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Whole
from lossmith.core.progress import Progress
from lossmith.core.reduce import broadcast_weight


class BarlowTwins(Statistic):
    r"""Each feature of two views correlates with itself, and no feature with another.

    .. math:: \sum_d (1 - C_{dd})^2 + \lambda \sum_d \sum_{e \ne d} C_{de}^2

    C is the correlation over the batch of input's feature d and target's feature e, variances
    taken over N as in batch normalisation, with 1e-5 added.

    Shapes: input and target (N, D), two views of N samples. No unit; at least near 0, D where one
    view is constant. Over several processes the batch is that of all ranks: every rank calls it.

    Use when: Two views, batches too small for contrast, and a wide projector of thousands.
    Avoid when: Batches of a few rows: correlations of two rows are all 1 or -1.
    Source: Zbontar et al., Barlow Twins: Self-Supervised Learning via Redundancy Reduction (2021).

    >>> view = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    >>> BarlowTwins(off_diagonal=0.5)(view, view).item()  # doctest: +ELLIPSIS
    0.9999...
    """

    off_diagonal: Real = Real(
        default=0.005,
        low=0.0,
        doc="λ, what correlations of different features weigh. The paper's is 0.005, its code's "
        "0.0051",
    )
    card = Card(
        key="barlow_twins",
        tasks=("self_supervised",),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        # every correlation is 1/(1 + 1e-5): 2 (1e-5)^2 + 0.5 * 2 * (1/(1 + 1e-5))^2
        example=Example(
            input=[[1.0, 1.0], [-1.0, -1.0]],
            target=[[1.0, 1.0], [-1.0, -1.0]],
            value=0.9999800005,
            arguments={"off_diagonal": 0.5},
        ),
    )

    def value(self, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """Return the distance of the cross-correlation from the identity."""
        if weight is not None:
            weight = broadcast_weight(weight, F.rows_of(input).sum(1))
        return F.barlow_twins(input, target, weight, off_diagonal=self.off_diagonal)


class VICReg(SetLoss):
    r"""Three terms by name: views alike, each feature varied, no two features alike.

    .. math:: \lambda \frac{\lVert x - y \rVert^2}{N D} + \mu \frac{v(x) + v(y)}{2}
        + \nu \big(c(x) + c(y)\big) \qquad
        v(x) = \frac{1}{D} \sum_d \max\Big(0, 1 - \sqrt{\operatorname{var}(x_d) + 10^{-4}}\Big)
        \qquad c(x) = \frac{1}{D} \sum_{d \ne e} \operatorname{cov}(x_d, x_e)^2

    Variances and covariances are over N − 1, so it takes no weights. The paper adds v(x) and v(y);
    its code, from which its results are, halves their sum, as here.

    Shapes: input and target (N, D), two views of N samples. Over several processes the batch is
    that of all ranks: every rank calls the loss.

    Use when: Two views, even of different kind or from different networks, without negatives.
    Avoid when: Embeddings are normalised to unit length: their variance cannot reach 1.
    Source: Bardes, Ponce, LeCun, VICReg: Variance-Invariance-Covariance Regularization for
    Self-Supervised Learning (2022).

    >>> view = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    >>> {name: term.item() for name, term in VICReg().terms(view, view).items()}
    {'invariance': 0.0, 'variance': 0.0, 'covariance': 8.0}
    """

    invariance: Real = Real(default=25.0, low=0.0, doc="λ, what the distance of the views weighs")
    variance: Real = Real(default=25.0, low=0.0, doc="μ, what lacking variance weighs")
    covariance: Real = Real(default=1.0, low=0.0, doc="ν, what covariances weigh")
    card = Card(
        key="vicreg",
        tasks=("self_supervised",),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        # variance 2 is enough; both covariances are 2: 2^2 * 2/2 for each view
        example=Example(
            input=[[1.0, 1.0], [-1.0, -1.0]], target=[[1.0, 1.0], [-1.0, -1.0]], value=8.0
        ),
    )

    def value(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the three terms, weighted."""
        terms = zip(("invariance", "variance", "covariance"), F.vicreg(input, target), strict=True)
        return {name: getattr(self, name).to(term.dtype) * term for name, term in terms}


class KoLeo(Coupled):
    r"""Kozachenko-Leonenko entropy: each embedding keeps away from its nearest neighbour.

    .. math:: \ell_i = -\log\Big(\min_{j \ne i}
        \Big\lVert \frac{x_i}{\lVert x_i \rVert} - \frac{x_j}{\lVert x_j \rVert} \Big\rVert
        + 10^{-8}\Big)

    Shapes: input (N, D); there is no target. Values in nats, between −log 2 and 18.4; a row alone
    has no neighbour and the value 0. Over several processes neighbours are sought among all ranks:
    every rank calls the loss. DINOv2 seeks them on each rank alone: gather=False.

    Use when: A small term beside another loss, that spreads embeddings on the sphere.
    Avoid when: The batch holds copies of a sample: they are driven apart.
    Source: Sablayrolles et al., Spreading Vectors for Similarity Search (2019).

    >>> KoLeo()(torch.eye(2))
    tensor(-0.3466)
    """

    card = Card(
        key="koleo",
        tasks=("self_supervised",),
        input="embeddings",
        target=None,
        # the distance is sqrt 2
        example=Example(input=[[1.0, 0.0], [0.0, 1.0]], target=None, value=-0.34657359735),
    )

    def values(self, input: Tensor, target: None, own: slice = ALL) -> Tensor:
        """Return −log of each row's distance to its nearest neighbour."""
        return F.koleo(input, own=own)


class SIGReg(SetLoss):
    r"""Embeddings are to be a standard Gaussian, tested along random directions.

    .. math:: \frac{N}{S} \sum_s \int_{-b}^{b} \Big| \frac{1}{N} \sum_i e^{i t\, a_s^\top x_i}
        - e^{-t^2 / 2} \Big|^2 e^{-t^2 / 2} \, dt

    The Epps-Pulley statistic of each of S directions a, by the trapezoid rule. Directions are
    drawn anew at each step that `observe` tells of, the same for a step on every rank and in
    every run; without a `LossScheduler` those of step 0 stay, which see little of many features.

    Shapes: input (N, D); there is no target. No unit; it takes no weights, for it grows with N as
    a test statistic does. Over several processes the batch is that of all ranks.

    Use when: Beside a prediction or invariance term, against collapse, without a teacher.
    Avoid when: Embeddings are bounded or on a sphere: they cannot be Gaussian.
    Source: Balestriero, LeCun, LeJEPA: Provable and Scalable Self-Supervised Learning Without the
    Heuristics (2025).

    >>> drawn = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    >>> loss = SIGReg(features=4, slices=64)
    >>> bool(loss(drawn) < 2 < loss(2 * drawn))
    True
    """

    features: Whole = Whole(low=1, doc="D, the width of embeddings")
    slices: Whole = Whole(default=1024, low=1, doc="S, how many directions")
    knots: Whole = Whole(
        default=17,
        low=2,
        doc="points of the trapezoid rule between 0 and bound; the other half is its mirror image",
    )
    bound: Real = Real(
        default=3.0,
        low=0.0,
        exclusive=True,
        doc="b, how far the characteristic function is compared. Defaults are the authors' code",
    )
    card = Card(
        key="sigreg",
        tasks=("self_supervised",),
        input="embeddings",
        target=None,
        # all at 0: the trapezoid rule over 0, 1/2, 1 of (1 - g)^2 g, g = exp(-t^2/2), doubled, by N
        example=Example(
            input=[[0.0], [0.0]],
            target=None,
            value=0.11827116798369432,
            arguments={"features": 1, "slices": 2, "knots": 3, "bound": 1.0},
        ),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return the directions of the first step."""
        return {"directions": self._drawn(0)}

    def value(self, input: Tensor, target: None) -> Tensor:
        """Return the mean statistic over directions."""
        if input.shape[1:] != (self.features,):
            raise ValueError(f"input must be (N, {self.features}), got {tuple(input.shape)}")
        return F.epps_pulley(input, self.directions, knots=self.knots, bound=self.bound).mean()

    def observe_self(self, progress: Progress) -> None:
        """Draw the directions of a step."""
        super().observe_self(progress)
        self.directions.copy_(self._drawn(progress.step))

    def _drawn(self, step: int) -> Tensor:
        generator = torch.Generator().manual_seed(step)
        drawn = torch.randn(self.features, self.slices, generator=generator, device="cpu")
        return drawn / drawn.norm(dim=0)


class TiCo(Coupled):
    r"""Transformation invariance and covariance contrast: views agree, on directions seldom used.

    .. math:: \ell_i = 1 - x_i \cdot y_i + \rho\, x_i^\top C x_i \qquad
        C = \beta C' + \frac{1 - \beta}{N} \sum_j x_j x_j^\top

    of rows of unit length, and C' the C of the steps before, 0 at first. No gradient flows
    through C. After each step `observe` takes the batch in, by the signal "input":
    `clock.step(input=input)`.

    Shapes: input (N, D), one view's embeddings; target (N, D), the other's, of a slowly moving copy
    of the network. Terms: invariance, from 0 to 2, and covariance, from 0 to ρ. Over several
    processes the batch is that of all ranks: every rank calls the loss.

    Use when: Two views, small batches and a momentum encoder: C remembers, as a queue does.
    Avoid when: D is in the tens of thousands: C is D × D.
    Source: Zhu, Moraes, Karakulak, Sobol, Canziani, LeCun, TiCo: Transformation Invariance and
    Covariance Contrast for Self-Supervised Visual Representation Learning (2022).

    >>> loss = TiCo(features=2)
    >>> loss(torch.eye(2), torch.eye(2))  # 8 (1 - 0.9)/2
    tensor(0.4000)
    """

    features: Whole = Whole(low=1, doc="D, the width of embeddings")
    beta: Real = Real(default=0.9, low=0.0, high=1.0, doc="β, the share of C that a step keeps")
    rho: Real = Real(default=8.0, low=0.0, doc="ρ, what the covariance weighs")
    card = Card(
        key="tico",
        tasks=("self_supervised",),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        detached=True,
        example=Example(
            arguments={"features": 2},
            input=[[1.0, 0.0], [0.0, 1.0]],
            target=[[1.0, 0.0], [0.0, 1.0]],
            value=0.4,
        ),
        required_signals=("input",),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return a covariance of 0."""
        return {"covariance": torch.zeros(self.features, self.features)}

    def values(self, input: Tensor, target: Tensor, own: slice = ALL) -> dict[str, Tensor]:
        """Return both terms of some rows."""
        if input.shape[1:] != (self.features,):
            raise ValueError(f"input must be (N, {self.features}), got {tuple(input.shape)}")
        return F.tico(
            input,
            target,
            covariance=self.covariance,
            beta=self.beta,
            rho=self.rho,
            own=own,
        )

    def update(self, progress: Progress) -> State:
        """Take the step's embeddings into the covariance."""
        rows = progress.signals["input"]
        if not len(rows):
            return {}
        seen = F.second_moment(F.unit_rows(rows)).to(self.covariance)
        return {"covariance": self.covariance.lerp(seen, (1 - self.beta).to(seen.dtype))}


class MMCR(SetLoss):
    r"""Maximum manifold capacity: the centres of each sample's views spread over all directions.

    .. math:: -\lVert C \rVert_* + \frac{\lambda}{N} \sum_i \lVert Z_i \rVert_* \qquad
        C_i = \frac{1}{V} \sum_v z_{iv}

    with the nuclear norm, the sum of singular values, of the centroids C (N, D) and of each
    sample's views Z_i (V, D), all of unit length.

    Shapes: input (N, V, D), V views of N samples; there is no target. One number of the batch, at
    least −√(N·min(N, D)); it takes no weights. A sample's centre is long where its views agree, so
    that the first term alone pulls views together. Over several processes the batch is that of all
    ranks: every rank calls the loss. It waits for the device, as singular values are found by
    iteration.

    Use when: Several views of each sample, without negatives, teacher or queue.
    Avoid when: Batches are smaller than D and D is large: each step decomposes N × D numbers.
    Source: Yerxa, Kuang, Simoncelli, Chung, Learning Efficient Coding of Natural Images with
    Maximum Manifold Capacity Representations (2023).

    >>> MMCR()(torch.eye(2).unsqueeze(1).expand(2, 3, 2))
    tensor(-2.)
    """

    function = staticmethod(F.mmcr)
    lambda_: Real = Real(
        default=0.0,
        low=0.0,
        search=(0.005,),
        doc="λ, what the spread of a sample's own views weighs; 0 in the authors' code, lightly's "
        "default is 0.005",
    )
    card = Card(
        key="mmcr",
        tasks=("self_supervised",),
        input="embeddings",
        target=None,
        # centroids of length 1 and 1/√2, at right angles
        example=Example(
            input=[[[2.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0], [0.0, 0.0, 3.0]]],
            target=None,
            value=-1 - 0.5**0.5,
        ),
    )

    def value(self, input: Tensor, target: None) -> dict[str, Tensor]:
        """Return the term of the views and that of the centroids."""
        local, centres = F.mmcr(input, lambda_=self.lambda_)
        return {"views": local, "centroids": centres}
