"""Losses of transfer: weights near where they started, domains and samples that look alike."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise, SetLoss, Statistic
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Switch, Whole
from lossmith.core.loss import UnknownHeadError
from lossmith.core.reduce import broadcast_weight
from lossmith.functional.checks import promote
from lossmith.losses._classes import LOG3, AnyLogits


class L2SP(SetLoss):
    r"""Weight decay towards the pretrained start instead of zero.

    .. math:: \ell = \frac{\alpha}{2} \sum_k (w_k - w^0_k)^2

    Shapes: input (P,) of parameters, target (P,) of their start; `functional.flat_parameters`
    gives both. One number, the sum. New layers decay towards zero with a weight of their own, the
    paper's β: the optimizer's weight decay on them, or this with a start of zeros.

    Use when: A pretrained model is tuned on few samples and must not forget.
    Avoid when: The new task lies far from the old one.
    Source: Li, Grandvalet, Davoine, Explicit Inductive Bias for Transfer Learning with
    Convolutional Networks (2018).

    >>> L2SP()(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0]))
    tensor(0.0200)
    """

    gather = False  # parameters are no rows: every rank holds the same
    alpha: Real = Real(
        default=0.01,
        low=0.0,
        doc="the weight. The paper chooses it by cross-validation and names no default",
    )
    card = Card(
        key="l2_sp",
        tasks=("transfer",),
        input="values",
        target="values",
        example=Example(
            arguments={"alpha": 0.5}, input=[1.0, 2.0, 0.0], target=[1.0, 0.0, 1.0], value=1.25
        ),
    )

    @property
    def out_features(self) -> int:
        """UnknownHeadError: it reads parameters, and no head."""
        raise UnknownHeadError("L2SP reads parameters, and no head")

    def value(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the weighted sum over the parameters."""
        total = F.l2_sp(input, target).sum()
        return self.alpha.to(total.dtype) * total


class MMD(SetLoss):
    r"""Squared maximum mean discrepancy of two samples under several Gaussian kernels.

    .. math:: \ell = \overline{k(x, x')} + \overline{k(y, y')} - 2\, \overline{k(x, y)} \qquad
        k(x, y) = \sum_{u} e^{-\|x - y\|^2 / (b\, m^{u})}

    b is the mean squared distance over all pairs of the two samples together, a constant of the
    gradient, u runs around 0, and bars are means.

    Shapes: input and target (N, D) of samples; gradients flow into both. One number of the two
    samples as a whole: it takes no weights. Biased by default, means over all pairs, at least 0;
    unbiased without a sample's pair with itself, and then sometimes below 0. Kernels and bandwidth
    are those of the authors' code of deep adaptation networks.

    Use when: Features of two domains should be alike in distribution, not row by row.
    Avoid when: The domains hold classes in different shares: matching them mixes classes.
    Source: Gretton, Borgwardt, Rasch, Schölkopf, Smola, A Kernel Two-Sample Test (2012); Long, Cao,
    Wang, Jordan, Learning Transferable Features with Deep Adaptation Networks (2015).

    >>> MMD()(torch.eye(3), torch.eye(3).flip(0))
    tensor(0.)
    """

    function = staticmethod(F.mmd)
    kernels: Whole = Whole(default=5, low=1, doc="how many")
    spread: Real = Real(
        default=2.0, low=1.0, exclusive=True, doc="ratio m of one bandwidth to the next"
    )
    unbiased: Switch = Switch(default=False, doc="whether the estimate is unbiased")
    card = Card(
        key="mmd",
        tasks=("transfer", "divergence"),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        detached=True,
        # one sample each: the only distance is the bandwidth
        example=Example(
            arguments={"kernels": 1},
            input=[[1.0, 0.0]],
            target=[[0.0, 0.0]],
            value=2 - 2 * math.exp(-1),
        ),
    )


