"""Metric learning by pairs: embeddings of one class near each other, others apart."""

import math

from torch import Tensor, nn

from lossmith import functional as F
from lossmith.core.bases import Coupled, SetLoss
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Choice, Real, Switch, Whole

# cosines 0 between the classes, 1 within the first
AXES = [[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]
AXES_CLASSES = [0, 0, 1]


class Contrastive(Coupled):
    r"""Pairs of one class drawn together, pairs of two pushed apart up to a margin.

    .. math:: \ell_i = \frac{1}{N - 1} \sum_{j \ne i} \begin{cases} d_{ij}^2 / 2 & y_i = y_j \\
        \max(0, m - d_{ij})^2 / 2 & y_i \ne y_j \end{cases} \qquad d_{ij} = \|x_i - x_j\|

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value an anchor, in the
    unit of the embeddings squared; a weight weighs an anchor, which stays in the others' pairs.
    The embeddings are taken as they are, not normalised. pytorch-metric-learning's has distances
    that are not squared, of normalised embeddings, each side averaged over its nonzero pairs.

    Use when: Distances themselves are wanted, as to tell whether two samples are alike.
    Avoid when: Classes vary in spread: one margin for all; triplets compare only ranks.
    Source: Hadsell, Chopra, LeCun, Dimensionality Reduction by Learning an Invariant Mapping
    (2006).

    >>> Contrastive()(torch.tensor([[0.0], [0.5]]), torch.tensor([0, 1]))
    tensor(0.1250)
    """

    function = staticmethod(F.contrastive)
    margin: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        doc="distance from which on a pair of two classes costs nothing",
    )
    card = Card(
        key="contrastive",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        # one pair of a class at distance 1, two pairs of two classes at 2 and 1
        example=Example(
            arguments={"margin": 3.0},
            input=[[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]],
            target=[0, 0, 1],
            value=(1 / 2 + 1 / 2 + 4 / 2) / 3,
        ),
    )


class Triplet(Coupled):
    r"""An anchor nearer to its class than to any other by a margin, on the unit sphere.

    .. math:: \ell = \frac{1}{|T|} \sum_{(a, p, n) \in T} \max(0, d_{ap} - d_{an} + m)

    T are triplets of an anchor, another row of its class and one of another class:

    - "semi_hard": for each anchor and positive the nearest negative that is farther than the
      positive, or the farthest of all where none is (FaceNet);
    - "hardest": for each anchor the farthest positive and the nearest negative;
    - "all": all of them, N³ in memory.

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. The mean is over triplets,
    those that cost nothing too: an anchor has as its own weight the number of its triplets.
    pytorch-metric-learning averages by default over triplets above 0 alone. Hermans et al. use
    "hardest" or "all" with plain distances of embeddings that are not normalised.

    Use when: Ranks among neighbours count: retrieval, verification, many small classes.
    Avoid when: Batches hold few rows of each class: hardly any triplets form.
    Source: Schroff, Kalenichenko, Philbin, FaceNet: A Unified Embedding for Face Recognition and
    Clustering (2015); Hermans, Beyer, Leibe, In Defense of the Triplet Loss for Person
    Re-Identification (2017).

    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    >>> Triplet()(embeddings, torch.tensor([0, 0, 1]))
    tensor(1.2000)
    """

    function = staticmethod(F.triplet)
    margin: Real = Real(default=0.2, low=0.0, exclusive=True, doc="by how much nearer")
    mining: Choice = Choice(
        default="semi_hard", choices=("semi_hard", "hardest", "all"), doc="which triplets"
    )
    squared: Switch = Switch(default=True, doc="squared distances, FaceNet's; plain ones otherwise")
    card = Card(
        key="triplet",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        # anchor 0: positive at 2, negative at 2; anchor 1: positive at 2, negative at 0
        example=Example(
            input=[[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]], target=[0, 0, 1], value=(0.2 + 2.2) / 2
        ),
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return how many triplets each anchor forms."""
        return F.triplets_of(target, self.mining)


class NPair(Coupled):
    r"""Each anchor nearer to its own positive than to those of all other classes: a softmax.

    .. math:: \ell_i = \log \Bigl( 1 + \sum_{j \ne i} e^{a_i \cdot p_j - a_i \cdot p_i} \Bigr)

    Shapes: input (N, D) of anchors, target (N, D) of their positives, N pairs of N different
    classes; gradients flow into both. One value an anchor, in nats. Inner products, not cosines.
    The paper adds a penalty on the embeddings' squared length, which is not part of this.

    Use when: Batches hold two rows of each of many classes.
    Avoid when: Rows of one class come more than twice: SupCon uses them all.
    Source: Sohn, Improved Deep Metric Learning with Multi-class N-pair Loss Objective (2016).

    >>> NPair()(torch.eye(2), torch.eye(2))
    tensor(0.3133)
    """

    function = staticmethod(F.n_pair)
    card = Card(
        key="n_pair",
        tasks=("metric_learning",),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        example=Example(
            input=[[1.0, 0.0], [0.0, 1.0]],
            target=[[1.0, 0.0], [0.0, 1.0]],
            value=math.log1p(math.exp(-1)),
        ),
    )


class SupCon(Coupled):
    r"""Supervised contrastive loss: a softmax over all others, averaged over those of the class.

    .. math:: \ell_i = \frac{-1}{|P(i)|} \sum_{p \in P(i)} \log
        \frac{e^{s_{ip} / \tau}}{\sum_{a \ne i} e^{s_{ia} / \tau}}

    Shapes: input (N, D) of embeddings, target (N,) of integer classes; two views of a sample are
    two rows of one class. One value an anchor, in nats; s are cosines. It is the paper's L_out.
    An anchor without a positive has weight 0; the authors' code counts it as a value of 0, and
    multiplies all by its temperature over 0.07.

    Use when: Embeddings that transfer are wanted, and batches are large.
    Avoid when: Batches are small against the number of classes: few anchors have a positive.
    Source: Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan, Supervised
    Contrastive Learning (2020).

    >>> SupCon(temperature=1.0)(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1]))
    tensor(0.3133)
    """

    function = staticmethod(F.sup_con)
    temperature: Real = Real(
        default=0.1,
        low=0.0,
        exclusive=True,
        doc="the paper's 0.1; the authors' code has 0.07 by default",
    )
    card = Card(
        key="sup_con",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        example=Example(
            arguments={"temperature": 1.0},
            input=AXES,
            target=AXES_CLASSES,
            value=math.log1p(math.exp(-1)),
        ),
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for anchors without another of their class, 1 for the others."""
        return F.with_positive(target)


