"""Losses of other losses: a temperature, a scale that follows, how much hard rows count."""

import math
from typing import Any

import torch
from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import State
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Choice, Inner, Real
from lossmith.core.plain import shown
from lossmith.core.progress import Progress
from lossmith.core.reduce import sum_terms
from lossmith.functional.checks import as_scalar_or_tensor, class_logits, head_dim, promote
from lossmith.losses._classes import LOG3, ClassLoss
from lossmith.losses._fitting import quantile_of
from lossmith.losses._wrapping import BatchWrapper, Wrapper, check_inner
from lossmith.losses.classification.multiclass import CrossEntropy
from lossmith.losses.regression.point import MSE, Huber


def _reads_logits(owner: str, loss: Any) -> None:
    check_inner(owner, loss)
    if loss.card.input != "logits":
        raise TypeError(f"{owner}: loss must read logits, {shown(loss)} reads {loss.card.input}")


def _of_one_output(owner: str, loss: Any) -> None:
    check_inner(owner, loss)
    if "regression" not in loss.card.tasks or loss.out_features != 1:
        raise TypeError(
            f"{owner}: loss must be a regression loss with one output, got {shown(loss)}"
        )


class Tempered(Wrapper):
    r"""Any loss of logits, read at a temperature: fixed, on a schedule, or learned.

    .. math:: \ell(x, y) = \ell_0(x / T, y)

    `decode` reads at the temperature too, so that a learned one calibrates the probabilities:
    `Tempered(CrossEntropy(), temperature=nn.Parameter(torch.tensor(1.0)))`.

    Shapes: those of the inner loss, and its unit.

    Use when: Probabilities must be calibrated, or logits sharpened as training goes on.
    Avoid when: Only the order of the classes matters.
    Source: Guo et al., On Calibration of Modern Neural Networks (2017).

    >>> Tempered(temperature=2.0)(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
    tensor(0.3133)
    """

    loss: Inner = Inner(
        default=None,
        kw_only=False,
        make=CrossEntropy,
        accepts=_reads_logits,
        doc="a loss of logits with a value a sample; None is CrossEntropy",
    )
    temperature: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="T; above 1 it softens the probabilities"
    )
    card = Card(
        key="tempered",
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            input=[[2 * LOG3, 0.0]],
            target=[0],
            value=math.log(4 / 3),
            arguments={"loss": CrossEntropy(classes=2), "temperature": 2.0},
        ),
    )

    def decode(self, output: Tensor) -> Tensor:
        """Return the inner loss's reading of the head at the temperature."""
        return self.loss.decode(self._cooled(output))

    def quantile(self, output: Tensor, level: float) -> Tensor:
        """Return the inner loss's quantile of the head at the temperature."""
        return self.loss.quantile(self._cooled(output), level)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the inner values at the temperature."""
        return self.loss.values(self._cooled(input), target)

    def _cooled(self, input: Tensor) -> Tensor:
        return promote(input) / as_scalar_or_tensor(self.temperature, promote(input))


class ProbabilityRegression(ClassLoss):
    r"""A regression loss on class probabilities: Huber on a classifier, say.

    .. math:: \ell(x, y) = \sum_c \ell_0(p_c, 1[c = y]) \qquad p = \mathrm{softmax}(x)

    It reads the head of a cross-entropy, so that one can turn into the other while training:
    `switch(CrossEntropy(classes=10), ProbabilityRegression(Huber(), classes=10), at=0.5)`. With
    squared error it is `Brier`.

    Shapes: input (N, C, …) and target (N, …) of integers, or (C,) and (). Values from 0, no unit.

    Use when: A robust regression loss should follow, or join, cross-entropy on one head.
    Avoid when: Classes are many: the gradient vanishes where the true class is improbable.
    Source: Brier, Verification of Forecasts Expressed in Terms of Probability (1950).

    >>> ProbabilityRegression(Huber(delta=0.5))(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.2500)
    """

    loss: Inner = Inner(
        default=None,
        kw_only=False,
        make=MSE,
        accepts=_of_one_output,
        doc="a regression loss with one output; None is MSE",
    )
    card = Card(
        key="probability_regression",
        former_keys=("on_probabilities",),
        tasks=("binary", "multiclass"),
        input="logits",
        target="classes",
        example=Example(
            arguments={"classes": 2},
            input=[[LOG3, 0.0], [LOG3, 0.0]],
            target=[0, 1],
            value=(2 / 16 + 2 * 9 / 16) / 2,
        ),
        claims=Claims(lipschitz=True, bounded=True),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the inner values of all classes' probabilities, summed."""
        logits, safe = class_logits(input, target, self.ignore_index)
        dim = head_dim(logits)
        probabilities = logits.softmax(dim)
        truth = torch.zeros_like(probabilities).scatter(dim, safe.unsqueeze(dim), 1.0)
        return sum_terms(self.loss.values(probabilities, truth)).sum(dim)


