"""Losses that learn from preferences between completions of a language model."""

import math
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example, Hyper, Kind, Paper
from lossmith.core.loss import Pointwise
from lossmith.losses.coupled import GATHER

PAIR: dict[str, Kind] = {"chosen": "log_probabilities", "rejected": "log_probabilities"}
LOG3 = math.log(3)


class DPO(Pointwise):
    r"""Direct preference optimisation: the chosen completion gains on the reference model's.

    .. math:: \ell = -(1 - \varepsilon) \log\sigma(\beta h) - \varepsilon \log\sigma(-\beta h)
        \qquad h = \log\frac{\pi(c)}{\pi_r(c)} - \log\frac{\pi(r)}{\pi_r(r)}

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions, summed over tokens; target alike, the frozen reference model's.
    `lossmith.functional.sequence_log_probability` gives them. Values in nats.

    Args:
        beta: how dear it is to leave the reference model.
        label_smoothing: share of pairs that are labelled the wrong way round; above 0 it is
            conservative DPO.

    Raises:
        ValueError: if the shapes differ.

    Source: Rafailov et al., Direct Preference Optimization: Your Language Model is Secretly a
    Reward Model (2023), equation 7; smoothing: Mitchell, A note on DPO with noisy preferences
    (2023).

    >>> level = {"chosen": torch.tensor([-2.0]), "rejected": torch.tensor([-3.0])}
    >>> DPO()(level, level)
    tensor(0.6931)
    """

    beta: Tensor
    label_smoothing: Tensor
    card: ClassVar[Card] = Card(
        key="dpo",
        tasks=("preference",),
        target=PAIR,
        input=PAIR,
        formula="-log sigmoid(beta ((log pi/pi_ref)(chosen) - (log pi/pi_ref)(rejected)))",
        use_when="Pairs of a better and a worse completion are known, and a reference model.",
        avoid_when="Preferences are certain and data few: the margin grows without end; take IPO.",
        paper=Paper(
            authors="R. Rafailov, A. Sharma, E. Mitchell, S. Ermon, C. D. Manning, C. Finn",
            title="Direct Preference Optimization: Your Language Model is Secretly a Reward Model",
            year=2023,
        ),
        # h = (−1 + 2) − (−4 + 3) = 2, beta·h = log 3
        example=Example(
            arguments={"beta": LOG3 / 2, "label_smoothing": 0.25},
            input={"chosen": [-1.0], "rejected": [-4.0]},
            target={"chosen": [-2.0], "rejected": [-3.0]},
            value=-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)),
        ),
        hypers={
            "beta": Hyper(
                default=0.1, low=0.0, open=True, meaning="how dear it is to leave the reference"
            ),
            "label_smoothing": Hyper(
                default=0.0, low=0.0, high=0.5, meaning="share of pairs labelled the wrong way"
            ),
        },
    )

    def __init__(self, *, beta: Number = 0.1, label_smoothing: Number = 0.0) -> None:
        super().__init__(beta=beta, label_smoothing=label_smoothing)

    def values(self, input: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Return the value of each pair."""
        return F.dpo(input, target, beta=self.beta, label_smoothing=self.label_smoothing)


class IPO(Pointwise):
    r"""Identity preference optimisation: the chosen completion's lead has an aim, not no end.

    .. math:: \ell = \left(h - \frac{1}{2\tau}\right)^2 \qquad
        h = \log\frac{\pi(c)}{\pi_r(c)} - \log\frac{\pi(r)}{\pi_r(r)}

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions; target alike, the frozen reference model's. The paper writes sums over tokens;
    its authors trained with means over tokens, as trl reports and does. Both fit here, and tau
    means something else under each.

    Args:
        tau: strength of the pull to the reference model; the lead aimed at is 1/(2·tau).

    Raises:
        ValueError: if the shapes differ.

    Source: Azar et al., A General Theoretical Paradigm to Understand Learning from Human
    Preferences (2023), equation 17.

    >>> level = {"chosen": torch.tensor([-2.0]), "rejected": torch.tensor([-3.0])}
    >>> IPO(tau=0.5)(level, level)
    tensor(1.)
    """

    tau: Tensor
    card: ClassVar[Card] = Card(
        key="ipo",
        tasks=("preference",),
        target=PAIR,
        input=PAIR,
        formula="((log pi/pi_ref)(chosen) - (log pi/pi_ref)(rejected) - 1/(2 tau))^2",
        use_when="DPO overfits: preferences are nearly certain, or data few.",
        avoid_when="Completions differ much in length and log-probabilities are sums.",
        paper=Paper(
            authors="M. G. Azar, M. Rowland, B. Piot, D. Guo, D. Calandriello, M. Valko, R. Munos",
            title="A General Theoretical Paradigm to Understand Learning from Human Preferences",
            year=2023,
        ),
        example=Example(
            arguments={"tau": 0.5},
            input={"chosen": [-1.0], "rejected": [-5.0]},
            target={"chosen": [-2.0], "rejected": [-3.0]},
            value=4.0,
        ),
        hypers={
            "tau": Hyper(default=0.1, low=0.0, open=True, meaning="pull to the reference model")
        },
    )

    def __init__(self, *, tau: Number = 0.1) -> None:
        super().__init__(tau=tau)

    def values(self, input: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Return the value of each pair."""
        return F.ipo(input, target, tau=self.tau)


class SimPO(Pointwise):
    r"""Simple preference optimisation: DPO without a reference model, with a margin to win by.

    .. math:: \ell = -\log\sigma\left(\beta (\overline{\log \pi(c)} - \overline{\log \pi(r)})
        - \gamma\right)

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions, averaged over tokens; no target. Values in nats. trl's simpo_gamma is this gamma.

    Args:
        beta: scale of the reward; the paper's are 2 to 2.5.
        gamma: margin that the chosen completion should win by, in units of beta·log-probability;
            the authors set it from 0.25 to 1.6 by model, and to 1 for Llama-3-Base.

    Raises:
        ValueError: if the shapes differ.

    Source: Meng, Xia, Chen, SimPO: Simple Preference Optimization with a Reference-Free Reward
    (2024).

    >>> SimPO(gamma=0.0)({"chosen": torch.tensor([-2.0]), "rejected": torch.tensor([-2.0])})
    tensor(0.6931)
    """

    beta: Tensor
    gamma: Tensor
    card: ClassVar[Card] = Card(
        key="sim_po",
        tasks=("preference",),
        target=None,
        input=PAIR,
        formula="-log sigmoid(beta (chosen - rejected) - gamma), means over tokens",
        use_when="No reference model fits in memory, and length must not count as quality.",
        avoid_when="The model must stay near where it was: nothing holds it there.",
        paper=Paper(
            authors="Y. Meng, M. Xia, D. Chen",
            title="SimPO: Simple Preference Optimization with a Reference-Free Reward",
            year=2024,
        ),
        example=Example(
            arguments={"beta": 2.0, "gamma": 1.0},
            input={"chosen": [-1.0], "rejected": [-1.5 - LOG3 / 2]},
            target=None,
            value=-math.log(0.75),
        ),
        hypers={
            "beta": Hyper(default=2.0, low=0.0, open=True, meaning="scale of the reward"),
            "gamma": Hyper(default=1.0, low=0.0, meaning="margin to win by"),
        },
    )

    def __init__(self, *, beta: Number = 2.0, gamma: Number = 1.0) -> None:
        super().__init__(beta=beta, gamma=gamma)

    def values(self, input: Mapping[str, Tensor], target: None) -> Tensor:
        """Return the value of each pair."""
        return F.sim_po(input, beta=self.beta, gamma=self.gamma)


class ORPO(Pointwise):
    r"""Odds ratio preference optimisation: fine-tuning and preference in one loss.

    .. math:: \ell = -\log p_c - \lambda \log\sigma\left(\log\frac{p_c / (1 - p_c)}
        {p_r / (1 - p_r)}\right) \qquad p = \exp \overline{\log\pi}

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions, averaged over tokens; no target. Values in nats. Terms: likelihood, odds_ratio.
    trl takes the likelihood's mean over all tokens of a batch, the paper over each completion's.

    Args:
        lambda_: weight of the odds ratio; trl calls it beta.

    Raises:
        ValueError: if the shapes differ.

    Source: Hong, Lee, Thorne, ORPO: Monolithic Preference Optimization without Reference Model
    (2024).

    >>> even = torch.tensor([0.5]).log()
    >>> ORPO(lambda_=1.0)({"chosen": even, "rejected": even})
    tensor(1.3863)
    """

    lambda_: Tensor
    card: ClassVar[Card] = Card(
        key="orpo",
        tasks=("preference",),
        target=None,
        input=PAIR,
        formula="-log p_c - lambda log sigmoid(log odds(p_c) - log odds(p_r)), means over tokens",
        use_when="A base model is fine-tuned and aligned at once, without a reference model.",
        avoid_when="The model is tuned already: DPO starts from it.",
        paper=Paper(
            authors="J. Hong, N. Lee, J. Thorne",
            title="ORPO: Monolithic Preference Optimization without Reference Model",
            year=2024,
        ),
        # odds 1 and 1/3
        example=Example(
            arguments={"lambda_": 2.0},
            input={"chosen": [-math.log(2)], "rejected": [-math.log(4)]},
            target=None,
            value=math.log(2) - 2 * math.log(0.75),
        ),
        hypers={"lambda_": Hyper(default=0.1, low=0.0, meaning="weight of the odds ratio")},
    )

    def __init__(self, *, lambda_: Number = 0.1) -> None:
        super().__init__(lambda_=lambda_)

    def values(self, input: Mapping[str, Tensor], target: None) -> dict[str, Tensor]:
        """Return the likelihood and the odds ratio's value of each pair."""
        return F.orpo(input, lambda_=self.lambda_)


class KTO(Pointwise):
    r"""Kahneman-Tversky optimisation: single completions, each good or bad, against a reference.

    .. math:: \ell = \begin{cases} \lambda_D (1 - \sigma(\beta (r - z))) & \text{desirable} \\
        \lambda_U (1 - \sigma(\beta (z - r))) & \text{undesirable} \end{cases} \qquad
        r = \log\frac{\pi(y)}{\pi_r(y)} \qquad z = \max(0, \overline{r'})

    Shapes: input "completion" and "mismatched" (N,), the model's log-probabilities of each
    completion and of one that answers another row's prompt, summed over tokens; target alike,
    the frozen reference model's, and "desirable" (N,), 1 or 0. The reference point z estimates
    the divergence of both models as the mean log-ratio r' of the mismatched completions of the
    batch, at least 0; as in the paper no gradient flows through it. Values from 0 to λ.

    Args:
        beta: how fast value saturates.
        lambda_desirable: weight of desirable completions; with n of one kind and m of the other,
            λ_D·n_D/(λ_U·n_U) should lie between 1 and 4/3.
        lambda_undesirable: weight of undesirable ones.
        gather: over several processes, whether the batch is that of all ranks.

    Raises:
        ValueError: if the shapes differ.

    Source: Ethayarajh, Xu, Muennighoff, Jurafsky, Kiela, KTO: Model Alignment as Prospect
    Theoretic Optimization (2024).

    >>> level = {"completion": torch.tensor([-2.0]), "mismatched": torch.tensor([-3.0])}
    >>> KTO()(level, {**level, "desirable": torch.tensor([1.0])})
    tensor(0.5000)
    """

    beta: Tensor
    lambda_desirable: Tensor
    lambda_undesirable: Tensor
    card: ClassVar[Card] = Card(
        key="kto",
        tasks=("preference",),
        target={
            "completion": "log_probabilities",
            "mismatched": "log_probabilities",
            "desirable": "labels",
        },
        input={"completion": "log_probabilities", "mismatched": "log_probabilities"},
        reduction="anchors",
        detached=True,
        formula="lambda (1 - sigmoid(+-beta (log pi/pi_ref - z))), z = max(0, mean mismatched)",
        use_when="Completions are marked good or bad one by one, without pairs.",
        avoid_when="Batches are tiny, or pairs are known: DPO uses what they tell.",
        paper=Paper(
            authors="K. Ethayarajh, W. Xu, N. Muennighoff, D. Jurafsky, D. Kiela",
            title="KTO: Model Alignment as Prospect Theoretic Optimization",
            year=2024,
        ),
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
        hypers={
            "beta": Hyper(default=0.1, low=0.0, open=True, meaning="how fast value saturates"),
            "lambda_desirable": Hyper(default=1.0, low=0.0, meaning="weight of desirable ones"),
            "lambda_undesirable": Hyper(default=1.0, low=0.0, meaning="weight of undesirable ones"),
            "gather": GATHER,
        },
    )

    def __init__(
        self,
        *,
        beta: Number = 0.1,
        lambda_desirable: Number = 1.0,
        lambda_undesirable: Number = 1.0,
        gather: bool = True,
    ) -> None:
        super().__init__(
            beta=beta,
            lambda_desirable=lambda_desirable,
            lambda_undesirable=lambda_undesirable,
            gather=gather,
        )

    def values(self, input: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Return the value of each completion."""
        return F.kto(
            input,
            target,
            beta=self.beta,
            lambda_desirable=self.lambda_desirable,
            lambda_undesirable=self.lambda_undesirable,
        )
