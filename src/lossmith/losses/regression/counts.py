"""Losses of counts and positive numbers whose head gives the logarithm of the mean."""

import math
from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.bases import Pointwise
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Real
from lossmith.functional.checks import as_scalar_or_tensor, promote
from lossmith.losses._fitting import finite


class LogMean(Pointwise, ABC):
    """A loss whose head gives log mean − offset; `for_target` sets offset to the log mean."""

    offset: Real = Real(default=0.0, doc="added to the input: the log mean of a head that gives 0")

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> Self:
        """Return the loss whose fresh head predicts the mean of the targets.

        >>> Poisson.for_target(torch.tensor([1.0, 3.0])).decode(torch.zeros(1))
        tensor([2.])
        """
        mean = cls._start(_mean(cls, finite(target)))
        return cls(**{"offset": mean.log().item() if mean > 0 else 0.0, **hypers})

    @staticmethod
    def _start(mean: Tensor) -> Tensor:
        """Return what the offset is the logarithm of, so that a fresh head predicts the mean."""
        return mean

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean."""
        return F.log_mean(output, offset=self.offset)


class Poisson(LogMean):
    r"""Negative log-likelihood of the Poisson distribution: variance equal to the mean.

    .. math:: \ell(x, y) = \mu - y \log\mu + \log y! \qquad \mu = e^{x + \text{offset}}

    Shapes: input and target alike, any shape. Values in nats: the full likelihood, log y!
    included, where torch leaves it out or takes Stirling's approximation. Targets are counts, or
    any numbers from 0 up, of which it still learns the mean; `decode` gives it. Where
    :math:`\log\mu` exceeds 50 the exponential goes on as its tangent.

    Use when: Targets are counts of events, or numbers from 0 up whose mean is wanted.
    Avoid when: The variance is far above the mean: negative binomial or Tweedie then.
    Source: Nelder & Wedderburn, Generalized Linear Models (1972).

    >>> Poisson()(torch.tensor([0.0]), torch.tensor([2.0]))  # 1 + log 2
    tensor(1.6931)
    """

    function = staticmethod(F.poisson)
    mean_function = staticmethod(F.mean_poisson)
    card = Card(
        key="poisson",
        tasks=("regression",),
        input="values",
        target="counts",
        # means 1 and 2: 1, and 2 - 4 log 2 + log 24
        example=Example(
            input=[0.0, 0.6931471805599453], target=[0.0, 4.0], value=1.7027325540540824
        ),
        claims=Claims(convex=True, elicits="mean"),
    )

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the quantile of the Poisson distribution, a whole number."""
        mean = self.decode(output)
        return _count_quantile(self, output, mean, mean, level)


class Gamma(LogMean):
    r"""Half the gamma distribution's deviance: errors count by their ratio to the mean.

    .. math:: \ell(x, y) = \frac{y}{\mu} - 1 - \log\frac{y}{\mu} \qquad
        \mu = e^{x + \text{offset}}

    Shapes: input and target alike, any shape. Values are pure numbers, 0 where the mean is the
    target: the negative log-likelihood divided by the distribution's shape, without what does
    not depend on the mean. `decode` gives the mean.

    Use when: Targets are positive and skewed, their spread grows with the mean: costs, times.
    Avoid when: Targets are 0 or close to it; Tweedie allows zeros.
    Source: Nelder & Wedderburn, Generalized Linear Models (1972).

    >>> Gamma()(torch.tensor([0.0]), torch.tensor([2.0]))  # 1 − log 2
    tensor(0.3069)
    """

    function = staticmethod(F.gamma)
    card = Card(
        key="gamma",
        tasks=("regression",),
        input="values",
        target="positive",
        # 1/2 - 1 + log 2, and 3 - 1 - log 3
        example=Example(
            input=[0.6931471805599453, 0.0], target=[1.0, 3.0], value=0.5472674459459178
        ),
        claims=Claims(convex=True, elicits="mean"),
    )


