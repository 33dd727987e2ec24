"""Losses of what is normal: far from it is an anomaly, of which some examples may be known."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import State
from lossmith.core.bases import Pointwise, Statistic
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Reals
from lossmith.core.progress import Progress
from lossmith.core.reduce import broadcast_weight
from lossmith.functional.checks import promote
from lossmith.losses._classes import LOG3, AnyLogits

CENTER = Reals(
    doc="c, one number a feature, fixed before training: `F.svdd_center(model(x))` of the first "
    "weights and the training rows, as the paper has it",
)


class DeepSVDD(Pointwise):
    r"""One-class Deep SVDD: all that is normal is drawn to one point, what stays far is an anomaly.

    .. math:: \ell(x) = \lVert x - c \rVert^2

    Shapes: input (N, D) of embeddings; there is no target. One value a row, also the score of an
    anomaly.

    The network must not be able to give one point for all: no biases, no bounded activations
    (ReLU, not sigmoid), and a centre without zeros. Weight decay is the optimizer's.

    Use when: Training rows are normal nearly all, and anomalies have no examples.
    Avoid when: Some anomalies are labelled: DeepSAD uses them.
    Source: Ruff et al., Deep One-Class Classification (2018), equation 4.

    >>> DeepSVDD(center=[1.0, 2.0])(torch.tensor([[1.0, 2.0], [4.0, 6.0]]))
    tensor(12.5000)
    """

    function = staticmethod(F.deep_svdd)
    center: Reals = CENTER
    card = Card(
        key="deep_svdd",
        tasks=("anomaly",),
        input="embeddings",
        target=None,
        example=Example(
            arguments={"center": [1.0, 2.0]},
            input=[[1.0, 2.0], [4.0, 6.0]],
            target=None,
            value=12.5,
        ),
    )


class SoftBoundarySVDD(Pointwise):
    r"""Soft-boundary Deep SVDD: a ball around one point holds all rows but a share ν.

    .. math:: \ell(x) = R^2 + \frac{1}{\nu} \max(0, \lVert x - c \rVert^2 - R^2)

    The radius R starts at 0, where it is `DeepSVDD` over ν; after each step `observe` sets it to
    the (1 − ν)-quantile of the step's distances, its minimiser, by the signal "input":
    `clock.step(input=output)`. The paper's code waits ten epochs before it does.

    Shapes: input (N, D) of embeddings; there is no target. One value a row. A distance above
    `loss.radius` is an anomaly.

    Use when: Training rows hold a known share of anomalies.
    Avoid when: All are normal: `DeepSVDD` has no share to choose.
    Source: Ruff et al., Deep One-Class Classification (2018), equation 3.

    >>> loss = SoftBoundarySVDD(center=[0.0], nu=0.5)
    >>> from lossmith import Progress
    >>> rows = torch.tensor([[1.0], [2.0], [4.0]])
    >>> loss.observe(Progress(step=1, signals={"input": rows}))
    >>> loss.radius.item(), loss(rows)  # 4 + 2 (16 - 4)/3
    (2.0, tensor(12.))
    """

    function = staticmethod(F.soft_boundary_svdd)
    center: Reals = CENTER
    nu: Real = Real(
        default=0.1,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="ν, the share of training rows outside the ball; the paper tries 0.01 and 0.1",
    )
    card = Card(
        key="soft_boundary_svdd",
        tasks=("anomaly",),
        input="embeddings",
        target=None,
        # radius 0: 25/0.5 and 0
        example=Example(
            arguments={"center": [1.0, 2.0], "nu": 0.5},
            input=[[1.0, 2.0], [4.0, 6.0]],
            target=None,
            value=25.0,
        ),
        required_signals=("input",),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return a radius of 0."""
        return {"radius": torch.zeros((), dtype=torch.float64, device="cpu")}

    def update(self, progress: Progress) -> State:
        """Set the radius to the quantile of the step's distances."""
        rows = progress.signals["input"]
        if not len(rows):
            return {}
        distance = F.deep_svdd(rows, center=self.center).sqrt()
        return {"radius": torch.quantile(distance, 1 - self.nu.item())}


