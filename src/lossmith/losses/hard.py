"""How much hard samples count, over any loss with a value a sample: less, or more."""

import math

from torch import Tensor

from lossmith import functional as F
from lossmith.core.card import Card, Claims, Example
from lossmith.core.hyperparameter import Inner, Real
from lossmith.core.reduce import added
from lossmith.losses.regression import MAE
from lossmith.losses.wrapping import BatchWrapper, Wrapper, check_inner


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
    >>> SelfPaced(MAE(), threshold=4.0)(torch.tensor([1.0, 9.0]), torch.zeros(2))
    tensor(2.5000)
    """

    loss: Inner = Inner(
        default=None,
        kw_only=False,
        make=MAE,
        accepts=check_inner,
        doc="a loss with a value a sample; None is MAE",
    )
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
        return F.self_paced(added(super().values(input, target)), threshold=self.threshold)


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
    >>> SuperLoss(MAE(), tau=1.0)(torch.tensor([1.0]), torch.zeros(1))
    tensor(0.)
    """

    loss: Inner = Inner(
        default=None,
        kw_only=False,
        make=MAE,
        accepts=check_inner,
        doc="a loss with a value a sample; None is MAE",
    )
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
        return F.super_loss(added(super().values(input, target)), tau=self.tau, lam=self.lam)


class Tilted(BatchWrapper):
    r"""Tilted empirical risk: from the best rows over the mean to the worst, by one number.

    .. math:: L = \frac{1}{t} \log \frac{\sum_i w_i e^{t \ell_i}}{\sum_i w_i}

    The mean at t = 0, the maximum as t grows, the minimum as it falls.

    Shapes: those of the inner loss. One number of the batch, in its unit.

    Use when: Fairness to hard rows (t > 0), or robustness to wrong ones (t < 0), is wanted.
    Avoid when: Batches are small: the tilt is over the batch, not over the data.
    Source: Li et al., Tilted Empirical Risk Minimization (2021).

    >>> import torch
    >>> Tilted(MAE(), tilt=0.0)(torch.tensor([1.0, 3.0]), torch.zeros(2))
    tensor(2.)
    """

    loss: Inner = Inner(
        default=None,
        kw_only=False,
        make=MAE,
        accepts=check_inner,
        doc="a loss with a value a sample; None is MAE",
    )
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
    >>> CVaR(MAE(), fraction=0.5)(torch.tensor([1.0, 3.0]), torch.zeros(2))
    tensor(3.)
    """

    loss: Inner = Inner(
        default=None,
        kw_only=False,
        make=MAE,
        accepts=check_inner,
        doc="a loss with a value a sample; None is MAE",
    )
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
