"""Distributions of returns in reinforcement learning, by quantiles or on fixed atoms."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real
from lossmith.functional.checks import promote
from lossmith.losses._classes import AnyHead

_HALVES = [[0.5, 0.5, 0.0]]


class QuantileHuber(AnyHead, Pointwise):
    r"""Quantiles of a return against a sample of what it should be: QR-DQN's.

    .. math:: \ell = \sum_{i=1}^K \frac1M \sum_{j=1}^M \bigl| \tau_i - 1[u_{ij} < 0] \bigr| \,
        L_\kappa(u_{ij}) \qquad u_{ij} = y_j - x_i, \; \tau_i = \frac{i - 1/2}{K}

    with Huber's loss L.

    Shapes: input (N, K), the quantiles of the action that was taken; target (N, M) of reward plus
    discount times the next state's quantiles, without gradient. One value a row. As in QR-DQN's
    paper L is not divided by κ, as IQN does; at 1 both are the same. TQC averages over quantiles
    instead of adding them: this over K.

    Use when: Values of actions are learned as distributions: QR-DQN, and its heirs.
    Avoid when: One target a row is seen, not a sample: Quantile and QuantileCRPS have such heads.
    Source: Dabney, Rowland, Bellemare, Munos, Distributional Reinforcement Learning with Quantile
    Regression (2018), equation 10.

    >>> QuantileHuber()(torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0]]))  # (1/4 + 3/4) 3/2
    tensor(1.5000)
    """

    function = staticmethod(F.quantile_huber)
    kappa: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="κ, from which on errors are absolute"
    )
    card = Card(
        key="quantile_huber",
        tasks=("reinforcement",),
        input="values",
        target="values",
        # of levels 1/4 and 3/4: gaps 2, −1/2 at 1.5, 1/8; and 1, −3/2 at 1/2, 1
        example=Example(
            input=[[0.0, 1.0]],
            target=[[2.0, -0.5]],
            value=(1.5 / 4 + 3 / 4 / 8 + 3 / 4 / 2 + 1 / 4) / 2,
        ),
    )


class C51(AnyHead, Pointwise):
    r"""A histogram of the return against the next state's, moved by reward and discount.

    .. math:: \ell = -\sum_i m_i \log p_i \qquad m_i = \sum_j q_j \Bigl[ 1 - \frac{\bigl| [r +
        \gamma z_j]_{z_1}^{z_K} - z_i \bigr|}{\Delta z} \Bigr]_0^1 \quad p = \mathrm{softmax}(x)

    with K even atoms z from low to high, a step Δz apart.

    Shapes: input (N, K) of logits, of the action that was taken; target a dict of "probabilities"
    (N, K), those of the next state's best action, "reward" (N,) and "discount" (N,), γ or 0 where
    the episode has ended. One value a row, in nats; no gradient flows into the target. `decode`
    gives expected returns, of (N, A, K) those of all A actions.

    Use when: Values of actions are learned as distributions, and returns have known bounds: C51.
    Avoid when: Bounds are not known: what lies beyond counts as the last atom; quantiles have none.
    Source: Bellemare, Dabney, Munos, A Distributional Perspective on Reinforcement Learning (2017),
    algorithm 1.

    >>> even = torch.tensor([[0.5, 0.5, 0.0]])
    >>> target = {"probabilities": even, "reward": torch.ones(1), "discount": torch.ones(1)}
    >>> C51(low=0.0, high=2.0)(torch.zeros(1, 3), target)  # log 3
    tensor(1.0986)
    """

    low: Real = Real(default=-10.0, doc="z_1, the first atom; the paper's for Atari")
    high: Real = Real(default=10.0, doc="z_K, the last atom, above low")
    card = Card(
        key="c51",
        tasks=("reinforcement",),
        input="logits",
        target={"probabilities": "probabilities", "reward": "values", "discount": "labels"},
        # half at 1/2 and half at 1, of which a quarter goes to 0, a half and a quarter to 1
        example=Example(
            arguments={"low": 0.0, "high": 2.0},
            input=[[math.log(2), 0.0, 0.0]],
            target={"probabilities": _HALVES, "reward": [0.5], "discount": [0.5]},
            value=0.25 * math.log(2) + 0.75 * math.log(4),
        ),
    )

    def __post_init__(self) -> None:
        low, high = self.low.item(), self.high.item()
        if not low < high:
            raise ValueError(f"C51: high must exceed low, got {low} and {high}")

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the cross-entropy of each row against the projection."""
        return F.c51(
            input,
            target["probabilities"],
            target["reward"],
            target["discount"],
            low=self.low,
            high=self.high,
        )

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean over the atoms of heads (…, K), of all actions say: expected returns."""
        p = promote(output).softmax(-1)
        share = (p * torch.linspace(0, 1, p.shape[-1], dtype=p.dtype, device=p.device)).sum(-1)
        low, high = self.low.to(p.dtype), self.high.to(p.dtype)
        return low + (high - low) * share
