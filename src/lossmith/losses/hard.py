"""How much hard samples count, over any loss with a value a sample: less, or more."""

import math
from typing import ClassVar

from torch import Tensor

from lossmith import functional as F
from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Claims, Example, Hyper, Paper
from lossmith.core.loss import Pointwise
from lossmith.core.reduce import added
from lossmith.losses.coupled import GATHER
from lossmith.losses.regression import MAE
from lossmith.losses.wrapping import BatchWrapper, Wrapper, check_inner

LOSS = Hyper(default=None, meaning="loss with a value a sample; None is MAE")


class SelfPaced(Wrapper):
    r"""Rows whose loss is above a threshold wait; raise it while training to let them in.

    .. math:: \ell = \min(\ell_0, \lambda) = \min_{v \in [0, 1]} v \ell_0 + \lambda (1 - v)

    The minimum over the row's weight v of the paper's objective, up to the constant
    :math:`\lambda`: v is 1 below the threshold and 0 above. The paper's :math:`1/K` is the
    threshold, which grows: `SelfPaced(Huber(), threshold=Linear(0.5, 5.0))`.

    Args:
        loss: any loss with a value a sample.
        threshold: the loss above which a row teaches nothing, in the loss's unit.

    Raises:
        TypeError: if loss has no value a sample.
        ValueError: if threshold is not positive.

    Source: Kumar, Packer & Koller, Self-Paced Learning for Latent Variable Models (2010).

    >>> import torch
    >>> SelfPaced(MAE(), threshold=4.0)(torch.tensor([1.0, 9.0]), torch.zeros(2))
    tensor(2.5000)
    """

    threshold: Tensor
    card: ClassVar[Card] = Card(
        key="self_paced",
        tasks=("regression",),
        target="values",
        input="values",
        formula="min(loss, threshold)",
        use_when="Hard rows mislead an untrained model; raise the threshold on a schedule.",
        avoid_when="Hard rows are the ones that matter, such as rare classes.",
        paper=Paper(
            authors="M. P. Kumar, B. Packer, D. Koller",
            title="Self-Paced Learning for Latent Variable Models",
            year=2010,
        ),
        example=Example(
            input=[1.0, 9.0], target=[0.0, 0.0], value=2.5, arguments={"threshold": 4.0}
        ),
        claims=Claims(lipschitz=True, bounded=True),
        hypers={
            "loss": LOSS,
            "threshold": Hyper(
                default=1.0, low=0.0, open=True, meaning="loss above which a row teaches nothing"
            ),
        },
    )

    def __init__(self, loss: Pointwise | None = None, *, threshold: Number = 1.0) -> None:
        inner = check_inner("SelfPaced", MAE() if loss is None else loss)
        super().__init__(loss=inner, threshold=threshold)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the inner values, cut off at the threshold."""
        return F.self_paced(added(super().values(input, target)), threshold=self.threshold)


class SuperLoss(Wrapper):
    r"""Easy rows count more and hard rows less, by the best confidence for each.

    .. math:: \ell = \min_{\sigma > 0} (\ell_0 - \tau) \sigma + \lambda (\log \sigma)^2 \qquad
        \sigma^* = e^{-W(\frac{1}{2} \max(-\frac{2}{e}, \frac{\ell_0 - \tau}{\lambda}))}

    with Lambert's W. The gradient is :math:`\sigma^*` times the inner loss's.

    Args:
        loss: any loss with a value a sample.
        tau: the loss that separates easy from hard; log C for cross-entropy of C classes.
        lam: λ, how little the weights may differ; 1 or 0.25 in the paper.

    Raises:
        TypeError: if loss has no value a sample.
        ValueError: if lam is not positive.

    Source: Castells, Weinzaepfel & Revaud, SuperLoss: A Generic Loss for Robust Curriculum
    Learning (2020).

    >>> import torch
    >>> SuperLoss(MAE(), tau=1.0)(torch.tensor([1.0]), torch.zeros(1))
    tensor(0.)
    """

    tau: Tensor
    lam: Tensor
    card: ClassVar[Card] = Card(
        key="super_loss",
        tasks=("regression",),
        target="values",
        input="values",
        formula="min_s (loss - tau) s + lam log(s)^2",
        use_when="Some labels are wrong or some rows are hopeless, whatever the task.",
        avoid_when="The scale of the loss is unknown, so that tau cannot be set.",
        paper=Paper(
            authors="T. Castells, P. Weinzaepfel, J. Revaud",
            title="SuperLoss: A Generic Loss for Robust Curriculum Learning",
            year=2020,
        ),
        # (v − tau)/lam = 2e gives W(e) = 1: 2e·exp(−1) + 1 = 3
        example=Example(input=[1 + 2 * math.e], target=[0.0], value=3.0, arguments={"tau": 1.0}),
        hypers={
            "loss": LOSS,
            "tau": Hyper(default=1.0, meaning="loss that separates easy from hard"),
            "lam": Hyper(
                default=1.0, low=0.0, open=True, meaning="how little the weights may differ"
            ),
        },
        double_backward=False,
    )

    def __init__(
        self, loss: Pointwise | None = None, *, tau: Number = 1.0, lam: Number = 1.0
    ) -> None:
        inner = check_inner("SuperLoss", MAE() if loss is None else loss)
        super().__init__(loss=inner, tau=tau, lam=lam)

    def values(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the inner values at the best confidence."""
        return F.super_loss(added(super().values(input, target)), tau=self.tau, lam=self.lam)