class Tweedie(LogMean):
    r"""Half the Tweedie deviance: exact zeros and a skewed positive rest under one mean.

    .. math:: \ell(x, y) = \frac{y^{2-p}}{(1-p)(2-p)} - \frac{y \mu^{1-p}}{1-p} +
        \frac{\mu^{2-p}}{2-p} \qquad \mu = e^{x + \text{offset}}

    Shapes: input and target alike, any shape. Values in the target's unit to the power
    :math:`2 - p`, 0 where the mean is the target: the likelihood's kernel; in full it is an
    infinite series. Between Poisson, :math:`p = 1`, and gamma, :math:`p = 2`, it is the deviance
    of a Poisson number of gamma amounts. Targets are any numbers from 0 up; `decode` gives the
    mean.

    Use when: Many targets are exactly 0 and the rest is positive and skewed: insurance claims,
    rain, intermittent demand.
    Avoid when: Targets are never 0, gamma then, or small counts, Poisson then.
    Source: Tweedie, An Index Which Distinguishes between Some Important Exponential Families
    (1984).

    >>> Tweedie(power=1.5)(torch.tensor([0.0]), torch.tensor([4.0]))  # −8 + 8 + 2
    tensor(2.)
    """

    function = staticmethod(F.tweedie)
    power: Real = Real(
        default=1.5,
        low=1.0,
        high=2.0,
        exclusive=True,
        search=(1.2, 1.7),
        doc="p: the variance is proportional to :math:`\\mu^p`. The paper sets none",
    )
    card = Card(
        key="tweedie",
        tasks=("regression",),
        input="values",
        target="counts",
        # p = 1.5, mean 1: 2 for a target of 0, -4*2 + 2*4 + 2 for one of 4
        example=Example(input=[0.0, 0.0], target=[0.0, 4.0], value=2.0),
        claims=Claims(convex=True, elicits="mean"),
    )


class NegativeBinomial(LogMean):
    r"""Negative log-likelihood of counts whose variance exceeds the mean.

    .. math:: \ell(x, y) = \tfrac1a \log(1 + a\mu) + y \log\left(1 + \tfrac{1}{a\mu}\right)
        - \log\frac{\Gamma(y + 1/a)}{\Gamma(1/a) \, y!} \qquad \mu = e^{x + \text{offset}}

    Shapes: input and target alike, any shape. Values in nats: the full likelihood, so that
    dispersions compare. The variance is :math:`\mu + a\mu^2` (NB2). One row pulls no harder than
    :math:`\max(y, 1/a)`. `decode` gives the mean.

    Use when: Counts vary more than their mean, with a few very large ones, as in demand
    forecasting.
    Avoid when: The variance is that of Poisson, or targets are not counts.
    Source: Lawless, Negative Binomial and Mixed Poisson Regression (1987).

    >>> NegativeBinomial(dispersion=1.0)(torch.tensor([0.0]), torch.tensor([1.0]))  # 2 log 2
    tensor(1.3863)
    """

    function = staticmethod(F.negative_binomial)
    dispersion: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        doc="a; as it falls to 0 the distribution becomes Poisson's. `for_target` fits it by "
        "moments, (variance − mean)/mean², at least 0.01",
    )
    card = Card(
        key="negative_binomial",
        tasks=("regression",),
        input="values",
        target="counts",
        # a = 1, mean 1 is geometric: 2^-(y + 1)
        example=Example(input=[0.0, 0.0], target=[0.0, 4.0], value=2.0794415416798357),
        claims=Claims(convex=True, lipschitz=True, elicits="mean"),
    )

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> Self:
        """Return the loss with the targets' mean and dispersion.

        >>> NegativeBinomial.for_target(torch.tensor([0.0, 4.0])).dispersion.item()
        0.5
        """
        return super().for_target(target, **_dispersion(finite(target)) | hypers)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the quantile of the negative binomial distribution, a whole number."""
        mean = self.decode(output)
        return _count_quantile(self, output, mean, _spread(self.dispersion, mean), level)


class ZeroInflated(LogMean, ABC):
    """A loss of a head of two: a log mean, and the logit of the share of further zeros."""

    out_features: int = 2

    @staticmethod
    def _start(mean: Tensor) -> Tensor:
        """Return twice the mean, for a fresh head has half further zeros."""
        return 2 * mean

    def decode(self, output: Tensor) -> Tensor:
        """Return the mean, further zeros among it."""
        return F.zero_inflated_mean(output, offset=self.offset)

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the quantile of the mixture, a whole number: 0 as far as zeros reach."""
        eta, own = F.counts_level(output, level=level)
        mean = F.log_mean(eta, offset=self.offset)

        def log_probability(counts: Tensor) -> Tensor:
            return -self._counts(eta.unsqueeze(-1).expand_as(counts), counts)

        found = F.count_quantile(log_probability, mean, self._variance(mean), level=own)
        return torch.where(own > 0, found, 0)

    @abstractmethod
    def _counts(self, eta: Tensor, counts: Tensor) -> Tensor:
        """Return the values of counts without further zeros, by their log mean less offset."""

    @abstractmethod
    def _variance(self, mean: Tensor) -> Tensor:
        """Return the variance of such counts."""


