"""Regression on targets of which some values are rare."""

import math

from lossmith import functional as F
from lossmith.core.bases import Coupled
from lossmith.core.card import Card, Example
from lossmith.core.hyperparameter import Real


class BalancedMSE(Coupled):
    r"""Squared error as if all values of the target were as frequent: batch-based Monte Carlo.

    .. math:: \ell_i = -2 \sigma^2 \log \frac{e^{-\lVert x_i - y_i \rVert^2 / (2 \sigma^2)}}
        {\sum_j e^{-\lVert x_i - y_j \rVert^2 / (2 \sigma^2)}}

    Each prediction finds its own target among those of the batch, which stand for how frequent
    values are. It is BMC of the paper, with the factor 2σ² of its code, constant in the gradient.

    Shapes: input and target alike, (N,) or (N, …) of several numbers a row. One value a row, in the
    target's unit squared, at least 0; a row alone has the value 0. Over several processes the batch
    is that of all ranks: every rank calls the loss.

    The code learns σ from 1 on: `noise=nn.Parameter(torch.tensor(1.0))`, given to the optimizer.

    Use when: Rare values of a number matter as much as frequent ones: ages, depths, poses.
    Avoid when: Errors count where rows are, as in RMSE of all; it is worse there. Small batches.
    Source: Ren, Zhang, Yu, Liu, Balanced MSE for Imbalanced Visual Regression (2022), equation 3.8.

    >>> BalancedMSE(noise=1.0)(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0]))
    tensor(1.4482)
    """

    function = staticmethod(F.balanced_mse)
    noise: Real = Real(
        low=0.0,
        exclusive=True,
        doc="σ, the standard deviation of the errors, in the target's unit. The paper's code "
        "starts at 1",
    )
    card = Card(
        key="balanced_mse",
        tasks=("regression",),
        input="values",
        target="values",
        # log(1 + e^(-1/2)) and that plus 1/2, doubled
        example=Example(
            arguments={"noise": 1.0},
            input=[0.0, 0.0],
            target=[0.0, 1.0],
            value=2 * math.log(1 + math.exp(-0.5)) + 0.5,
        ),
        studied=False,
    )