class QuantileTracking(Wrapper):
    r"""A robust loss whose scale follows the residuals: a quantile of their sizes, streaming.

    .. math:: s \leftarrow m s + (1 - m) \, Q_q(|\mathrm{decode}(x) - y|) \cdot c

    One hyperparameter of the inner loss, such as Huber's delta, is set to s at every step of
    training: `QuantileTracking(Huber(), hyper="delta", level=0.9)` treats the tenth of the rows
    that fit worst as outliers, whatever the unit; level 0.5 and factor 1.4826 give the MAD.
    Signals: the outputs and targets of the step, `clock.step(input=output, target=target)`.

    Shapes: those of the inner loss, and its unit.

    Use when: A robust loss is wanted and the residuals' scale is unknown, or shrinks.
    Avoid when: The scale is known: a fixed one has no state and no lag.
    Source: Huber, Robust Estimation of a Location Parameter (1964), for the scale; the streaming
    estimate is a plain moving average.

    >>> loss = QuantileTracking(Huber(), hyper="delta", level=0.5)
    >>> residuals = {"input": torch.tensor([1.0, 2.0, 9.0]), "target": torch.zeros(3)}
    >>> loss.observe(Progress(step=1, signals=residuals))
    >>> loss.loss
    Huber(delta=2.0)
    """

    loss: Inner = Inner(
        default=None,
        kw_only=False,
        make=Huber,
        accepts=check_inner,
        doc="a loss with a value a sample; None is Huber",
    )
    hyper: Choice = Choice(default="delta", doc="the name of the hyperparameter that follows")
    level: Real = Real(
        default=0.9, low=0.0, high=1.0, doc="q, the quantile of the residuals' sizes"
    )
    factor: Real = Real(
        default=1.0, low=0.0, exclusive=True, doc="c, what the quantile is multiplied by"
    )
    momentum: Real = Real(
        default=0.9,
        low=0.0,
        high=1.0,
        doc="m, how slowly it follows; the first step sets it outright",
    )
    card = Card(
        key="quantile_tracking",
        former_keys=("following",),
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(input=[0.5, 3.0], target=[0.0, 0.0], value=1.3125),
        claims=Claims(convex=True, lipschitz=True),
        required_signals=("input", "target"),
    )

    def __post_init__(self) -> None:
        inner, name = self.loss, self.hyper
        free = [n for n in inner.hyperparameters if isinstance(getattr(inner, n), Tensor)]
        if name not in free or name in inner._schedules:
            raise ValueError(
                f"QuantileTracking: {type(inner).__name__} has no free number {name!r}; it has "
                f"{', '.join(free) or 'none'}"
            )
        inner._followed.append(name)

    def update(self, progress: Progress) -> State:
        """Move the inner loss's hyperparameter towards the residuals' quantile."""
        input, target = progress.signals["input"], progress.signals["target"]
        input, target = input.cpu(), target.cpu()  # where the number is
        sizes = (self.loss.decode(input).double() - target.double()).abs().flatten()
        sizes = sizes[sizes.isfinite()]
        if sizes.numel() == 0:
            return {}
        aim = quantile_of(sizes.sort().values, float(self.level)) * self.factor
        number = getattr(self.loss, self.hyper)
        kept = self.momentum if self.observed > 0 else self.momentum * 0
        least = torch.finfo(torch.float32).tiny
        number.copy_((kept * number + (1 - kept) * aim.to(number)).clamp(min=least))
        return {}  # the number is the inner loss's, and finite


