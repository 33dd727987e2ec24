"""Losses of transfer: weights that stay near where they started, domains that look alike."""

import math
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Paper
from lossmith.core.loss import Batchwise
from lossmith.losses.coupled import GATHER


class L2SP(Batchwise):
    r"""Weight decay towards the pretrained start instead of zero.

    .. math:: \ell = \frac{\alpha}{2} \sum_k (w_k - w^0_k)^2

    Shapes: input (P,) of parameters, target (P,) of their start; `functional.flat_parameters`
    gives both. One number, the sum. New layers decay towards zero with a weight of their own, the
    paper's β: the optimizer's weight decay on them, or this with a start of zeros.

    Args:
        alpha: the weight. The paper chooses it by cross-validation and names no default.

    Raises:
        ValueError: if shapes differ, alpha is negative, or weights are given.

    Source: Li, Grandvalet, Davoine, Explicit Inductive Bias for Transfer Learning with
    Convolutional Networks (2018).

    >>> L2SP()(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0]))
    tensor(0.0200)
    """

    alpha: Tensor
    card: ClassVar[Card] = Card(
        key="l2_sp",
        tasks=("transfer",),
        target="values",
        input="values",
        reduction="set",
        formula="alpha/2 sum_k (w_k - w0_k)^2",
        use_when="A pretrained model is tuned on few samples and must not forget.",
        avoid_when="The new task lies far from the old one.",
        paper=Paper(
            authors="X. Li, Y. Grandvalet, F. Davoine",
            title="Explicit Inductive Bias for Transfer Learning with Convolutional Networks",
            year=2018,
        ),
        example=Example(
            arguments={"alpha": 0.5}, input=[1.0, 2.0, 0.0], target=[1.0, 0.0, 1.0], value=1.25
        ),
        hypers={"alpha": Hyper(default=0.01, low=0.0, meaning="the weight")},
    )

    def __init__(self, *, alpha: Number = 0.01) -> None:
        super().__init__(alpha=alpha)
        self.gather = False  # parameters are no rows: every rank holds the same

    def value(self, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """Return the weighted sum over the parameters."""
        total = F.l2_sp(input, target).sum()
        return self.alpha.to(total.dtype) * total


class MMD(Batchwise):
    r"""Squared maximum mean discrepancy of two samples under several Gaussian kernels.

    .. math:: \ell = \overline{k(x, x')} + \overline{k(y, y')} - 2\, \overline{k(x, y)} \qquad
        k(x, y) = \sum_{u} e^{-\|x - y\|^2 / (b\, m^{u})}

    b is the mean squared distance over all pairs of the two samples together, a constant of the
    gradient, u runs around 0, and bars are means.

    Shapes: input and target (N, D) of samples; gradients flow into both. One number of the two
    samples as a whole: it takes no weights. Biased by default, means over all pairs, at least 0;
    unbiased without a sample's pair with itself, and then sometimes below 0. Kernels and bandwidth
    are those of the authors' code of deep adaptation networks.

    Args:
        kernels: how many.
        spread: ratio m of one bandwidth to the next.
        unbiased: whether the estimate is unbiased.
        gather: over several processes, whether the samples are those of all ranks.

    Raises:
        ValueError: if shapes differ, a hyperparameter is out of range, or weights are given.

    Source: Gretton, Borgwardt, Rasch, Schölkopf, Smola, A Kernel Two-Sample Test (2012); Long, Cao,
    Wang, Jordan, Learning Transferable Features with Deep Adaptation Networks (2015).

    >>> MMD()(torch.eye(3), torch.eye(3).flip(0))
    tensor(0.)
    """

    kernels: int
    spread: Tensor
    unbiased: bool
    card: ClassVar[Card] = Card(
        key="mmd",
        tasks=("transfer", "divergence"),
        target="embeddings",
        input="embeddings",
        reduction="set",
        symmetric=True,
        detached=True,
        formula="mean k(x, x') + mean k(y, y') - 2 mean k(x, y)",
        use_when="Features of two domains should be alike in distribution, not row by row.",
        avoid_when="The domains hold classes in different shares: matching them mixes classes.",
        paper=Paper(
            authors="A. Gretton, K. M. Borgwardt, M. J. Rasch, B. Schölkopf, A. Smola",
            title="A Kernel Two-Sample Test",
            year=2012,
        ),
        # one sample each: the only distance is the bandwidth
        example=Example(
            arguments={"kernels": 1},
            input=[[1.0, 0.0]],
            target=[[0.0, 0.0]],
            value=2 - 2 * math.exp(-1),
        ),
        hypers={
            "kernels": Hyper(default=5, low=1, meaning="how many kernels"),
            "spread": Hyper(default=2.0, low=1.0, open=True, meaning="ratio of the bandwidths"),
            "unbiased": Hyper(default=False, meaning="whether the estimate is unbiased"),
            "gather": GATHER,
        },
    )

    def __init__(
        self,
        *,
        kernels: int = 5,
        spread: Number = 2.0,
        unbiased: bool = False,
        gather: bool = True,
    ) -> None:
        super().__init__(kernels=kernels, spread=spread, unbiased=unbiased, gather=gather)

    def value(self, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """Return the squared discrepancy."""
        return F.mmd(
            input, target, kernels=self.kernels, spread=self.spread, unbiased=self.unbiased
        )


class DeepCORAL(Batchwise):
    r"""The gap of two samples' covariances.

    .. math:: \ell = \frac{1}{4 D^2} \| \mathrm{cov}(x) - \mathrm{cov}(y) \|_F^2

    Shapes: input and target (N, D) of samples; gradients flow into both. One number of the two
    samples as a whole, in the unit of the features to the fourth: it takes no weights. Covariances
    divide by N − 1; of one sample they are 0.

    Args:
        gather: over several processes, whether the samples are those of all ranks.

    Raises:
        ValueError: if shapes differ or weights are given.

    Source: Sun, Saenko, Deep CORAL: Correlation Alignment for Deep Domain Adaptation (2016).

    >>> DeepCORAL()(torch.tensor([[0.0], [2.0]]), torch.tensor([[5.0], [5.0]]))
    tensor(1.)
    """

    card: ClassVar[Card] = Card(
        key="deep_coral",
        tasks=("transfer",),
        target="embeddings",
        input="embeddings",
        reduction="set",
        symmetric=True,
        formula="||cov(x) - cov(y)||_F^2 / (4 D^2)",
        use_when="Two domains differ in scale and correlation, and N is well above D.",
        avoid_when="They differ in mean: covariances do not see it.",
        paper=Paper(
            authors="B. Sun, K. Saenko",
            title="Deep CORAL: Correlation Alignment for Deep Domain Adaptation",
            year=2016,
        ),
        # covariances [[2, 0], [0, 0]] and 0
        example=Example(
            input=[[0.0, 0.0], [2.0, 0.0]], target=[[5.0, 1.0], [5.0, 1.0]], value=4 / 16
        ),
        hypers={"gather": GATHER},
    )

    def __init__(self, *, gather: bool = True) -> None:
        super().__init__(gather=gather)

    def value(self, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """Return the gap of the covariances."""
        return F.deep_coral(input, target)
