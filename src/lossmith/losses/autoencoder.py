"""Losses of autoencoders: variational, quantised, masked."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Coupled, Pointwise, Statistic
from lossmith.core.card import Card, Example, Kind
from lossmith.core.hyperparameter import Choice, Real, Switch, Whole
from lossmith.core.reduce import reduce
from lossmith.functional.checks import flat_rows

LATENT: dict[str, Kind] = {"mean": "values", "log_variance": "parameters"}
BETA = Real(default=1.0, low=0.0, doc="weight of the divergence; above 1 it is the beta-VAE")


class BernoulliELBO(Pointwise):
    r"""The negative evidence lower bound of a VAE whose decoder gives logits of 0 and 1.

    .. math:: \ell = -\log p(y \mid x) + \beta\, \mathrm{KL}(q(z \mid y) \,\Vert\, N(0, 1))

    Shapes: input "reconstruction" (N, …), logits; "mean" and "log_variance" (N, K), the
    posterior's; target (N, …), numbers from 0 to 1. Values in nats a row: elements of a row add
    up, in both terms (reconstruction, divergence), and rows average; code that averages over
    elements in one term alone has another beta. `lossmith.functional.sampled` draws z.

    Use when: A VAE of binary or nearly binary images.
    Avoid when: Pixels are truly grey: then it is no likelihood; take the Gaussian.
    Source: Kingma & Welling, Auto-Encoding Variational Bayes (2014); beta: Higgins et al.,
    beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework (2017).

    >>> nought = torch.zeros(1, 2)
    >>> given = {"reconstruction": nought, "mean": nought, "log_variance": nought}
    >>> BernoulliELBO()(given, torch.tensor([[0.0, 1.0]]))
    tensor(1.3863)
    """

    function = staticmethod(F.bernoulli_elbo)
    beta: Real = BETA
    card = Card(
        key="bernoulli_elbo",
        tasks=("autoencoder",),
        input={"reconstruction": "logits", **LATENT},
        target="labels",
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
    )


class GaussianELBO(Pointwise):
    r"""The negative evidence lower bound of a VAE whose decoder gives means of a known variance.

    .. math:: \ell = \sum_d \left(\frac{(x_d - y_d)^2}{2\sigma^2} + \frac{\log 2\pi\sigma^2}{2}
        \right) + \beta\, \mathrm{KL}(q(z \mid y) \,\Vert\, N(0, 1))

    Shapes: input "reconstruction" (N, …), means; "mean" and "log_variance" (N, K), the
    posterior's; target (N, …). Values in nats a row: elements of a row add up, in both terms
    (reconstruction, divergence), and rows average. Half a squared error without a variance is
    this at variance 1, up to a constant. `lossmith.functional.sampled` draws z.

    Use when: A VAE of real numbers: grey images, features, signals.
    Avoid when: The variance is a guess: as with beta it sets how blurred samples are.
    Source: Kingma & Welling, Auto-Encoding Variational Bayes (2014); beta: Higgins et al.,
    beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework (2017).

    >>> nought = torch.zeros(1, 2)
    >>> given = {"reconstruction": nought, "mean": nought, "log_variance": nought}
    >>> GaussianELBO()(given, torch.tensor([[0.0, 2.0]]))
    tensor(3.8379)
    """

    function = staticmethod(F.gaussian_elbo)
    beta: Real = BETA
    variance: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="σ² of the decoder, in the target's unit squared"
    )
    card = Card(
        key="gaussian_elbo",
        tasks=("autoencoder",),
        input={"reconstruction": "values", **LATENT},
        target="values",
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
    )


class FreeBits(Statistic):
    r"""The divergence of a VAE with free bits: a latent number pays only above a floor.

    .. math:: \ell = \sum_k \max\left(\lambda, \frac1N \sum_i
        \mathrm{KL}(q(z_k \mid y_i) \,\Vert\, N(0, 1))\right)

    Shapes: input "mean" and "log_variance" (N, K) or more; no target. Values in nats. It stands
    for the divergence: add a reconstruction to it. As in the paper the floor holds for the mean
    over the batch, so parts of a batch do not add up; each group of the paper is one latent
    number. Code that floors each row's divergence by itself gives no less.

    Use when: The decoder is strong and the posterior collapses to the prior.
    Avoid when: The bound itself is reported: this is not one.
    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling, Improved Variational
    Inference with Inverse Autoregressive Flow (2016).

    >>> nought = torch.zeros(1, 2)
    >>> FreeBits(lambda_=0.25)({"mean": nought, "log_variance": nought})
    tensor(0.5000)
    """

    lambda_: Real = Real(default=0.25, low=0.0, doc="the floor in nats, for each latent number")
    card = Card(
        key="free_bits",
        tasks=("autoencoder",),
        input=LATENT,
        target=None,
        # divergences 1/2 and 0 in the first latent, 2 and 2 in the second
        example=Example(
            arguments={"lambda_": 0.5},
            input={"mean": [[1.0, 2.0], [0.0, 2.0]], "log_variance": [[0.0, 0.0], [0.0, 0.0]]},
            target=None,
            value=2.5,
        ),
    )

    def value(self, input: Mapping[str, Tensor], target: None, weight: Tensor | None) -> Tensor:
        """Return the sum of the floored mean divergences."""
        each = flat_rows(F.gaussian_kl(input), dims=2)
        means = [reduce(part, weight=weight) for part in each.unbind(1)]
        floored = torch.stack(means).clamp(min=self.lambda_.to(each.dtype)).sum()
        if weight is None:
            return floored if each.numel() else 0.0 * floored
        return torch.where(weight.sum() > 0, floored, 0.0 * floored)


class BetaTC(Coupled):
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

    Use when: Latent numbers should each vary one thing, without losing what they tell.
    Avoid when: Batches are tiny: densities of all the data are estimated from the batch.
    Source: Chen, Li, Grosse, Duvenaud, Isolating Sources of Disentanglement in Variational
    Autoencoders (2018).

    >>> nought = torch.zeros(1, 2)
    >>> BetaTC(size=1)({"sample": nought, "mean": nought, "log_variance": nought})
    tensor(0.)
    """

    function = staticmethod(F.beta_tc)
    size: Whole = Whole(low=1, doc="rows of the whole training set")
    alpha: Real = Real(default=1.0, low=0.0, doc="weight of the mutual information")
    beta: Real = Real(default=6.0, low=0.0, doc="weight of the total correlation")
    gamma: Real = Real(default=1.0, low=0.0, doc="weight of the dimension-wise divergence")
    sampling: Choice = Choice(
        default="weighted", choices=("weighted", "stratified"), doc='"weighted" or "stratified"'
    )
    card = Card(
        key="beta_tc",
        tasks=("autoencoder",),
        input={"sample": "values", **LATENT},
        target=None,
        # One row: q(z) is q(z|y)/3 and so is each q(z_k); log p(z|y) = log p(z) + 1/2.
        example=Example(
            arguments={"size": 3, "beta": 2.0},
            input={"sample": [[1.0, 0.0]], "mean": [[1.0, 0.0]], "log_variance": [[0.0, 0.0]]},
            target=None,
            value=math.log(3) + 2 * math.log(3) + 0.5 - 2 * math.log(3),
        ),
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

    Use when: An autoencoder's latents are picked from a codebook.
    Avoid when: Codes die: most are never nearest. Then draw them anew, or use fixed levels.
    Source: van den Oord, Vinyals, Kavukcuoglu, Neural Discrete Representation Learning (2017).

    >>> VectorQuantisation()({"encoded": torch.zeros(1, 2), "code": torch.ones(1, 2)})
    tensor(1.2500)
    """

    function = staticmethod(F.vector_quantisation)
    beta: Real = Real(default=0.25, low=0.0, doc="weight of the commitment")
    card = Card(
        key="vector_quantisation",
        tasks=("autoencoder",),
        input={"encoded": "embeddings", "code": "embeddings"},
        target=None,
        detached=True,
        example=Example(
            input={"encoded": [[1.0, 0.0]], "code": [[3.0, 0.0]]}, target=None, value=2.5
        ),
    )


class MaskedReconstruction(Pointwise):
    r"""Squared error of masked patches, their pixels normalised within each patch.

    .. math:: \ell_p = \frac{1}{D} \sum_d \Big(x_{pd} - \frac{y_{pd} - \bar y_p}
        {\sqrt{\operatorname{var}(y_p) + 10^{-6}}}\Big)^2

    The mask is the weight: `loss(input, target, weight=mask)` with 1 where a patch was hidden,
    so that the mean is over hidden patches. Without one it is over all patches.

    Shapes: input and target (N, P, D), D the pixels of a patch, weight (N, P). No unit; with
    normalize=False that of pixels squared.

    Use when: Transformers on patches, most of them hidden: MAE. Give the mask as weight.
    Avoid when: A frozen encoder is wanted for linear probes; contrast or distillation leads.
    Source: He et al., Masked Autoencoders Are Scalable Vision Learners (2022).

    >>> target = torch.tensor([[[0.0, 2.0], [5.0, 5.0]]])
    >>> MaskedReconstruction()(torch.zeros(1, 2, 2), target, weight=torch.tensor([[1.0, 0.0]]))
    tensor(0.5000)
    """

    normalize: Switch = Switch(
        default=True,
        doc="whether target pixels are normalised within each patch, as in the paper's best "
        "results. Its code leaves it off unless asked",
    )
    card = Card(
        key="masked_reconstruction",
        tasks=("self_supervised",),
        input="values",
        target="values",
        # 0 and 2 have mean 1 and variance 2: ±1/sqrt(2 + 1e-6)
        example=Example(
            input=[[[0.0, 0.0], [0.0, 1.0]]],
            target=[[[0.0, 2.0], [5.0, 5.0]]],
            value=0.4999998750000625,
        ),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the squared error of each patch."""
        return F.masked_reconstruction(input, target.detach(), normalize=self.normalize)


class LatentPrediction(Pointwise):
    r"""Smooth L1 error between predicted and target representations of hidden patches.

    .. math:: \ell_p = \frac{1}{D} \sum_d \operatorname{smooth}_\beta
        \big(x_{pd} - \operatorname{norm}(y_p)_d\big)

    norm is layer normalisation without parameters. No gradient flows into the target, which comes
    from a slowly moving copy of the encoder: without one, or a stop-gradient, all would collapse.

    Shapes: input and target (N, P, D) or (N, D); a weight (N, P) may mask patches. No unit.

    Use when: A predictor fills in what a momentum encoder sees of hidden patches: JEPA.
    Avoid when: Targets come from the trained encoder itself: a constant then wins.
    Source: Assran et al., Self-Supervised Learning from Images with a Joint-Embedding Predictive
    Architecture (2023); Baevski et al., data2vec (2022).

    >>> LatentPrediction(normalize=False)(torch.tensor([[0.0, 3.0]]), torch.tensor([[1.0, 0.0]]))
    tensor(1.5000)
    """

    beta: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        doc="the size of residual below which the absolute error is rounded off. I-JEPA's paper "
        "speaks of the L2 distance; its code, and the defaults here, are smooth L1 at 1",
    )
    normalize: Switch = Switch(default=True, doc="whether targets are layer-normalised")
    card = Card(
        key="latent_prediction",
        tasks=("self_supervised",),
        input="embeddings",
        target="embeddings",
        # residuals 1 and 3: (1/2 + 5/2)/2
        example=Example(
            input=[[0.0, 3.0]],
            target=[[1.0, 0.0]],
            value=1.5,
            arguments={"normalize": False},
        ),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the mean smooth L1 error of each patch or row."""
        return F.latent_prediction(input, target.detach(), beta=self.beta, normalize=self.normalize)
