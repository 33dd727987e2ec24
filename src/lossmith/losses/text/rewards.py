"""Losses of completions that were sampled and then judged by a reward."""

import math
from collections.abc import Mapping

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Choice, OptionalWhole, Real


class GRPO(Pointwise):
    r"""Group relative policy optimisation: sampled completions, judged against their group.

    .. math:: \ell_t = -\min\bigl(\rho_t A, \mathrm{clip}(\rho_t, 1 - \varepsilon_\text{low},
        1 + \varepsilon_\text{high}) A\bigr) + \beta (e^{d_t} - d_t - 1) \qquad
        \rho_t = \frac{\pi(y_t)}{\pi_\text{old}(y_t)} \qquad d_t = \log\frac{\pi_r(y_t)}{\pi(y_t)}

    Shapes: input (N, T), the model's log-probability of each token of the completions; target a
    dict of `advantage` (N,), as `lossmith.functional.group_advantages` makes of the rewards of
    each prompt's completions, and optionally `old` (N, T), log-probabilities of the model that
    sampled, else the model itself, `reference` (N, T), the frozen reference model's, and `mask`
    (N, T), 1 where a token counts. Terms: policy, and kl where there is a reference.

    The average is the paper's, over a completion's tokens and then over completions, of which one
    without tokens is 0 and counts; DAPO's, over all tokens alike ("token"; parts of a batch need
    `denominator`, their common count); or Dr. GRPO's, each completion's sum over a constant
    ("length"). DAPO also has epsilon_high = 0.28, Dr. GRPO advantages without scale, both beta = 0:
    give no reference.

    Use when: Completions can be judged by a rule or a reward model, as answers of mathematics can.
    Avoid when: Pairs were judged by people once and for all: DPO needs no sampling.
    Source: Shao et al., DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language
    Models (2024); Yu et al., DAPO (2025); Liu et al., Understanding R1-Zero-Like Training (2025).

    >>> target = {"advantage": torch.tensor([1.0]), "old": torch.tensor([[-1.0, -1.0]])}
    >>> GRPO()(torch.tensor([[-1.0, 0.0]]), target)  # ratios 1 and e, the latter clipped at 1.2
    tensor(-1.1000)
    """

    function = staticmethod(F.grpo)
    average: Choice = Choice(
        default="completion",
        choices=("completion", "token", "length"),
        doc="over what tokens are averaged: GRPO's, DAPO's or Dr. GRPO's way",
    )
    epsilon_low: Real = Real(
        default=0.2, low=0.0, high=1.0, exclusive=True, doc="how far below 1 a ratio still counts"
    )
    epsilon_high: Real = Real(
        default=0.2, low=0.0, exclusive=True, doc="how far above 1 a ratio still counts"
    )
    beta: Real = Real(
        default=0.04, low=0.0, doc="weight of the divergence from the reference; trl's default is 0"
    )
    max_length: OptionalWhole = OptionalWhole(
        default=None, low=1, doc='what "length" divides by; the padded length unless given'
    )
    card = Card(
        key="grpo",
        tasks=("preference",),
        input="log_probabilities",
        target={
            "advantage": "values",
            "old": "log_probabilities",
            "reference": "log_probabilities",
            "mask": "labels",
        },
        optional=("old", "reference", "mask"),
        # ratios 2, clipped at 1.2, and 1; 1/2 and 1. The reference gives the first 4 times less.
        example=Example(
            arguments={"beta": 0.5},
            input=[[-math.log(2), -1.0], [-math.log(4), -1.0]],
            target={
                "advantage": [1.0, -2.0],
                "old": [[-math.log(4), -1.0], [-math.log(2), -1.0]],
                "reference": [[-math.log(8), -1.0], [-math.log(4), -1.0]],
                "mask": [[1.0, 1.0], [1.0, 0.0]],
            },
            value=((-1.2 - 1) / 2 + 2 * 0.8 + 0.5 * (0.25 + math.log(4) - 1) / 2) / 2,
        ),
    )

    def weights(self, target: Mapping[str, Tensor]) -> Tensor | None:
        """Return the mask where the average is one of tokens."""
        return F.token_mask(target) if self.average == "token" else None
