"""Losses of completions that were sampled and then judged by a reward, unreduced."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from lossmith.functional.checks import as_scalar_or_tensor, clamp_if_outside, promote, same_rows

__all__ = ["group_advantages", "grpo", "token_mask"]


def group_advantages(reward: Tensor, *, scale: bool = True, epsilon: float = 1e-4) -> Tensor:
    """Return how far each reward lies above its group's mean, in deviations if scaled.

    Shapes: reward (P, G), G completions of each of P prompts, to (P, G). The deviation is the
    sample's, raised by epsilon, as in trl; groups of one have the advantage 0.

    >>> group_advantages(torch.tensor([[1.0, 3.0]]), scale=False)
    tensor([[-1.,  1.]])
    """
    reward = promote(reward)
    if reward.ndim != 2:
        raise ValueError(f"reward must be (prompts, completions), got {tuple(reward.shape)}")
    centred = reward - reward.mean(1, keepdim=True)
    if not scale:
        return centred
    variance = centred.square().sum(1, keepdim=True) / max(reward.shape[1] - 1, 1)
    return centred / (variance.sqrt() + epsilon)


def grpo(
    input: Tensor,
    target: Mapping[str, Tensor],
    *,
    average: str = "completion",
    epsilon_low: Tensor | float = 0.2,
    epsilon_high: Tensor | float = 0.2,
    beta: Tensor | float = 0.04,
    max_length: int | None = None,
) -> dict[str, Tensor]:
    """Return −min(ρA, clip(ρ)A) and beta·(e^d − d − 1), the latter where a reference is given.

    ρ is the ratio to the model that sampled, d the log-ratio of reference and model. One value a
    token under the average "token"; else one a completion, its tokens' mean, or their sum over
    max_length under "length".
    """
    own, advantage, mask = _judged(input, target)
    old = target.get("old")
    sampled = own.detach() if old is None else _counted(old.to(own.dtype), mask)
    found = {"policy": _clipped(own - sampled, advantage, epsilon_low, epsilon_high)}
    if "reference" in target:
        away = _held(_counted(target["reference"].to(own.dtype), mask) - own)
        found["kl"] = as_scalar_or_tensor(beta, own) * (torch.expm1(away) - away)
    if average == "token":
        return found
    count = mask.sum(1).clamp(min=1)
    if average == "length":
        count = torch.full_like(count, max(own.shape[1] if max_length is None else max_length, 1))
    return {name: (each * mask / count.unsqueeze(1)).sum(1) for name, each in found.items()}


def token_mask(target: Mapping[str, Tensor]) -> Tensor | None:
    """Return which tokens of completions count; None where all do."""
    return target.get("mask")


def _judged(input: Tensor, target: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-probabilities, 0 where tokens do not count, advantages (N, 1) and the mask."""
    own = promote(input)
    tokens = {name: target[name] for name in ("old", "reference", "mask") if name in target}
    advantage = target["advantage"]
    same_rows({"input": own, **tokens}, shapes=True)
    if own.ndim != 2 or advantage.shape != own.shape[:1]:
        raise ValueError(
            f"input has shape {tuple(own.shape)} and advantage {tuple(advantage.shape)}; they must "
            "be (N, T), one log-probability a token, and (N,), one number a completion"
        )
    mask = torch.ones_like(own) if "mask" not in target else target["mask"].to(own.dtype)
    return _counted(own, mask), advantage.to(own.dtype).unsqueeze(1), mask


def _counted(log_p: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask != 0, log_p, 0)


def _clipped(
    log_ratio: Tensor, advantage: Tensor, low: Tensor | float, high: Tensor | float
) -> Tensor:
    """Return −min(ρA, clip(ρ)A): the bound itself where it is the less, so that no ρ overflows."""
    low, high = (as_scalar_or_tensor(one, log_ratio) for one in (low, high))
    ratio = _held(log_ratio.detach()).exp()
    above, below = (advantage > 0) & (ratio > 1 + high), (advantage < 0) & (ratio < 1 - low)
    free = _held(torch.where(above | below, 0, log_ratio)).exp()
    ratio = torch.where(above, 1 + high, torch.where(below, 1 - low, free))
    return -ratio * advantage


def _held(log_ratio: Tensor) -> Tensor:
    """Return log-ratios up to where their exponential ends to be a number."""
    return clamp_if_outside(log_ratio, high=math.log(torch.finfo(log_ratio.dtype).max) - 1)
