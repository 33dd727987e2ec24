"""Likelihoods of censored times over the intervals of a grid: no family of distributions."""

import math
from collections.abc import Mapping
from typing import Any, Self

from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import ALL, Coupled, Pointwise
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real, Reals
from lossmith.core.loss import Loss
from lossmith.core.tree import check_names
from lossmith.losses._classes import LOG3
from lossmith.losses._fitting import finite, quantile_of
from lossmith.losses.survival.continuous import TARGET

_TARGET = {"time": [0.5, 3.0, 1.0], "event": [1.0, 1.0, 0.0]}  # in intervals 1 and 2, and after 1
_TIMES = {"times": [1.0, 3.0]}


class Grid(Loss):
    """A loss whose head has an output for each interval of a grid of times."""

    times: Reals = Reals(
        fitted=True,
        low=0.0,
        exclusive=True,
        doc="the ends of the intervals in increasing order, two at least; the first begins at 0. "
        "`for_target` fits quantiles of the times of events, ten intervals unless told otherwise",
    )

    def __post_init__(self) -> None:
        times = self.times.detach()
        if times.ndim != 1 or len(times) < 2 or not (times.diff() > 0).all():
            raise ValueError(
                f"{type(self).__name__}: times must be two or more increasing numbers, "
                f"got {times.tolist()}"
            )

    @classmethod
    def for_target(cls, target: Any, *, intervals: int = 10, **hypers: Any) -> Self:
        """Return the loss on a grid of so many quantiles of the times of events.

        Equal ones count once, so that there may be fewer.

        Raises:
            TypeError: if target is no dict of `time` and `event`.
            ValueError: if events have fewer than two different times.

        >>> time, event = torch.tensor([1.0, 2.0, 3.0, 9.0]), torch.tensor([1, 1, 1, 0])
        >>> MTLR.for_target({"time": time, "event": event}, intervals=2).times
        tensor([2., 3.], dtype=torch.float64)
        """
        check_names(cls.__name__, "target", target, cls.card.target, cls.card.optional)
        if "times" in hypers:
            return cls(**hypers)
        time = target["time"][(target["event"] == 1) & (target["time"] > 0)]
        if not len(time):
            raise ValueError(f"{cls.__name__}: target holds no event after time 0; pass times=")
        ordered = finite(time).sort().values
        ends = {quantile_of(ordered, k / intervals).item() for k in range(1, intervals + 1)}
        return cls(**{"times": sorted(ends), **hypers})

    @property
    def out_features(self) -> int:
        """One output an interval."""
        return len(self.times)

    def survival(self, output: Tensor, time: Tensor) -> Tensor:
        """Return the probability to outlive a time, one for each row, in lines between ends.

        Beyond the last end it stays what it is there.

        >>> loss = LogisticHazard(times=[1.0, 2.0])  # 1/2 and 1/4 at the ends
        >>> loss.survival(torch.zeros(2, 2), torch.tensor([0.5, 1.5]))
        tensor([0.7500, 0.3750])
        """
        return F.at_times(self.decode(output), time, times=self.times, start=1.0)


