"""Censored times: Cox's order of events, and likelihoods of accelerated failure times."""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise, SetLoss
from lossmith.core.card import Card, Example, Kind
from lossmith.core.hyperparameter import Choice, OptionalReal, OptionalReals, Real
from lossmith.core.reduce import reduce
from lossmith.core.tree import check_names
from lossmith.losses._classes import LOG3
from lossmith.losses._fitting import finite, quantile_of

TARGET: Mapping[str, Kind] = {"time": "positive", "event": "labels"}
_FLOOR = Real(default=0.001, low=0.0, exclusive=True, doc="least :math:`\\sigma`, of log time")
_SCALE = OptionalReal(
    default=None,
    fitted=True,
    low=0.0,
    exclusive=True,
    doc="the unit of time, whose log is added to :math:`\\mu`, so that a head may begin at 0; "
    "None for 1; `for_target` fits the median of the times",
)
MOST_TIMES = 100  # of a baseline


class Cox(SetLoss):
    r"""Negative log partial likelihood of proportional hazards.

    .. math:: L = \frac{1}{\sum_i d_i} \sum_{i: d_i = 1} \left(\log \sum_{j: t_j \ge t_i} s_{ij}
        e^{x_j} - x_i\right)

    with time t, and event d = 1, or 0 where a row was censored at t. s is 1, or under Efron's
    ties :math:`1 - r/m` for the m rows that have their event at :math:`t_i`, r = 0 … m − 1 in
    turn: those that went before in the tie count no more in full.

    Shapes: input (N,), the log hazard of each row; target a dict of `time` and `event`, both
    (N,). Values in nats an event, where Cox's own sum is not divided. Rows compete with the
    others of their batch alone, so that batches should be large; memory grows with N². A batch
    without events gives 0. It takes no weights: a row twice is a tie, not a weight of 2. Risks have
    no time: `with_baseline` adds Breslow's estimate of the hazard that all share, by which
    `survival` gives the probability to outlive given times.

    Use when: Times to an event, as death or churn, are partly censored and risks need only be
    ordered.
    Avoid when: Hazards of two groups cross over time, or batches hold few events.
    Source: Cox, Regression Models and Life-Tables (1972); ties after Efron (1977) and Breslow
    (1974).

    >>> target = {"time": torch.tensor([1.0, 1.0]), "event": torch.tensor([1, 1])}
    >>> Cox()(torch.zeros(2), target), Cox(ties="breslow")(torch.zeros(2), target)
    (tensor(0.3466), tensor(0.6931))
    """

    ties: Choice = Choice(
        default="efron", choices=("efron", "breslow"), doc='"efron", the more exact, or "breslow"'
    )
    times: OptionalReals = OptionalReals(
        default=None, low=0.0, exclusive=True, doc="increasing times at which the baseline is known"
    )
    hazard: OptionalReals = OptionalReals(
        default=None, low=0.0, doc="the baseline: the hazard summed up to each of these times"
    )
    card = Card(
        key="cox",
        tasks=("survival",),
        input="scores",
        target=TARGET,
        # hazards 3, 1, 1, the first two tied: log(5/3), and log 3 with 5 - 4/2 at risk
        example=Example(
            input=[LOG3, 0.0, 0.0],
            target={"time": [1.0, 1.0, 3.0], "event": [1.0, 1.0, 0.0]},
            value=(math.log(5 / 3) + math.log(3)) / 2,
        ),
    )

    def value(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the negative log partial likelihood an event."""
        values = F.cox(input, target["time"], target["event"], ties=self.ties)
        return reduce(values, weight=target["event"].to(values.dtype))

    def __post_init__(self) -> None:
        if self.times is None and self.hazard is None:
            return
        given = [[] if one is None else one.tolist() for one in (self.times, self.hazard)]
        rising = all(list(one) == sorted(one) for one in given)
        if not rising or len(given[0]) != len(given[1]) or len(set(given[0])) != len(given[0]):
            raise ValueError(
                "Cox: times and hazard must be equally many increasing numbers, got "
                f"{len(given[0])} and {len(given[1])}: {given[0][:5]} and {given[1][:5]}"
            )

    def with_baseline(
        self, output: Tensor, target: Mapping[str, Tensor], times: Any = None
    ) -> Self:
        """Return the loss with the baseline hazard of training rows, by their outputs.

        Args:
            output: (N,), of the trained model.
            target: their times and events.
            times: at which it is kept; 100 quantiles of the times of events if None.

        Raises:
            ValueError: if no row has an event after time 0.
        """
        time, event = (finite(target[name]) for name in ("time", "event"))
        if times is None:
            ordered = time[(event == 1) & (time > 0)].sort().values
            if not len(ordered):
                raise ValueError("Cox: target holds no event after time 0; pass times=")
            levels = [(k + 1) / MOST_TIMES for k in range(MOST_TIMES)]
            times = sorted({quantile_of(ordered, level).item() for level in levels})
        at = torch.as_tensor(times, dtype=torch.float64)
        hazard = F.breslow(finite(output), time, event, at=at)
        return type(self)(**{**self.arguments(), "times": at, "hazard": hazard})

    def survival(self, output: Tensor, time: Tensor) -> Tensor:
        """Return the probability to outlive a time, one for each row.

        The baseline rises in lines between its times, and stays what it is beyond the last.

        Raises:
            ValueError: if the loss has no baseline.

        >>> loss = Cox(times=[1.0, 2.0], hazard=[0.5, 2.0])
        >>> loss.survival(torch.zeros(2), torch.tensor([1.0, 9.0])).log()
        tensor([-0.5000, -2.0000])
        """
        if self.times is None or self.hazard is None:
            raise ValueError("Cox: risks have no time; `with_baseline` adds the hazard they share")
        return F.cox_survival(output, time, times=self.times, hazard=self.hazard)


class _AFT(Pointwise):
    """Times whose logarithm has a place and a spread.

    likelihood: the function of the values. outlived: that of the probability to outlive a time.
    middle: the median of z, the standardised log time.
    """

    floor: Real = _FLOOR
    scale: OptionalReal = _SCALE
    out_features: int = 2
    likelihood: ClassVar[Callable[..., Tensor]]
    outlived: ClassVar[Callable[..., Tensor]]
    middle: ClassVar[float] = 0.0

    @classmethod
    def for_target(cls, target: Any, **hypers: Any) -> Self:
        """Return the loss with the median of the times as their unit.

        Raises:
            TypeError: if target is no dict of `time` and `event`.
            ValueError: if it holds no time above 0.
        """
        check_names(cls.__name__, "target", target, cls.card.target, cls.card.optional)
        if "scale" in hypers:
            return cls(**hypers)
        time = finite(target["time"])
        time = time[time > 0].sort().values
        if not len(time):
            raise ValueError(f"{cls.__name__}: target holds no time above 0; pass scale=")
        return cls(**{"scale": quantile_of(time, 0.5).item(), **hypers})

    def decode(self, output: Tensor) -> Tensor:
        """Return the median time."""
        return F.median_time(output, middle=self.middle, floor=self.floor, scale=self.scale)

    def survival(self, output: Tensor, time: Tensor) -> Tensor:
        """Return the probability to outlive a time, one for each row."""
        return self.outlived(output, time, floor=self.floor, scale=self.scale)

    def values(self, input: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """Return the negative log-likelihood of each row."""
        return self.likelihood(
            input, target["time"], target["event"], floor=self.floor, scale=self.scale
        )


class WeibullAFT(_AFT):
    r"""Negative log-likelihood of Weibull times, partly censored: the head gives scale and shape.

    .. math:: \ell = e^z + d \, (\log\sigma + \log t - z) \qquad
        z = \frac{\log(t / s) - \mu}{\sigma}, \; \sigma = \text{floor} + e^{u}

    with time t of the scale s, and event d = 1, or 0 where a row was censored at t.

    Shapes: input (N, 2), in dimension 1 the log-scale :math:`\mu` of the time and the raw
    :math:`\log\sigma` u; target a dict of `time`, above 0, and `event`, both (N,). Values in
    nats: the density of the time itself, so that distributions compare. The Weibull's shape is
    :math:`1/\sigma`, its scale :math:`s e^\mu`. `decode` gives the median time, `survival` the
    probability to outlive given times. Beyond z = 50 the exponential goes on as its tangent.

    Use when: A time to an event is predicted beyond the last one seen, and hazards rise or fall.
    Avoid when: Hazards rise and fall again, log-normal then.
    Source: Kalbfleisch & Prentice, The Statistical Analysis of Failure Time Data (1980).

    >>> target = {"time": torch.tensor([2.0, 2.0]), "event": torch.tensor([1, 0])}
    >>> WeibullAFT(floor=1e-9)(torch.zeros(2, 2), target)  # 2 both: at rate 1
    tensor(2.)
    >>> WeibullAFT(floor=1e-9).decode(torch.zeros(1, 2))  # log 2
    tensor([0.6931])
    """

    likelihood = staticmethod(F.weibull_aft)
    outlived = staticmethod(F.weibull_survival)
    middle = math.log(math.log(2))
    card = Card(
        key="weibull_aft",
        tasks=("survival",),
        input="parameters",
        target=TARGET,
        # sigma 2: sqrt(4) + log 2 + log 4 - log(4)/2; sqrt(9)
        example=Example(
            arguments={"floor": 1.0},
            input=[[0.0, 0.0], [0.0, 0.0]],
            target={"time": [4.0, 9.0], "event": [1.0, 0.0]},
            value=(5 + 2 * math.log(2)) / 2,
        ),
    )


class LogNormalAFT(_AFT):
    r"""Negative log-likelihood of log-normal times, partly censored: mean and spread of their log.

    .. math:: \ell = \begin{cases} z^2 / 2 + \log\sigma + \log t + \tfrac12 \log 2\pi & d = 1 \\
        -\log \Phi(-z) & d = 0 \end{cases} \qquad z = \frac{\log(t / s) - \mu}{\sigma}, \;
        \sigma = \text{floor} + e^{u}

    with time t of the scale s, and event d = 1, or 0 where a row was censored at t.

    Shapes: input (N, 2), in dimension 1 the mean :math:`\mu` of the log time and the raw
    :math:`\log\sigma` u; target a dict of `time`, above 0, and `event`, both (N,). Values in
    nats: the density of the time itself, so that distributions compare. `decode` gives the median
    time :math:`s e^\mu`, `survival` the probability to outlive given times.

    Use when: A time to an event is predicted whose hazard rises and then falls.
    Avoid when: Hazards only rise or only fall, Weibull then.
    Source: Kalbfleisch & Prentice, The Statistical Analysis of Failure Time Data (1980).

    >>> target = {"time": torch.tensor([1.0, 1.0]), "event": torch.tensor([1, 0])}
    >>> LogNormalAFT(floor=1e-9)(torch.zeros(2, 2), target)  # log(2 pi)/2 and log 2
    tensor(0.8060)
    """

    likelihood = staticmethod(F.log_normal_aft)
    outlived = staticmethod(F.log_normal_survival)
    card = Card(
        key="log_normal_aft",
        tasks=("survival",),
        input="parameters",
        target=TARGET,
        # sigma 2: log 2 + log(2 pi)/2 at z = 0; log 2 where censored at the median
        example=Example(
            arguments={"floor": 1.0},
            input=[[0.0, 0.0], [LOG3, 0.0]],
            target={"time": [1.0, 3.0], "event": [1.0, 0.0]},
            value=math.log(2) + math.log(2 * math.pi) / 4,
        ),
    )


class LogLogisticAFT(_AFT):
    r"""Negative log-likelihood of log-logistic times, partly censored: heavy tails in closed form.

    .. math:: \ell = \log(1 + e^z) + d \, \bigl(\log(1 + e^{-z}) + \log\sigma + \log t\bigr)
        \qquad z = \frac{\log(t / s) - \mu}{\sigma}, \; \sigma = \text{floor} + e^{u}

    with time t of the scale s, and event d = 1, or 0 where a row was censored at t.

    Shapes: input (N, 2), in dimension 1 the mean :math:`\mu` of the log time and the raw
    :math:`\log\sigma` u; target a dict of `time`, above 0, and `event`, both (N,). Values in
    nats: the density of the time itself, so that distributions compare. The shape is
    :math:`1/\sigma`: the odds to outlive t fall as its power. `decode` gives the median time
    :math:`s e^\mu`, `survival` the probability to outlive given times.

    Use when: A time to an event is predicted whose hazard rises and then falls, with late events.
    Avoid when: Hazards only rise or only fall, Weibull then.
    Source: Kalbfleisch & Prentice, The Statistical Analysis of Failure Time Data (1980).

    >>> target = {"time": torch.tensor([1.0, 1.0]), "event": torch.tensor([1, 0])}
    >>> LogLogisticAFT(floor=1e-9)(torch.zeros(2, 2), target)  # log 4 and log 2
    tensor(1.0397)
    """

    likelihood = staticmethod(F.log_logistic_aft)
    outlived = staticmethod(F.log_logistic_survival)
    card = Card(
        key="log_logistic_aft",
        tasks=("survival",),
        input="parameters",
        target=TARGET,
        # sigma 2: log 4 + log 2 at z = 0; z = log 3 where censored: log 4
        example=Example(
            arguments={"floor": 1.0},
            input=[[0.0, 0.0], [0.0, 0.0]],
            target={"time": [1.0, 9.0], "event": [1.0, 0.0]},
            value=(math.log(8) + math.log(4)) / 2,
        ),
        studied=False,
    )
