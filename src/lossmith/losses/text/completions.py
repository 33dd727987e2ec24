"""Losses of single completions that are good or bad, against a reference model."""

import math

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import State
from lossmith.core.bases import Coupled
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real
from lossmith.core.progress import Progress
from lossmith.losses._classes import LOG3
from lossmith.losses.text.pairs import BETA


class KTO(Coupled):
    r"""Kahneman-Tversky optimisation: single completions, each good or bad, against a reference.

    .. math:: \ell = \begin{cases} \lambda_D (1 - \sigma(\beta (r - z))) & \text{desirable} \\
        \lambda_U (1 - \sigma(\beta (z - r))) & \text{undesirable} \end{cases} \qquad
        r = \log\frac{\pi(y)}{\pi_r(y)} \qquad z = \max(0, \overline{r'})

    Shapes: input "completion" and "mismatched" (N,), the model's log-probabilities of each
    completion and of one that answers another row's prompt, summed over tokens; target alike,
    the frozen reference model's, and "desirable" (N,), 1 or 0. The reference point z estimates
    the divergence of both models as the mean log-ratio r' of the mismatched completions of the
    batch, at least 0; as in the paper no gradient flows through it. Values from 0 to λ.

    Use when: Completions are marked good or bad one by one, without pairs.
    Avoid when: Batches are tiny, or pairs are known: DPO uses what they tell.
    Source: Ethayarajh, Xu, Muennighoff, Jurafsky, Kiela, KTO: Model Alignment as Prospect
    Theoretic Optimization (2024).

    >>> level = {"completion": torch.tensor([-2.0]), "mismatched": torch.tensor([-3.0])}
    >>> KTO()(level, {**level, "desirable": torch.tensor([1.0])})
    tensor(0.5000)
    """

    function = staticmethod(F.kto)
    beta: Real = Real(default=0.1, low=0.0, exclusive=True, doc="how fast value saturates")
    lambda_desirable: Real = Real(
        default=1.0,
        low=0.0,
        doc="weight of desirable completions; with n of one kind and m of the other, "
        "λ_D·n_D/(λ_U·n_U) should lie between 1 and 4/3",
    )
    lambda_undesirable: Real = Real(default=1.0, low=0.0, doc="weight of undesirable ones")
    card = Card(
        key="kto",
        tasks=("preference",),
        input={"completion": "log_probabilities", "mismatched": "log_probabilities"},
        target={
            "completion": "log_probabilities",
            "mismatched": "log_probabilities",
            "desirable": "labels",
        },
        detached=True,
        # z = 1; rewards 2 and 0 stand log 3 above and below it: 1 − 3/4, twice
        example=Example(
            arguments={"beta": LOG3, "lambda_undesirable": 3.0},
            input={"completion": [-2.0, -5.0], "mismatched": [-3.0, -4.0]},
            target={
                "completion": [-4.0, -5.0],
                "mismatched": [-4.0, -5.0],
                "desirable": [1.0, 0.0],
            },
            value=(0.25 + 3 * 0.25) / 2,
        ),
    )


class BCO(Coupled):
    r"""Binary classifier optimisation: whether a completion is good, told by its reward.

    .. math:: \ell = \begin{cases} -\log\sigma(r - \delta) & \text{desirable} \\
        -\log\sigma(\delta - r) & \text{undesirable} \end{cases} \qquad
        r = \beta \log\frac{\pi(y)}{\pi_r(y)} \qquad \delta = \overline{r}

    The reward shift δ is the mean reward of all completions so far and of the batch itself; no
    gradient flows through it. After each step `observe` takes the batch in, by the signals "input"
    and "target": `clock.step(input=input, target=target)`. Without, it is the batch's mean alone.

    Shapes: input "completion" (N,), the model's log-probability of each completion, summed over
    tokens; target alike, the frozen reference model's, and "desirable" (N,), 1 or 0. Values in
    nats. trl's weights that match prompts of both kinds are sample weights here; its "bco_pair" is
    δ = 0.

    Use when: Completions are marked good or bad one by one, without pairs.
    Avoid when: Pairs are known: DPO uses what they tell. Batches are all good or all bad.
    Source: Jung, Han, Nam, On, Binary Classifier Optimization for Large Language Model Alignment
    (2024); the shift as in trl.

    >>> level = {"completion": torch.tensor([-2.0, -2.0])}
    >>> BCO()(level, {**level, "desirable": torch.tensor([1.0, 0.0])})
    tensor(0.6931)
    """

    function = staticmethod(F.bco)
    beta: Real = BETA
    card = Card(
        key="bco",
        tasks=("preference",),
        input={"completion": "log_probabilities"},
        target={"completion": "log_probabilities", "desirable": "labels"},
        detached=True,
        # ratios 2 and 0 stand log 3 above and below their mean: 3/4 both
        example=Example(
            arguments={"beta": LOG3},
            input={"completion": [-2.0, -5.0]},
            target={"completion": [-4.0, -5.0], "desirable": [1.0, 0.0]},
            value=math.log(4 / 3),
        ),
        required_signals=("input", "target"),
    )

    def initial_state(self) -> dict[str, Tensor]:
        """Return no completions seen."""
        return {
            "average": torch.zeros((), dtype=torch.float64, device="cpu"),
            "seen": torch.zeros((), dtype=torch.int64, device="cpu"),
        }

    def update(self, progress: Progress) -> State:
        """Take the step's log-ratios into the average."""
        ratio, _ = F.completion_ratio(progress.signals["input"], progress.signals["target"])
        if not ratio.numel():
            return {}
        seen = self.seen + ratio.numel()
        gap = ratio.mean().cpu() - self.average
        return {"seen": seen, "average": self.average + gap * ratio.numel() / seen}