class LogisticHazard(Grid, Pointwise):
    r"""Whether an event comes in each interval, given that none came before: a chain of logits.

    .. math:: \ell = \sum_{k \in S} \log(1 + e^{x_k}) + \sum_{k \in D} \log(1 + e^{-x_k})

    with S the intervals whose end the row is known to have survived, and D that of its event, or
    none where it was censored.

    Shapes: input (N, K), a logit for each of the K intervals in dimension 1; target a dict of
    `time`, 0 or above, and `event`, 1, or 0 where the row was censored then, both (N,). Intervals
    include their end. Values in nats, summed over intervals. A row censored within an interval
    tells nothing of it; Gensheimer & Narasimhan count it as survived from its middle on. Events
    beyond the last end are censored there. `decode` gives the probability to survive each end.

    Use when: Whole survival curves are wanted and hazards are not proportional.
    Avoid when: Risks need only be ordered, Cox then, or events are so few that intervals are empty.
    Source: Gensheimer & Narasimhan, A Scalable Discrete-Time Survival Model for Neural Networks
    (2019); the treatment of censoring is that of Kvamme & Borgan (2019).

    >>> target = {"time": torch.tensor([2.5]), "event": torch.tensor([1])}
    >>> LogisticHazard(times=[1.0, 2.0, 3.0])(torch.zeros(1, 3), target)  # 3 log 2
    tensor(2.0794)
    >>> LogisticHazard(times=[1.0, 2.0, 3.0]).decode(torch.zeros(1, 3))
    tensor([[0.5000, 0.2500, 0.1250]])
    """

    card = Card(
        key="logistic_hazard",
        tasks=("survival",),
        input="logits",
        target=TARGET,
        # hazards 3/4 and 1/2: log(4/3), log 4 + log 2, log 4
        example=Example(
            arguments=_TIMES,
            input=[[LOG3, 0.0]] * 3,
            target=_TARGET,
            value=(math.log(4 / 3) + math.log(8) + math.log(4)) / 3,
        ),
        claims=Claims(convex=True, lipschitz=True),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the probability to survive the end of each interval."""
        return F.hazard_curve(output)

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the negative log-likelihood of each row."""
        return F.logistic_hazard(input, target["time"], target["event"], times=self.times)


class MTLR(Grid, Pointwise):
    r"""Multi-task logistic regression: a softmax over the interval of the event, chained.

    .. math:: \ell = -\log \sum_{k \in P} \operatorname{softmax}(s)_k \qquad
        s_k = \sum_{j = k}^{K} x_j, \; s_{K + 1} = 0

    with P the intervals that may hold the event: its own, or all that end after the row was
    censored, K + 1 for what lies beyond the grid.

    Shapes: input (N, K), an output for each of the K intervals in dimension 1; target a dict of
    `time`, 0 or above, and `event`, 1, or 0 where the row was censored then, both (N,). Intervals
    include their end. Values in nats. `decode` gives the probability to survive each end. The
    paper smooths neighbouring outputs' weights in the head, which is left to weight decay.

    Use when: Whole survival curves are wanted, and neighbouring intervals share what they learn.
    Avoid when: Risks need only be ordered, Cox then, or events are so few that intervals are empty.
    Source: Yu, Greiner, Lin & Baracos, Learning Patient-Specific Cancer Survival Distributions as
    a Sequence of Dependent Regressors (2011).

    >>> target = {"time": torch.tensor([2.5]), "event": torch.tensor([1])}
    >>> MTLR(times=[1.0, 2.0, 3.0])(torch.zeros(1, 3), target)  # one of four: log 4
    tensor(1.3863)
    """

    card = Card(
        key="mtlr",
        tasks=("survival",),
        input="logits",
        target=TARGET,
        # scores 2 log 3, log 3, 0, masses 9, 3, 1 of 13: the first, the second, the last two
        example=Example(
            arguments=_TIMES,
            input=[[LOG3, LOG3]] * 3,
            target=_TARGET,
            value=(math.log(13 / 9) + math.log(13 / 3) + math.log(13 / 4)) / 3,
        ),
        claims=Claims(lipschitz=True),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the probability to survive the end of each interval."""
        return F.mtlr_curve(output)

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the negative log-likelihood of each row."""
        return F.mtlr(input, target["time"], target["event"], times=self.times)


class BCESurv(Grid, Pointwise):
    r"""Whether each interval's end is survived: a classifier for each, of the rows that tell.

    .. math:: \ell = \sum_{k \in S} \log(1 + e^{-x_k}) + \sum_{k \in F} \log(1 + e^{x_k})

    with S the ends that the row is known to have survived, and F those at or after its event, none
    where it was censored.

    Shapes: input (N, K), the logit of surviving the end of each of the K intervals, in dimension
    1; target a dict of `time`, 0 or above, and `event`, 1, or 0 where the row was censored then,
    both (N,). Intervals include their end. Values in nats, summed over ends. Rows leave the
    classifiers of all ends after they were censored, so that those who have their event count too
    much there. `decode` gives the probability to survive each end; nothing keeps it from rising
    from one end to the next.

    Use when: Survival to a few fixed times is asked for, and nearly all rows are seen until then.
    Avoid when: Many rows are censored early: late probabilities are too low; logistic hazard then.
    Source: Kvamme & Borgan, The Brier Score under Administrative Censoring: Problems and Solutions
    (2019).

    >>> target = {"time": torch.tensor([2.5, 1.0]), "event": torch.tensor([1, 0])}
    >>> BCESurv(times=[1.0, 2.0, 3.0])(torch.zeros(2, 3), target)  # 3 log 2 and log 2
    tensor(1.3863)
    """

    card = Card(
        key="bce_surv",
        tasks=("survival",),
        input="logits",
        target=TARGET,
        # to survive: 3/4 and 1/2; log 4 + log 2, log(4/3) + log 2, log(4/3)
        example=Example(
            arguments=_TIMES,
            input=[[LOG3, 0.0]] * 3,
            target=_TARGET,
            value=(math.log(8) + math.log(8 / 3) + math.log(4 / 3)) / 3,
        ),
        claims=Claims(convex=True, lipschitz=True),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the probability to survive the end of each interval."""
        return output.sigmoid()

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the cross-entropy of each row, summed over ends."""
        return F.bce_surv(input, target["time"], target["event"], times=self.times)


class PMF(Grid, Pointwise):
    r"""A softmax over the interval of the event: the likelihood of a free distribution.

    .. math:: \ell = -\log \sum_{k \in P} \operatorname{softmax}(x, 0)_k

    with P the intervals that may hold the event: its own, or all that end after the row was
    censored, K + 1 for what lies beyond the grid.

    Shapes: input (N, K), a logit for each of the K intervals in dimension 1; target a dict of
    `time`, 0 or above, and `event`, 1, or 0 where the row was censored then, both (N,). Intervals
    include their end. What lies beyond the last has a logit of 0. Values in nats. `decode` gives
    the probability to survive each end. It is DeepHit without the price of its ranking.

    Use when: Whole survival curves are wanted, and likelihoods are compared.
    Avoid when: Neighbouring intervals have few events each: MTLR, or a logistic hazard.
    Source: Kvamme & Borgan, Continuous and Discrete-Time Survival Prediction with Neural Networks
    (2019); the likelihood is that of Lee et al., DeepHit (2018).

    >>> target = {"time": torch.tensor([2.5]), "event": torch.tensor([1])}
    >>> PMF(times=[1.0, 2.0, 3.0])(torch.zeros(1, 3), target)  # one of four: log 4
    tensor(1.3863)
    """

    card = Card(
        key="pmf",
        tasks=("survival",),
        input="logits",
        target=TARGET,
        # masses 3, 3, 1 of 7: the first, the second, the last two
        example=Example(
            arguments=_TIMES,
            input=[[LOG3, LOG3]] * 3,
            target=_TARGET,
            value=(math.log(7 / 3) * 2 + math.log(7 / 4)) / 3,
        ),
        claims=Claims(lipschitz=True),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the probability to survive the end of each interval."""
        return F.mass_curve(output)

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the negative log-likelihood of each row."""
        return F.pmf(input, target["time"], target["event"], times=self.times)


class DeepHit(Grid, Coupled):
    r"""A softmax over the interval of the event, and a price for rows ranked wrongly.

    .. math:: \ell_i = -\log \sum_{k \in P_i} \operatorname{softmax}(x_i, 0)_k + \frac{\alpha}{N}
        \sum_j A_{ij} \, e^{-(F_i(t_i) - F_j(t_i)) / \sigma}

    with P the intervals that may hold the event, its own or all that end after the row was
    censored; F the probability of an event by the end of the interval of :math:`t_i`; and A 1
    where row i has its event in an interval that row j is known to have survived.

    Shapes: input (N, K), a logit for each of the K intervals in dimension 1; target a dict of
    `time`, 0 or above, and `event`, 1, or 0 where the row was censored then, both (N,). Intervals
    include their end. What lies beyond the last has a logit of 0. Rows compete with the others of
    their batch alone; memory grows with N². `decode` gives the probability to survive each end.
    At alpha 0 it is `PMF`. This is the form of one risk; several competing ones are not modelled.

    Use when: Whole survival curves are wanted and concordance is scored.
    Avoid when: Probabilities must be calibrated: the ranking spoils them.
    Source: Lee, Zame, Yoon & van der Schaar, DeepHit: A Deep Learning Approach to Survival
    Analysis with Competing Risks (2018); which rows compare is after pycox.

    >>> target = {"time": torch.tensor([1.0, 3.0]), "event": torch.tensor([1, 0])}
    >>> DeepHit(times=[1.0, 2.0])(torch.zeros(2, 2), target)  # (log 3 + 1/2 + log 3)/2
    tensor(1.3486)
    """

    alpha: Real = Real(
        default=1.0,
        low=0.0,
        doc="the price of the ranking; the paper tunes it, pycox's default amounts to 4",
    )
    sigma: Real = Real(
        default=0.1,
        low=0.0,
        exclusive=True,
        doc="the difference of probabilities that counts; 0.1 in the authors' code",
    )
    card = Card(
        key="deep_hit",
        tasks=("survival",),
        input="logits",
        target=TARGET,
        # masses 3, 3, 1 of 7: the first, the second, the last two, and exp(0) for row 0 against
        # rows 1 and 2, a third of it each
        example=Example(
            arguments=_TIMES,
            input=[[LOG3, LOG3]] * 3,
            target=_TARGET,
            value=(math.log(7 / 3) * 2 + math.log(7 / 4) + 2 / 3) / 3,
        ),
        claims=Claims(lipschitz=True),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the probability to survive the end of each interval."""
        return F.mass_curve(output)

    def values(self, input: Tensor, target: Mapping[str, Tensor], own: slice = ALL) -> Tensor:
        """Return likelihood and ranking of some rows, against all."""
        given = {"times": self.times, "alpha": self.alpha, "sigma": self.sigma}
        return F.deep_hit(input, target["time"], target["event"], own=own, **given)


class PCHazard(Grid, Pointwise):
    r"""A hazard that is constant within each interval: times count to the full, not by interval.

    .. math:: \ell = \sum_k \rho_k h_k - d \log h_{\kappa} \qquad h = \log(1 + e^x)

    with :math:`\rho_k`, 0 to 1, the share of interval k that the row lived, and :math:`\kappa`
    the interval of its event, if d is 1.

    Shapes: input (N, K), a raw hazard for each of the K intervals in dimension 1, h in units of
    one over the interval's width; target a dict of `time`, 0 or above, and `event`, 1, or 0 where
    the row was censored then, both (N,). Intervals include their end. Values in nats, as in the
    paper without the logarithm of the width, so that grids do not compare. Events beyond the last
    end are censored there. `decode` gives the probability to survive each end.

    Use when: Whole survival curves are wanted from few, wide intervals.
    Avoid when: Many events share one time, at visits say: a discrete likelihood then.
    Source: Kvamme & Borgan, Continuous and Discrete-Time Survival Prediction with Neural Networks
    (2019); the piecewise exponential model is Holford's (1976).

    >>> target = {"time": torch.tensor([1.5]), "event": torch.tensor([0])}
    >>> PCHazard(times=[1.0, 2.0])(torch.zeros(1, 2), target)  # 1.5 log 2
    tensor(1.0397)
    """

    card = Card(
        key="pc_hazard",
        tasks=("survival",),
        input="parameters",
        target=TARGET,
        # hazards log 4 and log 2: half of the first, both, the first
        example=Example(
            arguments=_TIMES,
            input=[[LOG3, 0.0]] * 3,
            target=_TARGET,
            value=2 * math.log(2) - math.log(math.log(4) * math.log(2)) / 3,
        ),
        claims=Claims(convex=True, lipschitz=True),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the probability to survive the end of each interval."""
        return F.hazard_curve(output)

    def survival(self, output: Tensor, time: Tensor) -> Tensor:
        """Return the probability to outlive a time, one for each row."""
        return F.pc_hazard_survival(output, time, times=self.times)

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the negative log-likelihood of each row, but for the widths."""
        return F.pc_hazard(input, target["time"], target["event"], times=self.times)
