"""Losses of preferences between two completions of a prompt."""

import math

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Example, Kind
from lossmith.core.hyperparameter import Choice, Real
from lossmith.losses._classes import LOG3

BETA = Real(default=0.1, low=0.0, exclusive=True, doc="how dear it is to leave the reference model")
PAIR: dict[str, Kind] = {"chosen": "log_probabilities", "rejected": "log_probabilities"}


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
    beta: Real = BETA
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


class RobustDPO(Pointwise):
    r"""DPO whose expectation is that of right labels, where a known share is reversed.

    .. math:: \ell = \frac{-(1 - \varepsilon) \log\sigma(\beta h) + \varepsilon
        \log\sigma(-\beta h)}{1 - 2 \varepsilon} \qquad
        h = \log\frac{\pi(c)}{\pi_r(c)} - \log\frac{\pi(r)}{\pi_r(r)}

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions, summed over tokens; target alike, the frozen reference model's. Values in nats;
    below 0, without end, where pairs are won by much. Smoothed DPO adds the second term, and
    so aims at a lead that ends; here only the bias of wrong labels is taken out.

    Use when: A share of preferences is known to be wrong, as judges of one's own measure it.
    Avoid when: The share is guessed: too large a one follows noise; take DPO's label_smoothing.
    Source: Chowdhury, Kini, Natarajan, Provably Robust DPO: Aligning Language Models with Noisy
    Feedback (2024), equation 12.

    >>> level = {"chosen": torch.tensor([-2.0]), "rejected": torch.tensor([-3.0])}
    >>> RobustDPO()(level, level)
    tensor(0.6931)
    """

    function = staticmethod(F.robust_dpo)
    beta: Real = BETA
    flipped: Real = Real(
        default=0.1,
        low=0.0,
        high=0.49,
        doc="ε, the share of pairs that are labelled the wrong way round; trl calls it "
        "label_smoothing, 0 by default. The paper's experiments have 0.1",
    )
    card = Card(
        key="robust_dpo",
        tasks=("preference",),
        input=PAIR,
        target=PAIR,
        # beta·h = log 3, as for DPO
        example=Example(
            arguments={"beta": LOG3 / 2, "flipped": 0.25},
            input={"chosen": [-1.0], "rejected": [-4.0]},
            target={"chosen": [-2.0], "rejected": [-3.0]},
            value=(-0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / 0.5,
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
    beta: Real = BETA
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


class EXO(Pointwise):
    r"""Efficient exact optimisation: the model's preference, drawn to the labels' by reverse KL.

    .. math:: \ell = \sigma(z) \log\frac{\sigma(z)}{1 - \varepsilon} +
        \sigma(-z) \log\frac{\sigma(-z)}{\varepsilon} \qquad z = \beta \Bigl(
        \log\frac{\pi(c)}{\pi_r(c)} - \log\frac{\pi(r)}{\pi_r(r)}\Bigr)

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions, summed over tokens; target alike, the frozen reference model's. Values in nats,
    from 0, where z = log((1 − ε)/ε), to −log ε. DPO is the same two distributions with their
    places changed.

    Use when: Modes matter, as for what a model writes: few good answers rather than all of them.
    Avoid when: Pairs lie far on the wrong side: σ saturates there, and little is learnt.
    Source: Ji, Lu, Niu, Ke, Wang, Zhu, Tang, Huang, Towards Efficient Exact Optimization of
    Language Model Alignment (2024), equation 16.

    >>> level = {"chosen": torch.tensor([-2.0]), "rejected": torch.tensor([-3.0])}
    >>> EXO(label_smoothing=0.1)(level, level)
    tensor(0.5108)
    """

    function = staticmethod(F.exo)
    beta: Real = BETA
    label_smoothing: Real = Real(
        default=1e-3,
        low=0.0,
        high=0.5,
        exclusive=True,
        doc="ε, the chance that the rejected completion is the better one",
    )
    card = Card(
        key="exo",
        tasks=("preference",),
        input=PAIR,
        target=PAIR,
        # h = 2, beta·h = log 3: 3/4 against 9/10
        example=Example(
            arguments={"beta": LOG3 / 2, "label_smoothing": 0.1},
            input={"chosen": [-1.0], "rejected": [-4.0]},
            target={"chosen": [-2.0], "rejected": [-3.0]},
            value=0.75 * math.log(0.75 / 0.9) + 0.25 * math.log(0.25 / 0.1),
        ),
    )


class SPPO(Pointwise):
    r"""Self-play preference optimisation: each completion's log-ratio has an aim of its own.

    .. math:: \ell = \Bigl(r_c - \frac{1}{2\beta}\Bigr)^2 + \Bigl(r_r + \frac{1}{2\beta}\Bigr)^2
        \qquad r = \log\frac{\pi}{\pi_r}

    Shapes: input "chosen" and "rejected" (N,), the model's log-probabilities of both
    completions, summed over tokens; target alike, those of the model of the last round, which
    sampled them. The chosen one counts as sure to win, as trl's "sppo_hard"; the paper aims at
    (P − ½)/beta with a judge's P. The paper's 1/beta is η = 1000; trl's beta is 0.1 by default.

    Use when: Completions of the model itself are judged in pairs, round after round.
    Avoid when: Pairs are of other models: their log-ratios cannot be drawn to an aim so far.
    Source: Wu, Sun, Yuan, Ji, Yang, Gu, Self-Play Preference Optimization for Language Model
    Alignment (2024), equation 4.7.

    >>> level = {"chosen": torch.tensor([-2.0]), "rejected": torch.tensor([-3.0])}
    >>> SPPO(beta=0.5)(level, level)
    tensor(2.)
    """

    function = staticmethod(F.sppo)
    beta: Real = Real(
        default=1e-3,
        low=0.0,
        exclusive=True,
        doc="how dear it is to leave the last model; the aims are ±1/(2·beta)",
    )
    card = Card(
        key="sppo",
        tasks=("preference",),
        input=PAIR,
        target=PAIR,
        # log-ratios 1 and −1, aims ±2
        example=Example(
            arguments={"beta": 0.25},
            input={"chosen": [-1.0], "rejected": [-4.0]},
            target={"chosen": [-2.0], "rejected": [-3.0]},
            value=2.0,
        ),
    )
