"""Contrastive losses: two views of a sample find each other among the rest of the batch."""

import math

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import State
from lossmith.core.bases import ALL, Coupled, Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real, Whole
from lossmith.core.progress import Progress
from lossmith.losses._learned import exact, learned


class NTXent(Coupled):
    r"""Normalised temperature-scaled cross-entropy: each view finds the other among 2N − 1 rows.

    .. math:: \ell_i = -\frac{1}{2} \sum_{(u, v) \in \{(x, y), (y, x)\}}
        \log \frac{e^{\cos(u_i, v_i) / \tau}}
        {\sum_j e^{\cos(u_i, v_j) / \tau} + \sum_{j \ne i} e^{\cos(u_i, u_j) / \tau}}

    Shapes: input and target (N, D), two views of N samples. Values in nats, at most
    2 / temperature + log(2N − 1). Over several processes the batch is that of all ranks: every
    rank calls the loss, and its value and averaged gradients are those of one process.

    Use when: Two augmented views of each sample and batches of hundreds: SimCLR.
    Avoid when: Batches are small, or the batch holds many samples of one kind: they repel.
    Source: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations
    (2020).

    >>> NTXent(temperature=1.0)(torch.eye(2), torch.eye(2))
    tensor(0.5514)
    """

    function = staticmethod(F.nt_xent)
    temperature: Real = Real(
        default=0.1,
        low=0.0,
        exclusive=True,
        doc="what cosines are divided by. The paper's best at its batch sizes; lightly's default "
        "is 0.5, as for the paper's CIFAR-10",
    )
    card = Card(
        key="nt_xent",
        tasks=("self_supervised",),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        # each row has its partner at cosine 1 and two others at 0: log(e + 2) - 1
        example=Example(
            input=[[1.0, 0.0], [0.0, 1.0]],
            target=[[1.0, 0.0], [0.0, 1.0]],
            value=0.5514447139320511,
            arguments={"temperature": 1.0},
        ),
    )


class DCL(Coupled):
    r"""Decoupled contrastive learning: NT-Xent with the positive left out of the denominator.

    .. math:: \ell_i = \frac{1}{2} \sum_{(u, v) \in \{(x, y), (y, x)\}}
        \Big(-\frac{\cos(u_i, v_i)}{\tau} + \log \sum_{j \ne i}
        \big(e^{\cos(u_i, v_j) / \tau} + e^{\cos(u_i, u_j) / \tau}\big)\Big)

    Shapes: input and target (N, D), two views of N samples. Values in nats, of either sign; a
    batch of one pair has nothing to be told from and the value 0. Over several processes the
    batch is that of all ranks: every rank calls the loss.

    Use when: NT-Xent with batches of tens to a few hundred: easy positives still pull.
    Avoid when: Its value is to be read as a cross-entropy; it may be negative.
    Source: Yeh et al., Decoupled Contrastive Learning (2022), equation 6.

    >>> DCL(temperature=1.0)(torch.eye(2), torch.eye(2))
    tensor(-0.3069)
    """

    function = staticmethod(F.dcl)
    temperature: Real = Real(
        default=0.1, low=0.0, exclusive=True, doc="what cosines are divided by"
    )
    card = Card(
        key="dcl",
        tasks=("self_supervised",),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        # two others at cosine 0: log 2 - 1
        example=Example(
            input=[[1.0, 0.0], [0.0, 1.0]],
            target=[[1.0, 0.0], [0.0, 1.0]],
            value=-0.3068528194400547,
            arguments={"temperature": 1.0},
        ),
    )