class DeepSAD(Pointwise):
    r"""Deep SVDD with some rows labelled: normal ones drawn to the centre, anomalies driven off.

    .. math:: \ell(x) = \begin{cases} d^2 & \text{not labelled} \\ \eta \, d^2 & \text{normal} \\
        \eta / (d^2 + 10^{-6}) & \text{anomaly} \end{cases} \qquad d = \lVert x - c \rVert

    Shapes: input (N, D) of embeddings; target a dict of "anomaly" (N,), 1 where a row is one, and
    optionally "labelled" (N,), 1 where that is known, else of the anomalies alone. One value a
    row. Distances d², `functional.deep_svdd`, are the score of an anomaly. The constant is the
    authors' code's, not the paper's, whose labels are +1 for normal and −1 for anomaly. The network
    needs what `DeepSVDD` does.

    Use when: Most rows are unlabelled and normal, and a few anomalies are known.
    Avoid when: Anomalies at hand are all there will be: a classifier tells them from the rest.
    Source: Ruff, Vandermeulen, Görnitz, Binder, Müller, Müller, Kloft, Deep Semi-Supervised
    Anomaly Detection (2020).

    >>> target = {"anomaly": torch.tensor([0, 1])}
    >>> DeepSAD(center=[0.0])(torch.tensor([[3.0], [2.0]]), target)  # 9 and 1/4
    tensor(4.6250)
    """

    center: Reals = CENTER
    eta: Real = Real(default=1.0, low=0.0, doc="η, how much labelled rows count; the paper's 1")
    card = Card(
        key="deep_sad",
        tasks=("anomaly",),
        input="embeddings",
        target={"anomaly": "labels", "labelled": "labels"},
        optional=("labelled",),
        # distances 25 unlabelled, 25 normal, 4 and 0.25 of anomalies
        example=Example(
            arguments={"center": [1.0, 2.0], "eta": 2.0},
            input=[[4.0, 6.0], [4.0, 6.0], [1.0, 4.0], [1.0, 2.5]],
            target={"anomaly": [0.0, 0.0, 1.0, 1.0], "labelled": [0.0, 1.0, 1.0, 1.0]},
            value=(25 + 2 * 25 + 2 / (4 + 1e-6) + 2 / (0.25 + 1e-6)) / 4,
        ),
    )

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the distance of each row, inverted for an anomaly."""
        return F.deep_sad(
            input, target["anomaly"], target.get("labelled"), center=self.center, eta=self.eta
        )


class Deviation(Pointwise):
    r"""Scores of normal rows near the mean of a Gaussian, of anomalies far above it.

    .. math:: \ell(x, y) = (1 - y) |z| + y \max(0, a - z) \qquad z = \frac{x - \mu}{\sigma}

    Shapes: input (N,) of scores, target (N,), 1 for a known anomaly and 0 for all other rows, which
    may hold a few more. One value a row. Large scores are anomalies; z tells how many standard
    deviations off a row is.

    The paper estimates μ and σ of a standard normal prior by 5000 draws a step; here they are 0
    and 1 themselves, what the draws estimate.

    Use when: A few anomalies are labelled, as in fraud detection, and a score with a meaning is
    wanted: DevNet.
    Avoid when: Embeddings are wanted too, or no anomaly is known: DeepSAD, DeepSVDD.
    Source: Pang, Shen, van den Hengel, Deep Anomaly Detection with Deviation Networks (2019).

    >>> Deviation()(torch.tensor([-1.0, 2.0]), torch.tensor([0.0, 1.0]))  # 1 and 5 − 2
    tensor(2.)
    """

    function = staticmethod(F.deviation)
    margin: Real = Real(
        default=5.0, low=0.0, doc="a, from which on an anomaly costs nothing, in deviations"
    )
    mean: Real = Real(default=0.0, doc="μ of the prior")
    spread: Real = Real(default=1.0, low=0.0, exclusive=True, doc="σ of the prior")
    card = Card(
        key="deviation",
        tasks=("anomaly",),
        input="scores",
        target="labels",
        # deviations −1, 2, 1 and 6
        example=Example(
            arguments={"mean": 1.0, "spread": 2.0},
            input=[-1.0, 5.0, 3.0, 13.0],
            target=[0.0, 0.0, 1.0, 1.0],
            value=(1 + 2 + 4 + 0) / 4,
        ),
    )


class HypersphereClassification(Pointwise):
    r"""Whether a row is normal, by how near the origin it lies: HSC, and of maps FCDD.

    .. math:: \ell(x, y) = (1 - y) \, h - y \log \bigl(1 - e^{-h}\bigr) \qquad h =
        \operatorname{mean} \bigl(\sqrt{\lVert x \rVert^2 + 1} - 1\bigr)

    Shapes: input (N, D) of embeddings, or (N, D, …) of maps of them, whose places are averaged;
    target (N,), 1 for an anomaly and 0 for normal. One value a row, in nats: binary cross-entropy
    of the probability e^{−h} to be normal. A map of one channel, (N, 1, H, W), is FCDD, whose map
    of √(x² + 1) − 1 shows where an anomaly is. h is 10⁻³¹ at least for anomalies, as FCDD's code
    has it. `decode` gives the probability of an anomaly.

    Use when: There are examples of anomalies, be they any images that are not normal.
    Avoid when: All rows are normal: then it draws all to one point, as DeepSVDD does.
    Source: Ruff, Vandermeulen, Franks, Müller, Kloft, Rethinking Assumptions in Deep Anomaly
    Detection (2021); Liznerski, Ruff, Vandermeulen, Franks, Kloft, Müller, Explainable Deep
    One-Class Classification (2021).

    >>> rows = torch.tensor([[0.6, 0.45], [0.6, 0.45]])  # h = 1/4
    >>> HypersphereClassification()(rows, torch.tensor([0, 1]))
    tensor(0.8793)
    """

    function = staticmethod(F.hypersphere_classification)
    card = Card(
        key="hypersphere_classification",
        tasks=("anomaly",),
        input="embeddings",
        target="labels",
        # h of 1/4 twice, 4 and 4
        example=Example(
            input=[[0.6, 0.45], [0.45, 0.6], [0.0, 24**0.5], [24**0.5, 0.0]],
            target=[0.0, 1.0, 0.0, 1.0],
            value=(0.25 - math.log(1 - math.exp(-0.25)) + 4 - math.log(1 - math.exp(-4))) / 4,
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the probability of an anomaly, 1 − e^{−h}, one a row."""
        return -torch.expm1(-F.hypersphere_distance(output))


