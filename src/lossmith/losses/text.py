"""Losses of sequences of tokens, and of preferences between completions."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Coupled, Pointwise
from lossmith.core.card import Card, Example, Kind
from lossmith.core.hyperparameter import Choice, Real, Whole
from lossmith.losses._classes import IGNORE, LOG3

PAIR: dict[str, Kind] = {"chosen": "log_probabilities", "rejected": "log_probabilities"}


class Unlikelihood(Pointwise):
    r"""Token cross-entropy that also lowers the tokens a text has used before.

    .. math:: \ell_t = -\log p(y_t) - \alpha \sum_{c \in \{y_1 \ldots y_{t-1}\} \setminus \{y_t\}}
        \log(1 - p(c))

    Shapes: input (N, C, T), logits of C tokens at T places, as in cross-entropy; target (N, T)
    of integers. One value a token, in nats: the mean is over all tokens of a batch that are not
    ignored, so accumulated batches and ranks need `denominator`, their common count. Each earlier
    token counts once, ignored ones never. With alpha = 0 it is `CrossEntropy`, which is the loss
    of plain language modelling.

    Use when: Greedy or beam search repeats itself.
    Avoid when: Texts repeat tokens rightly, as code and tables do.
    Source: Welleck, Kulikov, Roller, Dinan, Cho, Weston, Neural Text Generation with Unlikelihood
    Training (2020), the token level.

    >>> Unlikelihood()(torch.zeros(1, 2, 2), torch.tensor([[0, 1]]))
    tensor(1.0397)
    """

    function = staticmethod(F.unlikelihood)
    alpha: Real = Real(default=1.0, low=0.0, doc="weight of the unlikelihood")
    ignore_index: Whole = IGNORE
    card = Card(
        key="unlikelihood",
        tasks=("text",),
        input="logits",
        target="classes",
        # Places: token 0 at 3/4; token 1 at 1/4, where token 0 was seen and has 3/4.
        example=Example(
            arguments={"alpha": 2.0},
            input=[[[LOG3, LOG3], [0.0, 0.0]]],
            target=[[0, 1]],
            value=(-math.log(3 / 4) - math.log(1 / 4) - 2 * math.log(1 / 4)) / 2,
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the softmax: one probability a token, along dimension 1."""
        return F.softmax(output)

    def weights(self, target: Tensor) -> Tensor | None:
        """Return 1 for each token, 0 where it is ignored."""
        return F.target_weights(target, ignore_index=self.ignore_index)


class DPO(Pointwise):
    r"""Direct preference optimisation: the chosen completion gains on the reference model's.

    .. math:: \ell = -(1 - \varepsilon) \log\sigma(\beta h) - \varepsilon \log\sigma(-\beta h)
        \qquad h = \log\frac{\pi(c)}{\pi_r(c)} - \log\frac{\pi(r)}{\pi_r(r)}

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions, summed over tokens; target alike, the frozen reference model's.
    `lossmith.functional.sequence_log_probability` gives them. Values in nats.

    Use when: Pairs of a better and a worse completion are known, and a reference model.
    Avoid when: Preferences are certain and data few: the margin grows without end; take IPO.
    Source: Rafailov et al., Direct Preference Optimization: Your Language Model is Secretly a
    Reward Model (2023), equation 7; smoothing: Mitchell, A note on DPO with noisy preferences
    (2023).

    >>> level = {"chosen": torch.tensor([-2.0]), "rejected": torch.tensor([-3.0])}
    >>> DPO()(level, level)
    tensor(0.6931)
    """

    function = staticmethod(F.dpo)
    beta: Real = Real(
        default=0.1, low=0.0, exclusive=True, doc="how dear it is to leave the reference model"
    )
    label_smoothing: Real = Real(
        default=0.0,
        low=0.0,
        high=0.5,
        doc="share of pairs that are labelled the wrong way round; above 0 it is conservative DPO",
    )
    card = Card(
        key="dpo",
        tasks=("preference",),
        input=PAIR,
        target=PAIR,
        # h = (−1 + 2) − (−4 + 3) = 2, beta·h = log 3
        example=Example(
            arguments={"beta": LOG3 / 2, "label_smoothing": 0.25},
            input={"chosen": [-1.0], "rejected": [-4.0]},
            target={"chosen": [-2.0], "rejected": [-3.0]},
            value=-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)),
        ),
    )