class InfoNCE(Coupled):
    r"""Each input row finds its own target among all targets of the batch.

    .. math:: \ell_i = -\log \frac{e^{\cos(x_i, y_i) / \tau}}{\sum_j e^{\cos(x_i, y_j) / \tau}}

    Shapes: input (N, D), what is asked with; target (N, D), what is to be found. Values in nats;
    log N minus the loss is a lower bound of the mutual information of the two. Over several
    processes the batch is that of all ranks: every rank calls the loss.

    Memory is N·D, not N². Where the encoder's own does not hold the batch, its gradient may come in
    two passes (GradCache: Gao et al., 2021), as for any loss of embeddings: all parts encoded
    without a graph, the loss's gradient at them, and each part encoded again, with
    `part.backward(gradient)`.

    Use when: Two sides of different kind, asked one way: query and document in semantic search,
    past and future.
    Avoid when: Both sides are views of one kind; NT-Xent has twice the negatives.
    Source: van den Oord, Li, Vinyals, Representation Learning with Contrastive Predictive Coding
    (2018), equation 4.

    >>> InfoNCE(temperature=1.0)(torch.eye(2), torch.eye(2))
    tensor(0.3133)
    """

    function = staticmethod(F.info_nce)
    temperature: Real = Real(
        default=0.1,
        low=0.0,
        exclusive=True,
        doc="what cosines are divided by. The paper scores with a learned bilinear form and has "
        "none; cosines and 0.1 are what later work settled on",
    )
    card = Card(
        key="info_nce",
        tasks=("self_supervised", "metric_learning"),
        input="embeddings",
        target="embeddings",
        symmetric=True,
        # log(e + 1) - 1
        example=Example(
            input=[[1.0, 0.0], [0.0, 1.0]],
            target=[[1.0, 0.0], [0.0, 1.0]],
            value=0.31326168751822286,
            arguments={"temperature": 1.0},
        ),
    )


class MoCo(Pointwise):
    r"""Momentum contrast: each query finds its key among it and a queue of earlier keys.

    .. math:: \ell_i = -\log \frac{e^{\cos(x_i, y_i) / \tau}}
        {e^{\cos(x_i, y_i) / \tau} + \sum_k e^{\cos(x_i, q_k) / \tau}}

    Shapes: input (N, D), the queries; target (N, D), the keys of the momentum encoder, to which
    no gradient flows. Values in nats. The queue starts empty, and empty places do not count: the
    paper's code fills it with noise. After each step `observe` puts the step's keys, the signal
    "keys", in the place of the oldest: `clock.step(keys=target)`.

    Use when: Many negatives are wanted of small batches, and a momentum encoder is at hand.
    Avoid when: There is no slowly moving encoder: keys of the queue would be out of date.
    Source: He et al., Momentum Contrast for Unsupervised Visual Representation Learning (2020).

    >>> loss = MoCo(features=2, size=2, temperature=1.0)
    >>> loss(torch.eye(2), torch.eye(2))
    tensor(0.)
    >>> from lossmith import Progress
    >>> loss.observe(Progress(step=1, signals={"keys": torch.eye(2)}))
    >>> loss(torch.eye(2), torch.eye(2))
    tensor(0.8620)
    """

    features: Whole = Whole(low=1, doc="D, the width of keys")
    size: Whole = Whole(default=65536, low=1, doc="how many keys the queue holds")
    temperature: Real = Real(
        default=0.07, low=0.0, exclusive=True, doc="what cosines are divided by"
    )
    card = Card(
        key="moco",
        tasks=("self_supervised",),
        input="embeddings",
        target="embeddings",
        example=Example(
            input=[[1.0, 0.0]],
            target=[[1.0, 0.0]],
            value=0.0,
            arguments={"features": 2, "size": 4},
        ),
        required_signals=("keys",),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return an empty queue."""
        return {
            "queue": torch.zeros(self.size, self.features),
            "head": torch.zeros((), dtype=torch.int64),
        }

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return −log of each query's probability of its own key."""
        if input.shape[1:] != (self.features,):
            raise ValueError(f"input must be (N, {self.features}), got {tuple(input.shape)}")
        return F.queue_nce(input, target.detach(), self.queue, temperature=self.temperature)

    def update(self, progress: Progress) -> State:
        """Put the step's keys in the place of the oldest."""
        keys = F.unit_rows(progress.signals["keys"])[-self.size :].to(self.queue)
        places = (int(self.head) + torch.arange(len(keys), device=keys.device)) % self.size
        # Moves on in any case, for that waits for no device: what overflowed leaves older keys.
        self.head.fill_((int(self.head) + len(keys)) % self.size)
        return {"queue": (places, keys)}


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
