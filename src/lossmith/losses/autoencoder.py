"""Losses of variational and quantised autoencoders."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Kind, Paper
from lossmith.core.loss import Batchwise, Pointwise
from lossmith.core.reduce import reduce
from lossmith.functional.checks import flat_rows
from lossmith.losses.coupled import GATHER

LATENT: dict[str, Kind] = {"mean": "values", "log_variance": "parameters"}
KINGMA = Paper(
    authors="D. P. Kingma, M. Welling", title="Auto-Encoding Variational Bayes", year=2014
)
BETA = Hyper(default=1.0, low=0.0, meaning="weight of the divergence; above 1 it is the beta-VAE")


class BernoulliELBO(Pointwise):
    r"""The negative evidence lower bound of a VAE whose decoder gives logits of 0 and 1.

    .. math:: \ell = -\log p(y \mid x) + \beta\, \mathrm{KL}(q(z \mid y) \,\Vert\, N(0, 1))

    Shapes: input "reconstruction" (N, …), logits; "mean" and "log_variance" (N, K), the
    posterior's; target (N, …), numbers from 0 to 1. Values in nats a row: elements of a row add
    up, in both terms (reconstruction, divergence), and rows average; code that averages over
    elements in one term alone has another beta. `lossmith.functional.sampled` draws z.

    Args:
        beta: weight of the divergence; above 1 it is the beta-VAE.

    Raises:
        ValueError: if shapes do not fit or the target lies outside 0 … 1.

    Source: Kingma & Welling, Auto-Encoding Variational Bayes (2014); beta: Higgins et al.,
    beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework (2017).

    >>> nought = torch.zeros(1, 2)
    >>> given = {"reconstruction": nought, "mean": nought, "log_variance": nought}
    >>> BernoulliELBO()(given, torch.tensor([[0.0, 1.0]]))
    tensor(1.3863)
    """

    beta: Tensor
    card: ClassVar[Card] = Card(
        key="bernoulli_elbo",
        tasks=("autoencoder",),
        target="labels",
        input={"reconstruction": "logits", **LATENT},
        formula="-log Bernoulli(y; sigmoid(x)) + beta KL(N(mean, variance) || N(0, 1))",
        use_when="A VAE of binary or nearly binary images.",
        avoid_when="Pixels are truly grey: then it is no likelihood; take the Gaussian.",
        paper=KINGMA,
        # 2 log 2, and (1 + 1 − 1 − 0)/2 + (0 + 4 − 1 − log 4)/2 of the latents, twice
        example=Example(
            arguments={"beta": 2.0},
            input={
                "reconstruction": [[0.0, 0.0]],
                "mean": [[1.0, 0.0]],
                "log_variance": [[0.0, math.log(4)]],
            },
            target=[[0.0, 1.0]],
            value=2 * math.log(2) + 4 - math.log(4),
        ),
        hypers={"beta": BETA},
    )

    def __init__(self, *, beta: Number = 1.0) -> None:
        super().__init__(beta=beta)

    def values(self, input: Mapping[str, Tensor], target: Tensor) -> dict[str, Tensor]:
        """Return the reconstruction and the divergence of each row."""
        return F.bernoulli_elbo(input, target, beta=self.beta)


class GaussianELBO(Pointwise):
    r"""The negative evidence lower bound of a VAE whose decoder gives means of a known variance.

    .. math:: \ell = \sum_d \left(\frac{(x_d - y_d)^2}{2\sigma^2} + \frac{\log 2\pi\sigma^2}{2}
        \right) + \beta\, \mathrm{KL}(q(z \mid y) \,\Vert\, N(0, 1))

    Shapes: input "reconstruction" (N, …), means; "mean" and "log_variance" (N, K), the
    posterior's; target (N, …). Values in nats a row: elements of a row add up, in both terms
    (reconstruction, divergence), and rows average. Half a squared error without a variance is
    this at variance 1, up to a constant. `lossmith.functional.sampled` draws z.

    Args:
        beta: weight of the divergence; above 1 it is the beta-VAE.
        variance: σ² of the decoder, in the target's unit squared.

    Raises:
        ValueError: if shapes do not fit.

    Source: Kingma & Welling, Auto-Encoding Variational Bayes (2014); beta: Higgins et al.,
    beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework (2017).

    >>> nought = torch.zeros(1, 2)
    >>> given = {"reconstruction": nought, "mean": nought, "log_variance": nought}
    >>> GaussianELBO()(given, torch.tensor([[0.0, 2.0]]))
    tensor(3.8379)
    """

    beta: Tensor
    variance: Tensor
    card: ClassVar[Card] = Card(
        key="gaussian_elbo",
        tasks=("autoencoder",),
        target="values",
        input={"reconstruction": "values", **LATENT},
        formula="-log Normal(y; x, variance) + beta KL(N(mean, variance) || N(0, 1))",
        use_when="A VAE of real numbers: grey images, features, signals.",
        avoid_when="The variance is a guess: as with beta it sets how blurred samples are.",
        paper=KINGMA,
        # (2² / 2)/2 + log(2π·2) for two pixels, and 1/2 of the latents
        example=Example(
            arguments={"variance": 2.0},
            input={
                "reconstruction": [[0.0, 2.0]],
                "mean": [[1.0, 0.0]],
                "log_variance": [[0.0, 0.0]],
            },
            target=[[0.0, 0.0]],
            value=1 + math.log(4 * math.pi) + 0.5,
        ),
        hypers={
            "beta": BETA,
            "variance": Hyper(default=1.0, low=0.0, open=True, meaning="of the decoder"),
        },
    )

    def __init__(self, *, beta: Number = 1.0, variance: Number = 1.0) -> None:
        super().__init__(beta=beta, variance=variance)

    def values(self, input: Mapping[str, Tensor], target: Tensor) -> dict[str, Tensor]:
        """Return the reconstruction and the divergence of each row."""
        return F.gaussian_elbo(input, target, beta=self.beta, variance=self.variance)


class FreeBits(Batchwise):
    r"""The divergence of a VAE with free bits: a latent number pays only above a floor.

    .. math:: \ell = \sum_k \max\left(\lambda, \frac1N \sum_i
        \mathrm{KL}(q(z_k \mid y_i) \,\Vert\, N(0, 1))\right)

    Shapes: input "mean" and "log_variance" (N, K) or more; no target. Values in nats. It stands
    for the divergence: add a reconstruction to it. As in the paper the floor holds for the mean
    over the batch, so parts of a batch do not add up; each group of the paper is one latent
    number. Code that floors each row's divergence by itself gives no less.

    Args:
        lambda_: the floor in nats, for each latent number.
        gather: over several processes, whether the batch is that of all ranks.

    Raises:
        ValueError: if the shapes differ, or a denominator is given.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling, Improved Variational
    Inference with Inverse Autoregressive Flow (2016).

    >>> nought = torch.zeros(1, 2)
    >>> FreeBits(lambda_=0.25)({"mean": nought, "log_variance": nought})
    tensor(0.5000)
    """

    lambda_: Tensor
    card: ClassVar[Card] = Card(
        key="free_bits",
        tasks=("autoencoder",),
        target=None,
        input=LATENT,
        reduction="statistic",
        formula="sum_k max(lambda, mean_i KL_ik)",
        use_when="The decoder is strong and the posterior collapses to the prior.",
        avoid_when="The bound itself is reported: this is not one.",
        paper=Paper(
            authors="D. P. Kingma, T. Salimans, R. Jozefowicz, X. Chen, I. Sutskever, M. Welling",
            title="Improved Variational Inference with Inverse Autoregressive Flow",
            year=2016,
        ),
        # divergences 1/2 and 0 in the first latent, 2 and 2 in the second
        example=Example(
            arguments={"lambda_": 0.5},
            input={"mean": [[1.0, 2.0], [0.0, 2.0]], "log_variance": [[0.0, 0.0], [0.0, 0.0]]},
            target=None,
            value=2.5,
        ),
        hypers={
            "lambda_": Hyper(default=0.25, low=0.0, meaning="floor in nats"),
            "gather": GATHER,
        },
    )

    def __init__(self, *, lambda_: Number = 0.25, gather: bool = True) -> None:
        super().__init__(lambda_=lambda_, gather=gather)

    def value(self, input: Mapping[str, Tensor], target: None, weight: Tensor | None) -> Tensor:
        """Return the sum of the floored mean divergences."""
        each = flat_rows(F.gaussian_kl(input), dims=2)
        means = [reduce(part, weight=weight) for part in each.unbind(1)]
        floored = torch.stack(means).clamp(min=self.lambda_.to(each.dtype)).sum()
        if weight is None:
            return floored if each.numel() else 0.0 * floored
        return torch.where(weight.sum() > 0, floored, 0.0 * floored)


class BetaTC(Pointwise):
    r"""The divergence of the beta-TCVAE in three terms: only the total correlation is weighted.

    .. math:: \ell = \alpha \log\frac{q(z \mid y)}{q(z)} + \beta \log\frac{q(z)}{\prod_k q(z_k)}
        + \gamma \log\frac{\prod_k q(z_k)}{p(z)}

    Shapes: input "sample" z, "mean" and "log_variance" (N, K); no target. Values in nats. Terms:
    mutual_information, total_correlation, dimension_kl. It stands for the divergence: add a
    reconstruction to it. At alpha = beta = gamma = 1 the terms add up to a one-sample estimate
    of it.

    The density q(z) of all the data is estimated from the batch. sampling "weighted" is the
    paper's estimate, too high in its correlation, but low in variance. "stratified" is unbiased
    for q(z): a row's own posterior weighs 1/size and each other (1 − 1/size)/(N − 1). The paper
    gives one of the others another weight, so that their order matters; this is the mean over
    all orders. The authors' code weighs columns in place of the diagonal.

    Args:
        size: rows of the whole training set.
        alpha: weight of the mutual information.
        beta: weight of the total correlation.
        gamma: weight of the dimension-wise divergence.
        sampling: "weighted" or "stratified".
        gather: over several processes, whether the batch is that of all ranks.

    Raises:
        ValueError: if the shapes differ or are not (N, K).

    Source: Chen, Li, Grosse, Duvenaud, Isolating Sources of Disentanglement in Variational
    Autoencoders (2018).

    >>> nought = torch.zeros(1, 2)
    >>> BetaTC(size=1)({"sample": nought, "mean": nought, "log_variance": nought})
    tensor(0.)
    """

    size: int
    alpha: Tensor
    beta: Tensor
    gamma: Tensor
    sampling: str
    card: ClassVar[Card] = Card(
        key="beta_tc",
        tasks=("autoencoder",),
        target=None,
        input={"sample": "values", **LATENT},
        reduction="anchors",
        formula="alpha log q(z|y)/q(z) + beta log q(z)/prod q(z_k) + gamma log prod q(z_k)/p(z)",
        use_when="Latent numbers should each vary one thing, without losing what they tell.",
        avoid_when="Batches are tiny: densities of all the data are estimated from the batch.",
        paper=Paper(
            authors="R. T. Q. Chen, X. Li, R. Grosse, D. Duvenaud",
            title="Isolating Sources of Disentanglement in Variational Autoencoders",
            year=2018,
        ),
        # One row: q(z) is q(z|y)/3 and so is each q(z_k); log p(z|y) = log p(z) + 1/2.
        example=Example(
            arguments={"size": 3, "beta": 2.0},
            input={"sample": [[1.0, 0.0]], "mean": [[1.0, 0.0]], "log_variance": [[0.0, 0.0]]},
            target=None,
            value=math.log(3) + 2 * math.log(3) + 0.5 - 2 * math.log(3),
        ),
        hypers={
            "size": Hyper(default=None, low=1, meaning="rows of the whole training set"),
            "alpha": Hyper(default=1.0, low=0.0, meaning="weight of the mutual information"),
            "beta": Hyper(default=6.0, low=0.0, meaning="weight of the total correlation"),
            "gamma": Hyper(default=1.0, low=0.0, meaning="weight of the dimension-wise divergence"),
            "sampling": Hyper(
                default="weighted",
                choices=("weighted", "stratified"),
                meaning="how densities are estimated",
            ),
            "gather": GATHER,
        },
    )

    def __init__(
        self,
        *,
        size: int,
        alpha: Number = 1.0,
        beta: Number = 6.0,
        gamma: Number = 1.0,
        sampling: str = "weighted",
        gather: bool = True,
    ) -> None:
        super().__init__(
            size=size, alpha=alpha, beta=beta, gamma=gamma, sampling=sampling, gather=gather
        )

    def values(self, input: Mapping[str, Tensor], target: None) -> dict[str, Tensor]:
        """Return the three terms of each row."""
        return F.beta_tc(
            input,
            size=self.size,
            alpha=self.alpha,
            beta=self.beta,
            gamma=self.gamma,
            sampling=self.sampling,
        )


class VectorQuantisation(Pointwise):
    r"""The two terms of a VQ-VAE: codes move to what is encoded, the encoder to its codes.

    .. math:: \ell = (\mathrm{sg}[e] - c)^2 + \beta (e - \mathrm{sg}[c])^2

    Shapes: input "encoded" e and "code" c alike, the encoder's output and the code nearest to
    each of its vectors; no target. One value an element, as in well-known code, where the paper
    adds up over a vector. sg holds its argument constant in the gradient: the terms codebook and
    commitment have one value, up to beta, and other gradients. The reconstruction trains decoder
    and encoder through `lossmith.functional.straight_through`. Where codes are moving averages,
    pass them detached and the codebook term trains nothing.

    Args:
        beta: weight of the commitment.

    Raises:
        ValueError: if the shapes differ.

    Source: van den Oord, Vinyals, Kavukcuoglu, Neural Discrete Representation Learning (2017).

    >>> VectorQuantisation()({"encoded": torch.zeros(1, 2), "code": torch.ones(1, 2)})
    tensor(1.2500)
    """

    beta: Tensor
    card: ClassVar[Card] = Card(
        key="vector_quantisation",
        tasks=("autoencoder",),
        target=None,
        input={"encoded": "embeddings", "code": "embeddings"},
        detached=True,
        formula="(sg[encoded] - code)^2 + beta (encoded - sg[code])^2",
        use_when="An autoencoder's latents are picked from a codebook.",
        avoid_when="Codes die: most are never nearest. Then draw them anew, or use fixed levels.",
        paper=Paper(
            authors="A. van den Oord, O. Vinyals, K. Kavukcuoglu",
            title="Neural Discrete Representation Learning",
            year=2017,
        ),
        example=Example(
            input={"encoded": [[1.0, 0.0]], "code": [[3.0, 0.0]]}, target=None, value=2.5
        ),
        hypers={"beta": Hyper(default=0.25, low=0.0, meaning="weight of the commitment")},
    )

    def __init__(self, *, beta: Number = 0.25) -> None:
        super().__init__(beta=beta)

    def values(self, input: Mapping[str, Tensor], target: None) -> dict[str, Tensor]:
        """Return the codebook and the commitment value of each element."""
        return F.vector_quantisation(input, beta=self.beta)