class IPO(Pointwise):
    r"""Identity preference optimisation: the chosen completion's lead has an aim, not no end.

    .. math:: \ell = \left(h - \frac{1}{2\tau}\right)^2 \qquad
        h = \log\frac{\pi(c)}{\pi_r(c)} - \log\frac{\pi(r)}{\pi_r(r)}

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions; target alike, the frozen reference model's. The paper writes sums over tokens;
    its authors trained with means over tokens, as trl reports and does. Both fit here, and tau
    means something else under each.

    Use when: DPO overfits: preferences are nearly certain, or data few.
    Avoid when: Completions differ much in length and log-probabilities are sums.
    Source: Azar et al., A General Theoretical Paradigm to Understand Learning from Human
    Preferences (2023), equation 17.

    >>> level = {"chosen": torch.tensor([-2.0]), "rejected": torch.tensor([-3.0])}
    >>> IPO(tau=0.5)(level, level)
    tensor(1.)
    """

    function = staticmethod(F.ipo)
    tau: Real = Real(
        default=0.1,
        low=0.0,
        exclusive=True,
        doc="strength of the pull to the reference model; the lead aimed at is 1/(2·tau)",
    )
    card = Card(
        key="ipo",
        tasks=("preference",),
        input=PAIR,
        target=PAIR,
        example=Example(
            arguments={"tau": 0.5},
            input={"chosen": [-1.0], "rejected": [-5.0]},
            target={"chosen": [-2.0], "rejected": [-3.0]},
            value=4.0,
        ),
    )


class SimPO(Pointwise):
    r"""Simple preference optimisation: DPO without a reference model, with a margin to win by.

    .. math:: \ell = -\log\sigma\left(\beta (\overline{\log \pi(c)} - \overline{\log \pi(r)})
        - \gamma\right)

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions, averaged over tokens; no target. Values in nats. trl's simpo_gamma is this gamma.

    Use when: No reference model fits in memory, and length must not count as quality.
    Avoid when: The model must stay near where it was: nothing holds it there.
    Source: Meng, Xia, Chen, SimPO: Simple Preference Optimization with a Reference-Free Reward
    (2024).

    >>> SimPO(gamma=0.0)({"chosen": torch.tensor([-2.0]), "rejected": torch.tensor([-2.0])})
    tensor(0.6931)
    """

    function = staticmethod(F.sim_po)
    beta: Real = Real(
        default=2.0, low=0.0, exclusive=True, doc="scale of the reward; the paper's are 2 to 2.5"
    )
    gamma: Real = Real(
        default=1.0,
        low=0.0,
        doc="margin that the chosen completion should win by, in units of beta·log-probability; "
        "the authors set it from 0.25 to 1.6 by model, and to 1 for Llama-3-Base",
    )
    card = Card(
        key="sim_po",
        tasks=("preference",),
        input=PAIR,
        target=None,
        example=Example(
            arguments={"beta": 2.0, "gamma": 1.0},
            input={"chosen": [-1.0], "rejected": [-1.5 - LOG3 / 2]},
            target=None,
            value=-math.log(0.75),
        ),
    )


class ORPO(Pointwise):
    r"""Odds ratio preference optimisation: fine-tuning and preference in one loss.

    .. math:: \ell = -\log p_c - \lambda \log\sigma\left(\log\frac{p_c / (1 - p_c)}
        {p_r / (1 - p_r)}\right) \qquad p = \exp \overline{\log\pi}

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions, averaged over tokens; no target. Values in nats. Terms: likelihood, odds_ratio.
    trl takes the likelihood's mean over all tokens of a batch, the paper over each completion's.

    Use when: A base model is fine-tuned and aligned at once, without a reference model.
    Avoid when: The model is tuned already: DPO starts from it.
    Source: Hong, Lee, Thorne, ORPO: Monolithic Preference Optimization without Reference Model
    (2024).

    >>> even = torch.tensor([0.5]).log()
    >>> ORPO(lambda_=1.0)({"chosen": even, "rejected": even})
    tensor(1.3863)
    """

    function = staticmethod(F.orpo)
    lambda_: Real = Real(default=0.1, low=0.0, doc="weight of the odds ratio; trl calls it beta")
    card = Card(
        key="orpo",
        tasks=("preference",),
        input=PAIR,
        target=None,
        # odds 1 and 1/3
        example=Example(
            arguments={"lambda_": 2.0},
            input={"chosen": [-math.log(2)], "rejected": [-math.log(4)]},
            target=None,
            value=math.log(2) - 2 * math.log(0.75),
        ),
    )


