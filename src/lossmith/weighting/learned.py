"""Weights that are learned by gradient descent together with the model."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lossmith.core.loss import Loss
from lossmith.core.weighting import Weighting

FORMULAS = ("kendall", "liebel")


class Uncertainty(Weighting):
    r"""Each term divided by a learned noise variance, whose logarithm is paid for.

    .. math:: L = \sum_k c_k e^{-s_k} L_k + \tfrac{1}{2} s_k \qquad s_k = \log \sigma_k^2

    with :math:`c_k = 1/2` for regression and 1 for classification: the Gaussian likelihood of a
    squared error, and the scaled softmax as the paper approximates it. "liebel" replaces the last
    part by :math:`\log(1 + \sigma_k^2)`, which cannot become negative, with c = 1/2 for all.
    Well-known code often uses c = 1/2, or c = 1, for every term.

    A term is regression if its loss's card names that task. The optimizer must hold the
    parameter: `lossmith.parameter_groups(model, loss)`.

    Args:
        formula: "kendall" or "liebel".

    Raises:
        ValueError: if there is no such formula.

    Source: Kendall, Gal & Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses for Scene
    Geometry and Semantics (2018); Liebel & Körner, Auxiliary Tasks in Multi-task Learning (2018).

    >>> from lossmith import CrossEntropy, Hybrid, MSE
    >>> Hybrid(price=MSE(), label=CrossEntropy(), weighting=Uncertainty()).weighting.weights()
    {'price': 0.5, 'label': 1.0}
    """

    scale: Tensor
    log_variance: nn.Parameter

    def __init__(self, *, formula: str = "kendall") -> None:
        super().__init__()
        if formula not in FORMULAS:
            raise ValueError(f"Uncertainty: formula must be one of {FORMULAS}, got {formula!r}")
        self.formula = formula

    def begin(self, losses: Mapping[str, Loss]) -> None:
        """Start every variance at 1."""
        self.learn("log_variance", nn.Parameter(torch.zeros(len(losses))))
        half = self.formula == "liebel"
        regression = [half or "regression" in loss.card.tasks for loss in losses.values()]
        self.vector("scale", [0.5 if one else 1.0 for one in regression])

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Return the terms over their variances, and the price of these."""
        values = self.stacked(terms)
        log = self.log_variance.to(values.dtype)
        price = log / 2 if self.formula == "kendall" else torch.nn.functional.softplus(log)
        return (self.scale.to(values.dtype) * (-log).exp() * values + price).sum()

    def weights(self) -> dict[str, float]:
        """Return the present factors of the terms."""
        factors = self.scale * (-self.log_variance.detach().double()).exp()
        return dict(zip(self.names, factors.tolist(), strict=True))

    def config(self) -> dict[str, Any]:
        """Return the formula."""
        return {"formula": self.formula}


class IMTLL(Weighting):
    r"""Learned scales that bring all terms to the same size.

    .. math:: L = \sum_k e^{s_k} L_k - s_k

    The minimum over s makes every :math:`e^{s_k} L_k` equal to 1. Terms must be positive. It is the
    loss balance of the paper, without its gradient balance.

    Source: Liu et al., Towards Impartial Multi-task Learning (2021).

    >>> from lossmith import Hybrid, MAE, MSE
    >>> Hybrid(a=MSE(), b=MAE(), weighting=IMTLL()).weighting.weights()
    {'a': 1.0, 'b': 1.0}
    """

    log_scale: nn.Parameter

    def begin(self, losses: Mapping[str, Loss]) -> None:
        """Start every scale at 1."""
        self.learn("log_scale", nn.Parameter(torch.zeros(len(losses))))

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Return the scaled terms, less the logarithms of their scales."""
        values = self.stacked(terms)
        log = self.log_scale.to(values.dtype)
        return (log.exp() * values - log).sum()

    def weights(self) -> dict[str, float]:
        """Return the present scales."""
        scales = self.log_scale.detach().double().exp()
        return dict(zip(self.names, scales.tolist(), strict=True))
