"""Losses of ordered classes 0 … K − 1, unreduced, and how their heads are read."""

import torch
from torch import Tensor
from torch.nn import functional as nnf

from lossmith.functional.checks import (
    as_scalar_or_tensor,
    check_head,
    check_range,
    clamp_if_outside,
    class_logits,
    head_dim,
    promote,
    tensor_like,
)
from lossmith.functional.classification.multiclass import is_target, log_probabilities

__all__ = [
    "binomial_smoothing",
    "cdwce",
    "coral",
    "coral_probabilities",
    "corn",
    "corn_probabilities",
    "corn_weights",
    "sord",
    "squared_emd",
    "triangular_smoothing",
    "weighted_kappa",
]

_LEAST = 1e-18  # a disagreement whose square float32 still holds


def coral(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return the sum over k of binary cross-entropies of target > k (Cao et al., 2020)."""
    logits, above = _above(input, target, ignore_index)
    return nnf.softplus(torch.where(above, -logits, logits)).sum(head_dim(logits))


def corn(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return the binary cross-entropy of target > k for each k (Shi et al., 2021).

    The loss is their mean over those with target ≥ k, which `corn_weights` tells.
    """
    logits, above = _above(input, target, ignore_index)
    return nnf.softplus(torch.where(above, -logits, logits))


def corn_weights(target: Tensor, *, classes: int, ignore_index: int = -100) -> Tensor:
    """Return 1 where target ≥ k, for k from 0 to classes − 2 along the head's dimension."""
    dim = min(1, target.ndim)
    target = target.long().unsqueeze(dim)
    asked = (target >= _steps(classes - 1, target)) & (target != ignore_index)
    return asked.float()


def squared_emd(input: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Return the squared distance of the cumulated softmax from the target's (Hou et al., 2016)."""
    logits, target = class_logits(input, target, ignore_index)
    dim = head_dim(logits)
    target = target.unsqueeze(dim)
    reached = target <= _steps(logits.shape[dim], target)
    return (logits.softmax(dim).cumsum(dim) - reached.to(logits.dtype)).square().sum(dim)


def cdwce(
    input: Tensor, target: Tensor, *, alpha: Tensor | float, ignore_index: int = -100
) -> Tensor:
    """Return −Σ_c |c − target|^alpha·log(1 − p_c) of the softmax (Polat et al., 2022)."""
    logits, target = class_logits(input, target, ignore_index)
    cost = _apart(logits, target).pow(as_scalar_or_tensor(alpha, logits))
    return -(cost * _log_of_others(logits)).sum(head_dim(logits))


def sord(
    input: Tensor,
    target: Tensor,
    *,
    alpha: Tensor | float,
    power: Tensor | float = 1.0,
    ignore_index: int = -100,
) -> Tensor:
    """Return the cross-entropy against softmax(−alpha·|c − target|^power) (Díaz, 2019)."""
    logits, target = class_logits(input, target, ignore_index)
    alpha, power = (as_scalar_or_tensor(one, logits) for one in (alpha, power))
    soft = (-alpha * _apart(logits, target).pow(power)).softmax(head_dim(logits))
    return _against(logits, soft)


def binomial_smoothing(
    input: Tensor, target: Tensor, *, eta: Tensor | float = 1.0, ignore_index: int = -100
) -> Tensor:
    """Return the cross-entropy against binomial labels, in share eta (Liu et al., 2020).

    Class c of K has the mass of c successes in K − 1 trials, each of chance 0.1 + 0.8·target/(K −
    1).
    """
    logits, target = class_logits(input, target, ignore_index)
    dim = head_dim(logits)
    trials, hit = max(logits.shape[dim] - 1, 1), is_target(logits, target).to(logits.dtype)
    steps = _steps(logits.shape[dim], target.unsqueeze(dim)).to(logits.dtype)
    chance = (0.1 + 0.8 * target.to(logits.dtype) / trials).unsqueeze(dim)
    ways = -torch.lgamma(steps + 1) - torch.lgamma(trials - steps + 1)
    mass = (ways + steps * chance.log() + (trials - steps) * (1 - chance).log()).softmax(dim)
    eta = as_scalar_or_tensor(eta, logits)
    return _against(logits, (1 - eta) * hit + eta * mass)


def triangular_smoothing(
    input: Tensor,
    target: Tensor,
    *,
    alpha: Tensor | float = 0.05,
    eta: Tensor | float = 1.0,
    ignore_index: int = -100,
) -> Tensor:
    """Return the cross-entropy against triangular labels, in share eta (Vargas et al., 2023).

    Each neighbour has alpha; that of the first grade and of the last what the authors' formulae
    give. The grade itself has the rest.
    """
    logits, target = class_logits(input, target, ignore_index)
    dim = head_dim(logits)
    width, target = logits.shape[dim], target.unsqueeze(dim)
    alpha, eta = tensor_like(alpha, logits), as_scalar_or_tensor(eta, logits)
    least = (1 - 2 * alpha) * (2 * alpha - (2 * alpha).sqrt())
    first, last = (_tail(part) for part in (least, least * ((width - 1) / width) ** 2))
    step = _steps(width, target) - target
    up, down = torch.where(target == 0, first, alpha), torch.where(target == width - 1, last, alpha)
    beside = torch.where(step == 1, up, 0) + torch.where(step == -1, down, 0)
    rest = 1 - beside.sum(dim, keepdim=True)
    return _against(logits, eta * (beside + (step == 0) * rest) + (1 - eta) * (step == 0))


def _tail(part: Tensor) -> Tensor:
    return ((1 - (1 - 4 * part).sqrt()) / 2).square()


def weighted_kappa(
    input: Tensor,
    target: Tensor,
    *,
    weight: Tensor,
    distance: str = "quadratic",
    ignore_index: int = -100,
) -> Tensor:
    """Return the disagreement over that of chance, 1 − κ, of the softmax (de la Torre, 2018).

    Disagreement is the squared distance of grades, or the distance itself where it is "linear".
    """
    kept = target != ignore_index
    logits, target = class_logits(input, target, ignore_index)
    logits = logits.movedim(head_dim(logits), -1)
    predicted = torch.where(kept.unsqueeze(-1), logits, 0).softmax(-1).reshape(-1, logits.shape[-1])
    counts = torch.where(kept, weight, 0).flatten().unsqueeze(1)
    grades = torch.arange(logits.shape[-1], device=logits.device)
    power = 2 if distance == "quadratic" else 1
    apart = (grades - target.reshape(-1, 1)).abs().pow(power).to(logits.dtype)
    cost = (grades - grades.unsqueeze(1)).abs().pow(power).to(logits.dtype)
    true = counts * (grades == target.reshape(-1, 1))
    guesses, total = (counts * predicted).sum(0), counts.sum()
    seen = (counts * apart * predicted).sum()
    chance = (cost * guesses * true.sum(0).unsqueeze(1)).sum()
    some = ~(chance <= _LEAST * total.square())  # so that NaN stays
    # Where all are of one grade, disagreement is that of chance, whatever is predicted.
    return torch.where(
        some, total * seen / torch.where(some, chance, 1), (total > 0).to(seen.dtype)
    )


def coral_probabilities(output: Tensor) -> Tensor:
    """Return class probabilities of K − 1 logits of target > k, lowered to never increase."""
    output = promote(output)
    return _between(output.sigmoid().cummin(head_dim(output)).values)


def corn_probabilities(output: Tensor) -> Tensor:
    """Return class probabilities of K − 1 logits of target > k given target ≥ k."""
    output = promote(output)
    return _between(output.sigmoid().cumprod(head_dim(output)))


def _apart(logits: Tensor, target: Tensor) -> Tensor:
    """Return how many classes each class lies from the target, along the head's dimension."""
    dim = head_dim(logits)
    target = target.unsqueeze(dim)
    return (_steps(logits.shape[dim], target) - target).abs().to(logits.dtype)


def _against(logits: Tensor, soft: Tensor) -> Tensor:
    """Return the cross-entropy of logits against soft labels."""
    return -(soft * log_probabilities(logits)).sum(head_dim(logits))


def _log_of_others(logits: Tensor) -> Tensor:
    """Return log(1 − p_c) of each class, exact where p_c is near 1."""
    dim, lowest = head_dim(logits), torch.finfo(logits.dtype).min
    first = is_target(logits, logits.argmax(dim))
    rest = logits.masked_fill(first, lowest).logsumexp(dim, keepdim=True)
    whole = logits.logsumexp(dim, keepdim=True)
    small = torch.where(first, 0, logits.softmax(dim))  # ½ at most
    return clamp_if_outside(torch.where(first, rest - whole, torch.log1p(-small)), low=lowest / 100)


def _between(above: Tensor) -> Tensor:
    """Return the probability of each class from those of exceeding each but the last."""
    dim = head_dim(above)
    first = above.narrow(dim, 0, 1)
    ends = torch.cat([torch.ones_like(first), above, torch.zeros_like(first)], dim)
    classes = ends.shape[dim] - 1
    return ends.narrow(dim, 0, classes) - ends.narrow(dim, 1, classes)


def _above(input: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Check K − 1 logits against classes; return them, and whether each class exceeds each k."""
    if target.is_floating_point() or target.dtype == torch.bool:
        raise TypeError(f"target must hold integer classes, got {target.dtype}; use target.long()")
    if input.ndim == 0:
        raise ValueError("input must have a dimension of thresholds, got a scalar")
    dim = head_dim(input)
    outputs = input.shape[dim]
    check_head(input, target, outputs)
    target = target.long()
    check_range(
        target.masked_fill(target == ignore_index, 0),
        0,
        outputs,
        f"target holds a class outside 0 … {outputs}, which {outputs} thresholds tell apart",
    )
    target = target.unsqueeze(dim)
    return promote(input), target > _steps(outputs, target)


def _steps(count: int, target: Tensor) -> Tensor:
    """Return 0 … count − 1 along the head's dimension, beside a target that has it."""
    trailing = target.ndim - 1 - head_dim(target)
    return torch.arange(count, device=target.device).reshape(-1, *(1,) * trailing)
