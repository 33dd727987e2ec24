"""Losses of other normalisers than the softmax: sparse, with heavy tails, or of evidence."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.losses._classes import ClassLoss


class Sparsemax(ClassLoss):
    r"""The loss of sparsemax, whose probabilities may be exactly 0.

    .. math:: \ell(x, y) = \tfrac12 (1 - \|p\|^2) + p^\top x - x_y \qquad
        p = \arg\min_{q \in \Delta} \|q - x\|

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in the unit of
    the outputs.

    The gradient is p less the one-hot label, as for the softmax. It is 0, not just small, once
    the label's output leads by 1. `decode` is sparsemax: the probabilities, many of them 0.

    Use when: Most classes are impossible for a sample and must have probability 0.
    Avoid when: Log loss is what counts: a true class of probability 0 costs all.
    Source: Martins, Astudillo, From Softmax to Sparsemax: A Sparse Model of Attention and
    Multi-Label Classification (2016).

    >>> Sparsemax()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.2500)
    """

    function = staticmethod(F.sparsemax)
    card = Card(
        key="sparsemax",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            # p = [3/4, 1/4]
            arguments={"classes": 2},
            input=[[0.5, 0.0], [0.5, 0.0]],
            target=[0, 1],
            value=((1 - 5 / 8) / 2 + 3 / 8 - 0.5 + (1 - 5 / 8) / 2 + 3 / 8) / 2,
        ),
        claims=Claims(convex=True, lipschitz=True, proper=True, elicits="probabilities"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return sparsemax: the distribution nearest to the outputs."""
        return F.sparse_probabilities(output)


