"""Losses that predict what was hidden: masked autoencoders and joint-embedding prediction."""

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Switch
from lossmith.core.loss import Pointwise


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