class MultiSimilarity(Coupled):
    r"""Pairs mined against each other, then weighed by a soft maximum of their cosines.

    .. math:: \ell_i = \frac{1}{\alpha} \log \Bigl( 1 + \sum_{p} e^{-\alpha (s_{ip} - \lambda)}
        \Bigr) + \frac{1}{\beta} \log \Bigl( 1 + \sum_{n} e^{\beta (s_{in} - \lambda)} \Bigr)

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value an anchor; all
    anchors count. With mining a positive is kept if its cosine is below that of the nearest
    negative + epsilon, a negative if above that of the farthest positive − epsilon.

    Use when: Retrieval among many classes, with several rows of each in a batch.
    Avoid when: Labels are noisy: the hardest pairs, wrong ones among them, weigh most.
    Source: Wang, Han, Huang, Dong, Scott, Multi-Similarity Loss with General Pair Weighting for
    Deep Metric Learning (2019).

    >>> MultiSimilarity(mining=False)(torch.eye(2)[[0, 0]], torch.tensor([0, 0]))
    tensor(0.3466)
    """

    function = staticmethod(F.multi_similarity)
    alpha: Real = Real(default=2.0, low=0.0, exclusive=True, doc="sharpness among positives")
    beta: Real = Real(default=50.0, low=0.0, exclusive=True, doc="sharpness among negatives")
    base: Real = Real(
        default=1.0,
        low=-1.0,
        high=1.0,
        doc="the cosine λ that divides them; the paper's 1. The authors' code and pytorch-metric-"
        "learning have 0.5",
    )
    epsilon: Real = Real(default=0.1, low=0.0, doc="slack of the mining")
    mining: Switch = Switch(
        default=True,
        doc="whether pairs are mined, which pytorch-metric-learning leaves to its miner",
    )
    card = Card(
        key="multi_similarity",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        # two anchors with a positive at 1 = base and a negative at 0, one with two negatives at 0
        example=Example(
            arguments={"alpha": 2.0, "beta": 4.0, "mining": False},
            input=AXES,
            target=AXES_CLASSES,
            value=(
                2 * (math.log(2) / 2 + math.log1p(math.exp(-4)) / 4)
                + math.log1p(2 * math.exp(-4)) / 4
            )
            / 3,
        ),
    )


