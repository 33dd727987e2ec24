"""Weights that follow gradients, or what an optimizer's step did to the terms."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from lossmith.core.adaptive import State
from lossmith.core.loss import Loss
from lossmith.core.progress import Progress
from lossmith.core.weighting import Weighting
from lossmith.weighting.checks import number, positive, vector
from lossmith.weighting.progress import Moving

LEAST = 1e-4  # below which no weight of GradNorm falls
EPSILON = 1e-8  # of the authors' code of FAMO


def gradient_norms(
    terms: Mapping[str, Tensor], shared: Tensor | Iterable[Tensor]
) -> dict[str, Tensor]:
    """Return the norm of each term's gradient with respect to shared parameters.

    The graph is kept, so that the loss can still be differentiated.

    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> gradient_norms({"a": (3 * weight).sum(), "b": (4 * weight).sum()}, [weight])
    {'a': tensor(3.), 'b': tensor(4.)}

    Raises:
        ValueError: if no term depends on any of them.
    """
    parameters = [shared] if isinstance(shared, Tensor) else list(shared)
    norms, found = {}, False
    for name, term in terms.items():
        slopes = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        squares = [slope.square().sum() for slope in slopes if slope is not None]
        found = found or bool(squares)
        norms[name] = torch.stack(squares).sum().sqrt() if squares else term.detach() * 0
    if not found:
        raise ValueError(
            f"none of the terms {', '.join(terms)} depends on the shared parameters; give those of "
            "the last layer that all terms share"
        )
    return norms


class GradNorm(Moving):
    r"""Weights under which all terms train at similar rates, by the size of their gradients.

    .. math:: L_\text{grad} = \sum_k \big| G_k - \bar G \, r_k^\alpha \big| \qquad
        G_k = w_k \lVert \nabla_W L_k \rVert, \quad
        r_k = \frac{L_k / L_k^{(0)}}{\mathrm{mean}_j (L_j / L_j^{(0)})}

    One gradient step on w a step of training, with :math:`\bar G r_k^\alpha` held constant, then w
    is scaled to sum to K. No weight falls below 1e-4. Signals: the terms, and the norms of their
    unweighted gradients at the last shared layer, from `lossmith.gradient_norms`.

    Args:
        alpha: how strongly slow terms are favoured; 1.5 in the paper's experiments on NYUv2.
        rate: the learning rate of the weights.

    Raises:
        ValueError: if alpha is negative, rate is not positive, or a term is not.

    Source: Chen et al., GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep
    Multitask Networks (2018).
    """

    signals = ("terms", "gradient_norms")
    first: Tensor

    def __init__(self, *, alpha: float = 1.5, rate: float = 0.025) -> None:
        super().__init__()
        self.alpha = number("GradNorm", "alpha", alpha, least=0, open=False)
        self.rate = number("GradNorm", "rate", rate, least=0)

    def begin(self, losses: Mapping[str, Loss]) -> None:
        """Start every weight at 1 with nothing seen."""
        super().begin(losses)
        self.vector("first", [0.0] * len(losses))

    def update(self, progress: Progress) -> State:
        """Take one gradient step on the weights."""
        now = self.seen(progress)
        given = progress.signals["gradient_norms"]
        norms = vector("GradNorm", "gradient_norms", given, self.names, self.factor)
        first = torch.where(self.first > 0, self.first, now)  # terms are positive
        ratio = now / first
        size = self.factor * norms
        goal = size.mean() * (ratio / ratio.mean()) ** self.alpha
        moved = self.factor - self.rate * (size - goal).sign() * norms
        moved = moved.clamp(min=LEAST)
        return {"first": first, "factor": moved * (len(self.names) / moved.sum())}

    def config(self) -> dict[str, Any]:
        """Return alpha and the rate."""
        return {"alpha": self.alpha, "rate": self.rate}


class FAMO(Weighting):
    r"""Weights under which all terms fall by the same factor, from the terms alone.

    .. math:: L = \frac{\sum_k z_k \log(L_k + \epsilon)}{\sum_k z_k / (L_k + \epsilon)}
        \qquad z = \mathrm{softmax}(\xi)

    with the denominator held constant. After the model's step, :math:`\xi` takes a step of Adam
    along the change of the log-terms, with weight decay gamma. Signals: the terms of the step, and
    those of the same batch after the optimizer's step. Adam's state is part of this state.

    Args:
        gamma: weight decay of the logits; 0.01 in the authors' code, whose optimum depends on the
            problem.
        rate: the learning rate of the logits.

    Raises:
        ValueError: if gamma is negative, rate is not positive, or a term is not.

    Source: Liu et al., FAMO: Fast Adaptive Multitask Optimization (2023).
    """

    signals = ("terms", "terms_after")
    logits: Tensor
    mean: Tensor
    square: Tensor
    steps: Tensor

    def __init__(self, *, gamma: float = 0.01, rate: float = 0.025) -> None:
        super().__init__()
        self.gamma = number("FAMO", "gamma", gamma, least=0, open=False)
        self.rate = number("FAMO", "rate", rate, least=0)

    def begin(self, losses: Mapping[str, Loss]) -> None:
        """Start with equal weights."""
        for name in ("logits", "mean", "square"):
            self.vector(name, [0.0] * len(losses))
        self.register_buffer("steps", torch.zeros((), dtype=torch.float64, device="cpu"))

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted logarithms, scaled so that gradients have the terms' size."""
        values = self.stacked(terms) + EPSILON
        share = self.logits.to(values.dtype).softmax(0)
        return (share * values.log()).sum() / (share / values).sum().detach()

    def update(self, progress: Progress) -> State:
        """Take one step of Adam on the logits."""
        before, after = (
            positive(
                "FAMO", name, vector("FAMO", name, progress.signals[name], self.names, self.logits)
            )
            for name in self.signals
        )
        change = (before + EPSILON).log() - (after + EPSILON).log()
        share = self.logits.softmax(0)
        slope = share * (change - (share * change).sum()) + self.gamma * self.logits
        steps = self.steps + 1
        mean, square = self.mean.lerp(slope, 0.1), self.square.lerp(slope.square(), 0.001)
        size = (square / (1 - 0.999**steps)).sqrt() + 1e-8
        logits = self.logits - self.rate * mean / (1 - 0.9**steps) / size
        return {"steps": steps, "mean": mean, "square": square, "logits": logits}

    def weights(self) -> dict[str, float]:
        """Return the present shares of the terms."""
        return dict(zip(self.names, self.logits.softmax(0).tolist(), strict=True))

    def config(self) -> dict[str, Any]:
        """Return gamma and the rate."""
        return {"gamma": self.gamma, "rate": self.rate}