class ZeroInflatedPoisson(ZeroInflated):
    r"""Negative log-likelihood of counts of which a share is 0 for a reason of its own.

    .. math:: \ell(x, y) = \begin{cases} -\log\bigl(\pi + (1 - \pi) e^{-\mu}\bigr) & y = 0 \\
        -\log(1 - \pi) + \mu - y \log\mu + \log y! & y > 0 \end{cases} \qquad
        \mu = e^{x_0 + \text{offset}}, \; \pi = \sigma(x_1)

    Shapes: input (N, 2), in dimension 1 the log mean and the logit of the share; target (N,), or
    both with the same trailing dimensions. Values in nats, the full likelihood. `decode` gives the
    mean of all, :math:`(1 - \pi)\mu`. Where :math:`\log\mu` exceeds 50 the exponential goes on as
    its tangent.

    Use when: More counts are 0 than a Poisson explains: visits of those who never come.
    Avoid when: Counts above 0 vary more than their mean; or zeros are the low end of one process.
    Source: Lambert, Zero-Inflated Poisson Regression, with an Application to Defects in
    Manufacturing (1992).

    >>> ZeroInflatedPoisson()(torch.zeros(1, 2), torch.tensor([2.0]))  # 1 + 2 log 2
    tensor(2.3863)
    """

    function = staticmethod(F.zero_inflated_poisson)
    card = Card(
        key="zero_inflated_poisson",
        tasks=("regression",),
        input="parameters",
        target="counts",
        # mean 1, share 1/2: log 2 - log(1 + 1/e), and log 2 + 1 + log 24
        example=Example(
            input=[[0.0, 0.0], [0.0, 0.0]],
            target=[0.0, 4.0],
            value=(2 * math.log(2) - math.log1p(math.exp(-1)) + 1 + math.log(24)) / 2,
        ),
        claims=Claims(elicits="mean"),
    )

    def _counts(self, eta: Tensor, counts: Tensor) -> Tensor:
        return F.poisson(eta, counts, offset=self.offset)

    def _variance(self, mean: Tensor) -> Tensor:
        return mean