class Circle(Coupled):
    r"""Cosines within and between classes, each moved at a pace set by how far it is from its aim.

    .. math:: \ell_i = \log \Bigl( 1 + \sum_n e^{\gamma a_n (s_n - m)} \sum_p
        e^{-\gamma a_p (s_p - 1 + m)} \Bigr) \qquad a_n = (s_n + m)_+, \; a_p = (1 + m - s_p)_+

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value an anchor, in
    nats; anchors without a positive or without a negative have weight 0. The paces a are constants
    of the gradient, as in the authors' and other code.

    Use when: Some pairs are near their aim and others far: each gets its own pace.
    Avoid when: A loss whose gradient is that of its value is wanted.
    Source: Sun, Cheng, Zhang, Zhang, Zheng, Wang, Wei, Circle Loss: A Unified Perspective of Pair
    Similarity Optimization (2020).

    >>> Circle(gamma=1.0)(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1]))
    tensor(0.5459)
    """

    function = staticmethod(F.circle)
    gamma: Real = Real(default=80.0, low=0.0, exclusive=True, doc="scale of the cosines")
    margin: Real = Real(
        default=0.4,
        low=0.0,
        high=1.0,
        doc="the margin m. The paper has 80 and 0.4 for fine-grained retrieval, 256 and 0.25 for "
        "faces",
    )
    card = Card(
        key="circle",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        detached=True,
        # s_p = 1: a_p = 0.4, s_n = 0: a_n = 0.4, both exponents -0.16
        example=Example(
            arguments={"gamma": 1.0},
            input=AXES,
            target=AXES_CLASSES,
            value=math.log1p(math.exp(-0.32)),
        ),
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for anchors without a positive or a negative, 1 for the others."""
        return F.has_positive_and_negative(target)


class FastAP(Coupled):
    r"""One minus the average precision of each anchor's neighbours, counted in soft histograms.

    .. math:: \ell_i = 1 - \frac{1}{|P(i)|} \sum_b \frac{h_{ib}^+ H_{ib}^+}{H_{ib}} \qquad
        h_{ib} = \sum_{j \ne i} \max\Bigl(0, 1 - \frac{|d_{ij} - 4b / B|}{4 / B}\Bigr), \;
        H_{ib} = \sum_{c \le b} h_{ic}

    with squared distances d from 0 to 4 on the unit sphere, and h⁺, H⁺ over those of i's class P.

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One value an anchor, between
    0 and 1. Anchors without another of their class have weight 0. Memory is N²·B numbers.

    Use when: Average precision of retrieval is the metric, and batches are large.
    Avoid when: Batches hold few of a class: a list has little to order then.
    Source: Cakir, He, Xia, Kulis, Sclaroff, Deep Metric Learning to Rank (2019).

    >>> FastAP()(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1]))  # the own class is nearest
    tensor(0.)
    """

    function = staticmethod(F.fast_ap)
    bins: Whole = Whole(default=10, low=1, doc="B, bins of the histogram")
    card = Card(
        key="fast_ap",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        # of two bins: the anchors' other of their class is at 2, as is the one of another class
        example=Example(
            arguments={"bins": 2},
            input=[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]],
            target=[0, 0, 1],
            value=(0.0 + 0.5) / 2,
        ),
    )

    def weights(self, target: Tensor) -> Tensor:
        """Return weight 0 for anchors without another of their class, 1 for the others."""
        return F.with_positive(target)


class MarginBased(SetLoss):
    r"""Distances within a class below a learned boundary, distances between classes above it.

    .. math:: \ell = \frac{1}{|T|} \sum_{(a, p, n)} \max(0, \alpha + d_{ap} - \beta) +
        \max(0, \alpha + \beta - d_{an}) + \nu \beta

    over all triplets of an anchor, another row of its class and one of another, T those of their
    two sides that cost something; d are distances on the unit sphere.

    Shapes: input (N, D) of embeddings, target (N,) of integer classes. One number of the batch.
    Terms: pairs, in the unit of the distances, and beta. β is a parameter, one number or one for
    each anchor's class: give it to the optimizer. The paper draws a few negatives by their distance
    instead of taking all, which is not part of this; pytorch-metric-learning's, without a miner,
    is this.

    Use when: Whether two are alike is told by one threshold, as in verification.
    Avoid when: Only ranks of neighbours count; triplets leave distances free.
    Source: Wu, Manmatha, Smola, Krähenbühl, Sampling Matters in Deep Embedding Learning (2017).

    >>> MarginBased()(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 0, 1]))
    tensor(0., grad_fn=<AddBackward0>)
    """

    margin: Real = Real(default=0.2, low=0.0, doc="α, half the width of what is between")
    initial_beta: Real = Real(default=1.2, low=0.0, static=True, doc="β at the start")
    nu: Real = Real(default=0.0, low=0.0, doc="ν, weight of β: without, it may drift")
    betas: Whole = Whole(default=1, low=1, doc="how many β: one for all, or one for each class")
    card = Card(
        key="margin_based",
        tasks=("metric_learning",),
        input="embeddings",
        target="classes",
        learns=True,
        # at √2 within the class, 2 and √2 between: the two sides within cost alone
        example=Example(
            input=[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]],
            target=[0, 0, 1],
            value=math.sqrt(2) - 1.0,
        ),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return the boundary at the start."""
        start = self.initial_beta.expand(self.betas)
        return {"beta": nn.Parameter(start.float().clone())}

    def value(self, input: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the pairs' part, and β's."""
        pairs = F.margin_based(input, target, beta=self.beta, margin=self.margin)
        beta = self.nu.to(pairs.dtype) * self.beta.to(pairs.dtype).mean()
        return {"pairs": pairs, "beta": beta}
