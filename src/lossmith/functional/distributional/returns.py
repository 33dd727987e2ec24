"""Losses of distributions of returns in reinforcement learning, unreduced: one value a row."""

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, check_range, promote, tensor_like
from lossmith.functional.classification.multiclass import log_probabilities

__all__ = ["c51", "categorical_projection", "quantile_huber"]


def quantile_huber(input: Tensor, target: Tensor, *, kappa: Tensor | float = 1.0) -> Tensor:
    """Return Σ_i mean_j |τ_i − 1[u_ij < 0]|·L(u_ij), u_ij = target_j − input_i (Dabney, 2018).

    L is Huber's with delta kappa, τ_i = (i − ½)/K of K quantiles (N, K); targets are (N, M).
    """
    rows = promote(input)
    if rows.ndim != 2 or target.ndim != 2 or rows.shape[0] != target.shape[0]:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but target has shape {tuple(target.shape)}; "
            "quantiles must be (N, K) and targets (N, M), of as many rows"
        )
    count = rows.shape[1]
    level = (torch.arange(count, device=rows.device, dtype=rows.dtype) + 0.5) / max(count, 1)
    gap = target.to(rows.dtype).unsqueeze(1) - rows.unsqueeze(2)
    size = gap.abs()
    near = torch.minimum(size, tensor_like(kappa, size))
    huber = near * (size - near / 2)
    share = torch.where(gap.detach() < 0, 1 - level.unsqueeze(1), level.unsqueeze(1))
    return (share * huber).sum((1, 2)) / max(target.shape[1], 1)


def c51(
    input: Tensor,
    probabilities: Tensor,
    reward: Tensor,
    discount: Tensor,
    *,
    low: Tensor | float = -10.0,
    high: Tensor | float = 10.0,
) -> Tensor:
    """Return −Σ m log softmax(input), m the projection of the next state's (Bellemare, 2017)."""
    if input.ndim != 2 or input.shape != probabilities.shape or input.shape[1] < 2:
        raise ValueError(
            f"input has shape {tuple(input.shape)} but probabilities have shape "
            f"{tuple(probabilities.shape)}; both must be (N, K), of two atoms at least"
        )
    for name, one in (("reward", reward), ("discount", discount)):
        if one.shape != input.shape[:1]:
            raise ValueError(
                f"input has shape {tuple(input.shape)} but {name} has shape {tuple(one.shape)}; "
                "give one number a row"
            )
    message = (
        "probabilities holds numbers outside 0 … 1; pass the softmax of the next state's logits"
    )
    check_range(probabilities, 0, 1, message)
    log_p = log_probabilities(promote(input))
    low, high = as_scalar_or_tensor(low, log_p), as_scalar_or_tensor(high, log_p)
    moved = categorical_projection(
        probabilities.to(log_p), reward, discount, low=low, high=high
    ).detach()
    return -(moved * log_p).sum(1)


def categorical_projection(
    probabilities: Tensor,
    reward: Tensor,
    discount: Tensor,
    *,
    low: Tensor | float,
    high: Tensor | float,
) -> Tensor:
    """Return the distribution of reward + discount·z on even atoms z (Bellemare et al., 2017).

    Each moved atom, held within low … high, is shared between the two atoms beside it.

    Args:
        probabilities: (N, K), of the atoms z from low to high.
        reward: (N,).
        discount: (N,), 0 where the episode has ended.
        low: the first atom.
        high: the last atom.

    >>> even = torch.tensor([[0.5, 0.5, 0.0]])
    >>> categorical_projection(even, torch.tensor([0.5]), torch.ones(1), low=0.0, high=2.0)
    tensor([[0.2500, 0.5000, 0.2500]])
    """
    given = promote(probabilities)
    atoms = torch.linspace(0, 1, given.shape[1], dtype=given.dtype, device=given.device)
    atoms = low + (high - low) * atoms
    moved = reward.to(given).unsqueeze(1) + discount.to(given).unsqueeze(1) * atoms
    place = ((moved - low) / (high - low)).clamp(0, 1) * (given.shape[1] - 1)
    index = torch.arange(given.shape[1], dtype=given.dtype, device=given.device)
    share = (1 - (place.unsqueeze(2) - index).abs()).relu()
    return (given.unsqueeze(2) * share).sum(1)