class ZeroInflatedNegativeBinomial(ZeroInflated):
    r"""Negative log-likelihood of counts that vary much, of which a share is 0 for its own reason.

    .. math:: \ell(x, y) = \begin{cases} -\log\bigl(\pi + (1 - \pi) (1 + a\mu)^{-1/a}\bigr) &
        y = 0 \\ -\log(1 - \pi) + \ell_{NB}(\mu, y) & y > 0 \end{cases} \qquad
        \mu = e^{x_0 + \text{offset}}, \; \pi = \sigma(x_1)

    Shapes: input (N, 2), in dimension 1 the log mean and the logit of the share; target (N,), or
    both with the same trailing dimensions. Values in nats, the full likelihood, with the negative
    binomial's of `NegativeBinomial`, whose variance is :math:`\mu + a\mu^2`. `decode` gives the
    mean of all, :math:`(1 - \pi)\mu`. Of few rows the share and the dispersion are hardly told
    apart: both make zeros.

    Use when: Counts vary more than their mean and hold more zeros than that explains.
    Avoid when: A negative binomial fits: it makes many zeros itself, with one output less.
    Source: Greene, Accounting for Excess Zeros and Sample Selection in Poisson and Negative
    Binomial Regression Models (1994).

    >>> loss = ZeroInflatedNegativeBinomial(dispersion=1.0)
    >>> loss(torch.zeros(1, 2), torch.tensor([1.0]))  # 3 log 2
    tensor(2.0794)
    """

    function = staticmethod(F.zero_inflated_negative_binomial)
    dispersion: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        doc="a; as it falls to 0 the counts become Poisson's. `for_target` fits it by moments of "
        "the targets above 0, (variance − mean)/mean², at least 0.01",
    )
    card = Card(
        key="zero_inflated_negative_binomial",
        tasks=("regression",),
        input="parameters",
        target="counts",
        # a = 1, mean 1, share 1/2: 0 has 1/2 + 1/4, and 4 has 1/2 2^-5
        example=Example(
            input=[[0.0, 0.0], [0.0, 0.0]],
            target=[0.0, 4.0],
            value=(math.log(4 / 3) + 6 * math.log(2)) / 2,
        ),
        claims=Claims(lipschitz=True, elicits="mean"),
    )

    @classmethod
    def for_target(cls, target: Tensor, **hypers: Any) -> Self:
        """Return the loss with the targets' mean, and the dispersion of those above 0.

        >>> ZeroInflatedNegativeBinomial.for_target(torch.tensor([0.0, 0.0, 2.0, 10.0])).dispersion
        tensor(0.2778, dtype=torch.float64)
        """
        values = finite(target)
        return super().for_target(target, **_dispersion(values[values > 0]) | hypers)

    def _counts(self, eta: Tensor, counts: Tensor) -> Tensor:
        return F.negative_binomial(eta, counts, dispersion=self.dispersion, offset=self.offset)

    def _variance(self, mean: Tensor) -> Tensor:
        return _spread(self.dispersion, mean)


def _dispersion(values: Tensor) -> dict[str, Any]:
    """Return the dispersion of counts by moments, where they have a mean above 0."""
    mean = values.mean()
    if not mean > 0:
        return {}
    excess = (values.var(correction=0) - mean) / mean**2
    return {"dispersion": excess.clamp(min=0.01).item()}


def _spread(dispersion: Tensor | float, mean: Tensor) -> Tensor:
    """Return the variance of a negative binomial."""
    return mean + as_scalar_or_tensor(dispersion, mean) * mean.square()


def _count_quantile(
    loss: LogMean, output: Tensor, mean: Tensor, variance: Tensor, level: float
) -> Tensor:
    def log_probability(counts: Tensor) -> Tensor:
        return -loss.values(promote(output).unsqueeze(-1).expand_as(counts), counts)

    return F.count_quantile(log_probability, mean, variance, level=level)


def _mean(kind: type[LogMean], values: Tensor) -> Tensor:
    least = values.min().item()
    if least < 0 or (kind.card.target == "positive" and least == 0):
        wanted = "positive" if kind.card.target == "positive" else "0 or more"
        raise ValueError(f"{kind.__name__}: targets must be {wanted}, the least is {least:g}")
    return values.mean()