class EnergyMargin(AnyLogits, Statistic):
    r"""Cross-entropy of known classes, beside low energy of inliers and high energy of outliers.

    .. math:: \ell = \overline{-\log p_y}^\text{in} + \lambda \Bigl( \overline{\max(0, E -
        m_\text{in})^2}^\text{in} + \overline{\max(0, m_\text{out} - E)^2}^\text{out} \Bigr) \qquad
        E = -\log \sum_c e^{x_c}

    Shapes: input (N, C) of logits; target a dict of "classes" (N,) of integers, which outliers may
    hold any of, and "outlier" (N,), 1 for a row of other data that is none of the classes. Two
    terms: classes, and energy; means are over inliers and over outliers, each alone. The energy of
    a row, low for inliers, is its score.

    Margins are the defaults of the authors' code, which fine-tunes a trained classifier; they suit
    its energies: set them by what yours are.

    Use when: Rows of unlike data are at hand while training, and such are to be told later.
    Avoid when: No outliers are at hand: LogitNorm needs none.
    Source: Liu, Wang, Owens, Li, Energy-based Out-of-distribution Detection (2020), equation 8.

    >>> target = {"classes": torch.tensor([0, 0]), "outlier": torch.tensor([0, 1])}
    >>> EnergyMargin(inlier_margin=-2.0, outlier_margin=0.0)(torch.zeros(2, 2), target)
    tensor(0.9120)
    """

    inlier_margin: Real = Real(default=-25.0, doc="m_in, the energy that inliers should be below")
    outlier_margin: Real = Real(default=-7.0, doc="m_out, the energy that outliers should exceed")
    strength: Real = Real(default=0.1, low=0.0, doc="λ, the factor of the energies")
    card = Card(
        key="energy_margin",
        tasks=("anomaly",),
        input="logits",
        target={"classes": "classes", "outlier": "labels"},
        # p of 3/4 and 1/4; energies −log 4 of inliers, −log 2 of the outlier
        example=Example(
            arguments={"inlier_margin": -2.0, "outlier_margin": 0.0},
            input=[[LOG3, 0.0], [LOG3, 0.0], [0.0, 0.0]],
            target={"classes": [0, 1, 0], "outlier": [0.0, 0.0, 1.0]},
            value=(math.log(4 / 3) + math.log(4)) / 2
            + 0.1 * ((2 - math.log(4)) ** 2 + math.log(2) ** 2),
        ),
    )

    def value(
        self, input: Tensor, target: Mapping[str, Tensor], weight: Tensor | None
    ) -> dict[str, Tensor]:
        """Return the cross-entropy of inliers and what energies cost."""
        input = promote(input)
        if weight is not None:
            weight = broadcast_weight(weight, input.new_ones(input.shape[:1]))
        classes, energy = F.energy_margin(
            input,
            target["classes"],
            target["outlier"],
            weight=weight,
            inlier_margin=self.inlier_margin,
            outlier_margin=self.outlier_margin,
            strength=self.strength,
        )
        return {"classes": classes, "energy": energy}