class Tilted(BatchWrapper):
    r"""Tilted empirical risk: from the best rows over the mean to the worst, by one number.

    .. math:: L = \frac{1}{t} \log \frac{\sum_i w_i e^{t \ell_i}}{\sum_i w_i}

    The mean at t = 0, the maximum as t grows, the minimum as it falls.

    Args:
        loss: any loss with a value a sample.
        tilt: t, in the inverse of the loss's unit; positive favours hard rows, negative easy ones.
        gather: over several processes, whether the batch is that of all ranks.

    Raises:
        TypeError: if loss has no value a sample.

    Source: Li et al., Tilted Empirical Risk Minimization (2021).

    >>> import torch
    >>> Tilted(MAE(), tilt=0.0)(torch.tensor([1.0, 3.0]), torch.zeros(2))
    tensor(2.)
    """

    tilt: Tensor
    card: ClassVar[Card] = Card(
        key="tilted",
        tasks=("regression",),
        target="values",
        input="values",
        reduction="statistic",
        formula="log(mean(exp(t loss))) / t",
        use_when="Fairness to hard rows (t > 0), or robustness to wrong ones (t < 0), is wanted.",
        avoid_when="Batches are small: the tilt is over the batch, not over the data.",
        paper=Paper(
            authors="T. Li, A. Beirami, M. Sanjabi, V. Smith",
            title="Tilted Empirical Risk Minimization",
            year=2021,
        ),
        # values 0 and log 3 at t = 1: log((1 + 3)/2)
        example=Example(input=[0.0, math.log(3)], target=[0.0, 0.0], value=math.log(2)),
        hypers={
            "loss": LOSS,
            "tilt": Hyper(default=1.0, meaning="t: positive favours hard rows, negative easy ones"),
            "gather": GATHER,
        },
    )

    def __init__(
        self, loss: Pointwise | None = None, *, tilt: Number = 1.0, gather: bool = True
    ) -> None:
        inner = check_inner("Tilted", MAE() if loss is None else loss)
        super().__init__(loss=inner, tilt=tilt, gather=gather)

    def statistic(self, values: Tensor, weight: Tensor) -> Tensor:
        """Return the tilted mean of the values."""
        return F.tilted(values, weight, tilt=self.tilt)


class CVaR(BatchWrapper):
    r"""Conditional value at risk: the mean of the worst fraction of the rows.

    .. math:: L = \min_\eta \; \eta + \frac{1}{q} \frac{\sum_i w_i (\ell_i - \eta)_+}{\sum_i w_i}

    with the fraction q; computed exactly by sorting, a row at the border counting in part.

    Args:
        loss: any loss with a value a sample.
        fraction: q, the share of the rows that count; 1 is the mean.
        gather: over several processes, whether the batch is that of all ranks.

    Raises:
        TypeError: if loss has no value a sample.
        ValueError: if fraction is not above 0 and at most 1.

    Source: Rockafellar & Uryasev, Optimization of Conditional Value-at-Risk (2000).

    >>> import torch
    >>> CVaR(MAE(), fraction=0.5)(torch.tensor([1.0, 3.0]), torch.zeros(2))
    tensor(3.)
    """

    fraction: Tensor
    card: ClassVar[Card] = Card(
        key="cvar",
        tasks=("regression",),
        target="values",
        input="values",
        reduction="statistic",
        formula="mean of the worst fraction of the losses",
        use_when="The worst rows decide, and the targets are clean.",
        avoid_when="Targets hold gross errors: they are the worst rows.",
        paper=Paper(
            authors="R. T. Rockafellar, S. Uryasev",
            title="Optimization of Conditional Value-at-Risk",
            year=2000,
        ),
        example=Example(
            input=[1.0, 3.0], target=[0.0, 0.0], value=3.0, arguments={"fraction": 0.5}
        ),
        claims=Claims(),
        hypers={
            "loss": LOSS,
            "fraction": Hyper(
                default=0.1, low=1e-6, high=1.0, meaning="share of the rows that count"
            ),
            "gather": GATHER,
        },
    )

    def __init__(
        self, loss: Pointwise | None = None, *, fraction: Number = 0.1, gather: bool = True
    ) -> None:
        inner = check_inner("CVaR", MAE() if loss is None else loss)
        super().__init__(loss=inner, fraction=fraction, gather=gather)

    def statistic(self, values: Tensor, weight: Tensor) -> Tensor:
        """Return the mean of the worst fraction."""
        return F.cvar(values, weight, fraction=self.fraction)