class SelfPaced(Wrapper):
    r"""Rows whose loss is above a threshold wait; raise it while training to let them in.

    .. math:: \ell = \min(\ell_0, \lambda) = \min_{v \in [0, 1]} v \ell_0 + \lambda (1 - v)

    The minimum over the row's weight v of the paper's objective, up to the constant
    :math:`\lambda`: v is 1 below the threshold and 0 above. The paper's :math:`1/K` is the
    threshold, which grows: `SelfPaced(Huber(), threshold=Linear(0.5, 5.0))`.

    Shapes: those of the inner loss, and its unit.

    Use when: Hard rows mislead an untrained model; raise the threshold on a schedule.
    Avoid when: Hard rows are the ones that matter, such as rare classes.
    Source: Kumar, Packer & Koller, Self-Paced Learning for Latent Variable Models (2010).

    >>> import torch
    >>> from lossmith import MAE
    >>> SelfPaced(MAE(), threshold=4.0)(torch.tensor([1.0, 9.0]), torch.zeros(2))
    tensor(2.5000)
    """

    threshold: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        doc="the loss above which a row teaches nothing, in the loss's unit",
    )
    card = Card(
        key="self_paced",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(
            input=[1.0, 9.0], target=[0.0, 0.0], value=2.5, arguments={"threshold": 4.0}
        ),
        claims=Claims(lipschitz=True, bounded=True),
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the inner values, cut off at the threshold."""
        return F.self_paced(sum_terms(super().values(input, target)), threshold=self.threshold)


class SuperLoss(Wrapper):
    r"""Easy rows count more and hard rows less, by the best confidence for each.

    .. math:: \ell = \min_{\sigma > 0} (\ell_0 - \tau) \sigma + \lambda (\log \sigma)^2 \qquad
        \sigma^* = e^{-W(\frac{1}{2} \max(-\frac{2}{e}, \frac{\ell_0 - \tau}{\lambda}))}

    with Lambert's W. The gradient is :math:`\sigma^*` times the inner loss's.

    Shapes: those of the inner loss, and its unit.

    Use when: Some labels are wrong or some rows are hopeless, whatever the task.
    Avoid when: The scale of the loss is unknown, so that tau cannot be set.
    Source: Castells, Weinzaepfel & Revaud, SuperLoss: A Generic Loss for Robust Curriculum
    Learning (2020).

    >>> import torch
    >>> from lossmith import MAE
    >>> SuperLoss(MAE(), tau=1.0)(torch.tensor([1.0]), torch.zeros(1))
    tensor(0.)
    """

    tau: Real = Real(
        default=1.0,
        doc="the loss that separates easy from hard; log C for cross-entropy of C classes",
    )
    lam: Real = Real(
        default=1.0,
        low=0.0,
        exclusive=True,
        doc="λ, how little the weights may differ; 1 or 0.25 in the paper",
    )
    card = Card(
        key="super_loss",
        tasks=("regression",),
        input="values",
        target="values",
        # (v − tau)/lam = 2e gives W(e) = 1: 2e·exp(−1) + 1 = 3
        example=Example(input=[1 + 2 * math.e], target=[0.0], value=3.0, arguments={"tau": 1.0}),
        double_backward=False,
    )

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the inner values at the best confidence."""
        return F.super_loss(sum_terms(super().values(input, target)), tau=self.tau, lam=self.lam)


class Tilted(BatchWrapper):
    r"""Tilted empirical risk: from the best rows over the mean to the worst, by one number.

    .. math:: L = \frac{1}{t} \log \frac{\sum_i w_i e^{t \ell_i}}{\sum_i w_i}

    The mean at t = 0, the maximum as t grows, the minimum as it falls.

    Shapes: those of the inner loss. One number of the batch, in its unit.

    Use when: Fairness to hard rows (t > 0), or robustness to wrong ones (t < 0), is wanted.
    Avoid when: Batches are small: the tilt is over the batch, not over the data.
    Source: Li et al., Tilted Empirical Risk Minimization (2021).

    >>> import torch
    >>> from lossmith import MAE
    >>> Tilted(MAE(), tilt=0.0)(torch.tensor([1.0, 3.0]), torch.zeros(2))
    tensor(2.)
    """

    tilt: Real = Real(
        default=1.0,
        doc="t, in the inverse of the loss's unit; positive favours hard rows, negative easy ones",
    )
    card = Card(
        key="tilted",
        tasks=("regression",),
        input="values",
        target="values",
        # values 0 and log 3 at t = 1: log((1 + 3)/2)
        example=Example(input=[0.0, math.log(3)], target=[0.0, 0.0], value=math.log(2)),
    )

    def statistic(self, values: Tensor, weight: Tensor) -> Tensor:
        """Return the tilted mean of the values."""
        return F.tilted(values, weight, tilt=self.tilt)


class CVaR(BatchWrapper):
    r"""Conditional value at risk: the mean of the worst fraction of the rows.

    .. math:: L = \min_\eta \; \eta + \frac{1}{q} \frac{\sum_i w_i (\ell_i - \eta)_+}{\sum_i w_i}

    with the fraction q; computed exactly by sorting, a row at the border counting in part.

    Shapes: those of the inner loss. One number of the batch, in its unit.

    Use when: The worst rows decide, and the targets are clean.
    Avoid when: Targets hold gross errors: they are the worst rows.
    Source: Rockafellar & Uryasev, Optimization of Conditional Value-at-Risk (2000).

    >>> import torch
    >>> from lossmith import MAE
    >>> CVaR(MAE(), fraction=0.5)(torch.tensor([1.0, 3.0]), torch.zeros(2))
    tensor(3.)
    """

    fraction: Real = Real(
        default=0.1, low=1e-06, high=1.0, doc="q, the share of the rows that count; 1 is the mean"
    )
    card = Card(
        key="cvar",
        tasks=("regression",),
        input="values",
        target="values",
        example=Example(
            input=[1.0, 3.0], target=[0.0, 0.0], value=3.0, arguments={"fraction": 0.5}
        ),
        claims=Claims(),
    )

    def statistic(self, values: Tensor, weight: Tensor) -> Tensor:
        """Return the mean of the worst fraction."""
        return F.cvar(values, weight, fraction=self.fraction)
