"""Contrastive losses of pairs of two kinds, images and texts, that learn their temperature."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.loss import ALL, Coupled
from lossmith.losses.learned import exact, learned


class CLIP(Coupled):
    r"""Pairs of two kinds find each other in both directions, at a learned temperature.

    .. math:: \ell_i = \frac{1}{2} \Big(-\log \frac{e^{s \cos(x_i, y_i)}}
        {\sum_j e^{s \cos(x_i, y_j)}} - \log \frac{e^{s \cos(x_i, y_i)}}
        {\sum_j e^{s \cos(x_j, y_i)}}\Big)
        \qquad s = \min(e^{\mathrm{log\_scale}}, 100)

    `log_scale` is a parameter: give the optimizer the loss's parameters. Beyond 100 the scale is
    held, as in the paper, while its gradient stays that at 100, so that it can come back.

    Shapes: input and target (N, D), images and their texts. Values in nats. Over several
    processes the batch is that of all ranks: every rank calls the loss, and DistributedDataParallel
    must hold it with the model, for the temperature's gradients to be averaged.

    Use when: Images and texts, or any two kinds that come in pairs, and large batches.
    Avoid when: Batches hold the same text twice: it counts as wrong for the other image.
    Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision
    (2021).

    >>> loss = CLIP(initial_temperature=1.0)
    >>> loss(torch.eye(2), torch.eye(2)).item()  # doctest: +ELLIPSIS
    0.31326...
    >>> [name for name, _ in loss.named_parameters()]
    ['log_scale']
    """

    function = staticmethod(F.clip)
    initial_temperature: Real = Real(
        default=0.07, low=0.01, high=10000.0, static=True, doc="1 / s at the start"
    )
    card = Card(
        key="clip",
        tasks=("self_supervised",),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        example=Example(
            input=[[1.0, 0.0], [0.0, 1.0]],
            target=[[1.0, 0.0], [0.0, 1.0]],
            value=0.31326168751822286,
            arguments={"initial_temperature": 1.0},
        ),
        learns=True,
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return the scale at the start."""
        return {"log_scale": learned(-self.initial_temperature.log())}

    @property
    def temperature(self) -> Tensor:
        """The present temperature, at least 0.01."""
        scale = exact(self.log_scale)
        held = scale + (scale.clamp(max=math.log(100)) - scale).detach()
        return (-held).exp()


class SigLIP(Coupled):
    r"""Every pair of the batch is a binary question, at a learned temperature and bias.

    .. math:: \ell_i = -\sum_j \log \sigma\big(z_{ij} (s \cos(x_i, y_j) + b)\big)
        \qquad z_{ij} = 1 \text{ if } i = j \text{ else } -1, \quad s = e^{\mathrm{log\_scale}}

    `log_scale` and `bias` are parameters: give the optimizer the loss's parameters.

    Shapes: input and target (N, D), images and their texts. Values in nats, a sum over the
    batch. Over several processes the batch is that of all ranks, of which each holds the scores of
    its own rows alone: every rank calls the loss, and DistributedDataParallel must hold it with
    the model.

    Use when: CLIP's pairs at small batches, or where no softmax over the batch is wanted.
    Avoid when: The share of positives in a batch changes much: the bias is learned for one.
    Source: Zhai et al., Sigmoid Loss for Language Image Pre-Training (2023).

    >>> loss = SigLIP(initial_temperature=1.0, initial_bias=0.0)
    >>> loss(torch.eye(2), torch.eye(2)).item()  # doctest: +ELLIPSIS
    1.00640...
    >>> [name for name, _ in loss.named_parameters()]
    ['log_scale', 'bias']
    """

    initial_temperature: Real = Real(
        default=0.1, low=0.0, exclusive=True, static=True, doc="1 / s at the start"
    )
    initial_bias: Real = Real(
        default=-10.0,
        static=True,
        doc="b at the start; so low that a batch's many negatives begin at ease",
    )
    card = Card(
        key="siglip",
        tasks=("self_supervised",),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        # log(1 + 1/e) + log 2
        example=Example(
            input=[[1.0, 0.0], [0.0, 1.0]],
            target=[[1.0, 0.0], [0.0, 1.0]],
            value=1.0064088680781682,
            arguments={"initial_temperature": 1.0, "initial_bias": 0.0},
        ),
        learns=True,
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return scale and bias at the start."""
        return {
            "log_scale": learned(-self.initial_temperature.log()),
            "bias": learned(self.initial_bias),
        }

    @property
    def temperature(self) -> Tensor:
        """The present temperature."""
        return (-exact(self.log_scale)).exp()

    def values(self, input: Tensor, target: Tensor, own: slice = ALL) -> Tensor:
        """Return the sum of each row's binary cross-entropies."""
        bias = exact(self.bias)
        return F.siglip(input, target, temperature=self.temperature, bias=bias, own=own)