class DeepCORAL(SetLoss):
    r"""The gap of two samples' covariances.

    .. math:: \ell = \frac{1}{4 D^2} \| \mathrm{cov}(x) - \mathrm{cov}(y) \|_F^2

    Shapes: input and target (N, D) of samples; gradients flow into both. One number of the two
    samples as a whole, in the unit of the features to the fourth: it takes no weights. Covariances
    divide by N − 1; of one sample they are 0.

    Use when: Two domains differ in scale and correlation, and N is well above D.
    Avoid when: They differ in mean: covariances do not see it.
    Source: Sun, Saenko, Deep CORAL: Correlation Alignment for Deep Domain Adaptation (2016).

    >>> DeepCORAL()(torch.tensor([[0.0], [2.0]]), torch.tensor([[5.0], [5.0]]))
    tensor(1.)
    """

    function = staticmethod(F.deep_coral)
    card = Card(
        key="deep_coral",
        tasks=("transfer",),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        # covariances [[2, 0], [0, 0]] and 0
        example=Example(
            input=[[0.0, 0.0], [2.0, 0.0]], target=[[5.0, 1.0], [5.0, 1.0]], value=4 / 16
        ),
    )


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


class EntropyMinimization(AnyLogits, Pointwise):
    r"""The entropy of what is predicted for rows without labels: they should be told clearly.

    .. math:: \ell(x) = -\sum_c p_c \log p_c \qquad p = \mathrm{softmax}(x)

    Shapes: input (N, C, …) of logits; there is no target. Values in nats, from 0 to log C.
    The paper adds it, with a weight to tune, to the cross-entropy of the rows with labels.

    Use when: Rows without labels abound, and classes are apart: beside cross-entropy.
    Avoid when: Alone from a random start, or classes overlap: one class for all rows satisfies it.
    Source: Grandvalet, Bengio, Semi-supervised Learning by Entropy Minimization (2004).

    >>> EntropyMinimization()(torch.tensor([[0.0, 0.0], [99.0, 0.0]]))
    tensor(0.3466)
    """

    function = staticmethod(F.entropy_minimization)
    card = Card(
        key="entropy_minimization",
        tasks=("transfer",),
        input="logits",
        target=None,
        # p of (3/4, 1/4) and (1/2, 1/2)
        example=Example(
            input=[[LOG3, 0.0], [0.0, 0.0]],
            target=None,
            value=(0.75 * math.log(4 / 3) + 0.25 * math.log(4) + math.log(2)) / 2,
        ),
    )


class MinimumClassConfusion(AnyLogits, Statistic):
    r"""How much pairs of classes are predicted for the same rows of the new domain.

    .. math:: \ell = \frac1K \sum_{c \ne d} \frac{C_{cd}}{\sum_e C_{ce}} \qquad C_{cd} = \sum_i w_i
        p_{ic} p_{id}, \quad p_i = \mathrm{softmax}(x_i / T), \quad w_i \propto 1 + e^{-H(p_i)}

    with the entropy H; weights w are constants of the gradient.

    Shapes: input (N, K) of the logits of rows without labels; there is no target. One number of
    the batch, from 0 to 1 − 1/K. The authors' code adds 10⁻⁵ to p within the entropy's logarithm.

    Use when: A classifier meets a new domain without labels: beside cross-entropy of the old one.
    Avoid when: Batches are small beside the number of classes: each pair is then seen too seldom.
    Source: Jin, Wang, Long, Wang, Minimum Class Confusion for Versatile Domain Adaptation (2020).

    >>> MinimumClassConfusion()(torch.tensor([[0.0, 0.0], [0.0, 0.0]]))  # each row is both alike
    tensor(0.5000)
    """

    function = staticmethod(F.minimum_class_confusion)
    temperature: Real = Real(
        default=2.5, low=0.0, exclusive=True, doc="T, which divides the logits; the authors' 2.5"
    )
    card = Card(
        key="minimum_class_confusion",
        tasks=("transfer",),
        input="logits",
        target=None,
        # p of (3/4, 1/4) and (1/4, 3/4): C is 10, 6 and 6, 10 sixteenths
        example=Example(
            arguments={"temperature": 1.0},
            input=[[LOG3, 0.0], [0.0, LOG3]],
            target=None,
            value=6 / 16,
        ),
        detached=True,
    )

    def value(self, input: Tensor, target: None, weight: Tensor | None) -> Tensor:
        """Return the mean share of a class's rows that are predicted otherwise."""
        input = promote(input)
        if weight is not None:
            weight = broadcast_weight(weight, input.new_ones(input.shape[:1]))
        return F.minimum_class_confusion(input, weight=weight, temperature=self.temperature)