class Entmax(ClassLoss):
    r"""The loss of alpha-entmax: between softmax (alpha → 1) and sparsemax (alpha = 2).

    .. math:: \ell(x, y) = \frac{1 - \sum_c p_c^\alpha}{\alpha (\alpha - 1)} + p^\top x - x_y
        \qquad p_c = \big((\alpha - 1) x_c - \tau\big)_+^{1 / (\alpha - 1)}

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values in the unit of
    the outputs.

    tau makes p sum to 1. The gradient is p less the one-hot label. `decode` is entmax: the
    probabilities, of which some are exactly 0. For alpha = 2 see `Sparsemax`.

    Use when: Classes are many and most impossible for a sample, as words are.
    Avoid when: Log loss is what counts: a true class of probability 0 costs all.
    Source: Peters, Niculae, Martins, Sparse Sequence-to-Sequence Models (2019).

    >>> Entmax()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.3905)
    """

    function = staticmethod(F.entmax)
    alpha: Real = Real(default=1.5, low=1.0, high=2.0, exclusive=True, doc="how sparse")
    card = Card(
        key="entmax",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            # p = [16, 9] / 25: square roots 0.8 and 0.6, which differ by half the outputs' 0.4
            arguments={"classes": 2, "alpha": 1.5},
            input=[[0.4, 0.0], [0.4, 0.0]],
            target=[0, 1],
            value=(1 - 0.512 - 0.216) / 0.75 + 0.64 * 0.4 - 0.2,
        ),
        claims=Claims(convex=True, lipschitz=True, proper=True, elicits="probabilities"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return alpha-entmax: the probabilities."""
        return F.tempered_softmax(output, t=2 - self.alpha)


class BiTempered(ClassLoss):
    r"""Bi-tempered logistic loss: a bounded logarithm of a softmax with heavy tails.

    .. math:: \ell(x, y) = -\log_{t_1} p_y - \frac{1 - \sum_c p_c^{2 - t_1}}{2 - t_1} \qquad
        p_c = \exp_{t_2}(x_c - \lambda)

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values from 0 to
    1/(1 − t1).

    log_t(p) = (p^(1 − t) − 1)/(1 − t) is its tempered logarithm, exp_t the inverse, and lambda
    makes p sum to 1. t1 < 1 bounds what an outlier far off can cost, t2 > 1 flattens the
    probabilities near the border, where wrong labels pull; at 1 and 1 it is cross-entropy. The
    paper tunes both; the defaults are mild. Authors' code finds lambda by five steps of a fixed
    point, here it is exact. A Bregman divergence is proper: `decode` gives the probabilities.

    Use when: Some labels are wrong and calibrated probabilities are wanted all the same.
    Avoid when: Labels are clean, or no rows are left to tune the temperatures on.
    Source: Amid, Warmuth, Anil, Koren, Robust Bi-Tempered Logistic Loss Based on Bregman
    Divergences (2019).

    >>> BiTempered(t1=0.5, t2=1.5)(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.3905)
    """

    function = staticmethod(F.bi_tempered)
    t1: Real = Real(
        default=0.8,
        low=0.0,
        high=1.0,
        exclusive=True,
        doc="temperature of the logarithm",
    )
    t2: Real = Real(default=1.2, low=1.0, exclusive=True, doc="temperature of the softmax")
    card = Card(
        key="bi_tempered",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            # p = [0.64, 0.36], which is 1/(1 + u)^2 at u = 1/4 and 2/3
            arguments={"classes": 2, "t1": 0.5, "t2": 1.5},
            input=[[2 * (2 / 3 - 1 / 4), 0.0], [2 * (2 / 3 - 1 / 4), 0.0]],
            target=[0, 1],
            value=((0.2 + 0.4) * 2 - 2 * (1 - 0.512 - 0.216) / 1.5) / 2,
        ),
        claims=Claims(lipschitz=True, bounded=True, proper=True, elicits="probabilities"),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the tempered softmax: the probabilities."""
        return F.tempered_softmax(output, t=self.t2)


class EvidentialDirichlet(ClassLoss):
    r"""Evidence for each class: the expected Brier score, and a price for wrong evidence.

    .. math:: \ell(x, y) = \sum_c \left((1[c = y] - m_c)^2 + \frac{m_c (1 - m_c)}{S + 1}\right)
        + \lambda \operatorname{KL}\left(\operatorname{Dir}(\tilde\alpha) \,\|\,
        \operatorname{Dir}(1)\right)

    with concentrations :math:`\alpha_c = 1 + \operatorname{softplus}(x_c)`, their sum S,
    :math:`m = \alpha / S`, and :math:`\tilde\alpha` the concentrations with the true class's set
    to 1.

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values are pure
    numbers. `decode` gives m; C/S of the same output is the uncertainty, 1 without evidence. The
    paper makes evidence by "an activation, e.g. ReLU", whose gradient dies where all evidence is
    0: softplus here. Evidence for wrong classes beyond 1e8 costs no more.

    Use when: One pass must tell inputs it has no evidence about from ambiguous ones.
    Avoid when: Calibrated probabilities are all that is wanted, or classes are many.
    Source: Sensoy, Kaplan & Kandemir, Evidential Deep Learning to Quantify Classification
    Uncertainty (2018), equation 5.

    >>> EvidentialDirichlet().decode(torch.tensor([[0.0, -50.0]]))  # 1 + log 2 to 1
    tensor([[0.6287, 0.3713]])
    """

    function = staticmethod(F.evidential)
    coefficient: Real = Real(
        default=1.0,
        low=0.0,
        doc=":math:`\\lambda`; the paper lets it grow from 0 to 1 over ten epochs",
    )
    card = Card(
        key="evidential_dirichlet",
        tasks=("multiclass",),
        input="logits",
        target="classes",
        # concentrations 2 and 1: m = 2/3, 1/3, S = 3; class 0: 2/9 + (4/9)/4, no wrong evidence
        example=Example(
            arguments={"classes": 2},
            input=[[math.log(math.e - 1), -60.0]],
            target=[0],
            value=1 / 3,
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the expected probability of each class."""
        return F.evidential_probabilities(output)