class CPO(Pointwise):
    r"""Contrastive preference optimisation: DPO without a reference, and the likelihood.

    .. math:: \ell = -\log\sigma\bigl(\beta (\log\pi(c) - \log\pi(r))\bigr) - \alpha \log\pi(c)

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions, summed over tokens; no target. Values in nats. Terms: preference, likelihood. trl
    takes the likelihood's mean over all tokens of a batch, the paper the sum of each completion.

    Use when: Chosen completions are to be imitated too, and no reference model fits in memory.
    Avoid when: Completions differ much in length; SimPO takes means over tokens.
    Source: Xu, Sharaf, Chen, Tan, Shen, Van Durme, Murray, Kim, Contrastive Preference
    Optimization: Pushing the Boundaries of LLM Performance in Machine Translation (2024).

    >>> even = torch.tensor([-2.0])
    >>> CPO()({"chosen": even, "rejected": even})  # log 2 + 2
    tensor(2.6931)
    """

    function = staticmethod(F.cpo)
    beta: Real = Real(default=0.1, low=0.0, exclusive=True, doc="factor of the lead")
    alpha: Real = Real(default=1.0, low=0.0, doc="weight of the likelihood")
    card = Card(
        key="cpo",
        tasks=("preference",),
        input=PAIR,
        target=None,
        example=Example(
            arguments={"beta": LOG3 / 2, "alpha": 0.5},
            input={"chosen": [-1.0], "rejected": [-3.0]},
            target=None,
            value=math.log(4 / 3) + 0.5,
        ),
    )


class APO(Pointwise):
    r"""Anchored preference optimisation: says for each completion which way it should go.

    .. math:: \ell_\text{zero} = 1 - \sigma(\beta r_c) + \sigma(\beta r_r) \qquad
        \ell_\text{down} = \sigma(\beta r_c) + 1 - \sigma(\beta (r_c - r_r)) \qquad
        r = \log\frac{\pi}{\pi_r}

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions, summed over tokens; target alike, the frozen reference model's. Values from 0
    to 2, without a logarithm. "zero" makes chosen completions likelier and rejected ones less
    likely; "down" makes both less likely, rejected ones more so.

    Use when: It is known whether the chosen completions are better than the model's own (zero)
    or worse (down).
    Avoid when: Pairs are far from the model's own: where σ saturates, nothing is learnt.
    Source: D'Oosterlinck et al., Anchored Preference Optimization and Contrastive Revisions:
    Addressing Underspecification in Alignment (2024).

    >>> level = {"chosen": torch.tensor([-2.0]), "rejected": torch.tensor([-3.0])}
    >>> APO()(level, level)
    tensor(1.)
    """

    function = staticmethod(F.apo)
    beta: Real = Real(
        default=0.1, low=0.0, exclusive=True, doc="how dear it is to leave the reference model"
    )
    anchor: Choice = Choice(
        default="zero", choices=("zero", "down"), doc="which way chosen completions should go"
    )
    card = Card(
        key="apo",
        tasks=("preference",),
        input=PAIR,
        target=PAIR,
        # log-ratios 1 and -1, beta log 3: 1/4 twice
        example=Example(
            arguments={"beta": LOG3},
            input={"chosen": [-1.0], "rejected": [-4.0]},
            target={"chosen": [-2.0], "rejected": [-3.0]},
            value=0.5,
        ),
    )


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
